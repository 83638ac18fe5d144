//! The ways in which a command ends before its end.

use std::path::Path;

use bagcert::engine::EngineError;

/// Exit status of wrong usage.
pub(crate) const USAGE: u8 = 2;
/// Exit status where an input could not be read.
pub(crate) const INPUT: u8 = 4;

/// Why a command stopped. Shown to the user as it stands.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    /// Arguments that make no sense for this model or folder.
    #[error("{0}")]
    Usage(String),
    /// The model was not admitted, or its engine failed the check at load: its path and the reason,
    /// with the node's name where there is one.
    #[error("{0}")]
    Refused(String),
    /// Results could not be written.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
    /// The reader of the standard output has gone away (`bagcert ... | head`): nothing to say.
    #[error("the reader of the results has gone")]
    ReaderGone,
}

impl Stop {
    /// The engine of an admitted model could not be made.
    pub(crate) fn no_engine(model: &Path, error: &EngineError) -> Stop {
        Stop::Refused(format!("{}: {}", model.display(), with_causes(error)))
    }

    pub(crate) fn status(&self) -> u8 {
        match self {
            Stop::ReaderGone => 0,
            Stop::Failed(_) => 1,
            Stop::Usage(_) => USAGE,
            Stop::Refused(_) => 3,
        }
    }
}

/// An error and its causes in one line, none of them twice.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}
