//! TorchScript modules.

use std::{fs::File, io::Read, path::Path};

use tch::{CModule, Device, Kind, TchError, Tensor, jit, no_grad};

/// How a TorchScript file begins, which is a ZIP archive.
const MAGIC: [u8; 4] = *b"PK\x03\x04";

/// A module that takes a tensor and answers with one.
pub(super) struct Script(CModule);

impl Script {
    /// Whether the file at `path` is one, by its first bytes. One that cannot be read is none.
    pub(super) fn is_at(path: &Path) -> bool {
        let mut start = [0; MAGIC.len()];
        let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
        read.is_ok() && start == MAGIC
    }

    /// Loads it to a device.
    ///
    /// # Errors
    /// What libtorch says of it.
    pub(super) fn open(path: &Path, device: Device) -> Result<Self, String> {
        let load = || {
            let mut module = CModule::load_on_device(path, device)?;
            module.f_set_eval()?;
            Ok(Self(module))
        };
        load().map_err(|error: TchError| {
            let reason = reason(&error);
            format!(
                "no module as torch.jit.save writes it (torch.save writes weights alone): {reason}"
            )
        })
    }

    /// Its answer to `images`.
    ///
    /// # Errors
    /// What libtorch says of it.
    pub(super) fn ask(&self, images: &Tensor) -> Result<Tensor, String> {
        let ask = || {
            // As it is written, from its first batch on: fused after some batches it would round otherwise, and a
            // resumed run would not have the same result. Holds for this thread.
            jit::f_set_graph_executor_optimize(false)?;
            self.0.forward_ts(&[images])?.f_to_kind(Kind::Float)
        };
        no_grad(ask).map_err(|error| reason(&error))
    }
}

/// The line of an error of libtorch that says why: the first, before a trace of its own calls, but where a module fails the
/// last, behind a trace of the module's.
fn reason(error: &TchError) -> String {
    let text = error.to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = if text.contains("failed in the TorchScript interpreter") {
        lines.next_back()
    } else {
        lines.next()
    };
    line.unwrap_or_default().to_owned()
}
