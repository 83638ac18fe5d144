//! Figures 7 and 8 of the paper, from what attacks and runs left behind.

mod attacked;
mod scores;

use std::path::PathBuf;

use bagcert_certifier::PatchSize;
use bagcert_charts::ChartError;
use thiserror::Error;

use crate::{attack::JournalError, config::ConfigError};

pub use attacked::attacked;
pub use scores::scores;

/// Why a figure could not be drawn.
#[derive(Debug, Error)]
pub enum ResultsError {
    /// The journal of an attack.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The configuration of a run.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The log of a run could not be read.
    #[error("cannot read the log {}: {source}", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A line of a log is no line of a log.
    #[error("{}, line {line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What was wrong.
        reason: String,
    },
    /// A validation was against other patches.
    #[error(
        "{}, line {line}: not certified against {patch}; name one of its patches with --patch, or train with {patch} among training.validation_patches", path.display()
    )]
    NotCertified {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The patch asked for.
        patch: PatchSize,
    },
    /// There is nothing to draw.
    #[error("{} holds no {what}", path.display())]
    Nothing {
        /// The file.
        path: PathBuf,
        /// What is missing, and what to do.
        what: &'static str,
    },
    /// The chart itself.
    #[error(transparent)]
    Chart(#[from] ChartError),
}
