//! `--condition mask` and `double-mask`.

use std::fs;

use image::RgbImage;
use serde_json::{Value, json};

use crate::model::{BLUE, GREEN, RED, colour_model, confetti, plain};
use crate::{run, text};

/// Side of the frames and of the score map.
const SIDE: usize = 32;

/// Votes in `0..y` x `0..x` of each class, for red, green and blue.
struct Sums(Vec<[[i64; 3]; SIDE + 1]>);

/// A window: first row and column, height and width.
type Window = (usize, usize, usize, usize);

impl Sums {
    fn new(image: &RgbImage) -> Sums {
        let mut sums = vec![[[0; 3]; SIDE + 1]; SIDE + 1];
        for y in 0..SIDE {
            for x in 0..SIDE {
                let colours = image.get_pixel(x as u32, y as u32).0;
                let on = colours.map(|value| i64::from(value > 127));
                sums[y + 1][x + 1] = [0, 1, 2].map(|class| {
                    on[class] + sums[y][x + 1][class] + sums[y + 1][x][class] - sums[y][x][class]
                });
            }
        }
        Sums(sums)
    }

    fn inside(&self, (y, x, height, width): Window, class: usize) -> i64 {
        let sums = &self.0;
        sums[y + height][x + width][class] + sums[y][x][class]
            - sums[y][x + width][class]
            - sums[y + height][x][class]
    }

    /// Votes of a class outside two windows.
    fn outside(&self, a: Window, b: Window, class: usize) -> i64 {
        let (y, x) = (a.0.max(b.0), a.1.max(b.1));
        let bottom = (a.0 + a.2).min(b.0 + b.2).max(y);
        let right = (a.1 + a.3).min(b.1 + b.3).max(x);
        let both = self.inside((y, x, bottom - y, right - x), class);
        let all = self.inside((0, 0, SIDE, SIDE), class);
        all - self.inside(a, class) - self.inside(b, class) + both
    }

    fn elected(&self, a: Window, b: Window) -> usize {
        let votes = [0, 1, 2].map(|class| self.outside(a, b, class));
        let most = votes.into_iter().max().unwrap();
        votes.iter().position(|votes| *votes == most).unwrap()
    }
}

fn windows((width, height): (usize, usize)) -> Vec<Window> {
    let rows = 0..=SIDE - height;
    rows.flat_map(|y| (0..=SIDE - width).map(move |x| (y, x, height, width)))
        .collect()
}

/// The override loop of double masking, and the least margin for each patch size.
fn double_masking(image: &RgbImage, patches: &[(usize, usize)]) -> (usize, Vec<i64>) {
    let sums = Sums::new(image);
    let all: Vec<Window> = patches.iter().flat_map(|patch| windows(*patch)).collect();
    let nothing = (0, 0, 0, 0);
    let plain = sums.elected(nothing, nothing);
    let predicted = all
        .iter()
        .map(|first| (first, sums.elected(*first, *first)))
        .find(|(first, class)| {
            *class != plain
                && all
                    .iter()
                    .all(|second| sums.elected(**first, *second) == *class)
        })
        .map_or(plain, |(_, class)| class);
    let slack = |patch: &(usize, usize)| {
        let own = windows(*patch);
        let pairs = own.iter().flat_map(|a| all.iter().map(move |b| (*a, *b)));
        pairs
            .map(|(a, b)| {
                let rivals = (0..3).filter(|class| *class != predicted);
                let most = rivals.map(|class| sums.outside(a, b, class)).max().unwrap();
                sums.outside(a, b, predicted) - most
            })
            .min()
            .unwrap()
    };
    (predicted, patches.iter().map(slack).collect())
}

/// A frame that two colours share, side by side, with a block of a third.
fn contested(seed: u32) -> RgbImage {
    RgbImage::from_fn(SIDE as u32, SIDE as u32, |x, y| {
        match ((8..20).contains(&x) && (10..20).contains(&y), x) {
            (true, _) => BLUE,
            (false, 0..15) => RED,
            (false, _) if x + y < 40 + 4 * seed => GREEN,
            _ => RED,
        }
    })
}

