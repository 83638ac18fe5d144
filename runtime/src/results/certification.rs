//! Figure 5: how a frame is certified, on a real frame.

use std::fmt::Write;

use bagcert_certifier::{CellRect, Geometry, Verdict};
use bagcert_charts::{
    Colour, Drawing, NO_VOTE, PATCH, REGION, RIVAL_VOTE, Raster, SIDE, Table, VOTE, drawing, escape,
};
use ndarray::ArrayView2;

use crate::frames::Frame;
use crate::pipeline::Outcome;

const GAP: f64 = 12.0;
const LABEL: f64 = 26.0;
const HEAD: f64 = 66.0;
const FOOT: f64 = 34.0;
const MARGIN: f64 = 20.0;

/// A frame with its answers.
#[derive(Clone, Copy, Debug)]
pub struct Example<'e> {
    /// The frame.
    pub frame: &'e Frame,
    /// Its answer by Condition 3.3, with the scores kept.
    pub global: &'e Outcome,
    /// Its answer by Condition 3.2, with the scores kept.
    pub window: &'e Outcome,
    /// Which pixels each cell reads.
    pub geometry: &'e Geometry,
    /// Names in label order.
    pub class_names: &'e [String],
}

/// One row of the drawing.
struct Row<'r> {
    title: &'r str,
    verdict: &'r Verdict,
    outcome: &'r Outcome,
    /// Cells that the attacker has written, where the condition knows which.
    region: Option<CellRect>,
    reckoning: String,
}

