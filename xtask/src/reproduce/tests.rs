#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use super::plan::{Export, Plan};
use super::steps::{Asked, Program, steps};
use super::{ReproduceArgs, check_options, epochs_behind, run};
use crate::exec;
use crate::libtorch::Site;
use clap::Parser as _;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn plan(text: &str) -> Result<Plan, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("plan.toml");
    fs::write(&path, text).unwrap();
    Plan::read(&path, &exec::root()).map_err(|error| format!("{error:#}"))
}

fn asked() -> Asked {
    Asked {
        data: "/data".into(),
        into: "runs".into(),
        name: "plan".into(),
        device: "cpu".into(),
        epochs: None,
        limit: None,
    }
}

/// The commands of a plan, as a person would type them.
fn lines(text: &str, asked: &Asked) -> Vec<String> {
    let steps = steps(&plan(text).unwrap(), asked);
    let lines = steps.iter();
    lines
        .map(|step| format!("{} {}", step.program.name(), step.arguments.join(" ")))
        .collect()
}

const TWO: &str = "models = [\"models/cifar10-rf8.onnx\"]\n\
    [[figures]]\nkind = \"conditions\"\noptions = [\"--paper\"]\n\
    [[figures]]\nkind = \"attacked\"\noptions = [\"--limit\", \"1000\", \"--steps\", \"7\"]\n\
    [[runs]]\nconfig = \"trainer/configs/figure-rf5.toml\"\n\
    [[runs]]\nconfig = \"trainer/configs/figure-rf6.toml\"\nseeds = [3]\n\
    legs = [{ epochs = 9, until = 2 }, { epochs = 5 }]\nexport = [\"safetensors\", \"onnx\"]\n";

#[test]
fn a_plan_comes_to_these_commands() {
    let train = |name: &str, config: &str| {
        format!(
            "bagcert-train train --config trainer/configs/{config}.toml --data /data --output runs/{name} \
             --device cpu --resume"
        )
    };
    let export = |name: &str, ending: &str| {
        format!(
            "bagcert-train export --checkpoint runs/{name}/checkpoint.safetensors --output runs/{name}.{ending}"
        )
    };
    let attack = |model: &str, journal: &str, limit: &str| {
        format!(
            "bagcert-train attack --model {model} --data /data --output runs/{journal}.jsonl --device cpu --resume {limit}"
        )
    };
    let shipped = "models/cifar10-rf8.onnx";
    let models =
        format!("--model runs/figure-rf5.onnx --model runs/figure-rf6-3.onnx --model {shipped}");
    let second = train("figure-rf6-3", "figure-rf6");
    assert_eq!(
        lines(TWO, &asked()),
        [
            "bagcert-train check --config trainer/configs/figure-rf5.toml --config trainer/configs/figure-rf6.toml"
                .to_owned(),
            train("figure-rf5", "figure-rf5"),
            export("figure-rf5", "onnx"),
            format!("{second} --seed 3 --epochs 9 --until 2"),
            format!("{second} --seed 3 --epochs 5"),
            export("figure-rf6-3", "safetensors"),
            export("figure-rf6-3", "onnx"),
            format!("bagcert figure conditions --no-card {models} --data cifar10:/data --paper --output runs/plan"),
            attack("runs/figure-rf5.onnx", "figure-rf5", "--limit 1000 --steps 7"),
            attack("runs/figure-rf6-3.onnx", "figure-rf6-3", "--limit 1000 --steps 7"),
            attack(shipped, "cifar10-rf8", "--limit 1000 --steps 7"),
            "bagcert-train figure attacked --journal runs/figure-rf5.jsonl --journal runs/figure-rf6-3.jsonl \
             --journal runs/cifar10-rf8.jsonl --output runs/plan"
                .to_owned(),
        ]
    );
    // A rehearsal has one leg, and its own limit.
    let rehearsal = Asked {
        epochs: Some(1),
        limit: Some(8),
        ..asked()
    };
    let found = lines(TWO, &rehearsal);
    assert_eq!(found.len(), 11);
    assert_eq!(found[3], format!("{second} --seed 3 --epochs 1"));
    assert!(found[6].contains("--paper --limit 8 "), "{}", found[6]);
    assert_eq!(
        found[9],
        attack(shipped, "cifar10-rf8", "--steps 7 --limit 8")
    );
    let scores = "[[figures]]\nkind = \"scores\"\n[[runs]]\nconfig = \"trainer/configs/figure-rf8.toml\"\n\
                  seeds = [1, 2]\nexport = []\n";
    assert_eq!(
        lines(scores, &asked())[3],
        "bagcert-train figure scores --run runs/figure-rf8-1 --run runs/figure-rf8-2 --output runs/plan"
    );
    let mean = "[[means]]\nname = \"both\"\nof = [\"runs/a.onnx\", \"models/cifar10-rf8.onnx\"]\nweights = [2, 0.5]\n\
                [[figures]]\nkind = \"shapes\"\n";
    assert_eq!(
        lines(mean, &asked()),
        [
            "bagcert-train mean --of runs/a.onnx --of models/cifar10-rf8.onnx --weight 2 --weight 0.5 --output runs/both.onnx",
            "bagcert figure shapes --no-card --model runs/both.onnx --data cifar10:/data --output runs/plan",
        ]
    );
    let folder = "images = \"folder\"\n[[figures]]\nkind = \"speed\"\n[[runs]]\nconfig = \"trainer/configs/paper-imagenet-rf17.toml\"\n";
    assert!(lines(folder, &asked())[3].contains("--data folder:/data"));
}

