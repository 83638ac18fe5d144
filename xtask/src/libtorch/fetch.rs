//! Fetching the wheels and unpacking what is needed of them.
//!
//! All of it happens in a folder beside the wanted one, which takes its place
//! by a rename at the very end: a kill, a full disk or a lost network leaves
//! nothing that could be taken for whole. Wheels that had come already are kept
//! for the next try.

use super::{pins, verify};
use crate::{exec, python};
use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use zip::ZipArchive;

/// Platforms that pip is asked for, newest first: the wheels differ in theirs.
const PLATFORMS: [&str; 4] = [
    "manylinux_2_28_x86_64",
    "manylinux_2_25_x86_64",
    "manylinux_2_17_x86_64",
    "manylinux2014_x86_64",
];

/// Waits until no other set-up works on the same folder. Released when dropped, or by a kill.
pub(super) fn lock(dir: &Path) -> Result<File> {
    let path = beside(dir, ".lock");
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)
            .with_context(|| format!("could not make the folder {}", parent.display()))?;
    }
    let file =
        File::create(&path).with_context(|| format!("could not create {}", path.display()))?;
    file.lock()
        .with_context(|| format!("could not lock {}", path.display()))?;
    Ok(file)
}

/// Fetches, checks and unpacks libtorch, then puts it in the place of `dir`.
pub(super) fn fetch(dir: &Path) -> Result<()> {
    refuse_foreign_folder(dir)?;
    let work = beside(dir, ".partial");
    let wheels = work.join("wheels");
    let tree = work.join("tree");
    if tree.exists() {
        fs::remove_dir_all(&tree)
            .with_context(|| format!("could not remove {}", tree.display()))?;
    }
    for folder in [&wheels, &tree] {
        fs::create_dir_all(folder)
            .with_context(|| format!("could not make the folder {}", folder.display()))?;
    }
    let files = download(&wheels)?;
    for file in &files {
        unpack(file, &tree)
            .with_context(|| format!("could not unpack {} (is the disk full?)", file.display()))?;
    }
    verify::by_hash(&tree)?;
    verify::write_stamp(&tree)?;

    let old = work.join("old");
    if dir.exists() {
        fs::rename(dir, &old).with_context(|| format!("could not move {}", dir.display()))?;
    }
    fs::rename(&tree, dir).with_context(|| format!("could not put {} in place", dir.display()))?;
    fs::remove_dir_all(&work).with_context(|| format!("could not remove {}", work.display()))?;
    eprintln!("libtorch: {} is in {}", pins::VERSION, dir.display());
    Ok(())
}

/// A folder that holds anything else than libtorch is not ours to replace.
fn refuse_foreign_folder(dir: &Path) -> Result<()> {
    if !dir.exists() {
        return Ok(());
    }
    let entries =
        fs::read_dir(dir).with_context(|| format!("{} is not a folder", dir.display()))?;
    for entry in entries {
        let name = entry?.file_name();
        let ours = ["torch", "nvidia"].iter().any(|known| name == *known)
            || name.to_string_lossy().starts_with(verify::STAMP);
        if !ours {
            bail!(
                "{} holds {}, which is not part of libtorch: name another folder, or remove it",
                dir.display(),
                name.display()
            );
        }
    }
    Ok(())
}

/// Has pip fetch the wheels that are not there yet; returns their paths.
fn download(wheels: &Path) -> Result<Vec<PathBuf>> {
    if let Ok(files) = checked(wheels) {
        return Ok(files);
    }
    let requirements = wheels.join("requirements.txt");
    let lines: String = pins::WHEELS
        .iter()
        .map(|wheel| format!("{} --hash=sha256:{}\n", wheel.requirement, wheel.sha256))
        .collect();
    fs::write(&requirements, lines)
        .with_context(|| format!("could not write {}", requirements.display()))?;

    let mut pip = python::pip()?;
    pip.args([
        "download",
        "--require-hashes",
        "--no-deps",
        "--only-binary=:all:",
        "--python-version",
        "3.12",
        "--implementation",
        "cp",
    ]);
    for platform in PLATFORMS {
        pip.args(["--platform", platform]);
    }
    pip.arg("--dest")
        .arg(wheels)
        .arg("--requirement")
        .arg(&requirements);
    eprintln!(
        "libtorch: fetching {} from the Python package index (about 545 MB)",
        pins::VERSION
    );
    exec::run(&mut pip).context(
        "the wheels did not come. See pip's words above: a network or a package index \
         that cannot be reached (PIP_INDEX_URL names another), a full disk, or a file with \
         the wrong hash. Or set LIBTORCH to a libtorch of your own",
    )?;
    checked(wheels)
}

