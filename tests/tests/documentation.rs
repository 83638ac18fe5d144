//! What the pages say holds: links lead somewhere, commands exist, nothing names a
//! folder of the machine that a page was written on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use bagcert_tests::{programs, repository};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A page: its path, and its lines with whether each stands in a fenced block.
struct Page {
    path: PathBuf,
    lines: Vec<(String, bool)>,
}

fn pages() -> Vec<Page> {
    let pages: Vec<Page> = repository::pages()
        .unwrap()
        .into_iter()
        .map(|path| {
            let mut fenced = false;
            let lines = fs::read_to_string(&path)
                .unwrap()
                .lines()
                .map(|line| {
                    let fence = line.trim_start().starts_with("```");
                    fenced ^= fence;
                    (line.to_owned(), fenced || fence)
                })
                .collect();
            Page { path, lines }
        })
        .collect();
    assert!(pages.len() >= 5, "only {} pages were found", pages.len());
    pages
}

/// The targets of `[text](target)` in a line.
fn links(line: &str) -> Vec<&str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .collect()
}

/// A heading's anchor, as the sites that show Markdown make it.
fn anchor(heading: &str) -> String {
    heading
        .trim_start_matches('#')
        .trim()
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        })
        .collect()
}

fn broken_link(page: &Path, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, heading) = target.split_once('#').unwrap_or((target, ""));
    let path = if file.is_empty() {
        page.to_path_buf()
    } else {
        page.parent().unwrap().join(file)
    };
    if !path.exists() {
        return Some(format!("{}: {target} does not exist", page.display()));
    }
    if heading.is_empty() {
        return None;
    }
    let found = fs::read_to_string(&path)
        .unwrap()
        .lines()
        .any(|line| line.starts_with('#') && anchor(line) == heading);
    (!found).then(|| format!("{}: {target} has no such heading", page.display()))
}

