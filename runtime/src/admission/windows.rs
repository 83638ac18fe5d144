//! Convolutions and pools of the typed graph, turned into the network's own terms.
//!
//! Paddings and output sizes are computed here from the definition, and must agree with what
//! the library computes: two derivations, so that a misreading of either is refused, not
//! certified.

use std::sync::Arc;

use tract_core::internal::{DatumType, Tensor};
use tract_core::ops::cnn::{Conv as TractConv, KernelFormat, PaddingSpec, PoolSpec};
use tract_core::ops::nn::DataFormat;

use super::limits::MAX_VALUES;
use crate::network::{Conv, MapShape, Window};

/// The f32 values of a constant, all finite.
pub(crate) fn finite(tensor: &Tensor) -> Result<Arc<[f32]>, String> {
    if tensor.datum_type() != DatumType::F32 {
        return Err(format!(
            "has a constant of type {:?}, must be f32",
            tensor.datum_type()
        ));
    }
    let view = tensor
        .to_plain_array_view::<f32>()
        .map_err(|error| format!("{error:#}"))?;
    let values: Arc<[f32]> = view.iter().copied().collect();
    match values.iter().find(|value| !value.is_finite()) {
        Some(value) => Err(format!("has a constant or weight that is {value}")),
        None => Ok(values),
    }
}

/// A convolution of a map of `shape`, and the shape of its output.
pub(crate) fn conv(
    conv: &TractConv,
    input: usize,
    shape: MapShape,
    kernel: &Tensor,
    bias: &Tensor,
) -> Result<(Conv, MapShape), String> {
    if conv.q_params.is_some() {
        return Err("it is quantised; export in f32".into());
    }
    if conv.kernel_fmt != KernelFormat::OIHW {
        return Err("its weights are not in order output, input, height, width".into());
    }
    let [outputs, per_group, height, width] = *kernel.shape() else {
        return Err(format!(
            "its weights have shape {:?}, need 4 axes",
            kernel.shape()
        ));
    };
    let groups = conv.group;
    let channels = per_group
        .checked_mul(groups)
        .ok_or("its weights are too large")?;
    // No group, no channel: that does not fit a map either.
    if outputs == 0 || channels != shape.channels || !outputs.is_multiple_of(groups) {
        return Err(format!(
            "{outputs} filters of {per_group} channels in {groups} groups do not fit a map of {} \
             channels",
            shape.channels
        ));
    }
    let spec = &conv.pool_spec;
    if spec.kernel_shape.as_slice() != [height, width]
        || spec.input_channels != channels
        || spec.output_channels != outputs
    {
        return Err("its attributes do not agree with its weights".into());
    }
    let (y, x, grid) = both(spec, shape)?;
    let bias = bias_of(bias, outputs)?;
    let weights = finite(kernel)?;
    let conv = Conv {
        input,
        groups,
        y,
        x,
        weights,
        bias,
    };
    Ok((
        conv,
        MapShape {
            channels: outputs,
            ..grid
        },
    ))
}

/// One value per filter; a single 0 stands for no bias.
fn bias_of(bias: &Tensor, outputs: usize) -> Result<Option<Arc<[f32]>>, String> {
    let values = finite(bias)?;
    match (bias.rank(), values.as_ref()) {
        (0, [value]) if *value == 0.0 => Ok(None),
        (0, [value]) => Ok(Some(std::iter::repeat_n(*value, outputs).collect())),
        (1, all) if all.len() == outputs => Ok(Some(values)),
        _ => Err(format!(
            "its bias has shape {:?}, needs {outputs} values",
            bias.shape()
        )),
    }
}

/// The windows of a pool over a map of `shape`, and the shape of its output.
pub(crate) fn pool(spec: &PoolSpec, shape: MapShape) -> Result<(Window, Window, MapShape), String> {
    if spec.input_channels != shape.channels || spec.output_channels != shape.channels {
        return Err("its channels do not agree with its input".into());
    }
    let (y, x, grid) = both(spec, shape)?;
    for (window, inputs, outputs) in [
        (&y, shape.height, grid.height),
        (&x, shape.width, grid.width),
    ] {
        // Padding before is as good as past the end: a tap inside the map is what counts. Windows
        // only move on, so the first tap inside follows from a division, not from a search.
        let empty = |output: usize| {
            let start = output.saturating_mul(window.stride);
            let before = window.pad_before.saturating_sub(start);
            let tap = before.div_ceil(window.dilation.max(1));
            tap >= window.kernel || window.tap(output, tap, inputs).is_none()
        };
        // Once windows start inside the map, the last is the first to leave it.
        let from_padding = window
            .pad_before
            .div_ceil(window.stride.max(1))
            .min(outputs);
        let last = outputs.checked_sub(1);
        if (0..from_padding).chain(last).any(empty) {
            return Err("one of its windows lies wholly in the padding".into());
        }
    }
    Ok((y, x, grid))
}

