//! One image as the network takes it.

use std::ffi::OsStr;
use std::io::Cursor;
use std::path::Path;

use bagcert_images::{check_whole, contained};
use image::{DynamicImage, ImageReader, Limits};

use super::{FrameError, Size};
use crate::bounded::{self, ReadError};

/// No image that a network takes is larger on disk; a device never ends.
pub(crate) const MAX_FILE: u64 = 256 << 20;

/// Four channels of 16 bits, and as much again for the decoder.
const BYTES_PER_PIXEL: u64 = 16;
/// Bytes of a colour profile, unpacked.
const MAX_PROFILE: u64 = 16 << 20;

/// Pixels of one frame: three planes (red, green, blue) of `height` rows of `width` values in [0, 1].
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    size: Size,
    planes: Vec<f32>,
}

impl Picture {
    /// Takes 3 x height x width values, row-major, plane by plane.
    pub(super) fn from_planes(size: Size, planes: Vec<f32>) -> Picture {
        Picture { size, planes }
    }

    /// Decodes a PNG, JPEG or PNM file of exactly `size` pixels.
    ///
    /// - A sample v of 8 bits becomes v / 255, one of 16 bits v / 65535. Colour profiles, gamma and
    ///   orientation tags are not applied.
    /// - Grey is expanded to three equal channels.
    /// - An alpha channel is dropped where every pixel is opaque, else the image is refused: there is
    ///   no saying what lies behind it.
    ///
    /// # Errors
    /// [`FrameError::Unreadable`], [`FrameError::BadImage`], [`FrameError::WrongSize`] or
    /// [`FrameError::Transparent`].
    pub fn read(path: &Path, size: Size) -> Result<Picture, FrameError> {
        let bytes = bounded::read(path, MAX_FILE).map_err(|error| match error {
            ReadError::Io(source) => FrameError::Unreadable {
                path: path.to_owned(),
                source,
            },
            ReadError::NotAFile | ReadError::TooLarge(_) => FrameError::BadImage {
                path: path.to_owned(),
                reason: format!("it {error}"),
            },
        })?;
        Picture::decode(&bytes, path, size)
    }

    /// Decodes the bytes of an image file, as [`read`](Picture::read) does; `path` is their name in
    /// errors only.
    ///
    /// # Errors
    /// As of [`read`](Picture::read), less those of reading.
    pub fn decode(bytes: &[u8], path: &Path, size: Size) -> Result<Picture, FrameError> {
        Picture::decode_by(bytes, path, size, Picture::decoded)
    }

    /// A panic of the decoder is a bad image like any other, and does not end the frames after it.
    fn decode_by(
        bytes: &[u8],
        path: &Path,
        size: Size,
        decoder: impl FnOnce(&[u8], &Path, Size) -> Result<Picture, FrameError>,
    ) -> Result<Picture, FrameError> {
        contained(|| decoder(bytes, path, size)).unwrap_or_else(|said| {
            Err(FrameError::BadImage {
                path: path.to_owned(),
                reason: format!("its decoder failed ({said})"),
            })
        })
    }

    fn decoded(bytes: &[u8], path: &Path, size: Size) -> Result<Picture, FrameError> {
        let bad = |reason: String| FrameError::BadImage {
            path: path.to_owned(),
            reason,
        };
        let reader = || {
            let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
            reader.limits(limits(size));
            Ok::<_, std::io::Error>(reader)
        };
        let header = reader().map_err(|e| bad(e.to_string()))?;
        check_whole(bytes, header.format()).map_err(bad)?;
        // The header alone first: a hostile size is refused before any pixel is allocated.
        let (width, height) = header.into_dimensions().map_err(|e| bad(e.to_string()))?;
        let found = Size { width, height };
        if found != size {
            return Err(FrameError::WrongSize {
                path: path.to_owned(),
                found,
                expected: size,
            });
        }
        let image = reader()
            .map_err(|e| bad(e.to_string()))?
            .decode()
            .map_err(|e| bad(e.to_string()))?;
        if let Some((x, y)) = first_transparent(&image) {
            return Err(FrameError::Transparent {
                path: path.to_owned(),
                x,
                y,
            });
        }
        Ok(Picture {
            size,
            planes: planes(&image),
        })
    }

