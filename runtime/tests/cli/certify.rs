//! `certify` on good input.

use std::fs;

use image::{DynamicImage, GrayImage, RgbImage, Rgba, RgbaImage};

use crate::model::{BLUE, GREEN, RED, colour_model, confetti, plain, slack_by_definition, votes};
use crate::{run, sample, text};

#[test]
fn json_lines_as_documented() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 4));
    let frame = text(&plain(folder.path(), "0007-red.png", RED));
    let ran = run([
        "certify", "--model", &model, "--patch", "5x5", "--patch", "23x23", "--format", "jsonl",
        &frame,
    ])
    .ended(0);
    // All 1024 cells vote red. A patch takes 2 votes in each of its 25 (529) cells.
    let expected = format!(
        r#"{{"id":"{frame}","label":0,"predicted":0,"predicted_name":"red","votes":[1024,0,0,0],"patch":[5,5],"condition":"3.2","certified":true,"slack":974,"rival":1,"worst":{{"x":0,"y":0}},"mask_step":1,"lead":0}}
{{"id":"{frame}","label":0,"predicted":0,"predicted_name":"red","votes":[1024,0,0,0],"patch":[23,23],"condition":"3.2","certified":false,"slack":-34,"rival":1,"worst":{{"x":0,"y":0}},"mask_step":1,"lead":0}}
"#
    );
    assert_eq!(ran.stdout, expected);
    ran.is_silent();
}

#[test]
fn verdicts_equal_the_definition() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 5));
    let images: Vec<RgbImage> = (0..6).map(confetti).collect();
    for (number, image) in images.iter().enumerate() {
        image
            .save(folder.path().join(format!("{number}.png")))
            .unwrap();
    }
    let patches = [(5, 5), (2, 9), (9, 2), (1, 1), (32, 1), (18, 17)];
    let mut args = vec![
        "certify".to_owned(),
        "--model".into(),
        model,
        "--format".into(),
        "jsonl".into(),
    ];
    for (w, h) in patches {
        args.extend(["--patch".into(), format!("{w}x{h}")]);
    }
    args.push(text(folder.path()));
    let lines = run(&args).ended(0).json();
    assert_eq!(lines.len(), images.len() * patches.len());
    let mut certified = 0;
    for (at, line) in lines.iter().enumerate() {
        let (number, patch) = (at / patches.len(), patches[at % patches.len()]);
        let image = &images[number];
        assert_eq!(
            line["id"],
            text(&folder.path().join(format!("{number}.png")))
        );
        assert_eq!(line["patch"], serde_json::json!([patch.0, patch.1]));
        let [red, green, blue] = votes(image);
        assert_eq!(line["votes"], serde_json::json!([red, green, blue, 0, 0]));
        let (slack, rival, x, y) = slack_by_definition(image, 5, patch);
        assert_eq!(line["slack"], slack, "{number} {patch:?}");
        assert_eq!(line["certified"], slack > 0);
        assert_eq!(line["rival"], rival);
        assert_eq!(line["worst"], serde_json::json!({"x": x, "y": y}));
        certified += usize::from(slack > 0);
    }
    // Both outcomes occur, or the comparison would say little.
    assert!(certified > 0 && certified < lines.len());
}

#[test]
fn conditions() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 4));
    let path = folder.path().join("frame.png");
    let image = confetti(3);
    image.save(&path).unwrap();
    let slack = |condition: &str| {
        let ran = run([
            "certify",
            "--model",
            &model,
            "--patch",
            "6x4",
            "--condition",
            condition,
            "--format",
            "jsonl",
            &text(&path),
        ])
        .ended(0);
        let line = &ran.json()[0];
        assert_eq!(line["condition"], condition);
        assert_eq!(line["label"], serde_json::Value::Null);
        line["slack"].as_i64().unwrap()
    };
    let [red, green, _] = votes(&image);
    assert_eq!(slack("3.1"), slack("3.2"));
    assert_eq!(slack("3.3"), red - green - 2 * 24);
    assert!(slack("3.3") <= slack("3.2"));
}

#[test]
fn every_rectangle_of_an_area() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 3));
    let frame = text(&plain(folder.path(), "a.png", GREEN));
    let ran = run([
        "certify", "--model", &model, "--patch", "4x6", "--area", "24", "--format", "jsonl", &frame,
    ])
    .ended(0);
    let patches: Vec<String> = ran
        .json()
        .iter()
        .map(|line| line["patch"].to_string())
        .collect();
    // 4x6 was named first and is not repeated.
    let expected = [
        "[4,6]", "[1,24]", "[2,12]", "[3,8]", "[6,4]", "[8,3]", "[12,2]", "[24,1]",
    ];
    assert_eq!(patches, expected);
    let area_64 = run([
        "certify", "--model", &model, "--area", "64", "--format", "jsonl", &frame,
    ])
    .ended(0);
    let widths: Vec<i64> = area_64
        .json()
        .iter()
        .map(|l| l["patch"][0].as_i64().unwrap())
        .collect();
    assert_eq!(widths, [2, 4, 8, 16, 32]);
}

