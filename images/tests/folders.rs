//! Folders of images by class: whole images as they are, anything else by its name.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::io::Cursor;
use std::path::Path;

use bagcert_images::{CHECKSUMS, FolderError, ImageFolder, Sizes, class_folders};
use image::{GrayImage, ImageFormat, Luma, Rgb, RgbImage};

fn classes() -> Vec<String> {
    ["ash", "birch"].map(String::from).to_vec()
}

/// Brighter to the right, and red downwards.
fn picture(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([(y * 5 % 256) as u8, (x * 7 % 256) as u8, (x + y) as u8])
    })
}

fn jpeg(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    picture(width, height)
        .write_to(&mut Cursor::new(&mut bytes), ImageFormat::Jpeg)
        .unwrap();
    bytes
}

fn put(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// What is said of the only image of class ash.
fn said(bytes: &[u8], name: &str) -> Result<RgbImage, String> {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), &format!("val/ash/{name}"), bytes);
    let images = ImageFolder::open(folder.path(), "val", &classes()).unwrap();
    images.image(0).map_err(|error| {
        let text = error.to_string();
        assert!(text.contains(&format!("val/ash/{name}")), "{text}");
        text
    })
}

#[test]
fn classes_are_those_of_train_or_without_it_of_val() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let error = class_folders(root).unwrap_err();
    assert!(error.to_string().contains("train"), "{error}");
    put(root, "val/birch/1.jpg", &jpeg(9, 9));
    let error = class_folders(root).unwrap_err().to_string();
    assert!(
        error.contains("val") && error.contains("fewer than two"),
        "{error}"
    );
    put(root, "val/ash/1.jpg", &jpeg(9, 9));
    put(root, "val/.hidden/1.jpg", &jpeg(9, 9));
    assert_eq!(class_folders(root).unwrap(), ["ash", "birch"]);
    for class in ["cedar", "ash", "birch"] {
        put(root, &format!("train/{class}/1.jpg"), &jpeg(9, 9));
    }
    assert_eq!(class_folders(root).unwrap(), ["ash", "birch", "cedar"]);
}

#[test]
fn labels_are_places_in_the_list_of_classes() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["ash/2.jpg", "ash/1.JPG", "birch/3.jpeg", "birch/notes.txt"] {
        put(folder.path(), &format!("val/{name}"), &jpeg(9, 9));
    }
    let turned: Vec<String> = ["birch", "ash"].map(String::from).to_vec();
    for (classes, labels) in [(classes(), [0, 1, 0]), (turned, [1, 0, 1])] {
        let images = ImageFolder::open(folder.path(), "val", &classes).unwrap();
        let found: Vec<(&str, usize)> = images
            .entries()
            .iter()
            .map(|image| (image.name.as_str(), image.label))
            .collect();
        let len = jpeg(9, 9).len() as u64;
        assert!(images.entries().iter().all(|image| image.bytes == len));
        // The classes take turns.
        let paths = ["val/ash/1.JPG", "val/birch/3.jpeg", "val/ash/2.jpg"];
        assert_eq!(
            found,
            paths.into_iter().zip(labels).collect::<Vec<_>>(),
            "{classes:?}"
        );
        assert_eq!(images.len(), 3);
        assert!(matches!(
            images.image(3),
            Err(FolderError::NoSuchImage { at: 3 })
        ));
    }
    let few = ImageFolder::open(folder.path(), "val", &["ash".to_owned()]);
    let error = few.unwrap_err().to_string();
    assert!(
        error.contains("birch") && error.contains("no such class"),
        "{error}"
    );
}

