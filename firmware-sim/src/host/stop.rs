//! The ways in which the command ends before its end.

pub(crate) use bagcert::with_causes;

/// Exit status of wrong usage.
pub(crate) const USAGE: u8 = 2;
/// Exit status where an input could not be read.
pub(crate) const INPUT: u8 = 4;

/// Why the command stopped. Shown to the user as it stands.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Stop {
    /// Arguments or a scenario that make no sense, alone or for this model.
    #[error("{0}")]
    Usage(String),
    /// The model was not admitted, or its engine failed the check at load.
    #[error("{0}")]
    Refused(String),
    /// No input could be read at all.
    #[error("{0}")]
    NoInput(String),
    /// Results could not be written, or were not what they must be.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
    /// The reader of the standard output has gone away (`... | head`): nothing to say.
    #[error("the reader of the results has gone")]
    ReaderGone,
}

impl Stop {
    pub(crate) fn status(&self) -> u8 {
        match self {
            Stop::ReaderGone => 0,
            Stop::Failed(_) => 1,
            Stop::Usage(_) => USAGE,
            Stop::Refused(_) => 3,
            Stop::NoInput(_) => INPUT,
        }
    }
}