#[test]
fn the_table() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 3));
    let frames = folder.path().join("frames");
    fs::create_dir(&frames).unwrap();
    plain(&frames, "b-green.png", BLUE);
    plain(&frames, "a-red.png", RED);
    plain(&frames, "c.png", GREEN);
    fs::write(frames.join("notes.txt"), "not a frame").unwrap();
    let ran = run([
        "certify",
        "--model",
        &model,
        "--patch",
        "5x5",
        &text(&frames),
    ])
    .ended(0);
    let lines: Vec<Vec<&str>> = ran
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        ran.stdout
            .lines()
            .next()
            .unwrap()
            .split("  ")
            .filter(|s| !s.is_empty())
            .map(str::trim)
            .collect::<Vec<_>>(),
        [
            "frame",
            "label",
            "predicted",
            "certified 5x5",
            "slack",
            "largest square",
            "time"
        ]
    );
    let names = ["a-red.png", "b-green.png", "c.png"].map(|name| text(&frames.join(name)));
    // 2 * 22 * 22 = 968 votes are less than 1024, 2 * 23 * 23 are more.
    assert_eq!(
        lines[2][..6],
        [names[0].as_str(), "red", "red", "yes", "+974", "22x22"]
    );
    assert_eq!(
        lines[3][..6],
        [names[1].as_str(), "green", "blue", "yes", "+974", "22x22"]
    );
    assert_eq!(
        lines[4][..6],
        [names[2].as_str(), "-", "green", "yes", "+974", "22x22"]
    );
    assert_eq!(lines[2][7], "ms");
    assert!(lines[2][6].parse::<f64>().unwrap() > 0.0);
    assert!(ran.stdout.contains("3 frames, 2 of them labelled"));
    assert!(ran.stdout.contains("clean accuracy 50.00 % (1 of 2)"));
    ran.is_silent();

    let several = run([
        "certify",
        "--model",
        &model,
        "--patch",
        "5x5",
        "--patch",
        "30x30",
        &text(&frames),
    ])
    .ended(0);
    let row = several
        .stdout
        .lines()
        .find(|line| line.contains("a-red.png"))
        .unwrap();
    let cells: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(cells[3..7], ["yes", "+974", "no", "-776"]);
}

#[test]
fn csv() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 3));
    plain(folder.path(), "one, \"two\"-red.png", RED);
    let frames = text(folder.path());
    let ran = run([
        "certify", "--model", &model, "--patch", "3x2", "--format", "csv", &frames,
    ])
    .ended(0);
    let expected = format!(
        "id,label,predicted,predicted_name,votes,patch_width,patch_height,condition,certified,slack,rival,worst_x,worst_y,mask_step,lead\n\
         \"{frames}/one, \"\"two\"\"-red.png\",0,0,red,1024 0 0,3,2,3.2,true,1012,1,0,0,1,0\n"
    );
    assert_eq!(ran.stdout, expected);
}

#[test]
fn every_kind_of_image() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 3));
    let red = RgbImage::from_pixel(32, 32, RED);
    let path = |name: &str| folder.path().join(name);
    red.save(path("1.png")).unwrap();
    red.save(path("2.jpg")).unwrap();
    red.save(path("3.ppm")).unwrap();
    RgbaImage::from_pixel(32, 32, Rgba([255, 0, 0, 255]))
        .save(path("4.png"))
        .unwrap();
    DynamicImage::ImageRgb8(red)
        .to_rgb16()
        .save(path("5.png"))
        .unwrap();
    GrayImage::from_pixel(32, 32, image::Luma([200]))
        .save(path("6.png"))
        .unwrap();
    GrayImage::from_pixel(32, 32, image::Luma([200]))
        .save(path("7.pgm"))
        .unwrap();
    let ran = run([
        "certify",
        "--model",
        &model,
        "--patch",
        "5x5",
        "--format",
        "jsonl",
        &text(folder.path()),
    ])
    .ended(0);
    let lines = ran.json();
    assert_eq!(lines.len(), 7);
    for line in &lines[..5] {
        assert_eq!(line["votes"], serde_json::json!([1024, 0, 0]), "{line}");
    }
    for line in &lines[5..] {
        // Grey stands in all three channels; the tie goes to the lowest class and is not certified.
        assert_eq!(
            line["votes"],
            serde_json::json!([1024, 1024, 1024]),
            "{line}"
        );
        assert_eq!(
            (&line["predicted"], &line["certified"]),
            (&0.into(), &false.into())
        );
    }
}

#[test]
fn cifar_records() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 10));
    let input = format!("cifar10:{}", text(&sample()));
    let ran = run([
        "certify", "--model", &model, "--patch", "5x5", "--format", "jsonl", &input,
    ])
    .ended(0);
    let bytes = fs::read(sample()).unwrap();
    let lines = ran.json();
    assert_eq!(lines.len(), 100);
    for (index, (line, record)) in lines.iter().zip(bytes.chunks(3073)).enumerate() {
        assert_eq!(line["id"], index.to_string());
        assert_eq!(line["label"], record[0]);
        let on = |plane: usize| {
            record[1 + plane * 1024..][..1024]
                .iter()
                .filter(|&&v| v > 127)
                .count()
        };
        assert_eq!(
            line["votes"],
            serde_json::json!([on(0), on(1), on(2), 0, 0, 0, 0, 0, 0, 0])
        );
    }
}

#[test]
fn inputs_keep_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 10));
    let frame = text(&plain(folder.path(), "z.png", RED));
    let set = format!("cifar10:{}", text(&sample()));
    let ran = run([
        "certify", "--model", &model, "--patch", "1x1", "--format", "jsonl", &frame, &set, &frame,
    ])
    .ended(0);
    let ids: Vec<String> = ran
        .json()
        .iter()
        .map(|l| l["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 102);
    assert_eq!((&ids[0], ids[1].as_str(), &ids[101]), (&frame, "0", &frame));
}
