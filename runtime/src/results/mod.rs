//! The tables and figures of the paper's results, from any number of models on one data set.
//!
//! Every number is of the same pipeline as in `bagcert eval`. One forward pass per frame answers all that a
//! figure asks ([`Kind::queries`]); [`Measured`] counts the answers of a model, and [`Kind::draw`] makes a
//! table and a chart of several.

mod accuracy;
mod certification;
mod paper;
mod speed;

use std::num::NonZeroU32;
use std::time::Duration;

use bagcert_certifier::{Condition, Geometry, PatchSize, rectangles_of_area};
use bagcert_charts::ChartError;
pub use bagcert_charts::Drawing;

pub use certification::Example;
pub use paper::Paper;

use crate::frames::Size;
use crate::pipeline::{Outcome, Query};
use crate::tally::Tally;

/// Which figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Table 1: time and parameters against the receptive field.
    Speed,
    /// Figure 2: clean against certified accuracy, by every condition.
    Conditions,
    /// Figure 3: certified accuracy against squares of growing size.
    Squares,
    /// Figure 4: certified accuracy against the shapes of one area, and against all of them at once.
    Shapes,
}

/// What a figure is about.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The patch of [`Kind::Speed`] and [`Kind::Conditions`].
    pub patch: PatchSize,
    /// The conditions of [`Kind::Squares`] and [`Kind::Shapes`].
    pub conditions: Vec<Condition>,
    /// Leads of double masking in [`Kind::Conditions`], in votes, beside the four conditions without one.
    pub leads: Vec<u32>,
    /// The largest side in [`Kind::Squares`].
    pub largest: u32,
    /// Pixels of the patches in [`Kind::Shapes`].
    pub area: u32,
    /// The images of which the paper's own figures are drawn in, apart from those measured.
    pub paper: Option<Paper>,
}

/// The answers to one query over all frames.
#[derive(Clone, Debug)]
pub struct Score {
    /// What was asked.
    pub query: Query,
    /// Counts of right and certified frames.
    pub tally: Tally,
    /// Labelled frames that are right and certified against every patch of the query at once.
    pub all_certified_right: usize,
}

/// A model and its answers.
#[derive(Clone, Debug)]
pub struct Measured {
    /// What it is called in the figure.
    pub name: String,
    /// Its trained numbers.
    pub parameters: u64,
    /// Multiply-adds of a forward pass.
    pub macs: u64,
    /// Which pixels its cells read.
    pub geometry: Geometry,
    /// One for each query.
    pub scores: Vec<Score>,
    /// Time of all forward passes.
    pub forward: Duration,
    /// Time of the certificates of the first query.
    pub certificate: Duration,
    /// Time from the first frame to the last answer.
    pub whole: Duration,
    /// Threads that worked on them.
    pub threads: usize,
}

impl Kind {
    /// What is asked of each frame of `size` pixels.
    #[must_use]
    pub fn queries(self, subject: &Subject, size: Size) -> Vec<Query> {
        let query = |patches: Vec<PatchSize>, condition| Query {
            patches,
            condition,
            mask_step: NonZeroU32::MIN,
            lead: 0,
            largest_square: false,
            keep_scores: false,
        };
        // Each patch has a masking predictor to itself.
        let each = |patches: Vec<PatchSize>, condition: Condition| -> Vec<Query> {
            if condition.masking().is_none() {
                return vec![query(patches, condition)];
            }
            let alone = patches.into_iter().map(|patch| vec![patch]);
            alone.map(|patches| query(patches, condition)).collect()
        };
        let conditions = subject.conditions.iter().copied();
        match self {
            Kind::Speed => vec![query(vec![subject.patch], Condition::SumWindow32)],
            Kind::Conditions => {
                let plain = accuracy::CONDITIONS.map(|condition| (condition, 0));
                let leads = subject
                    .leads
                    .iter()
                    .map(|lead| (Condition::DoubleMask, *lead));
                let all = plain.into_iter().chain(leads);
                all.map(|(condition, lead)| Query {
                    lead,
                    ..query(vec![subject.patch], condition)
                })
                .collect()
            }
            Kind::Squares => {
                let last = subject.largest.min(size.width).min(size.height);
                let squares: Vec<PatchSize> = (1..=last)
                    .filter_map(|side| PatchSize::new(side, side).ok())
                    .collect();
                conditions
                    .flat_map(|condition| each(squares.clone(), condition))
                    .collect()
            }
            Kind::Shapes => {
                let shapes: Vec<PatchSize> =
                    rectangles_of_area(subject.area, size.width, size.height).collect();
                // Then the predictor that is certified against all of them.
                let together = |condition| query(shapes.clone(), condition);
                conditions
                    .flat_map(|condition| {
                        let mut queries = each(shapes.clone(), condition);
                        if condition.masking().is_some() {
                            queries.push(together(condition));
                        }
                        queries
                    })
                    .collect()
            }
        }
    }

    /// The table and the chart of what was measured.
    ///
    /// # Errors
    /// [`ChartError`], where the numbers make no chart.
    pub fn draw(self, subject: &Subject, models: &[Measured]) -> Result<Drawing, ChartError> {
        match self {
            Kind::Speed => speed::draw(subject, models),
            Kind::Conditions => accuracy::conditions(subject, models),
            Kind::Squares => accuracy::squares(subject, models),
            Kind::Shapes => accuracy::shapes(subject, models),
        }
    }

    /// The name of its files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Speed => "speed",
            Kind::Conditions => "conditions",
            Kind::Squares => "squares",
            Kind::Shapes => "shapes",
        }
    }
}

impl Score {
    /// Nothing counted yet.
    #[must_use]
    pub fn new(query: Query) -> Score {
        Score {
            tally: Tally::new(&query.patches),
            query,
            all_certified_right: 0,
        }
    }

    /// Counts one frame.
    pub fn add(&mut self, label: Option<usize>, outcome: &Outcome) {
        self.tally.add(label, outcome);
        let all = outcome.verdicts.iter().all(|verdict| verdict.certified);
        let right = label == Some(outcome.predicted);
        self.all_certified_right += usize::from(right && all && !outcome.verdicts.is_empty());
    }

    /// Share of labelled frames, in per cent.
    fn percent(&self, count: usize) -> f64 {
        100.0 * count as f64 / self.tally.labelled.max(1) as f64
    }

    fn clean(&self) -> f64 {
        self.percent(self.tally.right)
    }

    /// Certified accuracy for each patch, in per cent.
    fn certified(&self) -> impl Iterator<Item = (PatchSize, f64)> {
        let patches = self.tally.patches.iter();
        patches.map(|counts| (counts.patch, self.percent(counts.certified_right)))
    }
}

/// The condition as a legend and a table name it.
fn named(condition: Condition) -> String {
    match condition {
        Condition::Mask => "mask aggregator".into(),
        Condition::DoubleMask => "double masking".into(),
        plain => format!("Condition {plain}"),
    }
}

/// Two decimals, as accuracies are given.
fn number(value: f64) -> String {
    format!("{value:.2}")
}
