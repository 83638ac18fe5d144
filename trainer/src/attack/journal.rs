//! A file with a line per attacked image, so that a long attack can be stopped and resumed.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use bagcert_certifier::Condition;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Record;
use crate::{data::Fingerprint, lock, regular};

/// What a journal's results depend on; its first line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// SHA-256 of the checkpoint, or of the exported model.
    pub checkpoint: String,
    /// The data set's name.
    pub dataset: String,
    /// All images of the test part, whichever of them were attacked; nothing in journals from before this was kept,
    /// which cannot be gone on with.
    #[serde(default)]
    pub images: Option<Fingerprint>,
    /// Length that the shorter side of an image was scaled to, in pixels; nothing where images are as they are.
    #[serde(default)]
    pub resize: Option<u32>,
    /// Width and height of the patch.
    pub patch: [u32; 2],
    /// Width and height of the patch that images are certified against.
    pub certified: [u32; 2],
    /// What certifies. Journals from before there was a choice are of Condition 3.2.
    #[serde(default = "condition_32")]
    pub condition: String,
    /// The lead that double masking asks for, in votes.
    #[serde(default)]
    pub lead: u32,
    /// Steps of gradient ascent.
    pub steps: usize,
    /// Size of a step in pixel values.
    pub step_size: f64,
    /// The seed.
    pub seed: i64,
}

impl Settings {
    /// What is other than in those `asked` for, whose images have `classes`, in words and by the names of options;
    /// nothing where nothing is.
    fn difference(&self, asked: &Self, classes: &[String]) -> Option<String> {
        if self == asked {
            return None;
        }
        if self.checkpoint != asked.checkpoint {
            return Some("it is of another network".into());
        }
        let size = |[width, height]: [u32; 2]| format!("{width}x{height}");
        let length =
            |resize: Option<u32>| resize.map_or("none".into(), |length| length.to_string());
        let both = |of: &dyn Fn(&Self) -> String| (of(self), of(asked));
        let options = [
            ("--patch", both(&|it| size(it.patch))),
            ("--certify-patch", both(&|it| size(it.certified))),
            ("--condition", both(&|it| it.condition.clone())),
            ("--lead", both(&|it| it.lead.to_string())),
            ("--steps", both(&|it| it.steps.to_string())),
            ("--step-size", both(&|it| it.step_size.to_string())),
            ("data.resize", both(&|it| length(it.resize))),
        ];
        let other = options.into_iter().find(|(_, (was, asked))| was != asked);
        if let Some((name, (was, asked))) = other {
            return Some(format!("its {name} is {was}, not {asked}"));
        }
        let images = match (&self.images, &asked.images) {
            (None, Some(_)) => "it does not say which, as journals did not before".into(),
            (Some(then), Some(now)) => then.other_images(now, classes).unwrap_or_default(),
            (_, None) => String::new(),
        };
        Some(format!("it is of other images: {images}"))
    }
}

fn condition_32() -> String {
    Condition::SumWindow32.to_string()
}

/// Why a journal could not be used.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The system's reason.
    #[error("cannot {what} {}: {source}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// There is a file, and it was not asked to go on with it.
    #[error("{} exists; add --resume to go on with it, or give another file", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// It is of another attack, whose records must not be counted with these.
    #[error("{} is of another attack: {difference}; ask for the same, or give another file", path.display())]
    OtherAttack {
        /// The file.
        path: PathBuf,
        /// What differs.
        difference: String,
    },
    /// Another attack writes into it.
    #[error("an attack is at work in {} already; wait for its end, or give another file", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// It holds something, and that is not what a journal begins with.
    #[error("{} is no journal of an attack, and stays as it is; give another file", path.display())]
    NoJournal {
        /// The file.
        path: PathBuf,
    },
    /// A whole line is no record.
    #[error("{}, line {line}: {source}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What was wrong.
        source: serde_json::Error,
    },
}

/// An open journal: JSON lines, the [`Settings`] first, then one [`Record`] each.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
}

