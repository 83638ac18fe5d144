//! Conditions 3.1 to 3.3 for sum aggregation.

mod constant_work;

use crate::fault::Fault;
use crate::geometry::{Geometry, Windows};
use crate::patch::{PatchSize, Pixel};
use crate::pieces::pieces;
use crate::score_map::ScoreMap;
use crate::search::{Attains, Cells, lowest, lowest_worst};
use crate::shape::{LANES, Shape, TableWord};
use crate::table::{self, Chunk, Target, lane_of};
use crate::vector::Vector;
use crate::verdict::{Condition, Verdict};

/// Certificates for one frame: summed-area tables over `E_c` for every class, built once, then any
/// number of patch sizes.
pub struct Certifier<'m> {
    shape: Shape,
    geometry: Geometry,
    predicted: usize,
    table: &'m [Vector],
}

/// The worst rivals of one chunk.
#[derive(Clone, Copy)]
struct Candidate<'t> {
    slack: i64,
    /// First class of the chunk.
    class: usize,
    chunk: Chunk<'t>,
    /// Gain that leaves `slack`, for the lanes that attain it.
    target: Target,
    /// First row of maximal windows where one of them does.
    row: u32,
}

impl Attains for Candidate<'_> {
    fn window(&self, cells: Cells) -> bool {
        lane_of(&self.chunk.gain(cells), &self.target).is_some()
    }

    fn column(&self, windows: &Windows, y: u32, y_end: u32) -> Option<u32> {
        self.chunk.column(windows, y, y_end, &self.target)
    }

    fn row(&self, windows: &Windows, y: u32, y_end: u32) -> bool {
        self.chunk.row_attains(windows, y, y_end, &self.target)
    }
}

/// A slack, where it is attained and by which class; ordered as a verdict prefers them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Worst {
    slack: i64,
    y: u32,
    x: u32,
    rival: usize,
}

impl<'m> Certifier<'m> {
    /// Builds the tables in `memory`, which needs [`Shape::table_len`] words; what it holds before
    /// does not matter.
    ///
    /// # Errors
    /// A geometry whose output is not the map's grid, or too little memory.
    pub fn new(
        map: &ScoreMap<'_>,
        geometry: &Geometry,
        memory: &'m mut [TableWord],
    ) -> Result<Self, Fault> {
        Self::damaged(map, geometry, memory, |_| ())
    }

