//! Fail-safe modes: what a vehicle may take from each cycle of the certifier and of the primary
//! perception beside it.
//!
//! ```text
//! verdict, primary's class, frame, deadline -> Event -> table of (mode, event) -> Output -> Profile 4 message
//! ```
//!
//! [`FailSafe::step`] is called once a cycle, also where no frame or no verdict came: by a timer, not
//! by the stage that it supervises. It promises, for any input:
//! - The output of a cycle with a fault holds no class, in that same cycle.
//! - A class is named with a certificate only in a cycle whose own verdict was certified.
//! - [`Mode::SafeState`] is left by [`FailSafe::reset`] with a passed self-test, and by nothing else.
//!
//! [`TABLE`] is the whole of the logic: every mode against every event.
//!
//! ```
//! use core::num::NonZeroU8;
//! use core::time::Duration;
//! use bagcert_certifier::failsafe::{
//!     Deadline, FailSafe, Input, Judgement, Limits, Mark, Receiver, Sender, Trust, self_test,
//! };
//!
//! let limits = Limits {
//!     classes: 10,
//!     max_age: Duration::from_millis(20),
//!     max_lost: 3,
//!     good_cycles: NonZeroU8::MIN,
//!     strikes: 4,
//!     window: 16,
//! };
//! let mut fail_safe = FailSafe::new(limits, self_test())?;
//! let mut sender = Sender::new(0x0BA6_CE27);
//! let mut receiver = Receiver::new(0x0BA6_CE27, 1);
//! let mut cycle = |counter: u32, judgement| {
//!     let output = fail_safe.step(&Input {
//!         judgement,
//!         primary: Some(3),
//!         frame: Some(Mark { counter, age: Duration::from_millis(10) }),
//!         deadline: Deadline::Met,
//!         now: Duration::from_millis(33) * counter,
//!     });
//!     receiver.receive(Some(&sender.send(&output))).1
//! };
//! // The first good cycle only ends the start.
//! assert_eq!(cycle(1, Judgement::Certified { class: 3 }).unwrap().trust, Trust::None);
//! assert_eq!(cycle(2, Judgement::Certified { class: 3 }).unwrap().trust, Trust::Confirmed);
//! assert_eq!(cycle(3, Judgement::NotCertified { class: 5 }).unwrap().trust, Trust::Unverified);
//! // The primary perception still says 3: it is overruled.
//! let output = cycle(4, Judgement::Certified { class: 7 }).unwrap();
//! assert_eq!((output.trust, output.class), (Trust::Overrides, Some(7)));
//! # Ok::<(), bagcert_certifier::failsafe::LimitsError>(())
//! ```

mod e2e;
mod event;
mod kept;
mod limits;
mod logic;
mod output;
mod self_test;
mod table;

pub use e2e::{HEADER_LEN, MAX_LEN, MessageLength, RESYNCHRONISE, Receiver, Sender, Status};
pub use event::{Deadline, Event, FaultKind, Input, Judgement, Mark};
pub use limits::{Limits, LimitsError};
pub use logic::FailSafe;
pub use output::{MESSAGE_LEN, Output, PAYLOAD_LEN};
pub use self_test::{SelfTest, self_test};
pub use table::{Mode, Next, Reaction, TABLE, Trust, reaction};