/// Windows along height and width, and the output grid (channels as in `shape`).
fn both(spec: &PoolSpec, shape: MapShape) -> Result<(Window, Window, MapShape), String> {
    if spec.data_format != DataFormat::NCHW {
        return Err("its map is not in order batch, channels, height, width".into());
    }
    if spec.rank() != 2 {
        return Err(format!(
            "it has {} spatial axes, must have 2",
            spec.kernel_shape.len()
        ));
    }
    let sides = [shape.height, shape.width];
    let mut axes = Vec::new();
    for (axis, inputs) in sides.into_iter().enumerate() {
        axes.push(window(spec, axis, inputs)?);
    }
    // Only now: the library divides by strides, which have been checked by this.
    let computed = spec.computed_padding(&sides);
    for (axis, (window, outputs)) in axes.iter().enumerate() {
        let theirs = computed.get(axis).ok_or("one of its axes is missing")?;
        if (theirs.convoluted, theirs.pad_before, theirs.pad_after)
            != (*outputs, window.pad_before, window.pad_after)
        {
            return Err(format!(
                "its output along axis {axis} is {} cells by one count and {outputs} by another",
                theirs.convoluted
            ));
        }
    }
    let [(y, height), (x, width)] = axes.as_slice() else {
        return Err("one of its axes is missing".into());
    };
    let listed = listed(y, shape.height, *height).saturating_mul(listed(x, shape.width, *width));
    if listed > MAX_LISTED_TAPS {
        return Err(format!(
            "its padding is too large for windows of {}x{} taps: {listed} taps would be listed, at \
             most {MAX_LISTED_TAPS} are; use a smaller kernel or less padding",
            x.kernel, y.kernel
        ));
    }
    Ok((
        *y,
        *x,
        MapShape {
            channels: shape.channels,
            height: *height,
            width: *width,
        },
    ))
}

/// Taps that the library lists of one convolution or pool (16 bytes each).
const MAX_LISTED_TAPS: usize = 1 << 24;

/// Taps that the library lists along one axis, at most: those of each window that reaches into the
/// padding, and once those of all others. Of both axes it lists the product.
fn listed(window: &Window, inputs: usize, outputs: usize) -> usize {
    let stride = window.stride.max(1);
    let first = window.pad_before.div_ceil(stride);
    let room = window
        .field()
        .and_then(|field| inputs.saturating_add(window.pad_before).checked_sub(field));
    let inside = room.map_or(0, |room| (room / stride + 1).saturating_sub(first));
    let at_border = outputs.saturating_sub(inside);
    window.kernel.saturating_mul(at_border.saturating_add(1))
}

/// The window along one axis and its number of outputs, from the definition.
fn window(spec: &PoolSpec, axis: usize, inputs: usize) -> Result<(Window, usize), String> {
    let pick = |values: Option<&[usize]>| match values {
        None => Ok(1),
        Some(values) => values
            .get(axis)
            .copied()
            .ok_or("one of its axes is missing"),
    };
    let mut window = Window {
        kernel: spec
            .kernel_shape
            .get(axis)
            .copied()
            .ok_or("one of its axes is missing")?,
        stride: pick(spec.strides.as_deref())?,
        dilation: pick(spec.dilations.as_deref())?,
        pad_before: 0,
        pad_after: 0,
    };
    let field = window
        .field()
        .ok_or("its kernel, stride or dilation is not possible")?;
    let mut ceil = false;
    match &spec.padding {
        PaddingSpec::Valid => {}
        PaddingSpec::Explicit(before, after) => {
            (window.pad_before, window.pad_after) = (pick(Some(before))?, pick(Some(after))?);
        }
        PaddingSpec::ExplicitOnnxPool(before, after, rounds_up) => {
            (window.pad_before, window.pad_after) = (pick(Some(before))?, pick(Some(after))?);
            ceil = *rounds_up;
        }
        PaddingSpec::SameUpper | PaddingSpec::SameLower => {
            // ceil(inputs / stride) outputs, with as little padding as that needs.
            let last = (inputs.div_ceil(window.stride).max(1) - 1).checked_mul(window.stride);
            let needed = last
                .and_then(|last| last.checked_add(field))
                .ok_or("it overflows")?;
            let total = needed.saturating_sub(inputs);
            let (small, large) = (total / 2, total - total / 2);
            (window.pad_before, window.pad_after) = if spec.padding == PaddingSpec::SameUpper {
                (small, large)
            } else {
                (large, small)
            };
        }
    }
    let outputs = window.outputs(inputs, ceil).ok_or_else(|| {
        format!("its window of {field} cells does not fit a map of {inputs} cells with padding")
    })?;
    Ok((window, outputs))
}

/// Length of an axis with cells added on both sides.
pub(crate) fn padded(length: usize, added: (usize, usize)) -> Result<usize, String> {
    length
        .checked_add(added.0)
        .and_then(|length| length.checked_add(added.1))
        .filter(|length| *length <= MAX_VALUES)
        .ok_or_else(|| {
            format!(
                "adds {} and {} cells, which is not possible",
                added.0, added.1
            )
        })
}

#[cfg(test)]
mod tests;
