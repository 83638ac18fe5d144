//! The ways in which a command ends before its end.

use bagcert::integrity::IntegrityError;
pub(crate) use bagcert::with_causes;

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
    /// The model was not admitted, is not its manifest's, or its engine failed a check at load: its
    /// path and the reason, with the node's name where there is one.
    #[error("{0}")]
    Refused(String),
    /// An input could not be used, and nothing was done without it.
    #[error("{0}")]
    Input(String),
    /// Results could not be written.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
    /// The reader of the standard output has gone away (`bagcert ... | head`): nothing to say.
    #[error("the reader of the results has gone")]
    ReaderGone,
}

impl From<IntegrityError> for Stop {
    fn from(error: IntegrityError) -> Stop {
        match error {
            IntegrityError::Unsuitable { .. } => Stop::Input(with_causes(&error)),
            _ => Stop::Refused(with_causes(&error)),
        }
    }
}

impl Stop {
    pub(crate) fn status(&self) -> u8 {
        match self {
            Stop::ReaderGone => 0,
            Stop::Failed(_) => 1,
            Stop::Usage(_) => USAGE,
            Stop::Refused(_) => 3,
            Stop::Input(_) => INPUT,
        }
    }
}
