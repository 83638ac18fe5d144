//! The table `[data]`.

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

use super::{ConfigError, default_true, require, within};

/// The images and how they are varied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Where the images are.
    #[serde(default)]
    pub kind: DataKind,
    /// How many of the last training images are kept aside for choosing. An image folder has a part of its own
    /// for that.
    #[serde(default = "default_validation")]
    pub validation: usize,
    /// Image folders: length that the shorter side is scaled to.
    #[serde(default = "default_resize")]
    pub resize: u32,
    /// Image folders: side of the square that is cut out.
    #[serde(default = "default_crop")]
    pub crop: u32,
    /// Records: number of classes.
    #[serde(default = "default_labels")]
    pub labels: usize,
    /// Records: bytes before the image; the last of them is the class, the last two of more than 256 classes.
    #[serde(default = "default_label_bytes")]
    pub label_bytes: usize,
    /// Records: the files to train on, plain or with .xz after their names.
    #[serde(default = "default_train")]
    pub train: Vec<String>,
    /// Records: the files to test on.
    #[serde(default = "default_test")]
    pub test: Vec<String>,
    /// Mean and standard deviation of each channel in [0, 1]; those of CIFAR-10, or for image folders of
    /// ImageNet, where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalisation: Option<Vec<(f32, f32)>>,
    /// Random crops after padding by this many pixels (0: none), but of image folders, which are cropped anyway.
    #[serde(default = "default_crop_padding")]
    pub crop_padding: i64,
    /// What lies in that padding.
    #[serde(default)]
    pub padding_mode: PaddingMode,
    /// Random horizontal flips.
    #[serde(default = "default_true")]
    pub flip: bool,
}

/// Where images are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataKind {
    /// The official binary files of CIFAR-10.
    #[default]
    Cifar10,
    /// Record files of 32x32 images with other labels, such as CIFAR-100.
    Records,
    /// `train/CLASS/IMAGE` and `val/CLASS/IMAGE`, as ImageNet is laid out.
    Folder,
}

/// What lies in the padding that images are cropped from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PaddingMode {
    /// Black pixels. What the paper pads with it does not say.
    #[default]
    Zeros,
    /// The image mirrored at its edge.
    Reflect,
}

fn default_validation() -> usize {
    5_000
}
fn default_resize() -> u32 {
    256
}
fn default_crop() -> u32 {
    224
}
fn default_labels() -> usize {
    10
}
fn default_label_bytes() -> usize {
    1
}
fn default_train() -> Vec<String> {
    vec!["train.bin".into()]
}
fn default_test() -> Vec<String> {
    vec!["test.bin".into()]
}
fn default_crop_padding() -> i64 {
    4
}

impl Default for DataConfig {
    /// CIFAR-10, as an empty table says.
    fn default() -> Self {
        Self {
            kind: DataKind::default(),
            validation: default_validation(),
            resize: default_resize(),
            crop: default_crop(),
            labels: default_labels(),
            label_bytes: default_label_bytes(),
            train: default_train(),
            test: default_test(),
            normalisation: None,
            crop_padding: default_crop_padding(),
            padding_mode: PaddingMode::default(),
            flip: true,
        }
    }
}

impl DataConfig {
    /// Checks that every value is in its range.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        within("data.crop_padding", self.crop_padding, 0..=16)?;
        within("data.crop", self.crop, 1..=4096)?;
        require(
            (self.crop..=8192).contains(&self.resize),
            "data.resize",
            self.resize,
            "it must be from data.crop to 8192",
        )?;
        within("data.labels", self.labels, 2..=65_536)?;
        let least = if self.labels > 256 { 2 } else { 1 };
        require(
            (least..=16).contains(&self.label_bytes),
            "data.label_bytes",
            self.label_bytes,
            "it must be from 1 to 16, and at least 2 for more than 256 classes",
        )?;
        require(
            !self.train.is_empty() && !self.test.is_empty(),
            "data.train, data.test",
            format!("{:?}, {:?}", self.train, self.test),
            "each must name one file or more",
        )?;
        self.check_effects()?;
        let channels = self.normalisation.as_ref();
        require(
            channels.is_none_or(|channels| {
                let valid = |(mean, deviation): &(f32, f32)| {
                    (-10.0..=10.0).contains(mean) && (1e-3..=1e3).contains(deviation)
                };
                channels.len() == 3 && channels.iter().all(valid)
            }),
            "data.normalisation",
            written(channels),
            "it must list mean and standard deviation of three channels whose values lie in [0, 1], for example [[0.5, 0.2], [0.5, 0.2], [0.5, 0.2]]",
        )
    }

    /// Checks that nothing is said that these images have no use for.
    fn check_effects(&self) -> Result<(), ConfigError> {
        let usual = Self::default();
        let unused = |key, value: String, usual: String, kind: DataKind, name| {
            let reason = format!("it has an effect with data.kind = {name:?} only; leave it out");
            require(self.kind == kind || value == usual, key, value, reason)
        };
        let records = |key, value: &dyn Debug, usual: &dyn Debug| {
            let (value, usual) = (format!("{value:?}"), format!("{usual:?}"));
            unused(key, value, usual, DataKind::Records, "records")
        };
        records("data.labels", &self.labels, &usual.labels)?;
        records("data.label_bytes", &self.label_bytes, &usual.label_bytes)?;
        records("data.train", &self.train, &usual.train)?;
        records("data.test", &self.test, &usual.test)?;
        for (key, value, usual) in [
            ("data.resize", self.resize, usual.resize),
            ("data.crop", self.crop, usual.crop),
        ] {
            let (value, usual) = (value.to_string(), usual.to_string());
            unused(key, value, usual, DataKind::Folder, "folder")?;
        }
        require(
            self.crop_padding > 0 || self.padding_mode == usual.padding_mode,
            "data.padding_mode",
            format!("{:?}", self.padding_mode).to_lowercase(),
            "there is no padding with data.crop_padding = 0; leave it out",
        )
    }
}

/// As it stands in a configuration.
fn written(channels: Option<&Vec<(f32, f32)>>) -> String {
    let each = channels.into_iter().flatten();
    let pairs: Vec<String> = each
        .map(|(mean, deviation)| format!("[{mean:?}, {deviation:?}]"))
        .collect();
    format!("[{}]", pairs.join(", "))
}
