//! The figures on the pages are those that were measured: the CSV files beside the pictures.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use bagcert_tests::repository;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// The conditions as the tables' columns have them, after patch and model.
const CONDITIONS: [&str; 4] = ["3.3", "3.2", "mask", "double-mask"];

/// Of seven models four conditions at 5x5, and two at each of four other patches.
const COMPARED: usize = 7 * 4 + 7 * 2 * 4;

fn read(path: &str) -> String {
    let path = repository::root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rows of a CSV file without its header.
fn csv(path: &str) -> Vec<Vec<String>> {
    let cells = |line: &str| line.split(',').map(str::to_owned).collect();
    read(path).lines().skip(1).map(cells).collect()
}

/// The cells of a table's row, without emphasis and the sign of per cent.
fn cells(line: &str) -> Vec<String> {
    let plain = |cell: &str| cell.replace("**", "").replace(" %", "").trim().to_owned();
    line.trim_matches('|').split('|').map(plain).collect()
}

/// Certified accuracy by model, patch as the table names it, and condition.
type Certified = BTreeMap<(String, String, String), String>;

fn measured() -> Certified {
    let mut found = Certified::new();
    let mut add = |model: &str, patch: &str, condition: &str, certified: &str| {
        let key = (model.to_owned(), patch.to_owned(), condition.to_owned());
        let known = found.insert(key.clone(), certified.to_owned());
        assert!(
            known.is_none_or(|known| known == certified),
            "{key:?} in two files"
        );
    };
    for row in csv("docs/images/conditions.csv") {
        if row[6] == "0" {
            add(&row[0], &row[1], &row[2], &row[5]);
        }
    }
    for row in csv("docs/images/squares.csv") {
        let side = &row[2];
        add(&row[0], &format!("{side}x{side}"), &row[1], &row[4]);
    }
    let mut shapes: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for row in csv("docs/images/shapes.csv") {
        let alone = ["votes", "of the shape"].contains(&row[3].as_str());
        if alone && row[2] != "all at once" {
            let key = (row[0].clone(), row[1].clone());
            shapes.entry(key).or_default().push(row[5].clone());
        }
    }
    for ((model, condition), mut shapes) in shapes {
        assert_eq!(shapes.len(), 8, "{model}, {condition}");
        shapes.sort_by(|a, b| a.parse::<f64>().unwrap().total_cmp(&b.parse().unwrap()));
        add(&model, "24 pixels, worst shape", &condition, &shapes[0]);
        add(&model, "24 pixels, best shape", &condition, &shapes[7]);
    }
    found
}

#[test]
fn the_results_are_those_of_the_pictures() {
    let measured = measured();
    let page = read("docs/results.md");
    let mut patch = String::new();
    let mut compared = 0;
    for line in page.lines().filter(|line| line.starts_with('|')) {
        let row = cells(line);
        if row.len() != 6 {
            continue;
        }
        if !row[0].is_empty() {
            patch.clone_from(&row[0]);
        }
        let model = format!("cifar10-{}", row[1]);
        for (condition, shown) in CONDITIONS.iter().zip(&row[2..]) {
            let key = (model.clone(), patch.clone(), (*condition).to_owned());
            if let Some(certified) = measured.get(&key) {
                assert_eq!(shown, certified, "docs/results.md: {key:?}");
                compared += 1;
            }
        }
    }
    assert_eq!(compared, COMPARED);
}

#[test]
fn cards_and_their_list_say_what_was_measured() {
    let measured = measured();
    let list = read("models/README.md");
    let of = |model: &str, condition: &str| {
        let key = (model.to_owned(), "5x5".to_owned(), condition.to_owned());
        measured[&key].clone()
    };
    let mut models = BTreeSet::new();
    for row in csv("docs/images/conditions.csv") {
        let (model, clean) = (row[0].clone(), row[4].clone());
        if row[2] != "3.2" {
            continue;
        }
        let found = list
            .lines()
            .find(|line| line.starts_with(&format!("| [{model}]")));
        let row = cells(found.unwrap_or_else(|| panic!("models/README.md: no row of {model}")));
        let expected = [clean, of(&model, "3.2"), of(&model, "double-mask")];
        assert_eq!(row[1..4], expected, "models/README.md: {model}");
        models.insert(model);
    }
    let mut compared = 0;
    for model in models {
        let card = read(&format!("models/{model}.md"));
        let numbers: BTreeSet<&str> = card
            .split(|c: char| !c.is_ascii_digit() && c != '.')
            .collect();
        for ((of, patch, condition), certified) in &measured {
            let shown =
                ["2x2", "5x5", "10x10"].contains(&patch.as_str()) || patch.contains("shape");
            if *of == model && shown {
                assert!(
                    numbers.contains(certified.as_str()),
                    "models/{model}.md lacks {certified}: {patch}, {condition}"
                );
                compared += 1;
            }
        }
    }
    assert_eq!(compared, COMPARED);
}

/// What is said of the model that reaches the bar, and with which lead, is what the picture shows.
#[test]
fn the_bar_is_that_of_the_picture() {
    let rows = csv("docs/images/conditions.csv");
    let mut found = rows
        .iter()
        .filter(|row| row[0] == "cifar10-rf6-w192-long" && row[6] != "0");
    let row = found.next().unwrap();
    assert!(found.next().is_none(), "two leads");
    let (clean, certified, lead) = (&row[4], &row[5], &row[6]);
    for (page, words) in [
        (
            "docs/results.md",
            format!("double masking with a lead of {lead}** | **{clean}** | **{certified}** |"),
        ),
        (
            "models/cifar10-rf6-w192-long.md",
            format!("--lead {lead}`): clean **{clean}**, certified and right **{certified}**"),
        ),
        (
            "README.md",
            format!("is right on {clean} and certified on {certified} %"),
        ),
    ] {
        let text = read(page).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(text.contains(&words), "{page} lacks: {words}");
    }
}