/// The paths of all wheels, each with the hash that was pinned.
fn checked(wheels: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for wheel in &pins::WHEELS {
        let mut found = None;
        for entry in fs::read_dir(wheels)? {
            let entry = entry?;
            if entry
                .file_name()
                .to_string_lossy()
                .starts_with(wheel.file_prefix)
            {
                found = Some(entry.path());
            }
        }
        let Some(path) = found else {
            bail!("there is no wheel of {}", wheel.requirement);
        };
        if verify::sha256_of(&path)? != wheel.sha256 {
            bail!("{} has not the hash that was pinned", path.display());
        }
        files.push(path);
    }
    Ok(files)
}

/// Unpacks the kept files and headers of one wheel.
fn unpack(wheel: &Path, tree: &Path) -> Result<()> {
    let mut archive = ZipArchive::new(File::open(wheel)?)?;
    let headers = format!("{}/", pins::HEADERS);
    let names: Vec<String> = archive
        .file_names()
        .filter(|name| {
            !name.ends_with('/')
                && (name.starts_with(&headers) || pins::FILES.iter().any(|kept| kept.path == *name))
        })
        .map(str::to_owned)
        .collect();
    let bar = ProgressBar::no_length().with_style(
        ProgressStyle::with_template("unpacking {wide_bar} {bytes}/{total_bytes}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    for name in &names {
        bar.inc_length(archive.by_name(name)?.size());
    }
    for name in &names {
        let mut member = archive.by_name(name)?;
        // None for a name that would leave the folder.
        let Some(inside) = member.enclosed_name().map(Path::to_path_buf) else {
            bail!("the wheel holds a file outside its own folder: {name}");
        };
        let path = tree.join(inside);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut file = File::create(&path)?;
        io::copy(&mut bar.wrap_read(&mut member), &mut file)?;
        if !name.starts_with(&headers) {
            // The rename must not reach the disk before the libraries do.
            file.sync_all()?;
        }
    }
    bar.finish_and_clear();
    Ok(())
}

/// The path with something added to its last name: a neighbour on the same file system.
fn beside(dir: &Path, suffix: &str) -> PathBuf {
    let mut name: OsString = dir.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_folder_of_something_else_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        refuse_foreign_folder(dir.path()).unwrap();
        fs::create_dir(dir.path().join("torch")).unwrap();
        fs::write(dir.path().join(verify::STAMP), "").unwrap();
        refuse_foreign_folder(dir.path()).unwrap();
        fs::write(dir.path().join("letter.txt"), "").unwrap();
        let fault = refuse_foreign_folder(dir.path()).unwrap_err().to_string();
        assert!(fault.contains("letter.txt"), "{fault}");
    }

    fn wheel_of(dir: &Path, members: &[&str]) -> PathBuf {
        let wheel = dir.join("torch-0.whl");
        let mut zip = zip::ZipWriter::new(File::create(&wheel).unwrap());
        for name in members {
            zip.start_file(*name, zip::write::FileOptions::default())
                .unwrap();
            zip.write_all(name.as_bytes()).unwrap();
        }
        zip.finish().unwrap();
        wheel
    }

    #[test]
    fn only_the_kept_members_are_unpacked() {
        let dir = tempfile::tempdir().unwrap();
        let members = [
            "torch/lib/libc10.so",
            "torch/lib/libtorch_cuda.so",
            "torch/include/a/b.h",
            "torch/nn/__init__.py",
        ];
        let tree = dir.path().join("tree");
        unpack(&wheel_of(dir.path(), &members), &tree).unwrap();
        for (name, kept) in members.iter().zip([true, false, true, false]) {
            assert_eq!(tree.join(name).exists(), kept, "{name}");
        }
    }

    #[test]
    fn a_member_outside_its_folder_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let wheel = wheel_of(dir.path(), &["torch/include/../../../outside.h"]);
        let fault = unpack(&wheel, &dir.path().join("tree")).unwrap_err();
        assert!(fault.to_string().contains("outside.h"), "{fault}");
        assert!(!dir.path().join("outside.h").exists());
    }

    #[test]
    fn a_wheel_with_another_hash_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for wheel in &pins::WHEELS {
            let name = format!("{}0-py3-none-any.whl", wheel.file_prefix);
            fs::write(dir.path().join(name), "not a wheel").unwrap();
        }
        let fault = checked(dir.path()).unwrap_err().to_string();
        assert!(fault.contains("hash"), "{fault}");
    }
}