impl Journal {
    /// Begins a new journal at `path` or, with `resume`, goes on with the one there; the records so far. A last
    /// line without its end, left by a kill, is dropped. `classes` are those of the images, in label order.
    ///
    /// # Errors
    /// Where there is a file and `resume` is not set, it is of other settings or images, has a line that is no
    /// record or is in use, or it cannot be read or written.
    pub fn open(
        path: &Path,
        settings: &Settings,
        classes: &[String],
        resume: bool,
    ) -> Result<(Self, Vec<Record>), JournalError> {
        let failed = |what| {
            move |source| JournalError::File {
                what,
                path: path.into(),
                source,
            }
        };
        regular::expect(path).map_err(failed("use"))?;
        let opened = OpenOptions::new()
            .create(resume)
            .create_new(!resume)
            .read(true)
            .append(true)
            .open(path);
        let mut file = match opened {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(JournalError::Exists { path: path.into() });
            }
            opened => opened.map_err(failed("open"))?,
        };
        if !lock::take(&file).map_err(failed("lock"))? {
            return Err(JournalError::Busy { path: path.into() });
        }
        let mut found = String::new();
        file.read_to_string(&mut found).map_err(failed("read"))?;
        let (first, records, whole) = parse(path, &found)?;
        let new = first.is_none();
        // What a kill leaves of a first line is a part of it.
        let line =
            serde_json::to_string(settings).map_err(|error| failed("write")(error.into()))?;
        if new && !line.starts_with(&found) {
            return Err(JournalError::NoJournal { path: path.into() });
        }
        let difference = first.and_then(|found| found.difference(settings, classes));
        if let Some(difference) = difference {
            return Err(JournalError::OtherAttack {
                path: path.into(),
                difference,
            });
        }
        file.set_len(whole as u64).map_err(failed("shorten"))?;
        let mut journal = Self {
            file,
            path: path.into(),
        };
        if new {
            journal.write(&[settings])?;
        }
        Ok((journal, records))
    }

    /// The settings and records of a journal, as far as it has come.
    ///
    /// # Errors
    /// Where it cannot be read, is empty, or has a line that is no record.
    pub fn read(path: &Path) -> Result<(Settings, Vec<Record>), JournalError> {
        let text = regular::read_text(path).map_err(|source| JournalError::File {
            what: "read",
            path: path.into(),
            source,
        })?;
        let (settings, records, _) = parse(path, &text)?;
        let settings = settings.ok_or_else(|| JournalError::File {
            what: "read",
            path: path.into(),
            source: io::Error::other("it has no line, so it is no journal of an attack"),
        })?;
        Ok((settings, records))
    }

    /// Adds `records`, a line each, all in one write.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn append(&mut self, records: &[&Record]) -> Result<(), JournalError> {
        self.write(records)
    }

    fn write(&mut self, lines: &[impl Serialize]) -> Result<(), JournalError> {
        let mut text = Vec::new();
        let written = lines
            .iter()
            .try_for_each(|line| {
                serde_json::to_writer(&mut text, line)?;
                text.write_all(b"\n")
            })
            .and_then(|()| self.file.write_all(&text))
            .and_then(|()| self.file.sync_data());
        written.map_err(|source| JournalError::File {
            what: "write",
            path: self.path.clone(),
            source,
        })
    }
}

