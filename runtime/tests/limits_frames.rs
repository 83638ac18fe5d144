//! Images made to exhaust: each ends in an error, soon, and holding little memory on the way.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

#[path = "common/memory.rs"]
mod memory;

use std::io::Write;
use std::time::{Duration, Instant};

use bagcert::frames::{Picture, Size};
use memory::most_held;

const MIB: usize = 1 << 20;
const SIZE: Size = Size {
    width: 32,
    height: 32,
};

/// What comes of these bytes. It must not take long, nor hold more than `memory` bytes.
fn read(bytes: &[u8], memory: usize) -> Result<Picture, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("frame.png");
    std::fs::write(&path, bytes).unwrap();
    let start = Instant::now();
    let (outcome, held) = most_held(|| Picture::read(&path, SIZE));
    let took = start.elapsed();
    println!(
        "{} bytes: {took:?}, {held} bytes held: {:?}",
        bytes.len(),
        outcome.as_ref().err()
    );
    assert!(took < Duration::from_secs(10), "took {took:?}");
    assert!(held <= memory, "{held} bytes were held, {memory} expected");
    outcome.map_err(|error| error.to_string())
}

/// As in the PNG format: reflected, polynomial 0xEDB88320.
fn crc32(bytes: &[u8]) -> u32 {
    let mut table = [0u32; 256];
    for (byte, entry) in (0..).zip(&mut table) {
        *entry = (0..8).fold(byte, |sum: u32, _| (sum >> 1) ^ (0xEDB8_8320 * (sum & 1)));
    }
    !bytes.iter().fold(u32::MAX, |sum, byte| {
        (sum >> 8) ^ table[((sum ^ u32::from(*byte)) & 0xff) as usize]
    })
}

fn chunk(name: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut bytes = (data.len() as u32).to_be_bytes().to_vec();
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(data);
    let sum = crc32(&bytes[4..]);
    bytes.extend_from_slice(&sum.to_be_bytes());
    bytes
}

fn png(width: u32, height: u32, more: &[Vec<u8>]) -> Vec<u8> {
    let mut header = Vec::new();
    header.extend_from_slice(&width.to_be_bytes());
    header.extend_from_slice(&height.to_be_bytes());
    header.extend_from_slice(&[8, 2, 0, 0, 0]);
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    bytes.extend(chunk(b"IHDR", &header));
    for chunk in more {
        bytes.extend_from_slice(chunk);
    }
    bytes.extend(chunk(b"IEND", &[]));
    bytes
}

/// Zeros, packed about a thousand to one.
fn zeros(mebibytes: usize) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    for _ in 0..mebibytes {
        encoder.write_all(&[0; MIB]).unwrap();
    }
    encoder.finish().unwrap()
}

#[test]
fn declared_sizes_are_not_believed() {
    for (width, height) in [(u32::MAX >> 1, u32::MAX >> 1), (1 << 20, 1 << 20), (33, 32)] {
        let error = read(&png(width, height, &[chunk(b"IDAT", &zeros(0))]), MIB).unwrap_err();
        assert!(
            error.contains("32x32") || error.contains("sound"),
            "{error}"
        );
    }
    for text in [
        "P6 4000000000 4000000000 255\n",
        "P6 99999999999 1 255\n",
        "P5 1000000 1000000 65535\n",
    ] {
        read(text.as_bytes(), MIB).unwrap_err();
    }
}

#[test]
fn packed_data_is_not_unpacked_without_end() {
    // Of the size asked for, followed by four gigabytes that belong to no row.
    let bomb = zeros(4096);
    assert!(bomb.len() < 20 * MIB);
    let file = |chunks: &[Vec<u8>]| png(32, 32, chunks);
    assert!(read(&file(&[chunk(b"IDAT", &bomb)]), 40 * MIB).is_ok());
    // A colour profile and a text that unpack to as much.
    let named = |name: &[u8; 4]| chunk(name, &[b"n\0\0".as_slice(), &bomb].concat());
    let with = |name: &[u8; 4]| file(&[named(name), chunk(b"IDAT", &zeros(1))]);
    let memory = bomb.len() * 2 + 24 * MIB;
    for name in [b"iCCP", b"zTXt"] {
        let error = read(&with(name), memory).unwrap_err();
        assert!(error.contains("limit"), "{error}");
    }
}

#[test]
fn many_chunks() {
    let texts: Vec<Vec<u8>> = (0..200_000).map(|_| chunk(b"tEXt", b"k\0v")).collect();
    let error = read(&png(32, 32, &texts), 32 * MIB).unwrap_err();
    assert!(error.contains("sound"), "{error}");
}