impl Example<'_> {
    /// The frame and the votes as they are, over Condition 3.3; below it the votes as the worst patch leaves
    /// them at most, over Condition 3.2. `None` where an answer has no verdict.
    #[must_use]
    pub fn draw(&self) -> Option<Drawing> {
        let (global, window) = (self.global.verdicts.first()?, self.window.verdicts.first()?);
        let most = i64::from(self.geometry.max_affected_cells(global.patch).ok()?);
        let region = self.geometry.affected(window.patch, window.worst);
        let rows = [
            Row {
                title: "as it is",
                verdict: global,
                outcome: self.global,
                region: None,
                reckoning: format!(
                    "Condition 3.3: a lead of {} votes, needed are more than 2 x {most}: {}",
                    lead(self.global, global),
                    word(global)
                ),
            },
            Row {
                title: "worst case",
                verdict: window,
                outcome: self.window,
                region,
                reckoning: format!(
                    "Condition 3.2: a lead of {} votes in the worst case: {}",
                    window.slack,
                    word(window)
                ),
            },
        ];
        let mut table = Table::new(&[
            "frame",
            "condition",
            "predicted",
            "rival",
            "lead",
            "slack",
            "certified",
        ]);
        let mut body = String::new();
        let label = self
            .frame
            .label
            .map_or_else(|| "-".into(), |label| self.name(label));
        let _ = writeln!(
            body,
            "<text x=\"{MARGIN}\" y=\"32\" font-size=\"15\" font-weight=\"600\">{} patch; {}, taken for {}</text>\n\
             <text x=\"{MARGIN}\" y=\"50\" fill=\"#555\">{}</text>",
            window.patch,
            escape(&label),
            escape(&self.name(window.predicted)),
            escape(&self.frame.id)
        );
        let mut y = HEAD;
        for row in &rows {
            self.row(&mut body, row, y);
            y += SIDE + FOOT + 24.0;
            table.row(&[
                self.frame.id.clone(),
                row.verdict.condition.to_string(),
                self.name(row.verdict.predicted),
                self.name(row.verdict.rival),
                lead(row.outcome, row.verdict).to_string(),
                row.verdict.slack.to_string(),
                row.verdict.certified.to_string(),
            ]);
        }
        let width = 2.0 * MARGIN + LABEL + 3.0 * SIDE + 2.0 * GAP;
        Some(Drawing {
            csv: table.csv().to_owned(),
            svg: drawing("How a frame is certified", width, y, &body),
        })
    }

    fn row(&self, body: &mut String, row: &Row<'_>, y: f64) {
        let left = MARGIN + LABEL;
        let column = |at: f64| left + at * (SIDE + GAP);
        let verdict = row.verdict;
        let _ = writeln!(
            body,
            "<text transform=\"translate({} {}) rotate(-90)\" text-anchor=\"middle\" fill=\"#555\">{}</text>",
            MARGIN + 12.0,
            y + 18.0 + SIDE / 2.0,
            row.title
        );
        let heads = [
            ("frame".to_owned(), Colour(0x22, 0x22, 0x22)),
            (format!("votes for {}", self.name(verdict.predicted)), VOTE),
            (
                format!("votes for {}", self.name(verdict.rival)),
                Colour(0xA0, 0x6C, 0x00),
            ),
        ];
        for (at, (head, colour)) in [0.0, 1.0, 2.0].into_iter().zip(heads) {
            let _ = writeln!(
                body,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\" fill=\"{colour}\">{}</text>",
                column(at) + SIDE / 2.0,
                y + 10.0,
                escape(&head)
            );
        }
        let top = y + 18.0;
        *body += &self.photo(row, column(0.0), top);
        let maps = [
            (verdict.predicted, VOTE, false),
            (verdict.rival, RIVAL_VOTE, true),
        ];
        for (at, (class, colour, written)) in [1.0, 2.0].into_iter().zip(maps) {
            if let Some(scores) = row.outcome.scores_of(class) {
                *body += &self.map(scores, colour, row.region, written, column(at), top);
            }
        }
        let _ = writeln!(
            body,
            "<text x=\"{left}\" y=\"{}\">{}</text>",
            top + SIDE + 20.0,
            escape(&row.reckoning)
        );
    }

    fn photo(&self, row: &Row<'_>, x: f64, y: f64) -> String {
        let size = self.frame.picture.size();
        let mut picture = Raster::new(x, y, size.width, size.height, NO_VOTE);
        picture.photo(self.frame.picture.planes(), size.width as usize);
        if row.region.is_some() {
            let (at, patch) = (row.verdict.worst, row.verdict.patch);
            picture.outline(at.x, at.y, patch.width(), patch.height(), PATCH);
        }
        picture.finish()
    }

    /// A score map; inside the region every score is what the attacker has made of it.
    fn map(
        &self,
        scores: ArrayView2<'_, bool>,
        colour: Colour,
        region: Option<CellRect>,
        written: bool,
        x: f64,
        y: f64,
    ) -> String {
        let (rows, columns) = scores.dim();
        let narrow = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        let mut picture = Raster::new(x, y, narrow(columns), narrow(rows), NO_VOTE);
        let within = |x: usize, y: usize| {
            region.is_some_and(|region| {
                (region.x.first..=region.x.last).contains(&narrow(x))
                    && (region.y.first..=region.y.last).contains(&narrow(y))
            })
        };
        let votes = scores
            .indexed_iter()
            .filter(|((y, x), vote)| if within(*x, *y) { written } else { **vote })
            .map(|((y, x), _)| (x, y));
        picture.squares(votes, colour);
        if let Some(CellRect { x, y }) = region {
            let (width, height) = (x.last - x.first + 1, y.last - y.first + 1);
            picture.outline(x.first, y.first, width, height, REGION);
        }
        picture.finish()
    }

    fn name(&self, class: usize) -> String {
        let name = self.class_names.get(class);
        name.map_or_else(|| format!("class {class}"), Clone::clone)
    }
}

/// Votes of the predicted class above those of the rival.
fn lead(outcome: &Outcome, verdict: &Verdict) -> i64 {
    let votes = |class: usize| {
        outcome
            .votes
            .get(class)
            .map_or(0, |votes| i64::from(*votes))
    };
    votes(verdict.predicted) - votes(verdict.rival)
}

fn word(verdict: &Verdict) -> &'static str {
    if verdict.certified {
        "certified"
    } else {
        "not certified"
    }
}
