//! libtorch, kept in an ignored folder of the repository.
//!
//! The trainer links against libtorch 2.11.0. It comes from the Python package
//! index as three wheels pinned by hash, of which only the CPU libraries and the
//! headers are kept: `torch/{lib,include,version.py}` and `nvidia/cu13/lib`
//! (`libtorch_cpu.so` needs the two small CUDA libraries there even without a GPU).

mod fetch;
mod pins;
mod verify;

use crate::exec;
use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which libtorch the builds use.
#[derive(Debug)]
pub(crate) enum Site {
    /// The folder that `setup` fills; it is checked before it is trusted.
    Ours(PathBuf),
    /// The user's own, named by the environment; it is left as it is.
    Users(String),
}

impl Site {
    /// Takes the folder asked for, else the user's own libtorch, else `.libtorch`.
    pub(crate) fn choose(asked: Option<PathBuf>) -> Result<Site> {
        let default = exec::root().join(".libtorch");
        if let Some(dir) = asked {
            let dir = std::path::absolute(&dir)
                .with_context(|| format!("{} is not a usable path", dir.display()))?;
            return Ok(Site::Ours(dir));
        }
        // Cargo hands `.cargo/config.toml`'s LIBTORCH to this program too, so the
        // variable is the user's only where it says something else.
        let named = std::env::var_os("LIBTORCH")
            .filter(|value| !value.is_empty() && Path::new(value) != default.join("torch"));
        if let Some(value) = named {
            return Ok(Site::Users(format!("LIBTORCH={}", value.to_string_lossy())));
        }
        if std::env::var_os("LIBTORCH_USE_PYTORCH").is_some_and(|value| value == OsStr::new("1")) {
            return Ok(Site::Users("LIBTORCH_USE_PYTORCH=1".to_owned()));
        }
        Ok(Site::Ours(default))
    }

    /// Points a build at this libtorch.
    pub(crate) fn apply<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        match self {
            Site::Ours(dir) => command.env("LIBTORCH", dir.join("torch")),
            Site::Users(_) => command,
        }
    }
}

/// Sees to it that libtorch is there and whole: checks it, and fetches it where it is not.
pub(crate) fn ensure(site: &Site) -> Result<()> {
    let dir = match site {
        Site::Ours(dir) => dir,
        Site::Users(named) => {
            eprintln!("libtorch: yours is used as it is ({named})");
            return Ok(());
        }
    };
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!(
            "libtorch can be fetched for Linux on x86-64 only. Get libtorch {} for this machine \
             yourself (https://pytorch.org) and set LIBTORCH to its folder, the one with `lib` \
             and `include` in it",
            pins::VERSION
        );
    }
    if verify::by_stamp(dir) {
        eprintln!("libtorch: {} is there and whole", pins::VERSION);
        return Ok(());
    }
    let _lock = fetch::lock(dir)?;
    if dir.exists() {
        match verify::by_hash(dir) {
            Ok(()) => {
                verify::write_stamp(dir)?;
                eprintln!(
                    "libtorch: {} is there, and every hash is right",
                    pins::VERSION
                );
                return Ok(());
            }
            Err(fault) => eprintln!("libtorch: {fault:#}; it will be fetched anew"),
        }
    }
    fetch::fetch(dir)
}
