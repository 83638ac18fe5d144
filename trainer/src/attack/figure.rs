//! Attacks drawn as in Figure 6: the image and two score maps, above without a patch, below with it.
//!
//! The drawing is SVG without anything outside it.

use std::fmt::Write;

use bagcert_certifier::{CellRect, Geometry, PatchSize, Pixel};
use bagcert_charts::{
    Colour, NO_VOTE, PATCH, REGION, RIVAL_VOTE, Raster, SIDE, Table, VOTE, drawing, escape,
};

use super::{Attacked, Attempt, Pictures, Record};

/// What all pictures of a figure share.
#[derive(Clone, Copy, Debug)]
pub struct Scene<'s> {
    /// Which cells read which pixels.
    pub geometry: &'s Geometry,
    /// The patch that was attacked with.
    pub patch: PatchSize,
    /// The patch that was certified against.
    pub certified: PatchSize,
    /// Names in label order.
    pub classes: &'s [String],
}

/// The gaps around the pictures, in units of the drawing.
const GAP: f64 = 12.0;
const LABEL: f64 = 26.0;
const HEAD: f64 = 68.0;
const FOOT: f64 = 26.0;
/// Width and height of one example.
const WIDTH: f64 = LABEL + 3.0 * SIDE + 2.0 * GAP;
const HEIGHT: f64 = HEAD + 2.0 * SIDE + GAP + FOOT;
const MARGIN: f64 = 20.0;
const BETWEEN: f64 = 44.0;

/// One drawing of all `examples` that were attacked, two beside each other.
#[must_use]
pub fn figure(scene: &Scene<'_>, examples: &[&Attacked]) -> String {
    let drawn: Vec<String> = examples
        .iter()
        .filter_map(|example| {
            let attempt = example.record.attack.as_ref()?;
            let pictures = example.pictures.as_ref()?;
            Some(one(scene, &example.record, attempt, pictures))
        })
        .collect();
    let columns = drawn.len().clamp(1, 2) as f64;
    let rows = drawn.len().div_ceil(2).max(1) as f64;
    let width = 2.0 * MARGIN + columns * WIDTH + (columns - 1.0) * BETWEEN;
    let height = 2.0 * MARGIN + rows * HEIGHT + (rows - 1.0) * BETWEEN;
    let mut body = String::new();
    for (at, example) in drawn.iter().enumerate() {
        let x = MARGIN + (at % 2) as f64 * (WIDTH + BETWEEN);
        let y = MARGIN + (at / 2) as f64 * (HEIGHT + BETWEEN);
        let _ = writeln!(body, "<g transform=\"translate({x} {y})\">\n{example}</g>");
    }
    let title = "Patch attacks and their effect on region scores";
    drawing(title, width, height, &body)
}

/// What the drawing of the same examples says, a row each: leads and slack in votes, places in pixels.
#[must_use]
pub fn table(scene: &Scene<'_>, examples: &[&Attacked]) -> Table {
    let mut table = Table::new(&[
        "image",
        "label",
        "predicted",
        "certified",
        "slack",
        "patch",
        "x",
        "y",
        "rival",
        "least_lead",
        "flipped_to",
        "flipped_at_step",
    ]);
    for Attacked { record, .. } in examples {
        let Some(attempt) = record.attack else {
            continue;
        };
        let named = |class: usize| {
            let name = scene.classes.get(class);
            name.map_or_else(|| class.to_string(), Clone::clone)
        };
        let label = usize::try_from(record.label).map_or_else(|_| record.label.to_string(), named);
        let flip = attempt.flipped;
        table.row(&[
            record.image.to_string(),
            label,
            named(record.predicted),
            record.certified.to_string(),
            record.slack.to_string(),
            scene.patch.to_string(),
            attempt.x.to_string(),
            attempt.y.to_string(),
            named(attempt.rival),
            attempt.least_lead.to_string(),
            flip.map_or_else(String::new, |flip| named(flip.class)),
            flip.map_or_else(String::new, |flip| flip.step.to_string()),
        ]);
    }
    table
}

