//! The manifest of a model: which file it is, and what it answers on a few golden frames.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use bagcert_certifier::{Condition, GeometryError, PatchSize, UnknownCondition, Verdict};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

use super::tables::{table, tables};
use super::undecided::Undecided;
use crate::admission::sha256;

/// Larger manifests are refused before they are read.
pub(super) const MAX_MANIFEST_BYTES: u64 = 1 << 20;
/// The form that this program writes where a golden frame has undecided scores; it reads all up to this.
const FORMAT: u32 = 2;
/// The form without undecided scores, which earlier programs read too.
const FORMAT_DECIDED: u32 = 1;
/// Most golden frames of one manifest: each is a forward pass at every start.
const MAX_GOLDEN_FRAMES: usize = 64;
/// Most verdicts of one golden frame: certificates of many sizes at once take time that grows with their square.
const MAX_VERDICTS: usize = 32;
/// Most undecided scores of one golden frame.
const MAX_UNDECIDED: usize = 1024;
const HEADER: &str = "\
# What `bagcert` checks before it uses the model beside this file. Written by `bagcert manifest`;
# the signature NAME.toml.sig, where there is one, is of this text byte by byte.
";

/// Why a text, or what is to become one, is no manifest.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// Bytes that are no text.
    #[error("it is not UTF-8 text")]
    NotText,
    /// Not TOML, or not with the fields of a manifest.
    #[error("{0}")]
    Form(String),
    /// Written for another version of this program.
    #[error("its format is {found}, this program reads formats {FORMAT_DECIDED} to {FORMAT}")]
    Format {
        /// The format that it names.
        found: u32,
    },
    /// A hash that is none.
    #[error("{0:?} is not a SHA-256 in 64 lower-case hexadecimal digits")]
    Hash(String),
    /// More golden frames than are run at every start.
    #[error("it lists {found} golden frames, at most {MAX_GOLDEN_FRAMES} are taken")]
    TooManyFrames {
        /// How many.
        found: usize,
    },
    /// A golden frame that leads out of the manifest's folder.
    #[error("the path must lead from the manifest's folder downwards, parts separated by /")]
    Outside,
    /// A golden frame without a verdict to check.
    #[error("it has no verdicts")]
    NoVerdicts,
    /// More verdicts of a golden frame than are checked at every start.
    #[error("it has {found} verdicts, at most {MAX_VERDICTS} are taken")]
    TooManyVerdicts {
        /// How many.
        found: usize,
    },
    /// More undecided scores of a golden frame than are taken.
    #[error(
        "{found} of its scores are undecided, at most {MAX_UNDECIDED} are taken; take another frame"
    )]
    TooManyUndecided {
        /// How many.
        found: usize,
    },
    /// One undecided score twice, or out of order.
    #[error(
        "its undecided scores must be sorted by class, row and column, each once; make it anew with `bagcert manifest`"
    )]
    UndecidedOrder,
    /// Undecided scores in a manifest that earlier programs would read.
    #[error(
        "its format is {FORMAT_DECIDED}, which has no undecided scores, and it lists some; make it anew with `bagcert manifest`"
    )]
    DecidedFormat,
    /// A text that would be too long to be read again.
    #[error(
        "it would be {found} bytes long, at most {MAX_MANIFEST_BYTES} are read; name fewer frames or conditions"
    )]
    TooLong {
        /// Its length.
        found: usize,
    },
    /// A patch size of which a golden frame has two verdicts.
    #[error("it has two verdicts for a patch of {0}")]
    TwoVerdicts(PatchSize),
    /// A condition that this program does not know.
    #[error("condition {0:?}: {1}")]
    Condition(String, UnknownCondition),
    /// A patch size that is none.
    #[error("patch {}x{}: {reason}", size[0], size[1])]
    Patch {
        /// Width and height.
        size: [u32; 2],
        /// What is wrong with it.
        reason: GeometryError,
    },
    /// What is wrong with one golden frame.
    #[error("golden frame {frame:?}: {reason}")]
    Frame {
        /// Its path.
        frame: String,
        /// What is wrong with it.
        reason: Box<ManifestError>,
    },
}

/// What identifies a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fingerprint {
    /// SHA-256 in lower-case hexadecimal.
    pub sha256: String,
    /// Length in bytes.
    pub bytes: u64,
}

