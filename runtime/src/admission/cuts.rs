//! Which part of a map a slice of the typed graph keeps.

use std::ops::Range;
use std::sync::Arc;

use tract_core::internal::{DatumType, DimLike, TDim, Tensor};
use tract_core::ops::array::{Slice, StridedSlice};

use crate::network::MapShape;

/// What is kept of channels, rows and columns. Never empty.
pub(crate) struct Part {
    pub(crate) channels: Range<usize>,
    pub(crate) rows: Range<usize>,
    pub(crate) columns: Range<usize>,
}

impl Part {
    fn whole(shape: MapShape) -> Part {
        Part {
            channels: 0..shape.channels,
            rows: 0..shape.height,
            columns: 0..shape.width,
        }
    }

    /// The range along an axis of `[1, channels, height, width]`.
    fn axis(&mut self, axis: usize) -> Result<&mut Range<usize>, String> {
        match axis {
            1 => Ok(&mut self.channels),
            2 => Ok(&mut self.rows),
            3 => Ok(&mut self.columns),
            axis => Err(format!("cuts axis {axis}")),
        }
    }

    pub(crate) fn shape(&self) -> MapShape {
        MapShape {
            channels: self.channels.len(),
            height: self.rows.len(),
            width: self.columns.len(),
        }
    }
}

/// A slice along one axis.
pub(crate) fn slice(slice: &Slice, shape: MapShape) -> Result<Part, String> {
    let fixed = |dim: &TDim| {
        dim.to_usize()
            .map_err(|_| "its bounds are not fixed".to_string())
    };
    let mut part = Part::whole(shape);
    let range = part.axis(slice.axis)?;
    *range = kept(fixed(&slice.start)?, fixed(&slice.end)?, range.len())?;
    Ok(part)
}

/// An ONNX slice: starts, ends, axes and steps as constants. Steps must be 1.
pub(crate) fn strided(
    op: &StridedSlice,
    parameters: &[Arc<Tensor>],
    shape: MapShape,
) -> Result<Part, String> {
    if op.begin_mask != 0 || op.end_mask != 0 || op.shrink_axis_mask != 0 {
        return Err("cuts with masks, which are not followed".into());
    }
    // Inputs are counted with the map itself as the first.
    let parameter = |input: usize| {
        let tensor = input.checked_sub(1).and_then(|index| parameters.get(index));
        integers(tensor.ok_or("lacks a parameter")?)
    };
    let (starts, ends) = (parameter(1)?, parameter(2)?);
    let axes = match op.optional_axes_input {
        Some(input) => parameter(input)?,
        None => (0..4).take(starts.len()).collect(),
    };
    if let Some(input) = op.optional_steps_input
        && parameter(input)?.iter().any(|step| *step != 1)
    {
        return Err("takes steps other than 1, which are not followed".into());
    }
    if starts.len() != ends.len() || starts.len() != axes.len() {
        return Err("its starts, ends and axes differ in number".into());
    }
    let mut part = Part::whole(shape);
    let mut seen = Vec::new();
    for ((start, end), axis) in starts.iter().zip(&ends).zip(&axes) {
        let axis = usize::try_from(if *axis < 0 {
            axis.saturating_add(4)
        } else {
            *axis
        })
        .map_err(|_| format!("cuts axis {axis}"))?;
        if seen.contains(&axis) {
            return Err(format!("cuts axis {axis} twice"));
        }
        seen.push(axis);
        // The batch may be "cut" to itself.
        if axis == 0 && *start == 0 && *end >= 1 {
            continue;
        }
        let range = part.axis(axis)?;
        let length = range.len();
        *range = kept(bound(*start, length)?, bound(*end, length)?, length)?;
    }
    Ok(part)
}

/// Bounds below 0 count from the end; all are clamped to the axis.
fn bound(value: i64, length: usize) -> Result<usize, String> {
    let length = i64::try_from(length).map_err(|_| "its axis is too long")?;
    let from_start = if value < 0 {
        value.saturating_add(length)
    } else {
        value
    };
    usize::try_from(from_start.clamp(0, length)).map_err(|_| "its axis is too long".into())
}

fn kept(start: usize, end: usize, length: usize) -> Result<Range<usize>, String> {
    if start < end && end <= length {
        Ok(start..end)
    } else {
        Err(format!(
            "keeps {start}..{end} of {length} cells, which is nothing or too much"
        ))
    }
}

fn integers(tensor: &Tensor) -> Result<Vec<i64>, String> {
    if !matches!(tensor.datum_type(), DatumType::I64 | DatumType::I32) {
        return Err(format!("has a parameter of type {:?}", tensor.datum_type()));
    }
    let wide = tensor
        .cast_to::<i64>()
        .map_err(|error| format!("{error:#}"))?;
    let view = wide
        .to_plain_array_view::<i64>()
        .map_err(|error| format!("{error:#}"))?;
    Ok(view.iter().copied().collect())
}
