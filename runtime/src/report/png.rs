//! Small pictures inside the page.

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder as _, ImageError};

/// Encodes interleaved RGB as PNG in a `data:` address.
pub(super) fn data_uri(width: u32, height: u32, rgb: &[u8]) -> Result<String, ImageError> {
    let mut bytes = Vec::new();
    let expected = width as usize * height as usize * 3;
    if rgb.len() != expected {
        // The encoder panics on a wrong length.
        let error = image::error::ParameterError::from_kind(
            image::error::ParameterErrorKind::DimensionMismatch,
        );
        return Err(ImageError::Parameter(error));
    }
    PngEncoder::new(&mut bytes).write_image(rgb, width, height, ExtendedColorType::Rgb8)?;
    Ok(format!("data:image/png;base64,{}", base64(&bytes)))
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        for (to, from) in group.iter_mut().zip(chunk) {
            *to = *from;
        }
        let word = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for place in 0..4 {
            let six = (word >> (18 - 6 * place)) as usize & 63;
            let letter = ALPHABET.get(six).copied().unwrap_or(b'=');
            text.push(if place <= chunk.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_the_standard() {
        // RFC 4648, section 10.
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (plain, encoded) in vectors {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
        assert_eq!(base64(&[0xFB, 0xFF, 0xFE]), "+//+");
    }

    #[test]
    fn a_wrong_length_is_an_error() {
        assert!(data_uri(2, 2, &[0; 11]).is_err());
        assert!(data_uri(2, 2, &[0; 12]).is_ok());
    }
}