impl Fingerprint {
    /// The fingerprint of a file of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Fingerprint {
        Fingerprint {
            sha256: sha256(bytes),
            bytes: bytes.len() as u64,
        }
    }
}

/// A frame, and what the model answers on it, without the votes of its undecided scores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenFrame {
    /// Path of the image file from the manifest's folder, parts separated by `/`.
    pub frame: String,
    /// SHA-256 of the image file.
    pub sha256: String,
    /// The answer of the predictor that the condition certifies.
    pub predicted: usize,
    /// Votes of every class.
    pub votes: Vec<u32>,
    /// SHA-256 of the binary score map: one byte per score, 0 or 1, class slowest, then row, then
    /// column.
    pub scores: String,
    /// The condition of all verdicts, for example "3.2".
    pub condition: String,
    /// Scores whose logits are near to 0, by class, row and column: they count as no votes, and all that is asked of them is that
    /// they are near to 0 still.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "tables"
    )]
    pub undecided: Vec<Undecided>,
    /// Verdicts for some patch sizes.
    #[serde(deserialize_with = "tables")]
    pub verdicts: Vec<GoldenVerdict>,
}

/// A verdict as a manifest states it. The fields are those of [`Verdict`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoldenVerdict {
    /// Width and height of the patch, in pixels.
    #[serde(deserialize_with = "pair")]
    pub patch: [u32; 2],
    /// Whether no such patch can change the prediction.
    pub certified: bool,
    /// In votes.
    pub slack: i64,
    /// The class at which the slack is least.
    pub rival: usize,
    /// Column and row of the worst patch's top left pixel.
    #[serde(deserialize_with = "pair")]
    pub worst: [u32; 2],
}

/// Two numbers and no more: read as `[u32; 2]`, a longer array would be cut without a word.
fn pair<'de, D: Deserializer<'de>>(numbers: D) -> Result<[u32; 2], D::Error> {
    let numbers = Vec::<u32>::deserialize(numbers)?;
    numbers
        .try_into()
        .map_err(|_| D::Error::custom("two numbers are needed here"))
}

impl From<&Verdict> for GoldenVerdict {
    fn from(verdict: &Verdict) -> GoldenVerdict {
        GoldenVerdict {
            patch: [verdict.patch.width(), verdict.patch.height()],
            certified: verdict.certified,
            slack: verdict.slack,
            rival: verdict.rival,
            worst: [verdict.worst.x, verdict.worst.y],
        }
    }
}

impl GoldenFrame {
    /// The condition and the patch sizes of the verdicts, in their order.
    pub(super) fn query(&self) -> Result<(Condition, Vec<PatchSize>), ManifestError> {
        let condition = self
            .condition
            .parse()
            .map_err(|error| ManifestError::Condition(self.condition.clone(), error))?;
        let patches = self
            .verdicts
            .iter()
            .map(|verdict| {
                let size = verdict.patch;
                PatchSize::new(size[0], size[1])
                    .map_err(|reason| ManifestError::Patch { size, reason })
            })
            .collect::<Result<_, _>>()?;
        Ok((condition, patches))
    }

    fn check(&self) -> Result<(), ManifestError> {
        check_inside(&self.frame)?;
        check_hash(&self.sha256)?;
        check_hash(&self.scores)?;
        if self.verdicts.is_empty() {
            return Err(ManifestError::NoVerdicts);
        }
        if self.undecided.len() > MAX_UNDECIDED {
            return Err(ManifestError::TooManyUndecided {
                found: self.undecided.len(),
            });
        }
        let place = |score: &Undecided| score.place();
        if !self.undecided.is_sorted_by(|a, b| place(a) < place(b)) {
            return Err(ManifestError::UndecidedOrder);
        }
        check_sizes(&self.query()?.1)
    }
}

/// What is known of a model file, as its manifest `NAME.toml` states it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    format: u32,
    #[serde(deserialize_with = "table")]
    model: Fingerprint,
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "tables"
    )]
    golden: Vec<GoldenFrame>,
}

/// Read first, so that a later form is named as such and not by its first unknown field.
#[derive(Deserialize)]
struct Head {
    format: u32,
}