#[test]
fn links_lead_somewhere() {
    let mut broken = Vec::new();
    let mut count = 0;
    for page in pages() {
        for (line, fenced) in &page.lines {
            if !fenced {
                for target in links(line) {
                    count += 1;
                    broken.extend(broken_link(&page.path, target));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(count > 10, "only {count} links were found");
}

#[test]
fn the_index_names_every_page() {
    let docs = repository::root().join("docs");
    let index = fs::read_to_string(docs.join("README.md")).unwrap();
    for page in fs::read_dir(&docs).unwrap() {
        let name = page.unwrap().file_name().into_string().unwrap();
        if name.ends_with(".md") && name != "README.md" {
            assert!(index.contains(&format!("]({name})")), "{name}");
        }
    }
}

/// The words of every command in the fenced blocks, continued lines joined.
fn commands(page: &Page) -> Vec<Vec<String>> {
    let mut commands: Vec<Vec<String>> = Vec::new();
    let mut goes_on = false;
    for (line, fenced) in &page.lines {
        let line = line.trim().trim_start_matches("$ ");
        let known = [
            "cargo ",
            "bagcert ",
            "bagcert-train ",
            "bagcert-firmware-sim ",
        ];
        let starts = known.iter().any(|start| line.starts_with(start));
        if *fenced && (goes_on || starts) {
            let line = line.split(" #").next().unwrap_or(line);
            let words = line.trim_end_matches('\\').split_whitespace();
            let words = words.map(str::to_owned);
            if goes_on {
                commands.last_mut().unwrap().extend(words);
            } else {
                commands.push(words.collect());
            }
        }
        goes_on = *fenced && (goes_on || starts) && line.ends_with('\\');
    }
    commands
}

/// What `--help` says, asked once for each program and sub-command.
#[derive(Default)]
struct Helps(BTreeMap<(String, String), Option<String>>);

impl Helps {
    fn ask(&mut self, program: &str, command: &str) -> Option<&str> {
        self.0
            .entry((program.to_owned(), command.to_owned()))
            .or_insert_with(|| {
                let path = match program {
                    "bagcert" => programs::bagcert().unwrap(),
                    other => programs::beside_tests(other).unwrap(),
                };
                if !path.exists() {
                    println!("skipped: commands of {program}, which is not built");
                    return None;
                }
                let mut ask = Command::new(path);
                if !command.is_empty() {
                    ask.arg(command);
                }
                let output = programs::successful(ask.arg("--help"))
                    .unwrap_or_else(|error| panic!("`{program} {command}`: {error:#}"));
                Some(String::from_utf8(output.stdout).unwrap())
            })
            .as_deref()
    }
}

/// The program that `cargo run -p PACKAGE` runs: the default or the only one.
fn run_of(package: &str) -> String {
    let mut cargo = programs::cargo();
    cargo.args([
        "metadata",
        "--no-deps",
        "--format-version",
        "1",
        "--offline",
    ]);
    let output = programs::successful(cargo.current_dir(repository::root())).unwrap();
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = found["packages"].as_array().unwrap();
    let found = packages.iter().find(|found| found["name"] == package);
    let package = found.unwrap_or_else(|| panic!("no package is called {package}"));
    if let Some(name) = package["default_run"].as_str() {
        return name.to_owned();
    }
    let targets = package["targets"].as_array().unwrap().iter();
    let programs = targets.filter(|target| target["kind"][0] == "bin");
    let names: Vec<_> = programs
        .map(|target| target["name"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), 1, "`cargo run` cannot choose one of {names:?}");
    names[0].to_owned()
}

/// The program that a command of a page runs, and the words that it gets.
fn program(words: &[String]) -> Option<(String, &[String])> {
    let after = |mark: &str| words.iter().position(|word| word == mark).map(|at| at + 1);
    match (words[0].as_str(), words.get(1).map(String::as_str)) {
        ("cargo", Some("xtask")) => Some(("xtask".to_owned(), &words[2..])),
        ("cargo", Some("run")) => {
            let package = after("-p").or_else(|| after("--package"));
            let package = package.map_or("bagcert", |at| words[at].as_str());
            let name = after("--bin").map_or_else(|| run_of(package), |at| words[at].clone());
            Some((name, &words[after("--")?..]))
        }
        ("cargo", _) => None,
        (name, _) => Some((name.to_owned(), &words[1..])),
    }
}

#[test]
fn commands_and_their_options_exist() {
    let mut helps = Helps::default();
    let mut wrong = Vec::new();
    let mut count = 0;
    for page in pages() {
        for words in commands(&page) {
            let Some((program, arguments)) = program(&words) else {
                continue;
            };
            let shown = format!("{}: {}", page.path.display(), words.join(" "));
            // Without a sub-command the program itself is asked.
            let command = arguments
                .first()
                .filter(|word| !word.starts_with('-'))
                .map_or("", String::as_str);
            count += 1;
            let Some(help) = helps.ask(&program, command) else {
                continue;
            };
            for word in arguments {
                let option = word.trim_start_matches('[').trim_end_matches(']');
                if option.starts_with("--") {
                    let option = option.split('=').next().unwrap();
                    let known = help
                        .split(|c: char| !(c.is_alphanumeric() || c == '-'))
                        .any(|found| found == option);
                    if !known {
                        wrong.push(format!("{shown}: {option} is unknown"));
                    }
                }
                // What the repository ships, a page must name rightly.
                let ours = word.starts_with("models/") || word.starts_with("trainer/");
                if ours && !repository::root().join(word).exists() {
                    wrong.push(format!("{shown}: {word} is not there"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(count >= 5, "only {count} commands were found");
}

#[test]
fn the_configuration_shown_is_the_one_shipped() {
    let root = repository::root();
    let page = fs::read_to_string(root.join("docs/training.md")).unwrap();
    let shipped = fs::read_to_string(root.join("trainer/configs/cifar10-rf8.toml")).unwrap();
    let settings = |text: &str| -> Vec<String> {
        text.lines()
            .map(|line| line.split('#').next().unwrap().trim().to_owned())
            .filter(|line| !line.is_empty())
            .collect()
    };
    let block = page.split("```toml\n").nth(1).unwrap();
    let block = block.split("```").next().unwrap();
    assert_eq!(settings(block), settings(&shipped));
}

#[test]
fn the_readme_names_every_crate_and_only_what_exists() {
    let root = repository::root();
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let manifest = fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let members = manifest
        .lines()
        .find_map(|line| line.strip_prefix("members = ["))
        .unwrap();
    for member in members.split('"').skip(1).step_by(2) {
        assert!(readme.contains(&format!("`{member}/`")), "{member}");
    }
    for name in readme.split('`').filter(|text| text.ends_with('/')) {
        assert!(root.join(name).is_dir(), "{name} is not there");
    }
}

#[test]
fn the_test_command_of_the_readme_is_what_ci_runs() {
    let root = repository::root();
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let ci = fs::read_to_string(root.join(".ci/run")).unwrap();
    assert!(readme.contains("\ncargo xtask test\n"));
    assert!(ci.contains("\ncargo xtask test"));
}

#[test]
fn nothing_names_a_folder_of_some_machine() {
    // Put together here, so that this file does not name them either.
    let folders = ["home", "root", "work", "tmp", "Users"].map(|name| format!("/{name}/"));
    for page in pages() {
        for (line, _) in &page.lines {
            for folder in &folders {
                let named = line.match_indices(folder.as_str()).any(|(at, _)| {
                    // "https://host/tmp/..." and "a/work/b" are no such folders.
                    !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-".contains(c))
                });
                assert!(!named, "{}: {line}", page.path.display());
            }
        }
    }
}