#[test]
fn the_middle_of_the_scaled_image_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    // Already of the length: pixel for pixel.
    let exact = picture(20, 14);
    let mut png = Vec::new();
    exact
        .write_to(&mut Cursor::new(&mut png), ImageFormat::Png)
        .unwrap();
    put(folder.path(), "val/ash/1.png", &png);
    // Twice as large each way, in flat quarters: scaling leaves the colour of each.
    let quarters = GrayImage::from_fn(40, 40, |x, y| {
        Luma([if x < 20 { 40 } else { 90 } + (y / 20) as u8 * 100])
    });
    let mut png = Vec::new();
    quarters
        .write_to(&mut Cursor::new(&mut png), ImageFormat::Png)
        .unwrap();
    put(folder.path(), "val/ash/2.png", &png);
    let images = ImageFolder::open(folder.path(), "val", &classes()).unwrap();
    let sizes = Sizes {
        resize: 14,
        width: 12,
        height: 8,
    };
    let planes = images.middle(0, sizes).unwrap();
    assert_eq!(planes.len(), 3 * 12 * 8);
    for (at, value) in planes.iter().enumerate() {
        let (channel, y, x) = (at / 96, at % 96 / 12, at % 12);
        let pixel = exact.get_pixel(x as u32 + 4, y as u32 + 3);
        assert_eq!(*value, pixel.0[channel], "{channel} {y} {x}");
    }
    let sizes = Sizes::square(20, 10);
    let planes = images.middle(1, sizes).unwrap();
    for (y, x, expected) in [(0, 0, 40), (0, 9, 90), (9, 0, 140), (9, 9, 190)] {
        assert_eq!(planes[y * 10 + x], expected, "{y} {x}");
    }
    let image = sizes.scaled(&images.image(0).unwrap());
    assert_eq!(image.dimensions(), (28, 20));
    assert_eq!(sizes.room(&image), [18, 10]);
    let (plain, flipped) = (
        sizes.cut(&image, 3, 2, false),
        sizes.cut(&image, 3, 2, true),
    );
    for (row, turned) in plain.chunks(10).zip(flipped.chunks(10)) {
        assert!(row.iter().eq(turned.iter().rev()));
    }
}

#[test]
fn a_jpeg_ends_where_its_pixels_do() {
    let whole = jpeg(60, 40);
    assert_eq!(said(&whole, "1.jpg").unwrap().dimensions(), (60, 40));
    // What a camera writes behind it does no harm, nor an empty comment and a preview in front.
    let more = [&whole[..], b"trailer of some camera"].concat();
    assert!(said(&more, "1.jpg").is_ok());
    let preview = jpeg(8, 8);
    let len = u16::try_from(preview.len() + 2).unwrap().to_be_bytes();
    let framed = [
        &whole[..2],
        &[0xFF, 0xE1],
        &len,
        &preview,
        &[0xFF, 0xFE, 0, 2],
        &whole[2..],
    ]
    .concat();
    assert_eq!(said(&framed, "1.jpg").unwrap().dimensions(), (60, 40));
    // Cut off, the preview's end is not the image's.
    for cut in [framed.len() - 1, framed.len() - 2, framed.len() * 3 / 4] {
        let text = said(&framed[..cut], "1.jpg").unwrap_err();
        assert!(text.contains("cut short"), "{cut}: {text}");
    }
}

#[test]
fn what_is_no_whole_image_is_named() {
    for (bytes, name, words) in [
        (&b""[..], "1.png", "no such format"),
        (b"GIF89a", "1.png", "Gif files are not read"),
        (b"P6 1 1 100\nabc", "1.ppm", "reach up to 100"),
        (b"\x89PNG\r\n\x1a\n", "1.png", "1.png"),
        (b"P5 70000 1 255\n", "1.pgm", "1.pgm"),
    ] {
        let text = said(bytes, name).unwrap_err();
        assert!(text.contains(words), "{words:?} is not in {text}");
    }
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "val/ash/1.jpg", &jpeg(9, 9));
    let zeros = "0".repeat(64);
    put(
        folder.path(),
        CHECKSUMS,
        format!("{zeros}  val/ash/1.jpg\n").as_bytes(),
    );
    let images = ImageFolder::open(folder.path(), "val", &classes()).unwrap();
    let text = images.image(0).unwrap_err().to_string();
    assert!(text.contains("1.jpg") && text.contains(&zeros), "{text}");
}
