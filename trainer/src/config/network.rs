//! The table `[network]`.

use serde::{Deserialize, Serialize};

use super::{ConfigError, default_one, default_true, is_default, require, within};

/// A residual network whose receptive field is set by which blocks have kernel size 3 (Section A.1).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// Channels of every block that `widths` does not set, and of the stem.
    pub width: i64,
    /// Kernel size of the stem.
    #[serde(default = "default_stem_kernel")]
    pub stem_kernel: i64,
    /// Stride of the stem.
    #[serde(default = "default_one")]
    pub stem_stride: i64,
    /// Kernel size (1 or 3) of each block.
    pub kernels: Vec<i64>,
    /// Stride of each block; all 1 where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strides: Option<Vec<i64>>,
    /// Channels of each block; all `width` where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub widths: Option<Vec<i64>>,
    /// Channels between the two convolutions of each path of a block; those of the block where absent, as in the paper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden_widths: Option<Vec<i64>>,
    /// Cells from one tap of each block's kernel to the next; all 1 where absent, as in the paper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dilations: Option<Vec<i64>>,
    /// Residual paths per block: 2, mixed by shake-shake, as in the paper; or 1.
    #[serde(default = "default_paths")]
    pub paths: usize,
    /// Shake-shake (batch-wise) while training; otherwise two paths are averaged.
    #[serde(default = "default_true")]
    pub shake: bool,
    /// A number learnt for each cell and channel is added to the outputs of the stem and of each block, so that a
    /// cell's votes may depend on where it lies. It is the same for every image: no receptive field grows. Not in the
    /// paper.
    #[serde(default, skip_serializing_if = "is_default")]
    pub position_embedding: bool,
}

impl std::fmt::Display for NetworkConfig {
    /// The keys of the table, on one line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let table = toml::to_string(self).map_err(|_| std::fmt::Error)?;
        f.write_str(&table.trim_end().replace('\n', ", "))
    }
}

impl NetworkConfig {
    /// The same network, with what is absent written out.
    #[must_use]
    pub fn written_out(&self) -> Self {
        let blocks = self.kernels.len();
        let strides = self.strides.clone().unwrap_or_else(|| vec![1; blocks]);
        let widths = self.widths.clone();
        let widths = widths.unwrap_or_else(|| vec![self.width; blocks]);
        let hidden = self.hidden_widths.clone();
        let dilations = self.dilations.clone();
        Self {
            hidden_widths: Some(hidden.unwrap_or_else(|| widths.clone())),
            strides: Some(strides),
            widths: Some(widths),
            dilations: Some(dilations.unwrap_or_else(|| vec![1; blocks])),
            ..self.clone()
        }
    }

    /// Checks that every value is in its range.
    ///
    /// # Errors
    /// Names the first key whose value is not.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let blocks = self.kernels.len();
        within("network.width", self.width, 1..=8192)?;
        within("network.stem_kernel", self.stem_kernel, 1..=16)?;
        within("network.stem_stride", self.stem_stride, 1..=8)?;
        require(
            (1..=64).contains(&blocks),
            "network.kernels",
            format!("{:?}", self.kernels),
            "it must list 1 to 64 blocks",
        )?;
        require(
            self.kernels.iter().all(|kernel| [1, 3].contains(kernel)),
            "network.kernels",
            format!("{:?}", self.kernels),
            "a block's kernel is 1 or 3",
        )?;
        for (key, list, most) in [
            ("network.strides", &self.strides, 8),
            ("network.widths", &self.widths, 8192),
            ("network.hidden_widths", &self.hidden_widths, 8192),
            ("network.dilations", &self.dilations, 8),
        ] {
            let Some(list) = list else {
                continue;
            };
            let holds = list.len() == blocks && list.iter().all(|n| (1..=most).contains(n));
            let reason =
                format!("it must list a number from 1 to {most} for each block of network.kernels");
            require(holds, key, format!("{list:?}"), reason)?;
        }
        if let Some(dilations) = &self.dilations {
            let mut blocks = self.kernels.iter().zip(dilations);
            require(
                blocks.all(|(kernel, dilation)| *kernel > 1 || *dilation == 1),
                "network.dilations",
                format!("{dilations:?}"),
                "it must be 1 for a block of kernel 1, which has one tap",
            )?;
        }
        require(
            [1, 2].contains(&self.paths),
            "network.paths",
            self.paths.to_string(),
            "a block has 1 or 2 paths",
        )
    }
}

fn default_stem_kernel() -> i64 {
    3
}
fn default_paths() -> usize {
    2
}
