//! `eval` on folders of images by class.

use std::fs;
use std::path::{Path, PathBuf};

use image::{Rgb, RgbImage};

use crate::model::{BLUE, GREEN, RED, named_model};
use crate::{run, text};

/// Ten images of each colour in `val`, of many sizes; one in five shows the next class's colour.
fn write_val(root: &Path, classes: [(&str, usize); 3]) {
    let colours = [RED, GREEN, BLUE];
    for (name, class) in classes {
        let folder = root.join("val").join(name);
        fs::create_dir_all(&folder).unwrap();
        for at in 0..10 {
            let shown = if at % 5 == 4 { class + 1 } else { class };
            let (width, height) = (20 + 7 * at, 50 - 3 * at);
            RgbImage::from_pixel(width, height, colours[shown % 3])
                .save(folder.join(format!("{at}.png")))
                .unwrap();
        }
    }
}

const COLOURS: [(&str, usize); 3] = [("red", 0), ("green", 1), ("blue", 2)];

fn model(folder: &Path, metadata: &[(&str, &str)]) -> PathBuf {
    named_model(folder, "own.onnx", 32, 3, metadata)
}

const NAMES: (&str, &str) = ("bagcert.class_names", r#"["red","green","blue"]"#);

fn eval<'a>(model: &'a str, data: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["eval", "--model", model, "--data", data, "--patch", "5x5"];
    args.extend(more);
    args
}

#[test]
fn labels_follow_the_models_names_or_without_them_the_sorted_folders() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("colours");
    write_val(&data, COLOURS);
    let spec = format!("folder:{}", text(&data));
    let named = text(&model(folder.path(), &[NAMES]));
    let lines = run(eval(&named, &spec, &["--format", "jsonl"])).ended(0);
    let lines = lines.json();
    assert_eq!(lines.len(), 30);
    for line in &lines {
        let id = line["id"].as_str().unwrap();
        let (class, _) = COLOURS
            .into_iter()
            .map(|(name, class)| (class, format!("val/{name}/")))
            .find(|(_, part)| id.contains(part))
            .unwrap();
        assert_eq!(line["label"], class, "{line}");
        let wrong = id.ends_with("4.png") || id.ends_with("9.png");
        let predicted = if wrong { (class + 1) % 3 } else { class };
        assert_eq!(line["predicted"], predicted, "{line}");
        assert_eq!(line["certified"], true, "{line}");
    }
    let summary = run(eval(&named, &spec, &["--format", "json"])).ended(0);
    let summary = &summary.json()[0];
    assert_eq!(summary["right"], 24);
    // 8/7 of 32.
    assert_eq!(summary["data"], format!("folder:37:{}", text(&data)));

    // Without names blue is class 0, green 1 and red 2, so that only green is right.
    let nameless = text(&model(folder.path(), &[]));
    let summary = run(eval(&nameless, &spec, &["--format", "json"])).ended(0);
    assert_eq!(summary.json()[0]["right"], 8 + 2);
    let sorted = folder.path().join("sorted");
    write_val(&sorted, [("0", 0), ("1", 1), ("10", 2)]);
    let spec = format!("folder:{}", text(&sorted));
    let summary = run(eval(&nameless, &spec, &["--format", "json"])).ended(0);
    assert_eq!(summary.json()[0]["right"], 24);
}

#[test]
fn images_are_scaled_as_was_said_or_as_the_model_was_trained() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("framed");
    write_val(&data, COLOURS);
    // The middle 40 % of each side is red, and green all around: how much is cut off decides.
    let framed = RgbImage::from_fn(100, 100, |x, y| {
        let inside = |at: u32| (30..70).contains(&at);
        if inside(x) && inside(y) { RED } else { GREEN }
    });
    fs::remove_dir_all(data.join("val/red")).unwrap();
    fs::create_dir(data.join("val/red")).unwrap();
    framed.save(data.join("val/red/0.png")).unwrap();
    let spec = |resize: &str| format!("folder:{resize}{}", text(&data));
    let red = |model: &str, spec: &str| {
        let lines = run(eval(model, spec, &["--format", "jsonl"])).ended(0);
        let found = lines.json().into_iter().find(|line| line["label"] == 0);
        found.unwrap()["votes"][0].as_u64().unwrap()
    };
    let plain = text(&model(folder.path(), &[NAMES]));
    // 0.4 of 32 along each axis, of 37, and of 80, which is all that is left then.
    let counts = [
        red(&plain, &spec("32:")),
        red(&plain, &spec("")),
        red(&plain, &spec("80:")),
    ];
    for (count, expected) in counts.into_iter().zip([12.8, 14.8, 32.0f64]) {
        let side = (count as f64).sqrt();
        assert!((side - expected).abs() <= 1.3, "{counts:?}");
    }
    let trained = named_model(
        folder.path(),
        "trained.onnx",
        32,
        3,
        &[NAMES, ("bagcert.resize", "80")],
    );
    assert_eq!(red(&text(&trained), &spec("")), 32 * 32);
    assert_eq!(red(&text(&trained), &spec("32:")), counts[0]);
    run(eval(&plain, &spec("31:"), &[]))
        .ended(2)
        .says(&["folder:31", "32 pixels at least"]);
    run(eval(&plain, &spec("9000:"), &[]))
        .ended(2)
        .says(&["folder:RESIZE:DIR", "8192"]);
}

