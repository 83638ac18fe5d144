//! `figure`: its numbers are those of `eval`, and its files are whole.

use std::fs;
use std::path::Path;

use crate::model::colour_model;
use crate::{Ran, run, sample, text};

fn data() -> String {
    format!("cifar10:{}", text(&sample()))
}

fn figure(model: &str, output: &Path, kind: &str, more: &[&str]) -> Ran {
    let (data, output) = (data(), text(output));
    let common = [
        "figure", kind, "--model", model, "--data", &data, "--output", &output,
    ];
    run(common.iter().chain(more))
}

/// The rows of a CSV file, without the header.
fn rows(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap();
    let rows = text.lines().skip(1);
    rows.map(|row| row.split(',').map(str::to_owned).collect())
        .collect()
}

/// Clean and certified accuracy in per cent by `eval`, for one patch and condition.
fn eval(model: &str, patch: &str, condition: &str, lead: &str) -> (String, String) {
    let data = data();
    let mut arguments = vec![
        "eval", "--model", model, "--data", &data, "--format", "json",
    ];
    arguments.extend(["--patch", patch, "--condition", condition, "--lead", lead]);
    let summary = &run(arguments).ended(0).json()[0];
    let percent = |share: &serde_json::Value| format!("{:.2}", 100.0 * share.as_f64().unwrap());
    let certified = &summary["patches"][0]["certified_accuracy"];
    (percent(&summary["clean_accuracy"]), percent(certified))
}

/// An SVG file that is whole, and has as many circles, at least.
fn drawn(path: &Path, circles: usize) -> String {
    let svg = fs::read_to_string(path).unwrap();
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
    let found = svg.matches("<circle").count();
    assert!(found >= circles, "{found} circles in {}", path.display());
    svg
}

#[test]
fn conditions_are_those_of_eval() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 10));
    let output = folder.path().join("new/figures");
    figure(&model, &output, "conditions", &["--patch", "3x3"])
        .ended(0)
        .says(&["conditions.csv", "conditions.svg"]);
    let found = rows(&output.join("conditions.csv"));
    assert_eq!(found.len(), 4);
    let mut values = std::collections::BTreeSet::new();
    for (row, condition) in found.iter().zip(["3.3", "3.2", "mask", "double-mask"]) {
        assert_eq!(row[1..4], ["3x3", condition, "100"]);
        let (clean, certified) = eval(&model, "3x3", condition, "0");
        assert_eq!(row[4..], [clean, certified.clone(), "0".to_owned()]);
        values.insert(certified);
    }
    assert!(values.len() > 1, "all conditions alike: {values:?}");
    let svg = drawn(&output.join("conditions.svg"), 2);
    for word in ["double masking", "Condition 3.3"] {
        assert!(svg.contains(word), "{word}");
    }
    assert!(!svg.contains("stated in the paper"));
    assert!(!svg.contains("a lead of"));

    let leads = ["--patch", "3x3", "--lead", "40", "--lead", "90"];
    figure(&model, &output, "conditions", &leads).ended(0);
    let with = rows(&output.join("conditions.csv"));
    assert_eq!(with[..4], found);
    assert_eq!(with.len(), 6);
    for (row, lead) in with[4..].iter().zip(["40", "90"]) {
        let (clean, certified) = eval(&model, "3x3", "double-mask", lead);
        assert_ne!(certified, found[3][5], "a lead of {lead} changes nothing");
        assert_eq!(row[2..], ["double-mask", "100", &clean, &certified, lead]);
    }
    let svg = drawn(&output.join("conditions.svg"), 2);
    assert!(svg.contains("double masking, a lead of 90"));
}

/// The paper's figures stand where they belong, and nowhere else.
#[test]
fn the_paper_s_figures_are_of_its_own_images_patches_and_areas() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 10));
    let output = folder.path().join("figures");
    fs::copy(sample(), folder.path().join("test_batch.bin")).unwrap();
    let test = format!("cifar10:{}", text(folder.path()));
    let (to, train) = (text(&output), format!("{test}:train"));
    let figure = |kind: &str, data: &str, more: &[&str]| {
        let common = ["figure", kind, "--model", &model, "--output", &to, "--data"];
        run(common.iter().chain(&[data]).chain(more))
    };
    let kinds: [(&str, &[&str], &[&str]); 4] = [
        ("conditions", &[], &["stated in the paper", "IBP"]),
        ("squares", &["--largest", "6"], &["stated in the paper"]),
        ("shapes", &[], &["least, stated"]),
        ("speed", &["--limit", "20"], &["V100", "in proportion"]),
    ];
    for (kind, more, words) in kinds {
        let more = [&["--paper", "--limit", "20"], more].concat();
        let more = if kind == "speed" { &more[..3] } else { &more };
        figure(kind, &test, more).ended(0);
        let svg = fs::read_to_string(output.join(format!("{kind}.svg"))).unwrap();
        for word in words {
            assert!(svg.contains(word), "{kind}: {word}");
        }
    }
    for (kind, more, parts) in [
        ("conditions", ["--patch", "3x3"], ["5x5", "3x3"]),
        ("shapes", ["--area", "6"], ["24 pixels", "6"]),
        ("squares", ["--largest", "4"], ["5x5", "--largest 4"]),
    ] {
        let more = [&["--paper"], &more[..]].concat();
        figure(kind, &test, &more).ended(2).says(&parts);
    }
    let frame = text(&folder.path().join("frame.png"));
    let arguments = ["figure", "frame", "--model", &model, "--frame", &frame];
    run(arguments.iter().chain(&["--paper", "--output", &to]))
        .ended(2)
        .says(&["--paper", "no effect", "frame"]);
    // Neither of other images, nor of those that a network was trained on.
    for other in [format!("records:10/1:{}", text(&sample())), data(), train] {
        figure("squares", &other, &["--paper"])
            .ended(2)
            .says(&["--paper", "ImageNet"]);
    }
}

