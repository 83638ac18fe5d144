//! The four pictures of a frame: itself, two score maps, and what an attacker can gain.

use bagcert_certifier::{CellRect, Verdict};
use image::ImageError;
use maud::{Markup, html};
use ndarray::{ArrayView2, aview2};

use super::words::{class_name, votes_text};
use super::{ModelFacts, Shown, png};
use crate::frames::Size;

type Rgb = [u8; 3];

/// Colours that stay apart for colour-blind readers (Okabe and Ito 2008) and in grey.
pub(super) const NO_VOTE: Rgb = [0xEC, 0xEC, 0xEC];
pub(super) const VOTE: Rgb = [0x00, 0x72, 0xB2];
pub(super) const RIVAL_VOTE: Rgb = [0xE6, 0x9F, 0x00];
/// Gain of 0, 1 and 2 votes.
pub(super) const GAIN: [Rgb; 3] = [[0xF4, 0xF1, 0xF8], [0xA9, 0x9C, 0xCE], [0x4A, 0x14, 0x86]];

/// A colour as CSS writes it.
pub(super) fn css([r, g, b]: Rgb) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// A rectangle in shares of the picture's width and height.
struct Share {
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

/// The pictures for one verdict.
pub(super) fn panels(
    model: &ModelFacts<'_>,
    shown: &Shown,
    verdict: &Verdict,
) -> Result<Markup, ImageError> {
    let size = shown.frame.picture.size();
    let grid = Size {
        width: model.geometry.x.outputs(),
        height: model.geometry.y.outputs(),
    };
    let patch = patch_share(verdict, size);
    let region = model
        .geometry
        .affected(verdict.patch, verdict.worst)
        .map(|region| region_share(&region, grid));
    let second = verdict.second.map(|window| region_share(&window, grid));
    let regions: Vec<&Share> = region.iter().chain(&second).collect();
    let frame = png::data_uri(size.width, size.height, &shown.frame.picture.to_rgb8())?;
    let predicted = class_name(model, verdict.predicted);
    let rival = class_name(model, verdict.rival);
    let scores = |class| {
        let kept = shown.outcome.scores_of(class);
        kept.unwrap_or(aview2::<bool, 0>(&[]))
    };
    let (ours, theirs) = (scores(verdict.predicted), scores(verdict.rival));
    let votes = |class: usize| {
        votes_text(i64::from(
            shown.outcome.votes.get(class).copied().unwrap_or_default(),
        ))
    };
    let map = |colours: Vec<Rgb>| png::data_uri(grid.width, grid.height, &colours.concat());
    let score_map = |cells: ArrayView2<'_, bool>, vote: Rgb| {
        map(cells
            .iter()
            .map(|&s| if s { vote } else { NO_VOTE })
            .collect())
    };
    let gains: Vec<u8> = ours
        .iter()
        .zip(&theirs)
        .map(|(&ours, &theirs)| 1 + u8::from(ours) - u8::from(theirs))
        .collect();
    let gain_map = map(gains
        .iter()
        .map(|&gain| GAIN.get(usize::from(gain)).copied().unwrap_or(NO_VOTE))
        .collect())?;
    let draw = |picture: &str, name: &str| drawing(picture, name, size, &patch, &regions);
    Ok(html! {
        div.panels {
            figure {
                (draw(&frame, "The frame with the worst patch drawn in"))
                figcaption { b { "Frame" } " with the worst " (verdict.patch) " patch at x " (verdict.worst.x) ", y " (verdict.worst.y) }
            }
            figure {
                (draw(&score_map(ours, VOTE)?, &format!("Score map of {predicted}")))
                figcaption { b { "Score map of " (predicted) } ", predicted: " (votes(verdict.predicted)) }
            }
            figure {
                (draw(&score_map(theirs, RIVAL_VOTE)?, &format!("Score map of {rival}")))
                figcaption { b { "Score map of " (rival) } ", strongest rival: " (votes(verdict.rival)) }
            }
            figure {
                (draw(&gain_map, &format!("What an attacker can gain for {rival}")))
                figcaption { b { "Attacker's gain" } " for " (rival) ", cell by cell: 0, 1 or 2 votes" }
            }
        }
    })
}

fn patch_share(verdict: &Verdict, size: Size) -> Share {
    let (width, height) = (f64::from(size.width), f64::from(size.height));
    Share {
        x: f64::from(verdict.worst.x) / width,
        y: f64::from(verdict.worst.y) / height,
        width: f64::from(verdict.patch.width()) / width,
        height: f64::from(verdict.patch.height()) / height,
    }
}

fn region_share(region: &CellRect, grid: Size) -> Share {
    let (width, height) = (f64::from(grid.width), f64::from(grid.height));
    let cells = |first: u32, last: u32| f64::from(last.saturating_sub(first)) + 1.0;
    Share {
        x: f64::from(region.x.first) / width,
        y: f64::from(region.y.first) / height,
        width: cells(region.x.first, region.x.last) / width,
        height: cells(region.y.first, region.y.last) / height,
    }
}

/// A picture, enlarged without smoothing, with the affected region and the patch on top.
fn drawing(picture: &str, name: &str, size: Size, patch: &Share, regions: &[&Share]) -> Markup {
    // Units of the drawing: the longer side has 320 of them.
    let unit = 320.0 / f64::from(size.width.max(size.height));
    let (width, height) = (f64::from(size.width) * unit, f64::from(size.height) * unit);
    // Strokes lie on the edge; a margin keeps them whole at the border.
    let margin = 3.0;
    let view = format!(
        "{} {} {} {}",
        -margin,
        -margin,
        width + 2.0 * margin,
        height + 2.0 * margin
    );
    let place = |share: &Share| {
        [
            share.x * width,
            share.y * height,
            share.width * width,
            share.height * height,
        ]
        .map(|v| format!("{v:.2}"))
    };
    let outline = |share: &Share, class: &str| {
        let [x, y, w, h] = place(share);
        html! {
            rect.under x=(x) y=(y) width=(w) height=(h) {}
            rect class=(class) x=(x) y=(y) width=(w) height=(h) {}
        }
    };
    html! {
        svg viewBox=(view) role="img" aria-label=(name) {
            title { (name) }
            image href=(picture) x="0" y="0" width=(width) height=(height) preserveAspectRatio="none" {}
            @for region in regions { (outline(region, "region")) }
            (outline(patch, "patch"))
        }
    }
}