/// Headline, two rows of three pictures, and the count of votes.
fn one(scene: &Scene<'_>, record: &Record, attempt: &Attempt, pictures: &Pictures) -> String {
    let (headline, colour) = verdict(scene, record, attempt);
    let name = |class: usize| {
        let name = scene.classes.get(class);
        escape(&name.map_or_else(|| format!("class {class}"), Clone::clone))
    };
    let label = usize::try_from(record.label).map_or_else(|_| "-".into(), name);
    let (own, rival) = (name(record.predicted), name(attempt.rival));
    let mut svg = format!(
        "<text y=\"15\" font-size=\"15\" font-weight=\"600\" fill=\"{colour}\">{headline}</text>\n\
         <text y=\"34\" fill=\"#555\">test image {}: {label}, taken for {own}; slack {}; {} patch at x {}, y {} for {rival}</text>\n",
        record.image,
        signed(record.slack),
        scene.patch,
        attempt.x,
        attempt.y,
    );
    let titles = [
        ("image".to_owned(), Colour(0x22, 0x22, 0x22)),
        (format!("votes for {own}"), VOTE),
        (format!("votes for {rival}"), Colour(0xA0, 0x6C, 0x00)),
    ];
    for (column, (title, colour)) in titles.iter().enumerate() {
        let x = LABEL + column as f64 * (SIDE + GAP) + SIDE / 2.0;
        let _ = writeln!(
            svg,
            "<text x=\"{x}\" y=\"60\" text-anchor=\"middle\" fill=\"{colour}\">{title}</text>"
        );
    }
    let at = Pixel {
        x: attempt.x,
        y: attempt.y,
    };
    let region = scene.geometry.affected(scene.patch, at);
    let rows = [
        ("clean", &pictures.clean, &pictures.clean_logits),
        ("with patch", &pictures.attacked, &pictures.attacked_logits),
    ];
    for (row, (title, image, logits)) in rows.into_iter().enumerate() {
        let y = HEAD + row as f64 * (SIDE + GAP);
        let middle = y + SIDE / 2.0;
        let _ = writeln!(
            svg,
            "<text transform=\"translate(14 {middle}) rotate(-90)\" text-anchor=\"middle\" fill=\"#555\">{title}</text>"
        );
        svg += &photo(scene, image, LABEL, y, (row == 1).then_some(at));
        for (column, (class, vote)) in [(record.predicted, VOTE), (attempt.rival, RIVAL_VOTE)]
            .into_iter()
            .enumerate()
        {
            let x = LABEL + (column + 1) as f64 * (SIDE + GAP);
            svg += &score_map(scene, logits, class, vote, x, y, region.as_ref());
        }
    }
    let _ = writeln!(
        svg,
        "<text x=\"{LABEL}\" y=\"{}\">{}</text>",
        HEIGHT - 6.0,
        reckoning(scene, record, attempt, pictures, &name)
    );
    svg
}

/// What the certificate said and what the attack did, and a colour for it.
fn verdict(scene: &Scene<'_>, record: &Record, attempt: &Attempt) -> (String, Colour) {
    let size = scene.certified;
    let right = if record.right() { "" } else { ", though wrong" };
    if record.broken() {
        let lead = attempt.least_lead;
        return (
            format!("Broken certificate at {size}: a lead of {lead} is left"),
            REGION,
        );
    }
    match (record.certified, attempt.flipped) {
        (true, _) => (
            format!("Certified at {size}{right}: the attack fails"),
            Colour(0x00, 0x66, 0x4F),
        ),
        (false, None) => (
            "Not certified: this attack fails".into(),
            Colour(0x55, 0x55, 0x55),
        ),
        (false, Some(flip)) => (
            match flip.step {
                0 => "Not certified: flipped by noise".into(),
                1 => "Not certified: flipped after 1 step".into(),
                steps => format!("Not certified: flipped after {steps} steps"),
            },
            Colour(0xA3, 0x00, 0x1F),
        ),
    }
}

/// The votes before and after.
fn reckoning(
    scene: &Scene<'_>,
    record: &Record,
    attempt: &Attempt,
    pictures: &Pictures,
    name: &dyn Fn(usize) -> String,
) -> String {
    let votes = |logits: &[f32], class: usize| {
        let map = plane(scene, logits, class);
        map.iter().filter(|logit| **logit >= 0.0).count()
    };
    let pair = |class: usize| {
        format!(
            "{} {} \u{2192} {}",
            name(class),
            votes(&pictures.clean_logits, class),
            votes(&pictures.attacked_logits, class)
        )
    };
    let mut text = format!("{}; {}", pair(record.predicted), pair(attempt.rival));
    if let Some(flip) = attempt.flipped {
        if flip.class != attempt.rival {
            text += &format!("; {}", pair(flip.class));
        }
        text += &format!(": now {}", name(flip.class));
    } else {
        text += &format!(": still {}", name(record.predicted));
    }
    text
}

fn signed(votes: i64) -> String {
    format!("{votes:+}").replace('-', "\u{2212}")
}

/// The logits of one class.
fn plane<'l>(scene: &Scene<'_>, logits: &'l [f32], class: usize) -> &'l [f32] {
    let cells = scene.geometry.x.outputs() as usize * scene.geometry.y.outputs() as usize;
    logits.chunks(cells.max(1)).nth(class).unwrap_or_default()
}

fn photo(scene: &Scene<'_>, image: &[f32], x: f64, y: f64, patch: Option<Pixel>) -> String {
    let (columns, rows) = (scene.geometry.x.inputs(), scene.geometry.y.inputs());
    let mut picture = Raster::new(x, y, columns, rows, NO_VOTE);
    picture.photo(image, columns as usize);
    if let Some(at) = patch {
        let (width, height) = (scene.patch.width(), scene.patch.height());
        picture.outline(at.x, at.y, width, height, PATCH);
    }
    picture.finish()
}

fn score_map(
    scene: &Scene<'_>,
    logits: &[f32],
    class: usize,
    colour: Colour,
    x: f64,
    y: f64,
    region: Option<&CellRect>,
) -> String {
    let (columns, rows) = (scene.geometry.x.outputs(), scene.geometry.y.outputs());
    let votes = plane(scene, logits, class)
        .iter()
        .enumerate()
        .filter(|(_, logit)| **logit >= 0.0)
        .map(|(at, _)| (at % columns as usize, at / columns as usize));
    let mut picture = Raster::new(x, y, columns, rows, NO_VOTE);
    picture.squares(votes, colour);
    if let Some(CellRect { x, y }) = region {
        picture.outline(
            x.first,
            y.first,
            x.last - x.first + 1,
            y.last - y.first + 1,
            REGION,
        );
    }
    picture.finish()
}