#[test]
fn squares_and_shapes_are_those_of_eval() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 10));
    let output = folder.path().join("figures");
    let both = ["--condition", "3.2", "--condition", "double-mask"];
    let more = [&both[..], &["--largest", "4"]].concat();
    figure(&model, &output, "squares", &more).ended(0);
    let found = rows(&output.join("squares.csv"));
    assert_eq!(found.len(), 8);
    for row in &found {
        let patch = format!("{}x{}", row[2], row[2]);
        let (clean, certified) = eval(&model, &patch, &row[1], "0");
        assert_eq!(row[3..], [clean, certified]);
    }
    // The clean accuracy and four sides of the vote; double masking has squares.
    drawn(&output.join("squares.svg"), 5);

    let more = [&both[..], &["--area", "6", "--threads", "3"]].concat();
    figure(&model, &output, "shapes", &more).ended(0);
    let found = rows(&output.join("shapes.csv"));
    let of = |condition: &str, predictor: &str| -> Vec<&Vec<String>> {
        let matching = |row: &&Vec<String>| row[1] == condition && row[3] == predictor;
        found.iter().filter(matching).collect()
    };
    let (votes, own) = (of("3.2", "votes"), of("double-mask", "of the shape"));
    assert_eq!((votes.len(), own.len()), (5, 4));
    for row in votes
        .iter()
        .chain(&own)
        .filter(|row| row[2] != "all at once")
    {
        let (clean, certified) = eval(&model, &row[2], &row[1], "0");
        assert_eq!(row[4..], [clean, certified], "{row:?}");
    }
    // No more than against the worst of them.
    let share = |row: &Vec<String>| row[5].parse::<f64>().unwrap();
    for rows in [votes, of("double-mask", "of all shapes")] {
        assert_eq!(rows.len(), 5);
        let (all, each) = rows.split_last().unwrap();
        assert_eq!(all[2], "all at once");
        let least = each.iter().map(|row| share(row)).fold(100.0, f64::min);
        assert!(share(all) <= least, "{rows:?}");
    }
    let svg = drawn(&output.join("shapes.svg"), 4);
    for word in ["1x6", "2x3", "3x2", "6x1", "double masking, all at once"] {
        assert!(svg.contains(word), "{word}");
    }
}

/// Two models of different folders, the second under another name.
fn two_models(folder: &Path) -> [String; 2] {
    let [first, second] = ["a", "b"].map(|name| folder.join(name)).map(|folder| {
        fs::create_dir(&folder).unwrap();
        colour_model(&folder, 32, 10)
    });
    let other = second.with_file_name("other.onnx");
    for ending in ["onnx", "toml"] {
        fs::rename(second.with_extension(ending), other.with_extension(ending)).unwrap();
    }
    [text(&first), text(&other)]
}

/// Lines of several models are told apart: a colour for each model, whose name is there once, and a marker for each
/// condition, whatever their number.
#[test]
fn of_two_models_each_has_a_colour_and_each_condition_a_marker() {
    let folder = tempfile::tempdir().unwrap();
    let models = two_models(folder.path());
    let output = folder.path().join("figures");
    for (kind, size) in [("squares", ["--largest", "3"]), ("shapes", ["--area", "6"])] {
        let mut more = vec!["--model", &models[1], "--limit", "20"];
        more.extend(["--condition", "3.2", "--condition", "double-mask"]);
        more.extend(size);
        figure(&models[0], &output, kind, &more).ended(0);
        let svg = drawn(&output.join(format!("{kind}.svg")), 4);
        let count = |word: &str| svg.matches(word).count();
        for name in ["other", "Condition 3.2", "double masking"] {
            assert_eq!(count(name), 1, "{kind}: {name}");
        }
        assert_eq!(count("all shapes at once"), usize::from(kind == "shapes"));
        let lines = |colour: &str| {
            svg.matches(&format!(
                "<polyline fill=\"none\" opacity=\"1\" stroke=\"{colour}\""
            ))
            .count()
        };
        let marks = |element: &str, colour: &str| {
            let all = svg.split('<').filter(|tag| tag.starts_with(element));
            all.filter(|tag| tag.contains(colour)).count()
        };
        // Both conditions of each, in its colour.
        for colour in ["#0072B2", "#E69F00"] {
            assert!(lines(colour) >= 2, "{kind}: {colour}");
            for element in ["circle", "rect"] {
                assert!(marks(element, colour) >= 3, "{kind}: {element} {colour}");
            }
        }
        assert_eq!(lines("#4A1486"), 0, "{kind}: a third colour");
    }
}

