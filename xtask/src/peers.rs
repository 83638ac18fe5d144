//! `cargo xtask peers`: the certificate beside the same one in Python.

use crate::exec;
use crate::python::Venv;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// CUDA libraries that `import torch` loads but that nothing on a CPU calls.
///
/// They are 2 GB on the package index; empty libraries of the same names let the
/// import pass when symbols are bound at their first call (see `torch_cpu.py`).
const UNUSED_CUDA: [&str; 13] = [
    "libcublas.so.13",
    "libcublasLt.so.13",
    "libcuda.so.1",
    "libcudnn.so.9",
    "libcufft.so.12",
    "libcufile.so.0",
    "libcurand.so.10",
    "libcusolver.so.12",
    "libcusparse.so.12",
    "libcusparseLt.so.0",
    "libnccl.so.2",
    "libnvrtc.so.13",
    "libnvshmem_host.so.3",
];

fn scripts() -> PathBuf {
    exec::root().join("tests").join("peers")
}

fn venv() -> Venv {
    Venv::at(exec::root().join(".peers"))
}

/// Installs numpy, onnx and onnxruntime into `.peers`.
pub(crate) fn install_small() -> Result<()> {
    venv().install(&scripts().join("requirements.txt"), &[])
}

fn install_torch() -> Result<PathBuf> {
    venv().install(&scripts().join("requirements-torch.txt"), &["--no-deps"])?;
    let dir = exec::root().join(".peers").join("unused-cuda");
    fs::create_dir_all(&dir)
        .with_context(|| format!("could not make the folder {}", dir.display()))?;
    for name in UNUSED_CUDA {
        let library = dir.join(name);
        if !library.exists() {
            exec::run(
                Command::new("gcc")
                    .args(["-shared", "-x", "c", "/dev/null", "-o"])
                    .arg(&library)
                    .arg(format!("-Wl,-soname,{name}")),
            )?;
        }
    }
    Ok(dir)
}

/// Installs the packages, then runs the comparison unless only the set-up is wanted.
pub(crate) fn run(torch: bool, setup_only: bool, output: Option<&Path>) -> Result<()> {
    install_small()?;
    let unused_cuda = if torch { Some(install_torch()?) } else { None };
    if setup_only {
        return Ok(());
    }
    exec::run(exec::cargo().args([
        "build",
        "--release",
        "--package",
        "bagcert-certifier",
        "--example",
        "certificate_peer",
    ]))?;
    let mut script = Command::new(venv().python());
    script
        .current_dir(exec::root())
        .arg(scripts().join("certificate.py"))
        .arg("--rust")
        .arg(exec::target_dir()?.join("release/examples/certificate_peer"));
    if let Some(dir) = &unused_cuda {
        // For this process only: a CUDA program would find the empty libraries too.
        script.arg("--torch").env("LD_LIBRARY_PATH", dir);
    }
    if let Some(path) = output {
        script.arg("--output").arg(std::path::absolute(path)?);
    }
    exec::run(&mut script)
}