#[test]
fn what_cannot_be_done_is_named_before_anything_is_begun() {
    let one = "[[runs]]\nconfig = \"trainer/configs/figure-rf5.toml\"\n";
    for (text, words) in [
        (String::new(), "neither runs nor models"),
        (format!("{one}epochs = 3"), "epochs"),
        ("[[runs]]\nconfig = \"nowhere.toml\"".into(), "nowhere.toml"),
        ("models = [\"nowhere.onnx\"]".into(), "nowhere.onnx"),
        (format!("{one}{one}"), "two runs would write figure-rf5"),
        (
            format!("{one}seeds = [1, 1]"),
            "two runs would write figure-rf5-1",
        ),
        (
            format!("{one}legs = [{{ epochs = 3 }}, {{ epochs = 3 }}]"),
            "[3, 3]",
        ),
        (
            format!("{one}legs = [{{ epochs = 3, until = 4 }}]"),
            "before epoch 4",
        ),
        (
            format!("[[figures]]\nkind = \"shapes\"\n{one}export = []"),
            "of which shapes is drawn",
        ),
        (
            format!("[[figures]]\nkind = \"shapes\"\n[[figures]]\nkind = \"shapes\"\n{one}"),
            "drawn twice",
        ),
        ("[[figures]]\nkind = \"circles\"".into(), "circles"),
        (
            "[[means]]\nname = \"../a\"\nof = [\"a\", \"b\"]".into(),
            "../a",
        ),
        (
            "[[means]]\nname = \"a\"\nof = [\"a\"]".into(),
            "two networks",
        ),
        (
            "[[means]]\nname = \"a\"\nof = [\"a\", \"b\"]\nweights = [1]".into(),
            "1 weights for 2",
        ),
        (
            "[[means]]\nname = \"a\"\nof = [\"a\", \"b\"]\nweights = [1, 0]".into(),
            "from 1e-6 to 1e6",
        ),
        (
            format!("{one}[[means]]\nname = \"figure-rf5\"\nof = [\"a\", \"b\"]"),
            "figure-rf5 is made twice",
        ),
        (
            "models = [\"models/cifar10-rf8.onnx\"]\n[[means]]\nname = \"cifar10-rf8\"\nof = [\"a\", \"b\"]"
                .into(),
            "has the name of a run, a mean or another model, cifar10-rf8",
        ),
        (
            format!("images = \"folder\"\n[[figures]]\nkind = \"attacked\"\n{one}"),
            "of CIFAR-10 only",
        ),
    ] {
        let error = plan(&text).unwrap_err();
        assert!(error.contains(words), "{words:?} is not in {error}");
        assert!(error.contains("plan.toml"), "{error}");
    }
}

/// A run would go on from a rehearsal as if that had been its own beginning.
#[test]
fn a_rehearsal_has_a_folder_of_its_own() {
    let parsed = |more: &[&str]| {
        let command = ["xtask", "reproduce", "plan.toml", "--data", "data"];
        crate::Cli::try_parse_from([&command[..], more].concat()).map(|_| ())
    };
    let error = parsed(&["--epochs", "1"]).unwrap_err().to_string();
    assert!(error.contains("--into"), "{error}");
    parsed(&["--epochs", "1", "--into", "try"]).unwrap();
    parsed(&["--limit", "9"]).unwrap();
}