    /// [`new`](Self::new), whose tables `damage` may change before they are used: for fault injection,
    /// as a bit that flips in memory would.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn damaged(
        map: &ScoreMap<'_>,
        geometry: &Geometry,
        memory: &'m mut [TableWord],
        damage: impl FnOnce(&mut [TableWord]),
    ) -> Result<Self, Fault> {
        let shape = map.shape();
        check_grid(shape, geometry)?;
        let too_small = Fault::MemoryTooSmall {
            needed: shape.table_len(),
            found: memory.len(),
        };
        let memory = memory.get_mut(..shape.table_len()).ok_or(too_small)?;
        let table = memory.as_chunks_mut().0;
        table::build(map, table).ok_or(too_small)?;
        damage(table.as_flattened_mut());
        Ok(Self {
            shape,
            geometry: *geometry,
            predicted: map.predicted(),
            table,
        })
    }

    /// Whether no patch of this size can change the prediction, by one of the paper's conditions.
    ///
    /// For the sum, Conditions 3.1 and 3.2 are the same. For Condition 3.3 the slack is
    /// `min_c sum D_c - 2 max |R|`, and the worst position one with the largest region.
    ///
    /// # Errors
    /// [`Fault::PatchTooLarge`] for a patch that does not fit the image. One exactly as large as
    /// the image is no fault; its region holds every cell that sees the image.
    /// [`Fault::NeedsMasks`] for a condition of [`MaskCertifier`](crate::MaskCertifier).
    pub fn certify(&self, patch: PatchSize, condition: Condition) -> Result<Verdict, Fault> {
        let windows = self.geometry.windows(patch)?;
        let worst = match condition {
            Condition::WorstCase31 | Condition::SumWindow32 => self.worst_window(patch, &windows),
            Condition::SumGlobal33 => self.worst_global(patch, &windows),
            Condition::Mask | Condition::DoubleMask => return Err(Fault::NeedsMasks { condition }),
        };
        Ok(Verdict {
            predicted: self.predicted,
            certified: worst.slack > 0,
            slack: worst.slack,
            rival: worst.rival,
            worst: Pixel {
                x: worst.x,
                y: worst.y,
            },
            second: None,
            patch,
            condition,
        })
    }

    /// Verdicts for several patch sizes, on the same tables.
    pub fn sweep<P>(
        &self,
        patches: P,
        condition: Condition,
    ) -> impl Iterator<Item = Result<Verdict, Fault>>
    where
        P: IntoIterator<Item = PatchSize>,
    {
        patches
            .into_iter()
            .map(move |patch| self.certify(patch, condition))
    }

    /// Verdicts for every square that fits the image, from 1x1 up.
    pub fn squares(&self, condition: Condition) -> impl Iterator<Item = Verdict> {
        (1..=self.largest_side()).filter_map(move |side| {
            let patch = PatchSize::new(side, side).ok()?;
            self.certify(patch, condition).ok()
        })
    }

    /// Largest `k` such that every square up to `k` x `k` is certified under Condition 3.2; 0 if
    /// none is.
    ///
    /// The slack never grows with the patch, since every smaller region lies in a larger one, so a
    /// binary search finds it.
    pub fn largest_square(&self) -> u32 {
        let fails = |side: u32| match PatchSize::new(side, side) {
            Ok(patch) => match self.geometry.windows(patch) {
                Ok(windows) => self.least_slack(&windows) <= 0,
                Err(_) => true,
            },
            Err(_) => true,
        };
        lowest(1, self.largest_side().saturating_add(1), fails).saturating_sub(1)
    }

    fn largest_side(&self) -> u32 {
        self.geometry.x.inputs().min(self.geometry.y.inputs())
    }

    /// Every chunk with its first class.
    fn chunks(&self) -> impl Iterator<Item = (usize, Chunk<'m>)> {
        let width = self.shape.width();
        let len = table::chunk_len(self.shape.height(), width);
        let classes = (0..self.shape.classes()).step_by(LANES);
        classes
            .zip(pieces(self.table, len))
            .map(move |(class, vectors)| (class, Chunk::new(vectors, width)))
    }

    /// Whether lane `lane` of a chunk is a rival: a class, and not the predicted one.
    fn is_rival(&self, class: usize, lane: usize) -> bool {
        let class = class.saturating_add(lane);
        class < self.shape.classes() && class != self.predicted
    }

    /// The worst rivals of one chunk. The slack is `i64::MAX` in a chunk without rivals.
    fn candidate(&self, class: usize, chunk: Chunk<'m>, windows: &Windows) -> Candidate<'m> {
        let gains = chunk.gains(windows);
        let margins = chunk.margins();
        let mut found = Candidate {
            slack: i64::MAX,
            class,
            chunk,
            target: [None; LANES],
            row: u32::MAX,
        };
        let lanes = gains.most.iter().zip(&gains.row).zip(&margins).enumerate();
        for (lane, ((gain, row), margin)) in lanes {
            let slack = i64::from(*margin).saturating_sub(i64::from(*gain));
            if !self.is_rival(class, lane) || slack > found.slack {
                continue;
            }
            if slack < found.slack {
                (found.slack, found.target, found.row) = (slack, [None; LANES], u32::MAX);
            }
            if let Some(target) = found.target.get_mut(lane) {
                *target = Some(*gain);
            }
            found.row = found.row.min(*row);
        }
        found
    }

    fn least_slack(&self, windows: &Windows) -> i64 {
        let slacks = self
            .chunks()
            .map(|(class, chunk)| self.candidate(class, chunk, windows).slack);
        slacks.min().unwrap_or(i64::MIN)
    }

    /// Condition 3.2 over all windows.
    fn worst_window(&self, patch: PatchSize, windows: &Windows) -> Worst {
        let mut pending: Option<Candidate<'_>> = None;
        let mut tied: Option<Worst> = None;
        for (class, chunk) in self.chunks() {
            let next = self.candidate(class, chunk, windows);
            match pending {
                Some(least) if next.slack > least.slack => continue,
                Some(least) if next.slack == least.slack => {
                    let other = self.locate(&least, patch, windows);
                    tied = Some(tied.map_or(other, |tied| tied.min(other)));
                }
                _ => tied = None,
            }
            pending = Some(next);
        }
        let last = pending.map(|least| self.locate(&least, patch, windows));
        let worst = match (last, tied) {
            (Some(last), Some(tied)) => Some(last.min(tied)),
            (last, tied) => last.or(tied),
        };
        // There is always a chunk; without one nothing would be certified.
        worst.unwrap_or(Worst {
            slack: i64::MIN,
            y: 0,
            x: 0,
            rival: 0,
        })
    }

    /// The lowest position where the candidate's slack is attained, and the lowest class there.
    fn locate(&self, candidate: &Candidate<'_>, patch: PatchSize, windows: &Windows) -> Worst {
        let (cells, pixel) = lowest_worst(&self.geometry, windows, patch, candidate.row, candidate);
        let lane = lane_of(&candidate.chunk.gain(cells), &candidate.target);
        Worst {
            slack: candidate.slack,
            y: pixel.y,
            x: pixel.x,
            rival: candidate.class.saturating_add(lane.unwrap_or(0)),
        }
    }

    /// Condition 3.3.
    fn worst_global(&self, patch: PatchSize, windows: &Windows) -> Worst {
        let cells = i64::from(windows.y.length).saturating_mul(i64::from(windows.x.length));
        let mut least = i64::MAX;
        let mut rival = 0;
        for (class, chunk) in self.chunks() {
            for (lane, margin) in chunk.margins().into_iter().enumerate() {
                if self.is_rival(class, lane) && i64::from(margin) < least {
                    (least, rival) = (i64::from(margin), class.saturating_add(lane));
                }
            }
        }
        // Clipped regions are strictly smaller, unless there is no cell at all to affect.
        let (y, x) = if cells == 0 {
            (0, 0)
        } else {
            let first = windows.cells(0, 0);
            (
                self.geometry
                    .y
                    .lowest_position(patch.height(), first.y_end, &windows.y),
                self.geometry
                    .x
                    .lowest_position(patch.width(), first.x_end, &windows.x),
            )
        };
        Worst {
            slack: least.saturating_sub(cells.saturating_mul(2)),
            y,
            x,
            rival,
        }
    }
}

/// The geometry's output must be the map's grid.
pub(crate) fn check_grid(shape: Shape, geometry: &Geometry) -> Result<(), Fault> {
    let (height, width) = (shape.height(), shape.width());
    let (geometry_height, geometry_width) = (geometry.y.outputs(), geometry.x.outputs());
    if u32::try_from(height) == Ok(geometry_height) && u32::try_from(width) == Ok(geometry_width) {
        Ok(())
    } else {
        Err(Fault::GeometryMismatch {
            height,
            width,
            geometry_height,
            geometry_width,
        })
    }
}