#[test]
fn double_masking_equals_the_definition() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), SIDE, 4));
    let frames = folder.path().join("frames");
    fs::create_dir(&frames).unwrap();
    let mut images: Vec<RgbImage> = (0..3).map(confetti).collect();
    images.extend((0..4).map(contested));
    for (number, image) in images.iter().enumerate() {
        image.save(frames.join(format!("{number}.png"))).unwrap();
    }
    let patches = [(22, 21), (13, 4)];
    let lines = run([
        "certify",
        "--model",
        &model,
        "--patch",
        "22x21",
        "--patch",
        "13x4",
        "--condition",
        "double-mask",
        "--format",
        "jsonl",
        &text(&frames),
    ])
    .ended(0)
    .json();
    assert_eq!(lines.len(), 2 * images.len());
    let mut certified = 0;
    for (lines, image) in lines.chunks(2).zip(&images) {
        let (predicted, slacks) = double_masking(image, &patches);
        for ((line, patch), slack) in lines.iter().zip(patches).zip(slacks) {
            assert_eq!(line["patch"], json!([patch.0, patch.1]));
            assert_eq!(line["condition"], "double-mask");
            assert_eq!(line["predicted"], predicted);
            assert_eq!(line["slack"], slack);
            assert_eq!(line["certified"], slack > 0);
            certified += usize::from(slack > 0);
        }
    }
    assert!(certified > 0 && certified < lines.len(), "{certified}");
}

#[test]
fn each_condition_certifies_what_the_one_before_does() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), SIDE, 3));
    for number in 0..8 {
        let path = folder.path().join(format!("{number}.png"));
        confetti(number).save(path).unwrap();
    }
    let verdicts = |patch: &str, condition: &str, step: &str| -> Vec<Value> {
        let arguments = [
            "certify",
            "--model",
            &model,
            "--patch",
            patch,
            "--condition",
            condition,
            "--mask-step",
            step,
            "--format",
            "jsonl",
        ];
        let folder = text(folder.path());
        run(arguments.into_iter().chain([folder.as_str()]))
            .ended(0)
            .json()
    };
    let mut gained = 0;
    for patch in ["11x11", "13x13", "14x14"] {
        let by = ["3.3", "3.2", "mask", "double-mask"];
        let by = by.map(|condition| verdicts(patch, condition, "1"));
        for pair in by.windows(2) {
            for (weaker, stronger) in pair[0].iter().zip(&pair[1]) {
                if weaker["certified"] == true {
                    assert_eq!(stronger["certified"], true, "{weaker} but {stronger}");
                    assert_eq!(stronger["predicted"], weaker["predicted"]);
                } else {
                    gained += usize::from(stronger["certified"] == true);
                }
            }
        }
        let coarse = verdicts(patch, "double-mask", "3");
        let slacks = |lines: &[Value]| -> Vec<Value> {
            lines.iter().map(|line| line["slack"].clone()).collect()
        };
        assert_ne!(
            slacks(&by[3]),
            slacks(&coarse),
            "the step made no difference"
        );
    }
    assert!(gained > 0);
}

#[test]
fn tables_and_reports_name_the_predictor() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), SIDE, 3));
    let frame = text(&plain(folder.path(), "0-red.png", RED));
    for (condition, words) in [
        ("mask", "mask aggregator"),
        ("double-mask", "double masking"),
    ] {
        let report = folder.path().join(condition);
        let ran = run([
            "certify",
            "--model",
            &model,
            "--patch",
            "5x5",
            "--patch",
            "3x8",
            "--condition",
            condition,
            "--report",
            &text(&report),
            &frame,
        ])
        .ended(0);
        // No square by Condition 3.2 beside another predictor's answer.
        assert!(
            ran.stdout.contains(&format!("condition {condition}")),
            "{}",
            ran.stdout
        );
        assert!(ran.stdout.contains("one predictor for all of these sizes"));
        assert!(!ran.stdout.contains("none"), "{}", ran.stdout);
        let page = fs::read_to_string(report.join("index.html")).unwrap();
        assert!(page.contains(words), "{words}");
        assert!(page.contains("all patch sizes of this page together"));
        assert!(!page.contains("largest certified square"));
    }
}