fn shipped() -> Vec<(PathBuf, Plan)> {
    let root = exec::root();
    let plans = fs::read_dir(root.join("trainer/plans")).unwrap();
    let plans: Vec<PathBuf> = plans
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    assert!(!plans.is_empty());
    let read = |path: PathBuf| match Plan::read(&path, &root) {
        Ok(plan) => (path, plan),
        Err(error) => panic!("{error:#}"),
    };
    plans.into_iter().map(read).collect()
}

/// What a configuration begins with or learns from, of the files that runs leave.
fn needs(config: &Path) -> Vec<String> {
    let text = fs::read_to_string(exec::root().join(config)).unwrap();
    let config: toml::Table = toml::from_str(&text).unwrap();
    let value = |table: &str, key: &str| config.get(table)?.as_table()?.get(key).cloned();
    let files = [
        value("training", "initial"),
        value("distillation", "teacher"),
    ];
    let mut needs = vec![];
    for file in files.into_iter().flatten() {
        match file {
            toml::Value::String(path) => needs.push(path),
            toml::Value::Array(paths) => {
                needs.extend(
                    paths
                        .iter()
                        .filter_map(|path| Some(path.as_str()?.to_owned())),
                );
            }
            other => panic!("{other}"),
        }
    }
    needs
}

/// Each run finds what it begins with: a shipped model, or what a run before it has left.
#[test]
fn the_plans_that_are_shipped_can_be_carried_out() {
    for (path, plan) in shipped() {
        let mut left: BTreeSet<String> = BTreeSet::new();
        for run in &plan.runs {
            for need in needs(&run.config) {
                let there = left.contains(&need) || exec::root().join(&need).is_file();
                assert!(there, "{}: nothing leaves {need}", path.display());
            }
            for (name, _) in run.names() {
                let endings = run.export.iter().map(|export| export.ending());
                left.extend(endings.map(|ending| format!("runs/{name}.{ending}")));
            }
            let text = fs::read_to_string(exec::root().join(&run.config)).unwrap();
            let config: toml::Table = toml::from_str(&text).unwrap();
            let epochs = config["training"]["epochs"].as_integer().unwrap();
            if let Some(leg) = run.legs.last().filter(|leg| leg.until.is_none()) {
                // A leg beyond it is what the configuration says in words.
                assert!(leg.epochs as i64 >= epochs, "{}", run.config.display());
            }
        }
        for part in plan.means.iter().flat_map(|mean| &mean.of) {
            let there =
                left.contains(&*part.to_string_lossy()) || exec::root().join(part).is_file();
            assert!(
                there,
                "{}: nothing leaves {}",
                path.display(),
                part.display()
            );
        }
    }
}

/// Every shipped model has its run in the plan of shipped models, and every figure of the paper a plan.
#[test]
fn all_models_and_figures_have_a_plan() {
    let plans = shipped();
    let of = |name: &str| {
        let found = plans
            .iter()
            .find(|(path, _)| path.file_stem().unwrap() == name);
        &found.unwrap_or_else(|| panic!("no plan {name}")).1
    };
    let models = of("shipped-models");
    let means = models.means.iter().map(|mean| mean.name.clone());
    let made: BTreeSet<String> = models
        .runs
        .iter()
        .filter(|run| run.export.contains(&Export::Onnx))
        .flat_map(|run| run.names().into_iter().map(|(name, _)| name))
        .chain(means)
        .collect();
    for entry in fs::read_dir(exec::root().join("models")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "onnx") {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            assert!(made.contains(&name), "{name}");
        }
    }
    let drawn: BTreeSet<&str> = plans
        .iter()
        .flat_map(|(_, plan)| plan.figures.iter().map(|figure| figure.kind.name()))
        .collect();
    let all = [
        "attacked",
        "conditions",
        "scores",
        "shapes",
        "speed",
        "squares",
    ];
    assert_eq!(drawn, BTreeSet::from(all));
}

/// The folder with both programs, built where they are not there.
fn programs() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    if [Program::Runtime, Program::Trainer]
        .iter()
        .all(|program| folder.join(program.name()).exists())
    {
        return folder.into();
    }
    super::build(&Site::choose(None).unwrap()).unwrap()
}

/// `count` images whose brightness depends on the label.
fn images(count: u8) -> Vec<u8> {
    let one = |index: u8| {
        let label = index % 10;
        let shade =
            move |at: u32| label * 20 + (at.wrapping_mul(31).wrapping_add(index.into()) % 64) as u8;
        std::iter::once(label).chain((0..3072).map(shade))
    };
    (0..count).flat_map(one).collect()
}

