//! Score maps packed to bits, with the shape and geometry that they belong to: how maps travel
//! between a host and a target, in files and messages.
//!
//! A file holds one [`Layout`], then the maps one after the other, each followed by its checksum
//! ([`Layout::record_len`] bytes together).

use core::fmt;

use bagcert_certifier::{
    Axis, Certifier, Condition, Fault, Geometry, GeometryError, MaskCertifier, MaskSet, Masking,
    PatchSize, ScoreMap, ScoreWord, Shape, ShapeError, TableWord, Verdict, Work,
};
use crc::{CRC_32_AUTOSAR, Crc, Table};

/// CRC-32/AUTOSAR, which sees every change confined to 32 neighbouring bits.
pub const CRC: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_AUTOSAR);

/// Bytes of a checksum.
pub const CHECKSUM_LEN: usize = 4;

/// The largest maps that every target has memory for.
pub const LARGEST: Shape = match Shape::new(16, 32, 32) {
    Ok(shape) => shape,
    // Only at compile time.
    Err(_) => unreachable!(),
};

/// First bytes of a layout; the last one is the version of the format.
const MAGIC: [u8; 8] = *b"bagmaps\x01";
/// Numbers of a layout, 32 bits each.
const NUMBERS: usize = 13;

/// What a target must know of the maps it is sent: shape, geometry and the patch to certify
/// against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Layout {
    shape: Shape,
    geometry: Geometry,
    patch: PatchSize,
}

/// Why bytes are no layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum LayoutError {
    /// They do not begin as a layout of this version does.
    Magic,
    /// There are too few of them.
    Length {
        /// Bytes given.
        found: usize,
    },
    /// The checksum does not fit.
    Checksum,
    /// They describe no shape.
    Shape(ShapeError),
    /// They describe no geometry or patch.
    Geometry(GeometryError),
    /// Shape, geometry and patch do not go together, or not with this machine.
    Certifier(Fault),
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic => f.write_str("not packed score maps of this version"),
            Self::Length { found } => write!(
                f,
                "packed score maps begin with {} bytes of layout, but there are {found} bytes",
                Layout::LEN
            ),
            Self::Checksum => f.write_str("the layout of the packed score maps is damaged"),
            Self::Shape(error) => error.fmt(f),
            Self::Geometry(error) => error.fmt(f),
            Self::Certifier(fault) => fault.fmt(f),
        }
    }
}

impl core::error::Error for LayoutError {}

impl Layout {
    /// Bytes of a layout, its checksum included.
    pub const LEN: usize = MAGIC.len() + 4 * NUMBERS + CHECKSUM_LEN;

    /// Shape, geometry and patch that go together.
    ///
    /// # Errors
    /// A geometry that is not the shape's, or a patch that does not fit the image.
    pub fn new(shape: Shape, geometry: Geometry, patch: PatchSize) -> Result<Self, LayoutError> {
        let (rows, columns) = (geometry.y.outputs(), geometry.x.outputs());
        if usize::try_from(rows) != Ok(shape.height())
            || usize::try_from(columns) != Ok(shape.width())
        {
            return Err(LayoutError::Certifier(Fault::GeometryMismatch {
                height: shape.height(),
                width: shape.width(),
                geometry_height: rows,
                geometry_width: columns,
            }));
        }
        let (image_width, image_height) = (geometry.x.inputs(), geometry.y.inputs());
        if patch.width() > image_width || patch.height() > image_height {
            return Err(LayoutError::Geometry(GeometryError::PatchTooLarge {
                patch,
                image_width,
                image_height,
            }));
        }
        Ok(Self {
            shape,
            geometry,
            patch,
        })
    }

    /// Extents of the maps.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Which cells a patch reaches.
    pub fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The patch to certify against, and the only one of the masks.
    pub fn patch(&self) -> PatchSize {
        self.patch
    }

    /// Bytes of one map: its scores, class slowest, then row by row; the lowest bit of a byte first.
    pub fn map_len(&self) -> usize {
        self.bits().div_ceil(8)
    }

    /// Bytes of one map and its checksum.
    pub fn record_len(&self) -> usize {
        self.map_len().saturating_add(CHECKSUM_LEN)
    }

