//! A made-up folder of images in ImageNet's layout.
#![allow(clippy::indexing_slicing)]

use std::{fs, path::Path};

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

/// The classes of the made-up folder.
pub(crate) const CLASSES: [&str; 3] = ["ash", "birch", "cedar"];

/// An image mostly of the class's colour, with the top left quarter darker.
pub(crate) fn picture(class: usize, width: u32, height: u32, seed: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let noise = (x * 31 + y * 17 + seed * 7) % 23;
        let corner = if x < width / 2 && y < height / 2 {
            60
        } else {
            0
        };
        let mut pixel = [40 + noise as u8; 3];
        pixel[class] = 200 - corner + noise as u8;
        Rgb(pixel)
    })
}

/// Three classes in `train` and `val`: PNG and JPEG, of many sizes, one of them grey.
pub(crate) fn write_folder(root: &Path, count: u32) {
    for (part, count) in [("train", count), ("val", count / 2)] {
        for (class, name) in CLASSES.iter().enumerate() {
            let folder = root.join(part).join(name);
            fs::create_dir_all(&folder).unwrap();
            for at in 0..count {
                let (width, height) = (20 + at * 5 % 37, 18 + at * 3 % 29);
                let image = DynamicImage::from(picture(class, width, height, at));
                let (ending, format) = match at % 2 {
                    0 => ("png", ImageFormat::Png),
                    _ => ("JPEG", ImageFormat::Jpeg),
                };
                let path = folder.join(format!("{at:03}.{ending}"));
                image.save_with_format(path, format).unwrap();
            }
            // What is no image is left alone.
            fs::write(folder.join("notes.txt"), "not an image").unwrap();
        }
    }
}
