//! The command, and a model and frames for it.
#![allow(dead_code, reason = "each test binary uses its own part")]

#[path = "../../../runtime/tests/common/onnx.rs"]
#[allow(dead_code, unreachable_pub, missing_docs)]
mod onnx;

use std::path::PathBuf;
use std::process::{Command, Stdio};

use onnx::Builder;
use serde_json::Value;

pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the command to its end. Whatever it was given, it must not panic or die of a signal.
pub(crate) fn run(args: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_bagcert-firmware-sim"))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let ran = Ran {
        status: output.status.code().expect("ended by a signal"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    };
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    ran
}

impl Ran {
    #[track_caller]
    pub(crate) fn ended(self, status: i32) -> Ran {
        assert_eq!(
            self.status, status,
            "stdout: {}\nstderr: {}",
            self.stdout, self.stderr
        );
        self
    }

    #[track_caller]
    pub(crate) fn says(&self, words: &[&str]) {
        for word in words {
            assert!(
                self.stderr.contains(word),
                "{word:?} is missing in: {}",
                self.stderr
            );
        }
    }

    pub(crate) fn cycles(&self) -> Vec<Value> {
        let lines = self.stdout.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// Frames of a [`Bench`].
pub(crate) const FRAMES: usize = 8;

/// A folder with a model and frames, 16x16 pixels where not said otherwise: in turn one that is red all over, and one that is red or
/// green by turns.
///
/// A cell votes for `red` where the red channel is above one half, and so for `green` and `blue`.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new() -> Bench {
        Bench::of(16)
    }

    /// Of that many pixels along each side.
    pub(crate) fn of(side: u32) -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let mut b = Builder::new(side as usize, side as usize);
        let diagonal: Vec<f32> = (0..9)
            .map(|at| if at % 4 == 0 { 2.0 } else { 0.0 })
            .collect();
        let weights = b.constant("w", &[3, 3, 1, 1], &diagonal);
        let bias = b.constant("b", &[3], &[-1.0; 3]);
        let logits = b.op("Conv", "logits", &["image", &weights, &bias], &[]);
        b.output(&logits);
        b.metadata("bagcert.class_names", r#"["red","green","blue"]"#);
        b.write(folder.path(), "colours.onnx");
        let bench = Bench { folder };
        let frames = bench.path("frames");
        std::fs::create_dir(&frames).unwrap();
        // More of them than the guard of a frozen camera remembers, each a shade darker than the one before.
        for number in 0..FRAMES {
            let red = image::Rgb([255 - number as u8, 0, 0]);
            let green = image::Rgb([0, 255, 0]);
            let plain = number % 2 == 0;
            let colour = |x, y| {
                if plain || (x + y) % 2 == 0 {
                    red
                } else {
                    green
                }
            };
            let frame = image::RgbImage::from_fn(side, side, colour);
            frame
                .save(frames.join(format!("{number}-red.png")))
                .unwrap();
        }
        bench
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub(crate) fn scenario(&self, text: &str) -> String {
        std::fs::write(self.path("scenario.toml"), text).unwrap();
        self.text("scenario.toml")
    }

    /// Runs over the folder of frames, two a second: a slow machine must not miss a deadline here.
    pub(crate) fn run(&self, more: &[&str]) -> Ran {
        let model = self.text("colours.onnx");
        let frames = self.text("frames");
        let mut args = vec!["--model", &model];
        for (name, value) in [("--patch", "3x3"), ("--rate", "0.5")] {
            if !more.contains(&name) {
                args.extend([name, value]);
            }
        }
        args.push("--no-card");
        args.extend(more);
        args.push(&frames);
        run(&args)
    }
}