    /// From interleaved 8-bit RGB, row by row: a byte v becomes v / 255, as in a decoded file. `None`
    /// where there are more or fewer than 3 x height x width bytes.
    #[must_use]
    pub fn from_rgb8(size: Size, pixels: &[u8]) -> Option<Picture> {
        let samples = (u64::from(size.width) * u64::from(size.height)).checked_mul(3)?;
        if u64::try_from(pixels.len()) != Ok(samples) {
            return None;
        }
        Some(Picture {
            size,
            planes: split(pixels, from_8_bits),
        })
    }

    /// Its size in pixels.
    #[must_use]
    pub const fn size(&self) -> Size {
        self.size
    }

    /// 3 x height x width values in [0, 1], row-major, plane by plane: what the engine takes.
    #[must_use]
    pub fn planes(&self) -> &[f32] {
        &self.planes
    }

    /// The pixels as interleaved 8-bit RGB, for display.
    #[must_use]
    pub fn to_rgb8(&self) -> Vec<u8> {
        let plane = self.size.width as usize * self.size.height as usize;
        let mut planes = self.planes.chunks(plane.max(1));
        let (Some(red), Some(green), Some(blue)) = (planes.next(), planes.next(), planes.next())
        else {
            return Vec::new();
        };
        red.iter()
            .zip(green)
            .zip(blue)
            .flat_map(|((r, g), b)| [*r, *g, *b])
            // `as` saturates, and the values are in [0, 1].
            .map(|v| (v * 255.0).round() as u8)
            .collect()
    }
}

/// The class in a file name `<anything>-<class>.<ending>`, for example `0003-cat.png`.
///
/// The label is the class whose whole name follows the last matching `-`; where several fit
/// (`fly`, `butter-fly`), the longest. `None` where the name ends in no class of the model.
#[must_use]
pub fn label_of_file_name(path: &Path, class_names: &[String]) -> Option<usize> {
    let stem = path.file_stem().and_then(OsStr::to_str)?;
    class_names
        .iter()
        .enumerate()
        .filter(|(_, name)| {
            !name.is_empty()
                && stem
                    .strip_suffix(name.as_str())
                    .is_some_and(|rest| rest.ends_with('-'))
        })
        .max_by_key(|(_, name)| name.len())
        .map(|(class, _)| class)
}

/// What decoding may allocate: room for the pixels in any format, and for a colour profile, which is
/// unpacked though nobody uses it. A small file can hold one of any length.
fn limits(size: Size) -> Limits {
    let pixels = u64::from(size.width).saturating_mul(u64::from(size.height));
    let mut limits = Limits::default();
    limits.max_alloc = Some(
        pixels
            .saturating_mul(BYTES_PER_PIXEL)
            .saturating_add(MAX_PROFILE),
    );
    limits
}

fn first_transparent(image: &DynamicImage) -> Option<(u32, u32)> {
    if !image.color().has_alpha() {
        return None;
    }
    let rgba = image.to_rgba16();
    rgba.enumerate_pixels()
        .find(|(_, _, pixel)| pixel.0[3] != u16::MAX)
        .map(|(x, y, _)| (x, y))
}

fn planes(image: &DynamicImage) -> Vec<f32> {
    let deep = image.color().bytes_per_pixel() / image.color().channel_count().max(1) > 1;
    if deep {
        split(image.to_rgb16().as_raw(), |v| f32::from(v) / 65535.0)
    } else {
        split(image.to_rgb8().as_raw(), from_8_bits)
    }
}

/// The value of a sample of 8 bits.
fn from_8_bits(sample: u8) -> f32 {
    f32::from(sample) / 255.0
}

/// Interleaved samples to three planes.
fn split<T: Copy>(samples: &[T], to_unit: impl Fn(T) -> f32) -> Vec<f32> {
    (0..3)
        .flat_map(|channel| samples.iter().skip(channel).step_by(3))
        .map(|&v| to_unit(v))
        .collect()
}

#[cfg(test)]
#[allow(clippy::panic, clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_decoder_that_panics_is_a_bad_image() {
        let size = Size {
            width: 1,
            height: 1,
        };
        let decoder = |_: &[u8], _: &Path, _| panic!("an index out of range");
        let error = Picture::decode_by(b"", Path::new("a.png"), size, decoder).unwrap_err();
        assert!(matches!(error, FrameError::BadImage { .. }));
        let said = error.to_string();
        assert!(
            said.contains("a.png") && said.contains("an index out of range"),
            "{said}"
        );
    }
}