#[test]
fn two_models_are_compared_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let models = two_models(folder.path());
    let output = folder.path().join("figures");
    figure(
        &models[0],
        &output,
        "speed",
        &["--model", &models[1], "--limit", "20"],
    )
    .ended(0);
    let found = rows(&output.join("speed.csv"));
    assert_eq!(found.len(), 2);
    for row in &found {
        assert_eq!(row[6], "20");
        assert!(row[9].parse::<f64>().unwrap() > 0.0, "{row:?}");
    }
    drawn(&output.join("speed.svg"), 2);
}

#[test]
fn a_frame_shows_its_two_reckonings() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let model = text(&root.join("models/cifar10-rf8.onnx"));
    let frame = text(&root.join("models/frames/0002-ship.png"));
    let folder = tempfile::tempdir().unwrap();
    let output = text(folder.path());
    run([
        "figure", "frame", "--model", &model, "--frame", &frame, "--output", &output,
    ])
    .ended(0);
    let found = rows(&folder.path().join("frame.csv"));
    // 72 votes ahead; 36 cells of 256 in reach.
    assert_eq!(
        found[0][1..],
        ["3.3", "ship", "automobile", "72", "0", "false"]
    );
    assert_eq!(
        found[1][1..],
        ["3.2", "ship", "automobile", "72", "7", "true"]
    );
    let svg = drawn(&folder.path().join("frame.svg"), 0);
    // 169 votes are drawn above; below, those outside the region.
    let votes: Vec<usize> = svg
        .split("<path fill=\"#0072b2\" d=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().matches('M').count())
        .collect();
    assert_eq!(votes[0], 169);
    assert!(votes[1] < votes[0]);
}

#[test]
fn what_cannot_be_drawn_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), 32, 10));
    let taken = folder.path().join("file");
    fs::write(&taken, "mine").unwrap();
    figure(&model, &taken, "conditions", &[])
        .ended(1)
        .says(&["file"]);
    assert_eq!(fs::read_to_string(&taken).unwrap(), "mine");
    let output = folder.path().join("figures");
    figure(&model, &output, "conditions", &["--patch", "33x1"]).ended(2);
    figure(&model, &output, "shapes", &["--area", "1031"])
        .ended(2)
        .says(&["1031"]);
    figure(&model, &output, "frame", &[])
        .ended(2)
        .says(&["--frame"]);
    figure(&model, &output, "pie", &[]).ended(2);
    let other = folder.path().join("other");
    fs::create_dir(&other).unwrap();
    let three = text(&colour_model(&other, 32, 3));
    figure(&three, &output, "conditions", &[])
        .ended(2)
        .says(&["10 classes"]);
    figure(&model, &output, "conditions", &["--lead", "1024"])
        .ended(2)
        .says(&["--lead 1024", "1024 cells"]);
    // An option that would do nothing, and what a kind needs.
    for (kind, options) in [
        ("conditions", &["--area", "9"][..]),
        ("conditions", &["--condition", "3.2"]),
        ("conditions", &["--frame", "a.png"]),
        ("squares", &["--lead", "3"]),
        ("squares", &["--patch", "5x5"]),
        ("shapes", &["--largest", "5"]),
        ("frame", &["--frame", "a.png"]),
    ] {
        figure(&model, &output, kind, options)
            .ended(2)
            .says(&[kind, "no effect"]);
    }
    let out = text(&output);
    for (kind, needed) in [("frame", "--frame"), ("speed", "--data")] {
        let arguments = ["figure", kind, "--model", &model, "--output", &out];
        run(arguments).ended(2).says(&[kind, needed]);
    }
    let mut arguments = vec!["figure", "frame", "--frame", "a.png", "--output", &out];
    arguments.extend(["--model", &model, "--model", &model]);
    run(arguments).ended(2).says(&["one model"]);
    assert!(!output.exists(), "nothing was drawn");
    // Data that cannot be read takes no earlier figure away.
    figure(&model, &output, "conditions", &[]).ended(0);
    let before = fs::read(output.join("conditions.csv")).unwrap();
    let arguments = ["figure", "conditions", "--model", &model, "--output", &out];
    let ran = run(arguments.iter().chain(&["--data", "cifar10:nowhere"])).ended(4);
    ran.says(&["nowhere", "nothing is drawn"]);
    assert_eq!(fs::read(output.join("conditions.csv")).unwrap(), before);
}
