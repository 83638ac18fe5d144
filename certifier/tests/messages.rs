//! What geometries and errors say: the numbers they were made of.
#![allow(clippy::unwrap_used)]

use bagcert_certifier::{
    Axis, Condition, Fault, Geometry, GeometryError, ParsePatchError, PatchSize, Shape, ShapeError,
};

#[track_caller]
fn says(error: &dyn core::error::Error, words: &[&str]) {
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "\"{word}\" is not in: {text}");
    }
}

#[test]
fn geometries() {
    let axis = |inputs, outputs, stride, lo, hi| Axis::new(inputs, outputs, stride, lo, hi);
    says(&axis(0, 1, 1, 0, 0).unwrap_err(), &["input pixel"]);
    says(&axis(1, 0, 1, 0, 0).unwrap_err(), &["output cell"]);
    says(&axis(1, 1, 0, 0, 0).unwrap_err(), &["stride"]);
    says(
        &axis(9, 9, 1, 2, -1).unwrap_err(),
        &["2..=-1", "lo must not"],
    );
    says(&axis(u32::MAX, 1, 1, 0, 0).unwrap_err(), &["larger than"]);
    says(&PatchSize::new(3, 0).unwrap_err(), &["3x0", "empty"]);
    says(&GeometryError::TooManyCells, &["more cells", "32-bit"]);
    let far = axis(1 << 24, 1 << 24, 1, 0, 0).unwrap();
    let wide = Geometry { x: far, y: far };
    let patch = PatchSize::new(1 << 24, 1 << 24).unwrap();
    let outcome = wide.max_affected_cells(patch);
    assert_eq!(outcome, Err(GeometryError::TooManyCells));
}

#[test]
fn patch_sizes_are_read_as_they_are_written() {
    for (text, width, height) in [
        ("5x5", 5, 5),
        ("24X1", 24, 1),
        ("1x4294967295", 1, u32::MAX),
    ] {
        let size: PatchSize = text.parse().unwrap();
        assert_eq!((size.width(), size.height()), (width, height));
        assert_eq!(size.to_string(), text.to_lowercase());
    }
    for text in [
        "",
        "x",
        "5",
        "5x",
        "x5",
        "5x5x5",
        "+5x5",
        "5x+5",
        "-1x5",
        "5 x 5",
        " 5x5",
        "4294967296x1",
        "5*5",
        "٥x5",
    ] {
        let error = text.parse::<PatchSize>().unwrap_err();
        assert_eq!(error, ParsePatchError::Format, "{text}");
        says(&error, &["WIDTHxHEIGHT", "5x5"]);
    }
    for text in ["0x5", "5x0"] {
        says(&text.parse::<PatchSize>().unwrap_err(), &[text, "empty"]);
    }
}

#[test]
fn an_axis_gives_back_what_it_was_made_of() {
    let axis = Axis::new(37, 11, 3, -5, 4).unwrap();
    let numbers = (axis.inputs(), axis.outputs(), axis.stride());
    assert_eq!(numbers, (37, 11, 3));
    assert_eq!((axis.lo(), axis.hi(), axis.receptive_field()), (-5, 4, 10));
}

#[test]
fn shapes() {
    says(&Shape::new(1, 2, 2).unwrap_err(), &["1 classes", "rival"]);
    says(&Shape::new(2, 0, 7).unwrap_err(), &["0x7", "empty"]);
    says(&Shape::new(2, usize::MAX, 2).unwrap_err(), &["too large"]);
    assert_eq!(Shape::new(2, 1 << 16, 1 << 16), Err(ShapeError::TooLarge));
}

#[test]
fn faults() {
    let memory = Fault::MemoryTooSmall {
        needed: 12,
        found: 7,
    };
    says(&memory, &["7 words", "12 are needed", "Shape::"]);
    let mismatch = Fault::GeometryMismatch {
        height: 3,
        width: 4,
        geometry_height: 5,
        geometry_width: 6,
    };
    says(&mismatch, &["3x4", "5x6"]);
    let fault = Fault::from(GeometryError::ZeroStride);
    assert_eq!(fault, Fault::Geometry(GeometryError::ZeroStride));
    says(&fault, &["stride"]);
    let text = "3.4".parse::<Condition>().unwrap_err().to_string();
    assert!(text.contains("3.1") && text.contains("3.3"), "{text}");
}
