//! The commands that a plan comes to.

use super::plan::{Export, Figure, Kind, Plan, Run};
use std::path::{Path, PathBuf};

/// One command.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) program: Program,
    pub(super) arguments: Vec<String>,
    /// It is left out once this checkpoint has so many epochs behind it: the run has gone further since.
    pub(super) unless: Option<(PathBuf, usize)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    Runtime,
    Trainer,
}

impl Program {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Runtime => "bagcert",
            Self::Trainer => "bagcert-train",
        }
    }
}

/// What is not in the plan.
#[derive(Debug)]
pub(super) struct Asked {
    /// The folder of the images.
    pub(super) data: PathBuf,
    /// Where everything goes: a folder and files for each run, and a folder named after the plan for its figures.
    pub(super) into: PathBuf,
    /// What the plan is called.
    pub(super) name: String,
    /// Where libtorch computes.
    pub(super) device: String,
    /// Of each run, in place of its own.
    pub(super) epochs: Option<usize>,
    /// Images that are measured and attacked; all where nothing is asked.
    pub(super) limit: Option<usize>,
}

impl Asked {
    fn file(&self, name: &str, ending: &str) -> String {
        text(&self.into.join(format!("{name}.{ending}")))
    }

    fn limit(&self) -> Vec<String> {
        let limit = self.limit.map(|limit| limit.to_string());
        limit.map_or(vec![], |limit| vec!["--limit".into(), limit])
    }

    fn images(&self) -> String {
        text(&self.data)
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// In the order in which they are to be done.
pub(super) fn steps(plan: &Plan, asked: &Asked) -> Vec<Step> {
    let mut steps = vec![];
    if !plan.runs.is_empty() {
        // A wrong value in the last shall not be found after hours of the first.
        let mut check = step(Program::Trainer, &["check"]);
        for run in &plan.runs {
            let config = text(&run.config);
            check.arguments.extend(["--config".into(), config]);
        }
        steps.push(check);
    }
    for run in &plan.runs {
        for (name, seed) in run.names() {
            train(run, &name, seed, asked, &mut steps);
            for export in &run.export {
                let checkpoint = text(&asked.into.join(&name).join("checkpoint.safetensors"));
                let output = asked.file(&name, export.ending());
                let arguments = ["export", "--checkpoint", &checkpoint, "--output", &output];
                steps.push(step(Program::Trainer, &arguments));
            }
        }
    }
    for mean in &plan.means {
        let mut making = step(Program::Trainer, &["mean"]);
        let mut say = |option: &str, value: String| making.arguments.extend([option.into(), value]);
        mean.of.iter().for_each(|part| say("--of", text(part)));
        let weights = mean.weights.iter();
        weights.for_each(|weight| say("--weight", weight.to_string()));
        say("--output", asked.file(&mean.name, Export::Onnx.ending()));
        steps.push(making);
    }
    for figure in &plan.figures {
        draw(figure, plan, asked, &mut steps);
    }
    steps
}

fn step(program: Program, arguments: &[&str]) -> Step {
    Step {
        program,
        arguments: arguments.iter().map(|&argument| argument.into()).collect(),
        unless: None,
    }
}

fn train(run: &Run, name: &str, seed: Option<i64>, asked: &Asked, steps: &mut Vec<Step>) {
    let folder = asked.into.join(name);
    let mut whole = step(
        Program::Trainer,
        &[
            "train",
            "--config",
            &text(&run.config),
            "--data",
            &asked.images(),
            "--output",
            &text(&folder),
            "--device",
            &asked.device,
            "--resume",
        ],
    );
    let mut say = |option: &str, value: String| whole.arguments.extend([option.into(), value]);
    if let Some(seed) = seed {
        say("--seed", seed.to_string());
    }
    if let Some(epochs) = asked.epochs {
        say("--epochs", epochs.to_string());
        steps.push(whole);
        return;
    }
    let Some((last, legs)) = run.legs.split_last() else {
        steps.push(whole);
        return;
    };
    let checkpoint = folder.join("checkpoint.safetensors");
    for (leg, unless) in legs
        .iter()
        .map(|leg| (leg, Some((checkpoint.clone(), leg.end()))))
        .chain([(last, None)])
    {
        let mut arguments = whole.arguments.clone();
        arguments.extend(["--epochs".into(), leg.epochs.to_string()]);
        if let Some(until) = leg.until {
            arguments.extend(["--until".into(), until.to_string()]);
        }
        steps.push(Step {
            program: Program::Trainer,
            arguments,
            unless,
        });
    }
}

fn draw(figure: &Figure, plan: &Plan, asked: &Asked, steps: &mut Vec<Step>) {
    let kind = figure.kind.name();
    let folder = text(&asked.into.join(&asked.name));
    let names = plan.runs.iter().flat_map(Run::names);
    let names: Vec<String> = names.map(|(name, _)| name).collect();
    let means = plan.means.iter().map(|mean| &mean.name);
    let models: Vec<(String, String)> = names
        .iter()
        .chain(means)
        .map(|name| (name.clone(), asked.file(name, Export::Onnx.ending())))
        .chain(plan.models.iter().map(|model| {
            let name = model.file_stem().unwrap_or_default();
            (name.to_string_lossy().into_owned(), text(model))
        }))
        .collect();
    let each = |option: &'static str, values: Vec<String>| {
        let pairs = values.into_iter();
        pairs.flat_map(move |value| [option.to_owned(), value])
    };
    let mut drawing = match figure.kind {
        Kind::Attacked => {
            for (name, model) in &models {
                let journal = asked.file(name, "jsonl");
                let mut attack = step(
                    Program::Trainer,
                    &[
                        "attack",
                        "--model",
                        model,
                        "--data",
                        &asked.images(),
                        "--output",
                        &journal,
                        "--device",
                        &asked.device,
                        "--resume",
                    ],
                );
                attack.arguments.extend(with(&figure.options, asked));
                steps.push(attack);
            }
            let mut drawing = step(Program::Trainer, &["figure", kind]);
            let journals = models.iter().map(|(name, _)| asked.file(name, "jsonl"));
            drawing
                .arguments
                .extend(each("--journal", journals.collect()));
            drawing
        }
        Kind::Scores => {
            let mut drawing = step(Program::Trainer, &["figure", kind]);
            let runs = names.iter().map(|name| text(&asked.into.join(name)));
            drawing.arguments.extend(each("--run", runs.collect()));
            drawing.arguments.extend(figure.options.clone());
            drawing
        }
        Kind::Speed | Kind::Conditions | Kind::Squares | Kind::Shapes => {
            let mut drawing = step(Program::Runtime, &["figure", kind]);
            if models.len() > plan.models.len() {
                // What was trained a moment ago has no manifest.
                drawing.arguments.push("--no-card".into());
            }
            let paths = models.iter().map(|(_, path)| path.clone());
            drawing.arguments.extend(each("--model", paths.collect()));
            let data = format!("{}:{}", plan.images, asked.images());
            drawing.arguments.extend(["--data".into(), data]);
            drawing.arguments.extend(with(&figure.options, asked));
            drawing
        }
    };
    drawing.arguments.extend(["--output".into(), folder]);
    steps.push(drawing);
}

/// The plan's options, with the limit that was asked for in place of its own.
fn with(options: &[String], asked: &Asked) -> Vec<String> {
    let limit = asked.limit();
    if limit.is_empty() {
        return options.to_vec();
    }
    let own = options.iter().position(|option| option == "--limit");
    let mut kept = options.to_vec();
    if let Some(at) = own {
        kept.drain(at..(at + 2).min(kept.len()));
    }
    kept.extend(limit);
    kept
}
