//! The transition table: total, safe in every entry, and the one that the page shows.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use bagcert_certifier::failsafe::{Event, Mode, Next, TABLE, Trust, reaction};

/// Every entry.
fn entries() -> impl Iterator<Item = (Mode, Event)> {
    Mode::ALL
        .into_iter()
        .flat_map(|mode| Event::ALL.into_iter().map(move |event| (mode, event)))
}

/// The modes that an entry can lead to, from `mode`.
fn leads_to(mode: Mode, next: Next) -> Vec<Mode> {
    match next {
        Next::Good(to) => vec![mode, to],
        Next::Plain(to) => vec![to],
        Next::Strike(to) => vec![to, Mode::SafeState],
        Next::Latch => vec![Mode::SafeState],
        Next::Restart => vec![Mode::Init],
    }
}

#[test]
fn every_mode_meets_every_event() {
    assert_eq!(entries().count(), 40);
    for (row, mode) in Mode::ALL.into_iter().enumerate() {
        for (column, event) in Event::ALL.into_iter().enumerate() {
            assert_eq!(reaction(mode, event), TABLE[row][column], "{mode} {event}");
        }
    }
    let mut names: Vec<&str> = Event::ALL.into_iter().map(Event::name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Event::ALL.len());
}

#[test]
fn a_fault_never_has_a_class_and_never_heals() {
    for (mode, event) in entries().filter(|(_, event)| event.is_fault()) {
        let reaction = reaction(mode, event);
        assert!(!reaction.trust.has_class(), "{mode} {event}: {reaction}");
        let may = match event {
            Event::Integrity | Event::ResetFailed => reaction.next == Next::Latch,
            _ if mode == Mode::SafeState => reaction.next == Next::Latch,
            _ => matches!(reaction.next, Next::Strike(_)),
        };
        assert!(may, "{mode} {event}: {reaction}");
        assert!(!leads_to(mode, reaction.next).contains(&Mode::Nominal));
    }
}

#[test]
fn trust_is_never_above_that_of_the_verdict() {
    for (mode, event) in entries() {
        let most = match event {
            Event::Confirmed => Trust::Confirmed,
            Event::Contradicted => Trust::Overrides,
            Event::FallbackOnly => Trust::Fallback,
            Event::Unverified => Trust::Unverified,
            _ => Trust::None,
        };
        let trust = reaction(mode, event).trust;
        // Of the right kind, and not only as much.
        assert!(
            trust == most || !trust.has_class(),
            "{mode} {event}: {trust}"
        );
        let allowed = match mode {
            Mode::Init | Mode::SafeState => !trust.has_class(),
            Mode::Degraded => trust.is_certified() || !trust.has_class(),
            Mode::Nominal => true,
        };
        assert!(allowed, "{mode} {event}: {trust}");
        if mode != Mode::Init && mode != Mode::SafeState && event.is_certified() {
            assert_eq!(
                trust, most,
                "{mode} {event}: a certificate is not thrown away"
            );
        }
    }
    assert_eq!(
        reaction(Mode::Nominal, Event::Unverified).trust,
        Trust::Unverified
    );
}

#[test]
fn the_safe_state_is_left_by_a_passed_reset_only() {
    for event in Event::ALL {
        let left = leads_to(Mode::SafeState, reaction(Mode::SafeState, event).next);
        let expected = match event {
            Event::ResetPassed => Mode::Init,
            _ => Mode::SafeState,
        };
        assert_eq!(left, [expected], "{event}");
    }
}

#[test]
fn a_reset_means_the_same_everywhere() {
    for mode in Mode::ALL {
        assert_eq!(reaction(mode, Event::ResetPassed).next, Next::Restart);
        assert_eq!(reaction(mode, Event::ResetFailed).next, Next::Latch);
        assert_eq!(reaction(mode, Event::Integrity).next, Next::Latch);
    }
}

#[test]
fn nominal_is_reached_by_good_cycles_with_a_primary_only() {
    for (mode, event) in entries() {
        let next = reaction(mode, event).next;
        if leads_to(mode, next).contains(&Mode::Nominal) && mode != Mode::Nominal {
            assert_eq!(next, Next::Good(Mode::Nominal), "{mode} {event}");
            assert!(matches!(event, Event::Confirmed | Event::Unverified));
        }
        // What is no good cycle does not stay nominal, nor does it pass through the start.
        if !matches!(next, Next::Good(_)) {
            assert!(
                !leads_to(mode, next).contains(&Mode::Nominal),
                "{mode} {event}"
            );
        }
        if mode != Mode::Init && event != Event::ResetPassed {
            assert!(
                !leads_to(mode, next).contains(&Mode::Init),
                "{mode} {event}"
            );
        }
        // Two sources that contradict each other count as faults do.
        if event == Event::Contradicted && mode != Mode::SafeState {
            assert!(matches!(next, Next::Strike(_)));
        }
    }
    // Every mode but the latched one can be left for a better one.
    for mode in [Mode::Init, Mode::Degraded] {
        assert_eq!(
            reaction(mode, Event::Confirmed).next,
            Next::Good(Mode::Nominal)
        );
    }
    // Without any primary perception the start ends as well.
    for event in [Event::FallbackOnly, Event::Unknown] {
        assert_eq!(reaction(Mode::Init, event).next, Next::Good(Mode::Degraded));
    }
}

/// The table as the page has it.
fn printed() -> String {
    let mut text = String::from("| event |");
    for mode in Mode::ALL {
        text += &format!(" {mode} |");
    }
    text += "\n|---|---|---|---|---|\n";
    for event in Event::ALL {
        text += &format!("| {event} |");
        for mode in Mode::ALL {
            text += &format!(" {} |", reaction(mode, event));
        }
        text += "\n";
    }
    text
}

#[test]
fn the_page_shows_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/firmware-sim.md");
    let page = std::fs::read_to_string(path).unwrap();
    let table = printed();
    assert!(
        page.contains(&table),
        "docs/firmware-sim.md does not hold the table:\n{table}"
    );
}
