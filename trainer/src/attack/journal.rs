//! A file with a line per attacked image, so that a long attack can be stopped and resumed.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use bagcert_certifier::Condition;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use thiserror::Error;

use super::Record;
use crate::data::Fingerprint;

/// What a journal's results depend on; its first line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// SHA-256 of the checkpoint, or of the exported model.
    pub checkpoint: String,
    /// The data set's name.
    pub dataset: String,
    /// The images that were chosen from; nothing in journals from before this was kept.
    #[serde(default)]
    pub images: Fingerprint,
    /// Width and height of the patch.
    pub patch: [u32; 2],
    /// Width and height of the patch that images are certified against.
    pub certified: [u32; 2],
    /// What certifies. Journals from before there was a choice are of Condition 3.2.
    #[serde(default = "condition_32")]
    pub condition: String,
    /// Steps of gradient ascent.
    pub steps: usize,
    /// Size of a step in pixel values.
    pub step_size: f64,
    /// The seed.
    pub seed: i64,
}

impl Settings {
    /// Which settings differ from those `asked` for, with both values.
    fn difference(&self, asked: &Self) -> String {
        let fields = |settings| match serde_json::to_value(settings) {
            Ok(Value::Object(fields)) => fields,
            _ => Map::new(),
        };
        let (was, asked) = (fields(self), fields(asked));
        let other = was.iter().zip(asked.values());
        let said = other
            .filter(|((_, was), asked)| was != asked)
            .map(|((name, was), asked)| format!("{name} {was}, asked for {asked}"));
        said.collect::<Vec<_>>().join("; ")
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
    /// It was written with other settings.
    #[error("{} is of an attack with other settings: {difference}; give these, or another file", path.display())]
    OtherSettings {
        /// The file.
        path: PathBuf,
        /// What differs, by the names of the settings.
        difference: String,
    },
    /// It is of other images, whose records must not be counted with these.
    #[error("{} is of an attack on other images: {difference}; give another file", path.display())]
    OtherImages {
        /// The file.
        path: PathBuf,
        /// The first difference.
        difference: String,
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
    /// Where there is a file and `resume` is not set, it has other settings, is of other images or has a line that
    /// is no record, or it cannot be read or written.
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
        let found = match fs::read_to_string(path) {
            Ok(_) if !resume => return Err(JournalError::Exists { path: path.into() }),
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(failed("read")(error)),
        };
        let (first, records, whole) = parse(path, &found)?;
        let new = first.is_none();
        let images = first.as_ref().map(|found| &found.images);
        if let Some(difference) =
            images.and_then(|then| then.other_images(&settings.images, classes))
        {
            return Err(JournalError::OtherImages {
                path: path.into(),
                difference,
            });
        }
        if let Some(found) = first.filter(|found| found != settings) {
            return Err(JournalError::OtherSettings {
                path: path.into(),
                difference: found.difference(settings),
            });
        }
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(failed("open"))?;
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
        let text = fs::read_to_string(path).map_err(|source| JournalError::File {
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
            images: images([1, 2]),
            patch: [5, 5],
            certified: [5, 5],
            condition: "3.2".into(),
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
    fn never_mixes_attacks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal.jsonl");
        Journal::open(&path, &settings(), &classes(), true).unwrap();
        let error = Journal::open(&path, &settings(), &classes(), false).unwrap_err();
        assert!(matches!(error, JournalError::Exists { .. }), "{error}");
        let other = Settings {
            steps: 10,
            ..settings()
        };
        let error = Journal::open(&path, &other, &classes(), true).unwrap_err();
        assert!(
            matches!(&error, JournalError::OtherSettings { difference, .. }
                if difference == "steps 100, asked for 10"),
            "{error}"
        );
        let other = Settings {
            images: images([1, 3]),
            ..settings()
        };
        let error = Journal::open(&path, &other, &classes(), true).unwrap_err();
        assert!(
            matches!(&error, JournalError::OtherImages { difference, .. }
                if difference == "the class \"birch\" had 2 images in val, now 3"),
            "{error}"
        );
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text + "{}\n").unwrap();
        let error = Journal::open(&path, &settings(), &classes(), true)
            .unwrap_err()
            .to_string();
        assert!(error.contains("line 2"), "{error}");
    }
}
