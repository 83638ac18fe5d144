//! The device to compute on. One binary serves machines with and without CUDA.

use std::fmt;

use thiserror::Error;

/// A device as named on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The processor.
    Cpu,
    /// The first CUDA device.
    Cuda,
}

/// CUDA was asked for and is not there.
#[derive(Debug, Error)]
#[error(
    "--device cuda: libtorch sees no CUDA device here ({reason}); use --device cpu, or set LD_LIBRARY_PATH to the lib folder of a CUDA build of libtorch 2.11.0"
)]
pub struct NoCuda {
    reason: String,
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        })
    }
}

impl DeviceChoice {
    /// Opens the device.
    ///
    /// # Errors
    /// Where CUDA is asked for and libtorch cannot use it; there is no silent fall-back.
    pub fn open(self) -> Result<tch::Device, NoCuda> {
        match self {
            Self::Cpu => Ok(tch::Device::Cpu),
            Self::Cuda => {
                let loaded = load_cuda();
                if tch::Cuda::is_available() {
                    tch::Cuda::cudnn_set_benchmark(true);
                    return Ok(tch::Device::Cuda(0));
                }
                let reason = loaded.err().unwrap_or_else(|| {
                    "libtorch_cuda.so was loaded, but no device answered".into()
                });
                Err(NoCuda { reason })
            }
        }
    }
}

/// Loads libtorch's CUDA half, which the linker leaves out because nothing refers to it by name.
#[allow(unsafe_code)]
fn load_cuda() -> Result<(), String> {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    // SAFETY: libtorch_cuda.so belongs to the libtorch that this process already runs; its initialisers only
    // register kernels with it. The library is never unloaded, so nothing registered can dangle.
    let library = unsafe { Library::open(Some("libtorch_cuda.so"), RTLD_NOW | RTLD_GLOBAL) };
    std::mem::forget(library.map_err(|error| error.to_string())?);
    Ok(())
}
