//! How fast a device multiplies matrices, to hold the rate of a run against.

use std::time::{Duration, Instant};

use tch::{Device, Kind, TchError, Tensor, no_grad};

use super::Compute;

/// How long it is measured at least.
const LEAST: Duration = Duration::from_millis(100);

/// The rate of one large convolution of kernel 1, which is a product of two matrices, in GFLOP/s: the best of those that
/// a tenth of a second has room for. Draws no random numbers.
///
/// # Errors
/// Where libtorch fails, for want of memory for example.
pub fn matrix_gflops(compute: Compute, device: Device) -> Result<f64, TchError> {
    // A GPU is filled by matrices of another size than one core, and starts several while it works on the first.
    let (width, images, repeats) = match device {
        Device::Cpu => (512, 8, 1),
        _ => (4096, 64, 8),
    };
    let side = 16;
    // Numbers that differ: with one number everywhere a GPU draws less power and is faster.
    let numbers = |shape: [i64; 4]| {
        let count: i64 = shape.iter().product();
        let flat = Tensor::f_arange(count, (Kind::Int64, device))?;
        let small = flat.f_remainder(251)?.f_to_kind(Kind::Float)? / 251.0 - 0.5;
        small.f_to_kind(compute.kind)?.f_view(shape)
    };
    let weights = numbers([width, width, 1, 1])?;
    let mut input = numbers([images, width, side, side])?;
    if compute.channels_last {
        let cells = input.f_permute([0, 2, 3, 1])?.f_contiguous()?;
        input = cells.f_permute([0, 3, 1, 2])?;
    }
    let bias = None::<&Tensor>;
    let round = || -> Result<Duration, TchError> {
        let begun = Instant::now();
        let mut output = None;
        for _ in 0..repeats {
            output = Some(input.f_conv2d(&weights, bias, 1, 0, 1, 1)?);
        }
        if let Some(output) = output {
            // The device is done once one of its numbers is here.
            output.f_double_value(&[0, 0, 0, 0])?;
        }
        Ok(begun.elapsed())
    };
    let best = no_grad(|| {
        // The first has to find out how.
        round()?;
        let begun = Instant::now();
        let mut best = round()?;
        while begun.elapsed() < LEAST {
            best = best.min(round()?);
        }
        Ok::<_, TchError>(best)
    })?;
    let work = 2 * repeats * images * side * side * width * width;
    Ok(work as f64 / best.as_secs_f64() / 1e9)
}