/// The patch that other figures are of does not matter to those of squares and shapes.
#[test]
fn squares_of_images_smaller_than_the_papers_patch() {
    let folder = tempfile::tempdir().unwrap();
    let small = named_model(folder.path(), "small.onnx", 4, 3, &[NAMES]);
    let (small, data) = (text(&small), folder.path().join("colours"));
    write_val(&data, COLOURS);
    let (spec, out) = (
        format!("folder:{}", text(&data)),
        folder.path().join("figures"),
    );
    let figure = |kind: &str, more: &[&str]| {
        let args = ["figure", kind, "--model", &small, "--data", &spec];
        run([&args[..], &["--output", &text(&out)], more].concat())
    };
    figure("squares", &[]).ended(0);
    let squares = fs::read_to_string(out.join("squares.csv")).unwrap();
    assert!(squares.lines().last().unwrap().contains(",3.2,4,"));
    figure("shapes", &["--area", "4"]).ended(0);
    figure("conditions", &[]).ended(2).says(&["5x5", "4x4"]);
}

#[test]
fn other_classes_than_the_models_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let named = text(&model(folder.path(), &[NAMES]));
    let data = folder.path().join("colours");
    write_val(&data, COLOURS);
    let spec = format!("folder:{}", text(&data));
    // A fourth class in train, which is what the classes are taken from.
    for name in ["red", "green", "blue", "white"] {
        fs::create_dir_all(data.join("train").join(name)).unwrap();
    }
    run(eval(&named, &spec, &[]))
        .ended(2)
        .says(&["4 classes", "own.onnx", "has 3"]);
    fs::remove_dir_all(data.join("train")).unwrap();
    fs::rename(data.join("val/green"), data.join("val/lime")).unwrap();
    run(eval(&named, &spec, &[])).ended(2).says(&[
        "\"lime\"",
        "does not know",
        "none named \"green\"",
    ]);
    // A class of val that train does not have.
    for name in ["red", "green", "blue"] {
        fs::create_dir_all(data.join("train").join(name)).unwrap();
    }
    run(eval(&named, &spec, &[]))
        .ended(4)
        .says(&["lime", "no such class in train"]);
    // Frames of the command line are never scaled.
    let args = ["certify", "--model", &named, "--patch", "5x5", &spec];
    run(args).ended(4).says(&["bagcert eval", "scaled"]);
}

#[test]
fn damaged_images_are_named_and_the_others_are_done() {
    let folder = tempfile::tempdir().unwrap();
    let named = text(&model(folder.path(), &[NAMES]));
    let data = folder.path().join("colours");
    let spec = format!("folder:{}", text(&data));
    run(eval(&named, &spec, &[]))
        .ended(4)
        .says(&["train", "cannot be read"]);
    write_val(&data, COLOURS);
    let path = data.join("val/green/3.png");
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 20]).unwrap();
    let jpeg = data.join("val/red/a.jpg");
    RgbImage::from_pixel(64, 64, Rgb([9, 90, 200]))
        .save(&jpeg)
        .unwrap();
    let whole = fs::read(&jpeg).unwrap();
    fs::write(&jpeg, &whole[..whole.len() - 2]).unwrap();
    let zeros = "0".repeat(64);
    fs::write(
        data.join("SHA256SUMS"),
        format!("{zeros}  val/blue/7.png\n"),
    )
    .unwrap();
    let ran = run(eval(&named, &spec, &["--format", "json"])).ended(4);
    ran.says(&[
        "val/green/3.png",
        "val/red/a.jpg",
        "cut short",
        "val/blue/7.png",
        &zeros,
    ]);
    let summary = &ran.json()[0];
    assert_eq!(summary["failures"], 3);
    assert_eq!(summary["frames"], 28);
}