impl Manifest {
    /// A manifest of this model file. `golden` as [`LoadedModel::record`] gives them.
    ///
    /// # Errors
    /// Where [`Manifest::parse`] would not accept it.
    ///
    /// [`LoadedModel::record`]: super::LoadedModel::record
    pub fn new(model: Fingerprint, golden: Vec<GoldenFrame>) -> Result<Manifest, ManifestError> {
        let decided = golden.iter().all(|golden| golden.undecided.is_empty());
        let manifest = Manifest {
            format: if decided { FORMAT_DECIDED } else { FORMAT },
            model,
            golden,
        };
        manifest.check()?;
        Ok(manifest)
    }

    /// Reads the text of a manifest. Unknown fields are refused.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Manifest, ManifestError> {
        let text = std::str::from_utf8(bytes).map_err(|_| ManifestError::NotText)?;
        let in_words =
            |error: toml::de::Error| ManifestError::Form(error.to_string().trim_end().to_owned());
        let head: Head = toml::from_str(text).map_err(in_words)?;
        if !(FORMAT_DECIDED..=FORMAT).contains(&head.format) {
            return Err(ManifestError::Format { found: head.format });
        }
        let manifest: Manifest = toml::from_str(text).map_err(in_words)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The text of this manifest, for the file `NAME.toml`.
    ///
    /// # Errors
    /// Where a number is too large for TOML, or the text too long to be read again.
    pub fn to_toml(&self) -> Result<String, ManifestError> {
        let text = toml::to_string(self).map_err(|error| ManifestError::Form(error.to_string()))?;
        let text = format!("{HEADER}{text}");
        if text.len() as u64 > MAX_MANIFEST_BYTES {
            return Err(ManifestError::TooLong { found: text.len() });
        }
        Ok(text)
    }

    /// The file that it is of.
    #[must_use]
    pub fn model(&self) -> &Fingerprint {
        &self.model
    }

    /// Frames whose answers are checked before an engine gives its first verdict.
    #[must_use]
    pub fn golden(&self) -> &[GoldenFrame] {
        &self.golden
    }

    /// How many golden frames there are, each counted once under however many conditions.
    #[must_use]
    pub fn frames(&self) -> usize {
        let frames: BTreeSet<&str> = self
            .golden
            .iter()
            .map(|golden| golden.frame.as_str())
            .collect();
        frames.len()
    }

    fn check(&self) -> Result<(), ManifestError> {
        check_hash(&self.model.sha256)?;
        if self.golden.len() > MAX_GOLDEN_FRAMES {
            return Err(ManifestError::TooManyFrames {
                found: self.golden.len(),
            });
        }
        let decided = self.golden.iter().all(|golden| golden.undecided.is_empty());
        if self.format == FORMAT_DECIDED && !decided {
            return Err(ManifestError::DecidedFormat);
        }
        for golden in &self.golden {
            golden.check().map_err(|reason| ManifestError::Frame {
                frame: golden.frame.clone(),
                reason: Box::new(reason),
            })?;
        }
        Ok(())
    }
}

/// Whether one golden frame may have verdicts for all these sizes, and `frames` of them stand in one manifest: to be known before they
/// are worked out.
///
/// # Errors
/// Too many, or one twice.
pub fn check_golden(frames: usize, sizes: &[PatchSize]) -> Result<(), ManifestError> {
    if frames > MAX_GOLDEN_FRAMES {
        return Err(ManifestError::TooManyFrames { found: frames });
    }
    check_sizes(sizes)
}

fn check_sizes(sizes: &[PatchSize]) -> Result<(), ManifestError> {
    if sizes.len() > MAX_VERDICTS {
        return Err(ManifestError::TooManyVerdicts { found: sizes.len() });
    }
    let mut seen = BTreeSet::new();
    match sizes.iter().find(|size| !seen.insert(**size)) {
        Some(twice) => Err(ManifestError::TwoVerdicts(*twice)),
        None => Ok(()),
    }
}

fn check_hash(text: &str) -> Result<(), ManifestError> {
    let plain = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
    if text.len() == 64 && text.bytes().all(plain) {
        return Ok(());
    }
    Err(ManifestError::Hash(text.to_owned()))
}

/// The path must lead downwards from the manifest's folder.
fn check_inside(path: &str) -> Result<(), ManifestError> {
    let downwards = Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if downwards && !path.is_empty() && !path.contains(['\\', ':']) {
        return Ok(());
    }
    Err(ManifestError::Outside)
}