#[test]
fn a_step_of_nothing_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), SIDE, 3));
    let frame = text(&plain(folder.path(), "a.png", RED));
    let arguments = [
        "certify",
        "--model",
        &model,
        "--patch",
        "5x5",
        "--mask-step",
        "0",
        &frame,
    ];
    run(arguments).ended(2).says(&["--mask-step"]);
}

/// The slack is less by the lead, in the verdict as in the report; other predictors have none.
#[test]
fn a_lead_is_asked_for_by_double_masking_alone() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), SIDE, 3));
    let frame = text(&plain(folder.path(), "a.png", RED));
    let certify = |condition: &str, more: &[&str]| {
        let args = [
            "certify",
            "--model",
            &model,
            "--patch",
            "5x5",
            "--format",
            "jsonl",
            "--condition",
        ];
        run(args
            .iter()
            .chain([&condition])
            .chain(more)
            .chain([&frame.as_str()]))
    };
    let verdict = |lead: &str| {
        let ran = certify("double-mask", &["--lead", lead]).ended(0);
        let line: Value = serde_json::from_str(ran.stdout.trim()).unwrap();
        assert_eq!(line["lead"].to_string(), lead);
        (
            line["slack"].as_i64().unwrap(),
            line["certified"].as_bool().unwrap(),
        )
    };
    let (slack, certified) = verdict("0");
    assert!(certified && slack > 1, "{slack}");
    assert_eq!(verdict("1"), (slack - 1, true));
    assert_eq!(verdict(&(slack - 1).to_string()), (1, true));
    assert_eq!(verdict(&slack.to_string()), (0, false));
    // The report's sum is that of the verdict.
    let report = text(&folder.path().join("report"));
    let more = ["--lead", "7", "--report", &report];
    certify("double-mask", &more).ended(0);
    let page = fs::read_to_string(folder.path().join("report/index.html")).unwrap();
    let left = format!("\u{2212} 7 = {} votes, more than 0: certified.", slack - 7);
    for words in ["A lead of more than 7 votes is asked for.", &left] {
        assert!(page.contains(words), "{words}");
    }
    let step = "<dt>Mask step</dt><dd>2</dd>";
    assert!(!page.contains(step));
    let more = ["--mask-step", "2", "--report", &report];
    certify("double-mask", &more).ended(0);
    let page = fs::read_to_string(folder.path().join("report/index.html")).unwrap();
    assert!(page.contains(step));
    for condition in ["3.2", "mask"] {
        certify(condition, &["--lead", "1"])
            .ended(2)
            .says(&["--lead 1", condition, "double-mask"]);
        certify(condition, &["--lead", "0"]).ended(0);
    }
    let cells = SIDE * SIDE;
    certify("double-mask", &["--lead", &cells.to_string()])
        .ended(2)
        .says(&[&format!("--lead {cells}"), "ahead"]);
}

#[test]
fn a_step_without_masks_and_masks_that_leave_nothing_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let model = text(&colour_model(folder.path(), SIDE, 3));
    let frame = text(&plain(folder.path(), "a.png", RED));
    let certify = |patch: &str, condition: &str, step: &str| {
        let args = [
            "certify",
            "--model",
            &model,
            "--patch",
            patch,
            "--condition",
            condition,
        ];
        run(args.iter().chain(&["--mask-step", step, &frame]))
    };
    certify("5x5", "3.2", "2").ended(2).says(&["--mask-step 2"]);
    certify("5x5", "3.2", "1").ended(0);
    for condition in ["mask", "double-mask"] {
        for (patch, step) in [("32x32", "1"), ("5x5", "1000"), ("5x5", "28")] {
            let ran = certify(patch, condition, step).ended(2);
            ran.says(&[patch, "32x32 cells", "no vote"]);
            assert_eq!(ran.stdout, "");
        }
        // A window leaves a row of cells.
        certify("32x31", condition, "1").ended(0);
        certify("5x5", condition, "27").ended(0);
    }
}
