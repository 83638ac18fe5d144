//! An HTML report: one page, readable without a network, that shows what was certified and why.

mod chart;
mod folder;
mod page;
mod panels;
mod png;
mod words;

use std::path::{Path, PathBuf};

use bagcert_certifier::{Geometry, Shape};

use crate::frames::Frame;
use crate::pipeline::{Outcome, Query};
use crate::tally::{Kind, Tally};

pub use folder::check_target;

/// Why a report could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The folder holds something that is no report.
    #[error(
        "{}: the folder is not empty and holds no earlier report; name a new or empty one",
        folder.display()
    )]
    Taken {
        /// The folder.
        folder: PathBuf,
    },
    /// The place is a file.
    #[error("{}: this is not a folder; name a new or empty one", folder.display())]
    NotAFolder {
        /// The place.
        folder: PathBuf,
    },
    /// The report could not be written whole.
    #[error(
        "{}: the report could not be written, so nothing was put there: {source}",
        folder.display()
    )]
    NotWritten {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A picture could not be encoded.
    #[error("a picture of the report could not be encoded: {0}")]
    Picture(#[from] image::ImageError),
}

/// What the page says about the model.
pub struct ModelFacts<'a> {
    /// File name.
    pub name: String,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: &'a str,
    /// Number of trained parameters.
    pub parameters: u64,
    /// Multiply-adds of one forward pass.
    pub macs: u64,
    /// Channels of the input image.
    pub channels: usize,
    /// Shape of the score map.
    pub shape: Shape,
    /// Which pixels each cell reads.
    pub geometry: Geometry,
    /// Names of the classes.
    pub class_names: &'a [String],
}

/// All that the page shows.
pub struct Report<'a> {
    /// The heading.
    pub title: &'a str,
    /// The model.
    pub model: ModelFacts<'a>,
    /// What was asked of every frame.
    pub query: &'a Query,
    /// Counts over all frames.
    pub tally: &'a Tally,
    /// The frames that are drawn.
    pub gallery: &'a Gallery,
    /// Inputs that could not be used.
    pub failures: usize,
    /// Time for all frames, in seconds.
    pub seconds: f64,
    /// The data set, where the frames come from one.
    pub data: Option<&'a str>,
}

/// Writes the report as `folder/index.html`, whose path it returns.
///
/// The folder appears under its name only once it is whole; an earlier report there is replaced.
///
/// # Errors
/// [`ReportError`]; nothing is left at the place then but what was there before.
pub fn write(folder: &Path, report: &Report<'_>) -> Result<PathBuf, ReportError> {
    check_target(folder)?;
    let page = page::render(report)?;
    folder::place(folder, &page)
}

/// A frame that is drawn, with its answer.
pub struct Shown {
    /// The frame.
    pub frame: Frame,
    /// Its answer, with score maps kept.
    pub outcome: Outcome,
}

/// Chooses which frames are drawn, in bounded memory.
pub struct Gallery {
    rule: Rule,
    offered: usize,
    shown: Vec<Shown>,
}

enum Rule {
    First(usize),
    OfEachKind { each: usize, taken: [usize; 5] },
}

impl Gallery {
    /// Keeps the first `most` frames.
    #[must_use]
    pub fn first(most: usize) -> Gallery {
        Gallery::new(Rule::First(most))
    }

    /// Keeps the first `each` frames of each [`Kind`] against the first patch size, and as many
    /// without a label.
    #[must_use]
    pub fn of_each_kind(each: usize) -> Gallery {
        Gallery::new(Rule::OfEachKind {
            each,
            taken: [0; 5],
        })
    }

    fn new(rule: Rule) -> Gallery {
        Gallery {
            rule,
            offered: 0,
            shown: Vec::new(),
        }
    }

    /// Keeps the frame where the rule says so.
    pub fn offer(&mut self, frame: Frame, outcome: Outcome) {
        self.offered += 1;
        let kept = match &mut self.rule {
            Rule::First(most) => self.shown.len() < *most,
            Rule::OfEachKind { each, taken } => {
                let [right, wrong, open_right, open_wrong, unlabelled] = taken;
                let kind = kind_of(&frame, &outcome);
                let count = match kind {
                    Some(Kind::CertifiedRight) => right,
                    Some(Kind::CertifiedWrong) => wrong,
                    Some(Kind::RightUncertified) => open_right,
                    Some(Kind::WrongUncertified) => open_wrong,
                    None => unlabelled,
                };
                let kept = *count < *each;
                *count += usize::from(kept);
                kept
            }
        };
        if kept {
            self.shown.push(Shown { frame, outcome });
        }
    }

    /// The frames kept, grouped by kind where that is the rule, else in the order offered.
    fn in_order(&self) -> Vec<&Shown> {
        let mut shown: Vec<&Shown> = self.shown.iter().collect();
        if let Rule::OfEachKind { .. } = self.rule {
            shown.sort_by_key(|shown| kind_of(&shown.frame, &shown.outcome));
        }
        shown
    }

    /// How the frames were chosen, in words.
    fn choice(&self) -> String {
        let (shown, offered) = (self.shown.len(), self.offered);
        match self.rule {
            Rule::First(_) if shown == offered => format!("All {offered} frames are shown."),
            Rule::First(_) => format!("The first {shown} of {offered} frames are shown."),
            Rule::OfEachKind { each, .. } => format!(
                "{shown} of {offered} frames are shown: the first {each} of each kind \
                 (certified or not, right or wrong), as far as there are so many. \
                 Their numbers therefore do not reflect how common each kind is."
            ),
        }
    }
}

/// The kind of a frame against the first patch size.
fn kind_of(frame: &Frame, outcome: &Outcome) -> Option<Kind> {
    let verdict = outcome.verdicts.first()?;
    Some(Kind::of(verdict, frame.label?))
}