    fn bits(&self) -> usize {
        self.shape.classes().saturating_mul(self.shape.cells())
    }

    /// Words of table memory that any of the [`Job`]s needs.
    pub fn table_len(&self) -> usize {
        self.shape.table_len().max(self.shape.masks_len(1))
    }

    /// As bytes.
    pub fn to_bytes(&self) -> [u8; Self::LEN] {
        let Geometry { x, y } = &self.geometry;
        let size = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
        let numbers: [u32; NUMBERS] = [
            size(self.shape.classes()),
            size(self.shape.height()),
            size(self.shape.width()),
            x.inputs(),
            x.stride(),
            x.lo().cast_unsigned(),
            x.hi().cast_unsigned(),
            y.inputs(),
            y.stride(),
            y.lo().cast_unsigned(),
            y.hi().cast_unsigned(),
            self.patch.width(),
            self.patch.height(),
        ];
        let mut bytes = [0; Self::LEN];
        let mut rest: &mut [u8] = &mut bytes;
        let mut put = |piece: &[u8]| {
            if let Some((head, tail)) = core::mem::take(&mut rest).split_at_mut_checked(piece.len())
            {
                head.copy_from_slice(piece);
                rest = tail;
            }
        };
        put(&MAGIC);
        for number in numbers {
            put(&number.to_le_bytes());
        }
        if let Some((all, checksum)) = bytes.split_last_chunk_mut::<CHECKSUM_LEN>() {
            *checksum = CRC.checksum(all).to_le_bytes();
        }
        bytes
    }

    /// From the first [`Layout::LEN`] of these bytes.
    ///
    /// # Errors
    /// Bytes that [`Layout::to_bytes`] would not have written.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LayoutError> {
        let length = LayoutError::Length { found: bytes.len() };
        if !MAGIC.starts_with(bytes.get(..MAGIC.len()).ok_or(length)?) {
            return Err(LayoutError::Magic);
        }
        let body = checked(bytes.get(..Self::LEN).ok_or(length)?).ok_or(LayoutError::Checksum)?;
        let mut numbers = body
            .get(MAGIC.len()..)
            .unwrap_or_default()
            .as_chunks()
            .0
            .iter();
        let mut next = || numbers.next().map_or(0, |bytes| u32::from_le_bytes(*bytes));
        let [classes, height, width] = [next(), next(), next()];
        let size =
            |size: u32| usize::try_from(size).map_err(|_| LayoutError::Shape(ShapeError::TooLarge));
        let shape =
            Shape::new(size(classes)?, size(height)?, size(width)?).map_err(LayoutError::Shape)?;
        let mut axis = |outputs| {
            let [inputs, stride, lo, hi] = [next(), next(), next(), next()];
            Axis::new(inputs, outputs, stride, lo.cast_signed(), hi.cast_signed())
                .map_err(LayoutError::Geometry)
        };
        let geometry = Geometry {
            x: axis(width)?,
            y: axis(height)?,
        };
        let patch = PatchSize::new(next(), next()).map_err(LayoutError::Geometry)?;
        Self::new(shape, geometry, patch)
    }

    /// Packs scores into a map, in place of what `map` held.
    ///
    /// # Errors
    /// A `map` of another length than [`Layout::map_len`].
    pub fn pack(
        &self,
        mut score: impl FnMut(usize, usize, usize) -> bool,
        map: &mut [u8],
    ) -> Result<(), Fault> {
        self.check_len(map)?;
        map.fill(0);
        let (height, width) = (self.shape.height(), self.shape.width());
        let mut index = 0usize;
        for class in 0..self.shape.classes() {
            for y in 0..height {
                for x in 0..width {
                    if score(class, y, x)
                        && let Some(byte) = map.get_mut(index / 8)
                    {
                        *byte |= 1 << (index % 8);
                    }
                    index = index.saturating_add(1);
                }
            }
        }
        Ok(())
    }

    /// The map's scores, in the caller's memory of [`Shape::score_len`] words.
    ///
    /// # Errors
    /// A `map` of another length than [`Layout::map_len`], or too little memory.
    pub fn unpack<'m>(
        &self,
        map: &[u8],
        memory: &'m mut [ScoreWord],
    ) -> Result<ScoreMap<'m>, Fault> {
        self.check_len(map)?;
        // Scores are asked for in the order in which they are packed.
        let mut index = 0usize;
        let score = |_, _, _| {
            let byte = map.get(index / 8).copied().unwrap_or(0);
            let bit = byte >> (index % 8) & 1;
            index = index.saturating_add(1);
            bit != 0
        };
        ScoreMap::from_scores(self.shape, score, memory)
    }

    fn check_len(&self, map: &[u8]) -> Result<(), Fault> {
        let expected = self.map_len();
        if map.len() == expected {
            Ok(())
        } else {
            Err(Fault::LogitsLength {
                expected,
                found: map.len(),
            })
        }
    }
}

