//! The table `[loss]`.

use bagcert_certifier::{PatchSize, rectangles_of_area};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{ConfigError, is_default, require, within};

/// L_R with its margin M and the one-hot penalty (Section 3.3).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossConfig {
    /// Where the margin is clipped, M in (0, 1], in cells of the score map. For the paper's margin it is twice
    /// the largest affected share of the map trained against; for the others, what is left over once the
    /// image is certified.
    pub margin: f64,
    /// Which cells the margin is taken over.
    #[serde(default)]
    pub margin_kind: MarginKind,
    /// Patch sizes for the margins over windows; one of them, or of `patch_areas`, is drawn for each step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patches: Vec<Patch>,
    /// Instead of `patches`: every shape that fits the image and whose pixels number from the first to the second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch_areas: Option<[u32; 2]>,
    /// Which shapes `patch_areas` means.
    #[serde(default)]
    pub patch_shape: PatchShape,
    /// Every how many windows a mask starts; see the certifier's `MaskSet`. For double masking only.
    #[serde(default = "default_step", skip_serializing_if = "is_one")]
    pub mask_step: u32,
    /// For `worst-pair`: the pairs of windows are searched for so many rivals, those with the least margin
    /// outside one window. 0: for all, which is exact.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pair_rivals: i64,
    /// So many epochs begin with the paper's margin, clipped at the same M, before `margin_kind` takes over.
    #[serde(default, skip_serializing_if = "is_default")]
    pub paper_epochs: usize,
    /// Above 0, the gradient of the paper's margin is shared among all rivals, each by exp(S / softness) of its mean
    /// score S in [0, 1]. The margin itself stays the lead over the strongest rival, which alone has the gradient in
    /// the paper, at 0.
    #[serde(default, skip_serializing_if = "is_default")]
    pub rival_softness: f64,
    /// Logits are divided by it on their way into the margin and the one-hot penalty: the gradient of the step is so
    /// many times as wide. Teachers' classes are learnt with it, their scores without. 1 in the paper.
    #[serde(default = "default_temperature", skip_serializing_if = "is_unit")]
    pub temperature: f64,
    /// The weight sigma of the one-hot penalty.
    #[serde(default)]
    pub one_hot: f64,
    /// What stands for the binary score while training (Section A.3).
    #[serde(default)]
    pub scores: Scores,
}

/// Which cells the margin is taken over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MarginKind {
    /// All cells, as in the paper: the margin of Condition 3.3.
    #[default]
    Paper,
    /// The cells outside the worst window, less those inside: the slack of Condition 3.2.
    WorstWindow,
    /// The cells outside the worst two windows: the slack of double masking.
    WorstPair,
}

impl MarginKind {
    /// As it stands in a configuration.
    fn name(self) -> &'static str {
        match self {
            Self::Paper => "\"paper\"",
            Self::WorstWindow => "\"worst-window\"",
            Self::WorstPair => "\"worst-pair\"",
        }
    }
}

/// Shapes of patches drawn at random.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PatchShape {
    /// Squares.
    #[default]
    Square,
    /// Every rectangle.
    Rectangle,
}

/// What stands for the binary score in the training loss (Section A.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scores {
    /// The Heaviside step, with the sigmoid's gradient (straight-through).
    #[default]
    Heaviside,
    /// The sigmoid itself.
    Sigmoid,
    /// Softmax over the classes.
    Softmax,
}

/// Logits that are no votes.
#[derive(Debug, Error)]
#[error(
    "a network that was trained on softmax scores has no zero: only the differences between classes count there, while a \
     logit of 0 or more is a vote everywhere here; train it with scores = \"heaviside\""
)]
pub struct NoVotes;

impl Scores {
    /// Whether the logits of a network that was trained on them can be read as votes.
    ///
    /// # Errors
    /// Says why not.
    pub fn expect_votes(self) -> Result<(), NoVotes> {
        match self {
            // A sigmoid of a half is a logit of 0.
            Self::Heaviside | Self::Sigmoid => Ok(()),
            Self::Softmax => Err(NoVotes),
        }
    }
}

/// A patch size, written `"WIDTHxHEIGHT"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Patch(pub PatchSize);

impl TryFrom<String> for Patch {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
            .map(Self)
            .map_err(|error| format!("patch {text:?}: {error}"))
    }
}

