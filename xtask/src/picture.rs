//! `cargo xtask picture`: the picture in the README, out of a real report.

use crate::exec;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Shows only the first certified frame and the first that is not.
const STYLE: &str = "<style>\
header,footer,section:not(:has(article)),section>h2,section>p{display:none}\
article:has(.badge.yes)~article:has(.badge.yes),\
article:has(.badge.no)~article:has(.badge.no){display:none}\
body{padding:2px 12px}section,main{margin:0}</style></head>";

/// Width and height of the picture in pixels: two frames of a report.
const SIZE: &str = "--window-size=1000,975";

/// Writes `docs/images/report.png` from a report of the README's model, or another, on the shipped frames.
pub(crate) fn run(model: Option<PathBuf>) -> Result<()> {
    let root = exec::root();
    let model = match model {
        Some(model) => std::path::absolute(model)?,
        None => shown()?,
    };
    let report = exec::target_dir()?.join("picture");
    exec::run(
        exec::cargo()
            .args(["run", "--release", "--package", "bagcert", "--"])
            .args(["certify", "--patch", "5x5", "--model"])
            .arg(&model)
            .arg("--report")
            .arg(&report)
            .arg("models/frames"),
    )?;
    let page = report.join("index.html");
    let text =
        fs::read_to_string(&page).with_context(|| format!("could not read {}", page.display()))?;
    if !text.contains("badge yes") || !text.contains("badge no") {
        bail!("the report has no frame of each kind, certified and not, to show");
    }
    let cut = exec::target_dir()?.join("picture.html");
    fs::write(&cut, text.replacen("</head>", STYLE, 1))
        .with_context(|| format!("could not write {}", cut.display()))?;
    let picture = root.join("docs").join("images").join("report.png");
    fs::create_dir_all(root.join("docs").join("images"))?;
    exec::run(
        Command::new("chromium")
            .args(["--headless", "--no-sandbox", "--hide-scrollbars", SIZE])
            .arg(format!("--screenshot={}", picture.display()))
            .arg(format!("file://{}", cut.display())),
    )
    .context("chromium takes the picture")?;
    if !picture.exists() {
        bail!("chromium wrote no {}", picture.display());
    }
    Ok(())
}

/// The model of the README's own command.
fn shown() -> Result<PathBuf> {
    let readme = exec::root().join("README.md");
    let text = fs::read_to_string(&readme)
        .with_context(|| format!("could not read {}", readme.display()))?;
    let mut words = text
        .split_whitespace()
        .skip_while(|word| *word != "--model")
        .skip(1);
    let model = words
        .next()
        .with_context(|| format!("{} has no command with --model", readme.display()))?;
    Ok(exec::root().join(model))
}