/// The configuration of a network that is trained in a moment.
fn small(folder: &Path) -> PathBuf {
    let config = folder.join("small.toml");
    let network = "width = 8\nkernels = [3, 1]\nstrides = [2, 1]\n";
    fs::write(
        &config,
        format!(
            "seed = 1\n[data]\nvalidation = 60\n[network]\n{network}[loss]\nmargin = 0.3\n\
             [training]\nepochs = 5\nbatch = 16\nlearning_rate = 0.01\n"
        ),
    )
    .unwrap();
    config
}

/// An attack comes after all training, and its options are another program's.
#[test]
fn a_wrong_option_of_the_last_step_is_found_before_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let config = small(folder.path());
    let into = folder.path().join("runs");
    for (options, words) in [
        (r#"["--stepps", "2"]"#, "--stepps"),
        (r#"["--steps", "two"]"#, "'two'"),
    ] {
        let plan = folder.path().join("all.toml");
        let text = format!(
            "[[figures]]\nkind = \"attacked\"\noptions = {options}\n[[runs]]\nconfig = {config:?}\n"
        );
        fs::write(&plan, text).unwrap();
        let args = ReproduceArgs {
            plan,
            data: folder.path().into(),
            into: Some(into.clone()),
            device: "cpu".into(),
            epochs: None,
            limit: None,
            dry_run: false,
            programs: Some(programs()),
        };
        let error = run(&Site::choose(None).unwrap(), &args).unwrap_err();
        let said = format!("{error:#}");
        assert!(said.contains(words) && said.contains("all.toml"), "{said}");
        assert!(!into.exists());
    }
}

/// What the shipped plans ask of the programs is what these take.
#[test]
fn the_options_of_the_shipped_plans_are_known() {
    let programs = programs();
    for (path, plan) in shipped() {
        for step in steps(&plan, &asked()) {
            if let Err(error) = check_options(&programs, &step) {
                panic!("{}: {error:#}", path.display());
            }
        }
    }
}

#[test]
fn a_plan_is_carried_out_and_once_more_goes_on_with_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    for (batch, count) in [
        "data_batch_1",
        "data_batch_2",
        "data_batch_3",
        "data_batch_4",
        "data_batch_5",
        "test_batch",
    ]
    .into_iter()
    .zip(60..)
    {
        fs::write(data.join(format!("{batch}.bin")), images(count)).unwrap();
    }
    let config = small(folder.path());
    let plan = folder.path().join("all.toml");
    let kinds = [
        "speed",
        "conditions",
        "squares",
        "shapes",
        "attacked",
        "scores",
    ];
    let figures = kinds.map(|kind| {
        let options = match kind {
            "squares" => "options = [\"--largest\", \"3\"]",
            "attacked" => "options = [\"--steps\", \"2\"]",
            _ => "",
        };
        format!("[[figures]]\nkind = \"{kind}\"\n{options}\n")
    });
    let run_of = format!(
        "[[runs]]\nconfig = {config:?}\nseeds = [1, 2]\nlegs = [{{ epochs = 4, until = 2 }}, {{ epochs = 3 }}]\n"
    );
    fs::write(&plan, figures.concat() + &run_of).unwrap();
    let into = folder.path().join("runs");
    let args = ReproduceArgs {
        plan,
        data,
        into: Some(into.clone()),
        device: "cpu".into(),
        epochs: None,
        limit: Some(20),
        dry_run: false,
        programs: Some(programs()),
    };
    let site = Site::choose(None).unwrap();
    run(&site, &args).unwrap();
    for kind in kinds {
        let file = |ending: &str| {
            let path = into.join("all").join(format!("{kind}.{ending}"));
            fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        assert!(file("csv").contains("small-2"), "{kind}");
        assert!(file("svg").contains("</svg>"), "{kind}");
    }
    let checkpoint = into.join("small-1/checkpoint.safetensors");
    assert_eq!(epochs_behind(&checkpoint).unwrap(), Some(3));
    let before = [
        "small-1/log.jsonl",
        "small-1.onnx",
        "small-1.jsonl",
        "all/squares.csv",
    ]
    .map(|name| (name, fs::read(into.join(name)).unwrap()));
    run(&site, &args).unwrap();
    for (name, bytes) in before {
        assert!(
            fs::read(into.join(name)).unwrap() == bytes,
            "{name} is another"
        );
    }
    assert_eq!(epochs_behind(&checkpoint).unwrap(), Some(3));
    assert_eq!(epochs_behind(&into.join("none")).unwrap(), None);
    assert!(epochs_behind(&config).is_err());
}
