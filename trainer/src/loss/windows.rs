//! The windows that a margin leaves out, as tensors on the training device.

use std::num::NonZeroU32;

use bagcert_certifier::{Fault, Geometry, MaskSet, PatchSize};
use tch::{Device, Kind, Tensor};
use thiserror::Error;

use crate::config::{LossConfig, MarginKind};

/// Why a network cannot be trained against these patches.
#[derive(Debug, Error)]
pub enum WindowError {
    /// The certifier refuses the size.
    #[error("loss: patch {patch}: {fault}")]
    Fault {
        /// The patch.
        patch: PatchSize,
        /// Why.
        fault: Fault,
    },
    /// No shape of `patch_areas` fits.
    #[error(
        "loss.patch_areas = [{least}, {most}]: none of these shapes fits an image of {width}x{height} pixels; ask for smaller ones"
    )]
    NoneFits {
        /// Pixels of the smallest.
        least: u32,
        /// Pixels of the largest.
        most: u32,
        /// Pixels of the image along x.
        width: u32,
        /// Pixels of the image along y.
        height: u32,
    },
    /// The margin would be 0 or less whatever the network does.
    #[error(
        "loss: patch {patch}: {windows} affects {affected} of the score map's {cells} cells, which leaves no margin to train for; use smaller patches, a smaller receptive field or loss.mask_step = 1"
    )]
    NothingLeft {
        /// The patch.
        patch: PatchSize,
        /// One window or two.
        windows: &'static str,
        /// Cells of the largest.
        affected: i64,
        /// Cells of the map.
        cells: i64,
    },
}

/// The maximal windows of one patch size (the certifier's `MaskSet`).
#[derive(Debug)]
pub struct Windows {
    /// First row, end row, first column, end column of each: 4 x K.
    bounds: Tensor,
    /// How many there are, K.
    count: i64,
}

impl Windows {
    /// Those of `patch` for a network of this geometry.
    ///
    /// # Errors
    /// Where the patch does not fit the image.
    pub fn new(
        geometry: &Geometry,
        patch: PatchSize,
        step: NonZeroU32,
        device: Device,
    ) -> Result<Self, Fault> {
        let patches = [patch];
        let set = MaskSet::new(geometry, &patches)?.with_step(step);
        let bounds: Vec<i64> = set
            .windows()
            .flat_map(|cells| {
                [
                    cells.y.first,
                    cells.y.last + 1,
                    cells.x.first,
                    cells.x.last + 1,
                ]
                .map(i64::from)
            })
            .collect();
        let count = (bounds.len() / 4) as i64;
        let bounds = Tensor::from_slice(&bounds).view([-1, 4]).tr().contiguous();
        Ok(Self {
            bounds: bounds.to_device(device),
            count,
        })
    }

    /// How many windows there are.
    pub fn count(&self) -> i64 {
        self.count
    }

    /// K x cells: 1 inside each window, 0 outside, for a map of `height` x `width` cells, row by row.
    pub fn inside(&self, height: i64, width: i64) -> Tensor {
        // K x len: true from the bound `first` to the one after it.
        let along = |first: i64, len: i64| {
            let bound = |at: i64| self.bounds.get(at).unsqueeze(1);
            let cells = Tensor::arange(len, (Kind::Int64, self.bounds.device())).unsqueeze(0);
            cells
                .ge_tensor(&bound(first))
                .logical_and(&cells.lt_tensor(&bound(first + 1)))
        };
        let rows = along(0, height).unsqueeze(2);
        let columns = along(2, width).unsqueeze(1);
        rows.logical_and(&columns)
            .flatten(1, 2)
            .to_kind(Kind::Float)
    }

    fn largest(&self) -> i64 {
        let side = |first: i64| self.bounds.get(first + 1) - self.bounds.get(first);
        if self.count == 0 {
            return 0;
        }
        (side(0) * side(2)).max().int64_value(&[])
    }
}

/// The margin of one training step.
#[derive(Clone, Copy, Debug)]
pub enum Margin<'w> {
    /// Over all cells, the paper's.
    Paper,
    /// Outside the worst window, less the cells inside it.
    WorstWindow(&'w Windows),
    /// Outside the worst two windows, searched for this many rivals (0: for all).
    WorstPair(&'w Windows, i64),
}

/// The margins that a configuration asks for, ready for every step.
#[derive(Debug)]
pub struct Margins {
    kind: MarginKind,
    rivals: i64,
    windows: Vec<Windows>,
}

impl Margins {
    /// Works out the windows of every patch size that may be drawn.
    ///
    /// # Errors
    /// Where a patch of `patches`, or every shape of `patch_areas`, does not fit the image, or windows leave no cell of the
    /// map.
    pub fn new(
        config: &LossConfig,
        geometry: &Geometry,
        device: Device,
    ) -> Result<Self, WindowError> {
        let cells = i64::from(geometry.y.outputs()) * i64::from(geometry.x.outputs());
        let step = NonZeroU32::new(config.mask_step).unwrap_or(NonZeroU32::MIN);
        // Both take twice the cells of a window from the margin of an image that could not be better.
        let windows = match config.margin_kind {
            MarginKind::WorstPair => "a pair of windows",
            MarginKind::WorstWindow | MarginKind::Paper => "twice a window",
        };
        let of = |patch: PatchSize| {
            let fault = |fault| WindowError::Fault { patch, fault };
            let found = Windows::new(geometry, patch, step, Device::Cpu).map_err(fault)?;
            let affected = 2 * found.largest();
            if affected >= cells || found.count() == 0 {
                return Err(WindowError::NothingLeft {
                    patch,
                    windows,
                    affected,
                    cells,
                });
            }
            Ok(Windows {
                bounds: found.bounds.to_device(device),
                count: found.count,
            })
        };
        let (width, height) = (geometry.x.inputs(), geometry.y.inputs());
        let sizes = config.patch_sizes(width, height);
        if let (Some([least, most]), true) = (config.patch_areas, sizes.is_empty()) {
            return Err(WindowError::NoneFits {
                least,
                most,
                width,
                height,
            });
        }
        Ok(Self {
            kind: config.margin_kind,
            rivals: config.pair_rivals,
            windows: sizes.into_iter().map(of).collect::<Result<_, _>>()?,
        })
    }

    /// The margin of the next step; draws the patch size from libtorch's generator of the CPU, on which no
    /// other device waits.
    pub fn draw(&self) -> Margin<'_> {
        let count = self.windows.len();
        let at = if count > 1 {
            let drawn = Tensor::randint(count as i64, [1], (Kind::Int64, Device::Cpu));
            usize::try_from(drawn.int64_value(&[0])).unwrap_or(0)
        } else {
            0
        };
        match (self.kind, self.windows.get(at)) {
            (MarginKind::WorstWindow, Some(windows)) => Margin::WorstWindow(windows),
            (MarginKind::WorstPair, Some(windows)) => Margin::WorstPair(windows, self.rivals),
            _ => Margin::Paper,
        }
    }
}
