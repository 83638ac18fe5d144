//! The files of the repository: shipped models, their frames, pages.

use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// The root folder of the repository.
pub fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_path_buf()
}

/// The shipped models, `models/*.onnx`, by name.
///
/// A folder named by `BAGCERT_MODELS` takes the place of `models`, so that a model can be
/// put through the tests before it is shipped.
///
/// # Errors
/// Where the folder exists and cannot be read.
pub fn models() -> Result<Vec<PathBuf>> {
    let folder = std::env::var_os("BAGCERT_MODELS");
    with_ending(
        &folder.map_or_else(|| root().join("models"), PathBuf::from),
        "onnx",
    )
}

/// The shipped sample frames, `models/frames/*.png`, by name.
///
/// # Errors
/// Where the folder exists and cannot be read.
pub fn frames() -> Result<Vec<PathBuf>> {
    with_ending(&root().join("models").join("frames"), "png")
}

fn with_ending(folder: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut paths = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("could not read {}", folder.display()))?
    {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == ending) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// A picture as `C x H x W` values in `[0,1]`, with its width and height in pixels.
///
/// # Errors
/// Where the file is not a picture.
pub fn pixels(path: &Path) -> Result<(Vec<f32>, u32, u32)> {
    let picture = image::open(path)
        .with_context(|| format!("could not read {}", path.display()))?
        .into_rgb8();
    let (width, height) = picture.dimensions();
    let values = (0..3)
        .flat_map(|channel| {
            picture
                .pixels()
                .map(move |pixel| f32::from(pixel.0[channel]) / 255.0)
        })
        .collect();
    Ok((values, width, height))
}

/// Writes `C x H x W` values in `[0,1]` as a PNG; each is rounded to one of 256 steps.
///
/// # Errors
/// Where the number of values is not `3 * width * height`, or the file cannot be written.
pub fn write_png(path: &Path, values: &[f32], width: u32, height: u32) -> Result<()> {
    let plane = width as usize * height as usize;
    if values.len() != 3 * plane {
        bail!("{} values are not three planes of {plane}", values.len());
    }
    let step = |at: usize| (values.get(at).copied().unwrap_or(0.0) * 255.0).round() as u8;
    let picture = image::RgbImage::from_fn(width, height, |x, y| {
        let at = y as usize * width as usize + x as usize;
        image::Rgb([step(at), step(plane + at), step(2 * plane + at)])
    });
    picture
        .save(path)
        .with_context(|| format!("could not write {}", path.display()))
}

/// The pages written for users: every Markdown file of the repository that is not ignored.
///
/// # Errors
/// Where a folder cannot be read.
pub fn pages() -> Result<Vec<PathBuf>> {
    let mut pages = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if entry.file_type()?.is_dir() {
                // Built, fetched and hidden things are not pages of ours.
                if !name.starts_with('.') && !name.starts_with("target") && name != "runs" {
                    folders.push(entry.path());
                }
            } else if name.ends_with(".md") {
                pages.push(entry.path());
            }
        }
    }
    pages.sort();
    Ok(pages)
}

/// Pseudo-random numbers that are the same everywhere (SplitMix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A sequence of its own for each seed.
    #[must_use]
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in [0, 1).
    pub fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1_u64 << 24) as f32
    }

    /// A number below `bound`, which must not be 0.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound.max(1) as u64) as usize
    }
}
