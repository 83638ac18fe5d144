//! What `bagcert-hil` says of a run over a line.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::process::{Command, Output};

use serde_json::Value;

/// Every kind of damage, by turns.
pub(crate) const INJECT: [&str; 10] = [
    "--inject", "flip", "--inject", "cut", "--inject", "repeat", "--inject", "swap", "--inject",
    "drop",
];

/// Runs the harness against the target on a line.
pub(crate) fn harness(port: &str, arguments: &[&OsStr]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_bagcert-hil"))
        .args(["run", "--port", port])
        .args(arguments)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!errors.contains("panicked"), "{errors}");
    output
}

/// One message of a run.
pub(crate) struct Event {
    pub(crate) injected: Option<String>,
    pub(crate) answers: Vec<String>,
    /// All that was said of it.
    pub(crate) line: Value,
}

impl Event {
    /// How many of its answers are verdicts.
    fn verdicts(&self) -> usize {
        let verdict = |answer: &&String| is_verdict(answer);
        self.answers.iter().filter(verdict).count()
    }
}

pub(crate) fn is_verdict(answer: &str) -> bool {
    answer == "certified" || answer == "not-certified"
}

/// The messages of a run that went well, told in JSON lines.
#[track_caller]
pub(crate) fn events(output: &Output) -> Vec<Event> {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let event = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        let answers = line["answers"].as_array().unwrap().iter();
        Event {
            injected: line["injected"].as_str().map(str::to_owned),
            answers: answers
                .map(|answer| answer.as_str().unwrap().to_owned())
                .collect(),
            line,
        }
    };
    text.lines().map(event).collect()
}

/// Every message was answered once, with a verdict; how many were certified.
#[track_caller]
pub(crate) fn all_sound(events: &[Event]) -> usize {
    for Event { answers, .. } in events {
        assert!(answers.len() == 1 && is_verdict(&answers[0]), "{answers:?}");
    }
    let certified = |event: &&Event| event.answers[0] == "certified";
    events.iter().filter(certified).count()
}

/// No damaged message got a verdict, and each was seen to be damaged; in words.
#[track_caller]
pub(crate) fn none_certified(events: &[Event]) -> String {
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    let (mut verdicts, mut sound) = (0, 0);
    for event in events {
        let answers = &event.answers;
        match event.injected.as_deref() {
            None => {
                sound += 1;
                verdicts += event.verdicts();
                // After damage one message may be refused; none is answered twice or not at all.
                assert_eq!(answers.len(), 1, "{answers:?}");
            }
            Some("repeat") => {
                // Its first copy may follow on nothing: never after damage.
                assert_eq!(answers.len(), 2, "{answers:?}");
                assert!(
                    is_verdict(&answers[0]) && answers[1] == "repeated",
                    "{answers:?}"
                );
            }
            Some("swap") => assert_eq!(answers, &["jump", "backwards"]),
            Some("drop") => assert!(answers.is_empty(), "{answers:?}"),
            Some(_) => {
                assert_eq!(event.verdicts(), 0, "{answers:?}");
                assert!(
                    answers.iter().all(|answer| answer == "damaged"),
                    "{answers:?}"
                );
            }
        }
        if let Some(kind) = &event.injected {
            *seen.entry(kind).or_default() += 1;
        }
    }
    assert_eq!(seen.len(), 5, "{seen:?}");
    assert!(seen.values().all(|count| *count >= 4), "{seen:?}");
    assert!(verdicts * 2 > sound, "{verdicts} of {sound}");
    format!(
        "of {sound} sound messages {verdicts} got their verdict, the others were refused after \
         damage; damaged ones: {seen:?}, none certified"
    )
}