impl From<Patch> for String {
    fn from(patch: Patch) -> Self {
        patch.0.to_string()
    }
}

fn default_temperature() -> f64 {
    1.0
}
fn is_unit(value: &f64) -> bool {
    *value == 1.0
}
fn default_step() -> u32 {
    1
}
fn is_one(value: &u32) -> bool {
    *value == 1
}

/// Pixels of the largest patch that may be asked for: all rectangles up to it are listed.
const MAX_AREA: u32 = 4_096;

impl LossConfig {
    /// Every patch size that may be drawn on images of so many pixels along x and y: those of `patches`, and of
    /// `patch_areas` the shapes that fit. Empty for the paper's margin.
    pub fn patch_sizes(&self, width: u32, height: u32) -> Vec<PatchSize> {
        let listed = self.patches.iter().map(|patch| patch.0);
        let [least, most] = self.patch_areas.unwrap_or([1, 0]);
        let shapes = (least..=most)
            .flat_map(|area| rectangles_of_area(area, width, height))
            .filter(|size| {
                self.patch_shape == PatchShape::Rectangle || size.width() == size.height()
            });
        listed.chain(shapes).collect()
    }

    /// Checks that every value is in its range and none is without effect.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        require(
            self.margin > 0.0 && self.margin <= 1.0,
            "loss.margin",
            self.margin,
            "the margin M lies in (0, 1]",
        )?;
        require(
            (0.0..=1000.0).contains(&self.one_hot),
            "loss.one_hot",
            self.one_hot,
            "it must be from 0 to 1000",
        )?;
        within("loss.temperature", self.temperature, 0.01..=1000.0)?;
        require(
            self.scores == Scores::Heaviside || self.temperature == 1.0,
            "loss.temperature",
            self.temperature,
            "it widens the gradient of the step; loss.scores must be \"heaviside\"",
        )?;
        require(
            self.rival_softness == 0.0 || (0.001..=1000.0).contains(&self.rival_softness),
            "loss.rival_softness",
            self.rival_softness,
            "it must be 0, or from 0.001 to 1000",
        )?;
        if let Some([least, most]) = self.patch_areas {
            require(
                1 <= least && least <= most && most <= MAX_AREA,
                "loss.patch_areas",
                format!("{:?}", [least, most]),
                "it must be two whole numbers of pixels from 1 to 4096, the smaller first",
            )?;
            require(
                self.patches.is_empty(),
                "loss.patch_areas",
                format!("{:?}", [least, most]),
                "loss.patches is given too; use one of them",
            )?;
        }
        let kind = self.margin_kind;
        require(
            self.patch_shape == PatchShape::Square || self.patch_areas.is_some(),
            "loss.patch_shape",
            "\"rectangle\"",
            "it says which shapes loss.patch_areas means, which is not given",
        )?;
        let sizes = self.patch_sizes(MAX_AREA, MAX_AREA).len();
        if kind == MarginKind::Paper {
            require(
                self.patches.is_empty() && self.patch_areas.is_none(),
                "loss.margin_kind",
                "\"paper\"",
                "it takes no loss.patches and no loss.patch_areas: its margin M stands for the patch size",
            )?;
            require(
                self.paper_epochs == 0,
                "loss.paper_epochs",
                self.paper_epochs,
                "loss.margin_kind is \"paper\" for all epochs already",
            )?;
        } else {
            require(
                sizes > 0,
                "loss.margin_kind",
                kind.name(),
                "it needs loss.patches, for example [\"5x5\"], or loss.patch_areas that hold a patch",
            )?;
        }
        require(
            kind == MarginKind::Paper || self.paper_epochs > 0 || self.rival_softness == 0.0,
            "loss.rival_softness",
            self.rival_softness,
            "it is for the paper's margin, which no epoch has here",
        )?;
        let pairs = kind == MarginKind::WorstPair;
        require(
            self.mask_step >= 1 && (pairs || self.mask_step == 1),
            "loss.mask_step",
            self.mask_step,
            "it must be 1 or more, and 1 unless loss.margin_kind is \"worst-pair\"",
        )?;
        require(
            self.pair_rivals >= 0 && (pairs || self.pair_rivals == 0),
            "loss.pair_rivals",
            self.pair_rivals,
            "it must be 0 or more, and 0 unless loss.margin_kind is \"worst-pair\"",
        )
    }
}
