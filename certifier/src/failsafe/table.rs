//! The transition table: every mode against every event.

use core::fmt;

use super::event::Event;

/// Modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Mode {
    /// After a start or a reset: no output is to be relied on before some good cycles.
    Init,
    /// All is well; every class is passed on with its trust.
    Nominal,
    /// Something was wrong or is missing: a class is passed on with a certificate only.
    Degraded,
    /// The safe stop is asked for. Latched: left by a reset with a passed self-test only.
    SafeState,
}

/// What stands behind the class of an output, from nothing to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Trust {
    /// Nothing, and the vehicle is to come to a safe stop.
    SafeStop,
    /// Nothing: there is no class in this cycle.
    None,
    /// The primary perception alone. A patch may have made it.
    Unverified,
    /// The certificate alone: the primary perception says nothing.
    Fallback,
    /// The certificate, against the primary perception, which says another class.
    Overrides,
    /// The primary perception, confirmed by a certificate.
    Confirmed,
}

/// Where a transition leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Next {
    /// A good cycle: to this mode once there were [`good_cycles`](super::Limits::good_cycles) in a
    /// row, else the mode stays.
    Good(Mode),
    /// No fault, but no good cycle either: to this mode, and good cycles are counted from 0.
    Plain(Mode),
    /// As `Plain`, with a strike: where too many fall within the window, to `SafeState`.
    Strike(Mode),
    /// To `SafeState` at once.
    Latch,
    /// To `Init`, and nothing of what was before is kept.
    Restart,
}

/// One entry of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Reaction {
    /// Where it leads.
    pub next: Next,
    /// The most trust of this cycle's output; always [`Trust::SafeStop`] where it leads to
    /// `SafeState`.
    pub trust: Trust,
}

const fn to(next: Next, trust: Trust) -> Reaction {
    Reaction { next, trust }
}

/// What leads to `SafeState` at once.
const LATCHED: Reaction = to(Next::Latch, Trust::SafeStop);
const RESTARTED: Reaction = to(Next::Restart, Trust::None);

/// Rows in the order of [`Mode::ALL`], columns in that of [`Event::ALL`].
#[rustfmt::skip]
pub const TABLE: [[Reaction; 10]; 4] = {
    use Mode::{Degraded, Init, Nominal};
    use Next::{Good, Plain, Strike};
    [
        [
            to(Good(Nominal), Trust::None),         // confirmed
            to(Strike(Init), Trust::None),          // contradicted
            to(Good(Degraded), Trust::None),        // fallback-only
            to(Good(Nominal), Trust::None),         // unverified
            to(Good(Degraded), Trust::None),        // unknown
            to(Strike(Init), Trust::None),          // frame-fault
            to(Strike(Init), Trust::None),          // late
            LATCHED,                                // integrity
            RESTARTED,                              // reset-passed
            LATCHED,                                // reset-failed
        ],
        [
            to(Good(Nominal), Trust::Confirmed),
            to(Strike(Degraded), Trust::Overrides),
            to(Plain(Degraded), Trust::Fallback),
            to(Good(Nominal), Trust::Unverified),
            to(Plain(Degraded), Trust::None),
            to(Strike(Degraded), Trust::None),
            to(Strike(Degraded), Trust::None),
            LATCHED,
            RESTARTED,
            LATCHED,
        ],
        [
            to(Good(Nominal), Trust::Confirmed),
            to(Strike(Degraded), Trust::Overrides),
            to(Plain(Degraded), Trust::Fallback),
            to(Good(Nominal), Trust::None),
            to(Plain(Degraded), Trust::None),
            to(Strike(Degraded), Trust::None),
            to(Strike(Degraded), Trust::None),
            LATCHED,
            RESTARTED,
            LATCHED,
        ],
        [
            LATCHED, LATCHED, LATCHED, LATCHED, LATCHED, LATCHED, LATCHED, LATCHED,
            RESTARTED,
            LATCHED,
        ],
    ]
};

/// The table's entry.
pub fn reaction(mode: Mode, event: Event) -> Reaction {
    let row = TABLE.get(mode as usize);
    // Never out of bounds; if it were, the safe side.
    row.and_then(|row| row.get(event as usize))
        .copied()
        .unwrap_or(LATCHED)
}

impl Mode {
    /// All of them, in the order of the table's rows.
    pub const ALL: [Self; 4] = [Self::Init, Self::Nominal, Self::Degraded, Self::SafeState];

    /// A short name of its own.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Init => "init",
            Self::Nominal => "nominal",
            Self::Degraded => "degraded",
            Self::SafeState => "safe-state",
        }
    }
}

impl Trust {
    /// All of them, from nothing to most.
    pub const ALL: [Self; 6] = [
        Self::SafeStop,
        Self::None,
        Self::Unverified,
        Self::Fallback,
        Self::Overrides,
        Self::Confirmed,
    ];

    /// A short name of its own.
    pub const fn name(self) -> &'static str {
        match self {
            Self::SafeStop => "safe-stop",
            Self::None => "none",
            Self::Unverified => "unverified",
            Self::Fallback => "fallback",
            Self::Overrides => "overrides",
            Self::Confirmed => "confirmed",
        }
    }

    /// Whether a certificate stands behind the class.
    pub const fn is_certified(self) -> bool {
        matches!(self, Self::Fallback | Self::Overrides | Self::Confirmed)
    }

    /// Whether there is a class at all.
    pub const fn has_class(self) -> bool {
        !matches!(self, Self::SafeStop | Self::None)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good(mode) => write!(f, "good: {mode}"),
            Self::Plain(mode) => write!(f, "plain: {mode}"),
            Self::Strike(mode) => write!(f, "strike: {mode}"),
            Self::Latch => f.write_str("latch"),
            Self::Restart => f.write_str("restart"),
        }
    }
}

impl fmt::Display for Reaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.next, self.trust)
    }
}
