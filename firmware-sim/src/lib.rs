//! The loop that runs in the vehicle: one supervised cycle per camera frame, from the region
//! scores of a frame to *certified class*, *not certified* or *fault*.
//!
//! No std, no allocator. Memory is the caller's, sized by [`Shape::score_len`] and
//! [`Shape::table_len`]; every loop is bounded by the shape or by the queue's length.
//!
//! ```text
//! camera -> PictureGuard -> forward pass -> Frame::seal -> Capture ==queue==> Intake -> Cycle::run -> Report
//!   Report and primary perception -> Report::input -> FailSafe::step -> Sender::send -> message
//! ```
//!
//! The fail-safe logic and the messages are [`bagcert_certifier::failsafe`].
//!
//! What [`Cycle::run`] promises, for any input:
//! - It ends with an [`Outcome`]; it never panics.
//! - [`Outcome::Certified`] only for a frame that is whole (its seal fits), new (counter and time
//!   of capture have both moved on), young enough, certified by `bagcert-certifier`, and answered
//!   before its deadline. All else is [`Outcome::NotCertified`] or [`Outcome::Fault`], in the same
//!   cycle.
//!
//! [`Shape::score_len`]: bagcert_certifier::Shape::score_len
//! [`Shape::table_len`]: bagcert_certifier::Shape::table_len
#![no_std]
#![forbid(unsafe_code)]
#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

pub mod bound;
pub mod built_in;
mod certificate;
mod cycle;
mod frame;
mod guard;
mod log;
mod outcome;
mod pace;
pub mod packed;
mod queue;
mod sequence;
pub mod session;
mod watchdog;
pub mod wire;

pub use certificate::{Damage, Memory};
pub use cycle::{Clock, Cycle, Settings, SetupError};
pub use frame::{Binary, DataId, Frame, Header, Payload, Scores, checksum};
pub use guard::{KnownAnswer, PictureGuard};
pub use outcome::{Outcome, Reason, Report};
pub use pace::{Forecast, Pace};
pub use queue::{Capture, Intake, stages};
pub use watchdog::Watchdog;