/// Bytes without the checksum at their end; `None` where it does not fit.
pub fn checked(bytes: &[u8]) -> Option<&[u8]> {
    let (all, checksum) = bytes.split_last_chunk::<CHECKSUM_LEN>()?;
    (CRC.checksum(all) == u32::from_le_bytes(*checksum)).then_some(all)
}

/// A certificate that a target works out for one map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Job {
    /// Condition 3.2.
    Sum,
    /// Condition 3.2, with work that does not depend on the scores.
    SumConstantWork,
    /// The mask aggregator.
    Mask,
    /// Double masking.
    DoubleMask,
    /// Double masking, with work that does not depend on the scores.
    DoubleMaskConstantWork,
}

impl Job {
    /// Every job, in the order of their numbers.
    pub const ALL: [Self; 5] = [
        Self::Sum,
        Self::SumConstantWork,
        Self::Mask,
        Self::DoubleMask,
        Self::DoubleMaskConstantWork,
    ];

    /// Its name in tables and results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sum => "3.2",
            Self::SumConstantWork => "3.2-constant-work",
            Self::Mask => "mask",
            Self::DoubleMask => "double-mask",
            Self::DoubleMaskConstantWork => "double-mask-constant-work",
        }
    }

    /// Works the certificate out, tables and all, in memory of [`Layout::table_len`] words.
    ///
    /// # Errors
    /// Too little memory, or a map of another shape than the layout's.
    // So that each job's code holds no other's.
    #[inline(always)]
    pub fn run(
        self,
        layout: &Layout,
        map: &ScoreMap<'_>,
        memory: &mut [TableWord],
    ) -> Result<Verdict, Fault> {
        let (geometry, patch) = (layout.geometry(), layout.patch());
        let masked = |masking, work, memory| {
            let patches = [patch];
            let set = MaskSet::new(&geometry, &patches)?.with_work(work);
            MaskCertifier::new(map, set, masking, memory)?.certify(patch)
        };
        match self {
            Self::Sum => {
                Certifier::new(map, &geometry, memory)?.certify(patch, Condition::SumWindow32)
            }
            Self::SumConstantWork => {
                Certifier::new(map, &geometry, memory)?.certify_constant_work(patch)
            }
            Self::Mask => masked(Masking::Single, Work::Least, memory),
            Self::DoubleMask => masked(Masking::Double, Work::Least, memory),
            Self::DoubleMaskConstantWork => masked(Masking::Double, Work::Constant, memory),
        }
    }
}

/// A verdict as one line of text: predicted class, whether certified, slack, rival, worst pixel and
/// the second window of double masking. What two machines must agree on.
pub fn write_verdict(out: &mut impl fmt::Write, verdict: &Verdict) -> fmt::Result {
    let certified = if verdict.certified {
        "certified"
    } else {
        "not-certified"
    };
    let (worst, slack) = (verdict.worst, verdict.slack);
    write!(
        out,
        "{certified} {} {slack} {} {},{}",
        verdict.predicted, verdict.rival, worst.x, worst.y
    )?;
    match verdict.second {
        Some(cells) => write!(
            out,
            " {}..{},{}..{}",
            cells.x.first, cells.x.last, cells.y.first, cells.y.last
        ),
        None => out.write_str(" -"),
    }
}
