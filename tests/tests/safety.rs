//! The safety pages hold: no row is an orphan, and all that they name exists.
//!
//! And the other way round: each condition and section of the paper that the code cites is traced,
//! and each error that the code can end with has a row among the faults.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use bagcert_tests::paper::citations;
use bagcert_tests::repository;
use bagcert_tests::safety::{KINDS, Row, folder, named};
use bagcert_tests::source::{self, Source};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

fn page(name: &str) -> String {
    fs::read_to_string(folder().join(name)).unwrap()
}

fn rows(kind: &str) -> Vec<Row> {
    let rows = Row::all(kind).unwrap();
    assert!(rows.len() >= 10, "only {} rows of {kind}", rows.len());
    rows
}

fn references(row: &Row, field: &str) -> Vec<(String, Vec<String>)> {
    row.references(field).unwrap()
}

/// Crates whose errors a user of a verdict can meet.
const CRATES: [&str; 3] = ["certifier/src", "runtime/src", "firmware-sim/src"];

#[test]
fn identifiers_are_unique_and_without_gaps() {
    for (kind, ..) in KINDS {
        // In any order: a row that is added gets the next number, wherever it fits on the page.
        let mut found: Vec<String> = rows(kind).into_iter().map(|row| row.id).collect();
        let mut expected: Vec<String> = (1..=found.len()).map(|n| format!("{kind}-{n}")).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
    }
}

#[test]
fn every_row_is_complete() {
    for (kind, _, fields) in KINDS {
        let may = ["Code", "Tests", "Assumed"];
        for row in rows(kind) {
            for field in fields {
                assert!(!row.field(field).is_empty(), "{} has no {field}", row.id);
            }
            for field in row.fields.keys() {
                let known = fields.contains(&field.as_str()) || may.contains(&field.as_str());
                assert!(known, "{}: {field} is no field", row.id);
            }
            if kind == "AOU" {
                continue;
            }
            // Detected here, with code and a test, or left to whoever uses the component.
            let code = !references(&row, "Code").is_empty();
            let tests = !references(&row, "Tests").is_empty();
            let assumed = named(row.field("Assumed"), "AOU").next().is_some();
            assert!(
                (code && tests) || (assumed && kind == "FLT" && !code && !tests),
                "{} needs code and a test, or an assumption",
                row.id
            );
        }
    }
}

#[test]
fn code_and_tests_exist() {
    let mut sources: BTreeMap<String, Source> = BTreeMap::new();
    let mut wrong = Vec::new();
    for (kind, ..) in KINDS {
        for row in rows(kind) {
            for field in ["Code", "Tests"] {
                for (file, items) in references(&row, field) {
                    let path = repository::root().join(&file);
                    if !path.is_file() {
                        wrong.push(format!("{}: there is no {file}", row.id));
                        continue;
                    }
                    let source = sources
                        .entry(file.clone())
                        .or_insert_with(|| Source::read(&path).unwrap());
                    let known = if field == "Code" {
                        &source.items
                    } else {
                        &source.tests
                    };
                    for item in items.iter().filter(|item| !known.contains(*item)) {
                        wrong.push(format!("{}, {field}: {file} has no {item}", row.id));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_a_page_refers_to_exists() {
    let mut count = 0;
    for (kind, ..) in KINDS {
        let known: BTreeSet<String> = rows(kind).into_iter().map(|row| row.id).collect();
        for path in repository::pages().unwrap() {
            for id in named(&fs::read_to_string(&path).unwrap(), kind) {
                assert!(known.contains(&id), "{}: there is no {id}", path.display());
                count += 1;
            }
        }
    }
    assert!(count > 100, "only {count} references were found");
}

/// The rows of the table that begins page `trace.md`: first cell, and the whole line.
fn traced() -> Vec<(String, String)> {
    let lines: Vec<(String, String)> = page("trace.md")
        .lines()
        .filter(|line| line.starts_with('|') && !line.starts_with("|--"))
        .skip(1)
        .map(|line| {
            let cell = line.split('|').nth(1).unwrap().trim();
            (cell.to_owned(), line.to_owned())
        })
        .collect();
    assert!(lines.len() >= 8, "only {} rows were found", lines.len());
    lines
}

#[test]
fn nothing_is_an_orphan() {
    let table = traced();
    for (cell, line) in &table {
        let requirement = named(line, "REQ")
            .next()
            .or_else(|| named(line, "AOU").next());
        assert!(requirement.is_some(), "{cell} leads nowhere");
    }
    let requirements: BTreeSet<String> = table
        .iter()
        .flat_map(|(_, line)| named(line, "REQ"))
        .collect();
    for row in rows("REQ") {
        assert!(
            requirements.contains(&row.id),
            "{} comes from nowhere",
            row.id
        );
    }
    let faults_and_trace = page("faults.md") + &page("trace.md");
    let assumed: BTreeSet<String> = named(&faults_and_trace, "AOU").collect();
    for row in rows("AOU") {
        assert!(assumed.contains(&row.id), "nothing rests on {}", row.id);
    }
}

#[test]
fn what_the_code_cites_of_the_paper_is_traced() {
    let traced: BTreeSet<String> = traced()
        .iter()
        .flat_map(|(cell, _)| citations(cell))
        .collect();
    let mut cited = BTreeSet::new();
    for folder in CRATES.iter().chain(&["trainer/src"]) {
        for path in source::files(&repository::root().join(folder)).unwrap() {
            for citation in citations(&Source::read(&path).unwrap().docs) {
                let place = path.display();
                assert!(
                    traced.contains(&citation),
                    "{place} cites {citation}, which is not traced"
                );
                cited.insert(citation);
            }
        }
    }
    for condition in ["Condition 3.1", "Condition 3.2", "Condition 3.3"] {
        assert!(
            cited.contains(condition),
            "{condition} was not found in the code"
        );
    }
}

#[test]
fn every_error_has_a_row() {
    let covered: BTreeSet<String> = rows("FLT")
        .iter()
        .flat_map(|row| references(row, "Code"))
        .flat_map(|(_, items)| items)
        .collect();
    let mut missing = Vec::new();
    let mut seen = BTreeSet::new();
    for folder in CRATES {
        for path in source::files(&repository::root().join(folder)).unwrap() {
            for one in Source::read(&path).unwrap().enums {
                // Why a cycle ended in a fault: an answer of the loop, not an error type.
                if !one.is_error && one.name != "Reason" {
                    continue;
                }
                for variant in &one.variants {
                    let name = format!("{}::{variant}", one.name);
                    if !covered.contains(&name) {
                        missing.push(format!("{name} ({})", path.display()));
                    }
                }
                seen.insert(one.name);
            }
        }
    }
    assert!(missing.is_empty(), "in no row of faults.md: {missing:#?}");
    for name in [
        "Fault",
        "AdmissionError",
        "EngineError",
        "FrameError",
        "Reason",
        "SetupError",
    ] {
        assert!(seen.contains(name), "{name} was not found");
    }
}

#[test]
fn the_index_names_every_page() {
    let index = page("README.md");
    for entry in fs::read_dir(folder()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name != "README.md" {
            assert!(index.contains(&format!("]({name})")), "{name}");
        }
    }
}

/// Nobody has assessed the component: the pages may say what it is designed to support.
#[test]
fn no_page_claims_to_meet_a_standard() {
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap().to_lowercase();
        for word in [
            "complian",
            "complies",
            "conforms to iso",
            "certified to iso",
            "asil-",
        ] {
            assert!(!text.contains(word), "{}: {word}", path.display());
        }
    }
}