/// Settings, where there is a whole line, records, and how many bytes the whole lines are.
fn parse(path: &Path, text: &str) -> Result<(Option<Settings>, Vec<Record>, usize), JournalError> {
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    let mut lines = text.get(..whole).unwrap_or_default().lines();
    let parse_error = |line, source| JournalError::Line {
        path: path.into(),
        line,
        source,
    };
    let settings = lines
        .next()
        .map(|first| serde_json::from_str(first).map_err(|error| parse_error(1, error)))
        .transpose()?;
    let records = lines
        .enumerate()
        .map(|(at, line)| serde_json::from_str(line).map_err(|error| parse_error(at + 2, error)))
        .collect::<Result<Vec<Record>, _>>()?;
    Ok((settings, records, whole))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use std::fs;

    use crate::data::PartPrint;

    fn classes() -> Vec<String> {
        vec!["ash".into(), "birch".into()]
    }

    fn images(counts: [u64; 2]) -> Fingerprint {
        let part = PartPrint {
            name: "val".into(),
            images: counts.to_vec(),
            sha256: "00".into(),
        };
        Fingerprint { parts: vec![part] }
    }

    fn settings() -> Settings {
        Settings {
            checkpoint: "00ff".into(),
            dataset: "CIFAR-10".into(),
            images: Some(images([1, 2])),
            resize: None,
            patch: [5, 5],
            certified: [5, 5],
            condition: "3.2".into(),
            lead: 0,
            steps: 100,
            step_size: 0.025,
            seed: 1,
        }
    }

    fn record(image: i64) -> Record {
        Record {
            image,
            label: 3,
            predicted: 3,
            certified: false,
            slack: -4,
            attack: None,
        }
    }

    #[test]
    fn goes_on_after_the_last_whole_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let (mut journal, found) = Journal::open(&path, &settings(), &classes(), false).unwrap();
        assert!(found.is_empty());
        journal.append(&[&record(0), &record(1)]).unwrap();
        drop(journal);
        let whole = fs::read(&path).unwrap();
        // A kill in the middle of a write.
        let mut torn = whole.clone();
        torn.extend_from_slice(&whole[whole.len() - 60..whole.len() - 20]);
        fs::write(&path, &torn).unwrap();

        let (mut journal, found) = Journal::open(&path, &settings(), &classes(), true).unwrap();
        assert_eq!(found, [record(0), record(1)]);
        assert_eq!(fs::read(&path).unwrap(), whole);
        journal.append(&[&record(2)]).unwrap();
        drop(journal);
        let (_, found) = Journal::open(&path, &settings(), &classes(), true).unwrap();
        assert_eq!(found, [record(0), record(1), record(2)]);
    }

    #[test]
    fn what_is_no_journal_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let open = || Journal::open(&path, &settings(), &classes(), true);
        for other in ["{\"a\": 1}", " ", "\u{fffd}"] {
            fs::write(&path, other).unwrap();
            let error = open().unwrap_err();
            assert!(matches!(error, JournalError::NoJournal { .. }), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), other);
        }
        // What a kill in the middle of the first line leaves is one.
        let line = serde_json::to_string(&settings()).unwrap();
        for begun in ["", &line[..9], &line] {
            fs::write(&path, begun).unwrap();
            assert!(open().unwrap().1.is_empty());
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("{line}\n"));
        }
    }

    #[test]
    fn two_do_not_write_into_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        let open = |resume| Journal::open(&path, &settings(), &classes(), resume);
        let first = open(false).unwrap();
        let error = open(true).unwrap_err();
        assert!(matches!(error, JournalError::Busy { .. }), "{error}");
        drop(first);
        open(true).unwrap();
    }

    #[test]
    fn never_mixes_attacks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        Journal::open(&path, &settings(), &classes(), true).unwrap();
        let error = Journal::open(&path, &settings(), &classes(), false).unwrap_err();
        assert!(matches!(error, JournalError::Exists { .. }), "{error}");
        let before = fs::read_to_string(&path).unwrap();
        let refused = |other: Settings| {
            let error = Journal::open(&path, &other, &classes(), true).unwrap_err();
            assert_eq!(fs::read_to_string(&path).unwrap(), before);
            let JournalError::OtherAttack { difference, .. } = error else {
                panic!("{error}");
            };
            difference
        };
        let with = |change: fn(&mut Settings)| {
            let mut other = settings();
            change(&mut other);
            refused(other)
        };
        // Another network first: of another the classes may be others, and the rest says nothing.
        let other = with(|it| (it.checkpoint, it.images) = ("11".into(), None));
        assert_eq!(other, "it is of another network");
        for (found, expected) in [
            (with(|it| it.patch = [4, 5]), "its --patch is 5x5, not 4x5"),
            (
                with(|it| it.certified = [1, 1]),
                "its --certify-patch is 5x5, not 1x1",
            ),
            (
                with(|it| it.condition = "mask".into()),
                "its --condition is 3.2, not mask",
            ),
            (with(|it| it.lead = 10), "its --lead is 0, not 10"),
            (with(|it| it.steps = 10), "its --steps is 100, not 10"),
            (
                with(|it| it.step_size = 0.5),
                "its --step-size is 0.025, not 0.5",
            ),
            (
                with(|it| it.resize = Some(256)),
                "its data.resize is none, not 256",
            ),
            (
                with(|it| it.images = Some(images([1, 3]))),
                "it is of other images: the class \"birch\" had 2 images in val, now 3",
            ),
        ] {
            assert_eq!(found, expected);
        }
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text + "{}\n").unwrap();
        let error = Journal::open(&path, &settings(), &classes(), true)
            .unwrap_err()
            .to_string();
        assert!(error.contains("line 2"), "{error}");

        // One from before there was a lead is gone on with where none is asked for.
        let mut old = serde_json::to_value(settings()).unwrap();
        assert!(old.as_object_mut().unwrap().remove("lead").is_some());
        fs::write(&path, old.to_string() + "\n").unwrap();
        drop(Journal::open(&path, &settings(), &classes(), true).unwrap());

        // One from before images were kept.
        let old = Settings {
            images: None,
            ..settings()
        };
        fs::write(&path, serde_json::to_string(&old).unwrap() + "\n").unwrap();
        let error = Journal::open(&path, &settings(), &classes(), true).unwrap_err();
        assert!(error.to_string().contains("does not say which"), "{error}");
    }
}
