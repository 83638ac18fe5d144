//! Image files that are whole.

use std::fs::{self, File};
use std::io::{BufReader, Cursor, Read};
use std::path::Path;

use image::codecs::pnm::PnmDecoder;
use image::{ImageFormat, ImageReader, Limits, RgbImage};

use crate::{Checksums, FolderError, contained};

/// Endings of image files, in lower case.
const ENDINGS: [&str; 6] = ["png", "jpg", "jpeg", "ppm", "pgm", "pnm"];
/// Bytes of an image file, and of its pixels.
const MAX_BYTES: u64 = 256 << 20;
/// Pixels along one side.
const MAX_SIDE: u32 = 1 << 15;

/// Whether the name ends as those of image files do that are read: in any case of letters.
#[must_use]
pub fn has_image_ending(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| ENDINGS.contains(&ending.to_ascii_lowercase().as_str()))
}

/// The image file at `path`, which is `name` in the list of checksums.
pub(crate) fn decode(
    path: &Path,
    name: &str,
    checksums: &Checksums,
) -> Result<RgbImage, FolderError> {
    decode_by(pixels, path, name, checksums)
}

/// The same with a decoder of the caller's. A panic of it is one more thing that can be wrong with the image: those who read
/// folders know by that which file it was, and the threads that decode ahead do not end without a word.
fn decode_by(
    decoder: impl Fn(&[u8]) -> Result<RgbImage, String>,
    path: &Path,
    name: &str,
    checksums: &Checksums,
) -> Result<RgbImage, FolderError> {
    let unreadable = |source| FolderError::Unreadable {
        path: path.to_owned(),
        source,
    };
    // A pipe would be waited for without end.
    let about = fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() || about.len() > MAX_BYTES {
        let reason = format!("it is no regular file of at most {MAX_BYTES} bytes");
        return Err(unreadable(std::io::Error::other(reason)));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    checksums.check(name, &bytes)?;
    // What the decoder had begun is dropped with it.
    let decoded = contained(|| decoder(&bytes));
    let decoded = decoded.unwrap_or_else(|said| Err(format!("its decoder failed ({said})")));
    decoded.map_err(|reason| FolderError::BadImage {
        path: path.to_owned(),
        reason,
    })
}

fn pixels(bytes: &[u8]) -> Result<RgbImage, String> {
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .map_err(|error| error.to_string())?;
    check_whole(bytes, reader.format())?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let image = reader.decode().map_err(|error| error.to_string())?;
    if image.width() == 0 || image.height() == 0 {
        return Err("it has no pixel".into());
    }
    Ok(image.into_rgb8())
}

/// Checks what decoders let pass: the bytes must be a PNG, JPEG or PNM image, as `format` was guessed, and a
/// JPEG must not be cut off, nor the samples of a PNM have a range of their own.
///
/// # Errors
/// What is wrong, in words.
pub fn check_whole(bytes: &[u8], format: Option<ImageFormat>) -> Result<(), String> {
    match format {
        Some(ImageFormat::Png) => Ok(()),
        Some(ImageFormat::Jpeg) => check_jpeg_end(bytes),
        Some(ImageFormat::Pnm) => check_pnm_range(bytes),
        Some(other) => Err(format!("{other:?} files are not read")),
        None => Err("the first bytes belong to no such format".to_owned()),
    }
}

/// The decoder fills what is missing from a cut-off JPEG with grey; such a picture is not the frame.
fn check_jpeg_end(bytes: &[u8]) -> Result<(), String> {
    if jpeg_ends(bytes) {
        Ok(())
    } else {
        Err("it has no end-of-image marker after its pixels; the file is cut short".to_owned())
    }
}

/// Walks from marker to marker (ITU-T T.81, Annex B). A preview inside the file ends with the same marker as the
/// file does, and some cameras write more behind that, so the last bytes alone say nothing.
fn jpeg_ends(bytes: &[u8]) -> bool {
    const START_OF_IMAGE: u8 = 0xD8;
    const END_OF_IMAGE: u8 = 0xD9;
    let mut rest = bytes;
    while let Some(at) = next_marker(rest) {
        let (marker, after) = match rest.get(at..) {
            Some([_, marker, after @ ..]) => (*marker, after),
            _ => return false,
        };
        rest = match marker {
            END_OF_IMAGE => return true,
            // Without a length: start of image, and one that is used in arithmetic coding only.
            START_OF_IMAGE | 0x01 => after,
            _ => {
                let Some([high, low]) = after.first_chunk() else {
                    return false;
                };
                let len = usize::from(u16::from_be_bytes([*high, *low]));
                after.get(len.max(2)..).unwrap_or_default()
            }
        };
    }
    false
}

/// Where the next marker is: not a stuffed byte, a fill byte or a restart in the pixels of a scan.
fn next_marker(bytes: &[u8]) -> Option<usize> {
    let is_marker = |pair: &[u8]| matches!(pair, [0xFF, 0x01..=0xCF | 0xD8..=0xFE]);
    bytes.windows(2).position(is_marker)
}

/// The decoder leaves samples as they are, whatever the declared maximum; only a full range may pass.
fn check_pnm_range(bytes: &[u8]) -> Result<(), String> {
    let decoder = PnmDecoder::new(BufReader::new(Cursor::new(bytes))).map_err(|e| e.to_string())?;
    match decoder.into_inner().1.maximal_sample() {
        255 | 65535 => Ok(()),
        other => Err(format!(
            "its samples reach up to {other}; only 255 and 65535 are read"
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, clippy::unwrap_used, clippy::indexing_slicing)]

    use super::*;

    #[test]
    fn a_decoder_that_panics_is_an_error_with_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("odd.png");
        fs::write(&path, [7; 3]).unwrap();
        let checksums = Checksums::read(folder.path()).unwrap();
        let said = |decoder: fn(&[u8]) -> Result<RgbImage, String>| {
            let decoded = decode_by(decoder, &path, "odd.png", &checksums);
            decoded.unwrap_err().to_string()
        };
        let panics = [
            said(|bytes| panic!("{} bytes", bytes.len())),
            said(|_| panic!("3 bytes")),
        ];
        for said in panics {
            assert!(said.contains("odd.png: not a whole PNG"), "{said}");
            assert!(said.contains("failed (3 bytes)"), "{said}");
        }
        let past = said(|bytes| Ok(RgbImage::new(bytes[3].into(), 1)));
        assert!(past.contains("index out of bounds"), "{past}");
    }
}
