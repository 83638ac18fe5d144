//! Image folders with all the options of a run at once: resumed in the middle, evaluated, exported.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
};

use bagcert_certifier::PatchSize;
use bagcert_trainer::{
    checkpoint::Header,
    config::{Config, Scores},
    data::{DataError, Folder, FolderError, Images, Sizes},
    evaluate::{Asked, EvaluationError, evaluate, evaluate_timed},
    export::onnx_bytes,
    import::import,
    run::{self, CHECKPOINT, EpochLog, LOG, Observer, Start},
};
use common::{
    alone, run as command, text,
    trees::{CLASSES, write_folder},
    untrained::header,
};
use tch::Device;

fn config(path: &Path, more: &str) -> Config {
    let text = format!(
        "seed = 5\n[data]\nkind = \"folder\"\nresize = 26\ncrop = 24\n\
         [network]\nwidth = 8\nkernels = [3, 1]\nstrides = [2, 1]\n{more}"
    );
    fs::write(path, text).unwrap();
    Config::read(path).unwrap()
}

/// Copies the run's folder after `after` epochs: what a kill would leave.
struct Copy {
    from: PathBuf,
    to: PathBuf,
    after: usize,
}

impl Observer for Copy {
    fn step(&mut self, _: usize, _: i64, _: i64) {}

    fn epoch(&mut self, log: &EpochLog) {
        // The epoch that is told of is not saved yet.
        if log.epoch != self.after + 1 {
            return;
        }
        fs::create_dir(&self.to).unwrap();
        for name in ["config.toml", LOG, CHECKPOINT] {
            fs::copy(self.from.join(name), self.to.join(name)).unwrap();
        }
    }
}

#[test]
fn every_option_at_once_and_resumed() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let data = at("trees");
    write_folder(&data, 24);
    let train = |config: &Config, name: &str, start: Start| {
        let mut observer = Copy {
            from: at(name),
            to: at(&format!("{name}-killed")),
            after: 2,
        };
        let output = at(name);
        run::train(
            config,
            &data,
            &output,
            start,
            None,
            Device::Cpu,
            &mut observer,
        )
        .unwrap();
    };
    let plain = "[loss]\nmargin = 0.5\n[training]\nepochs = 4\nbatch = 8\nlearning_rate = 0.01\n";
    train(&config(&at("teacher.toml"), plain), "teacher", Start::New);
    let teacher = at("teacher").join(CHECKPOINT);
    let (header, network, _) = run::load(&teacher, Device::Cpu).unwrap();
    let exported = at("teacher.onnx");
    fs::write(&exported, onnx_bytes(&header, &network).unwrap()).unwrap();
    let all = format!(
        "[loss]\nmargin = 0.5\nmargin_kind = \"worst-pair\"\npatches = [\"3x3\", \"2x5\"]\npair_rivals = 1\n\
         paper_epochs = 2\n[augmentation]\ncutout = 6\noperations = 1\nmagnitude = 0.3\nrotation = 9.0\nzoom = 0.2\nepochs = 3\n\
         [distillation]\nteacher = {teacher:?}\nkind = \"score-maps\"\nweight = 0.5\n\
         [training]\ninitial = {exported:?}\nepochs = 4\nbatch = 8\nlearning_rate = 0.01\nclip_norm = 1.0\nema = 0.9\n\
         precision = \"bf16\"\nchannels_last = true\n"
    );
    let student_toml = at("student.toml");
    let student = config(&student_toml, &all);
    train(&student, "student", Start::New);
    let (whole, killed) = (at("student"), at("student-killed"));
    train(&student, "student-killed", Start::Resume);
    let read = |run: &Path| fs::read(run.join(CHECKPOINT)).unwrap();
    assert!(
        read(&whole) == read(&killed),
        "resumed and not are the same"
    );
    let log = fs::read_to_string(whole.join(LOG)).unwrap();
    assert_eq!(log.lines().count(), 4);
    assert!(
        log.contains("double_mask"),
        "validated on the part val: {log}"
    );

    // The average is what is exported, and comes back from the file.
    let (header, network, _) = run::load(&whole.join(CHECKPOINT), Device::Cpu).unwrap();
    assert_eq!(header.classes, CLASSES);
    let model = at("model.onnx");
    fs::write(&model, onnx_bytes(&header, &network).unwrap()).unwrap();
    import(&model, Device::Cpu).unwrap();

    let arguments = |more: &[&'static str]| {
        let checkpoint = whole.join(CHECKPOINT);
        let known = ["eval", "--patch", "3x3", "--batch", "7"];
        let paths = [
            ("--config", &student_toml),
            ("--data", &data),
            ("--checkpoint", &checkpoint),
        ];
        let paths = paths.map(|(key, path)| [key, text(path)].map(String::from));
        let mut all: Vec<String> = known.iter().chain(more).map(|s| s.to_string()).collect();
        all.extend(paths.into_iter().flatten());
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let (output, errors) = command(&all);
        assert!(output.status.success(), "{errors}");
        String::from_utf8(output.stdout).unwrap()
    };
    let printed = arguments(&[]);
    for word in [
        "36 test images of trees",
        "3x3, double masking: clean",
        "s for the images",
    ] {
        assert!(printed.contains(word), "{word} is not in {printed}");
    }
    // A network of a folder knows what its images were; the last line has times.
    let checkpoint = whole.join(CHECKPOINT);
    let (patch, batch) = (["--patch", "3x3"], ["--batch", "7"]);
    let paths = ["--data", text(&data), "--checkpoint", text(&checkpoint)];
    let (output, errors) = command(&[&["eval"], &patch[..], &batch, &paths].concat());
    let found = String::from_utf8(output.stdout).unwrap();
    let accuracies = |said: &str| said.trim_end().rsplit_once('\n').unwrap().0.to_owned();
    assert_eq!(accuracies(&found), accuracies(&printed), "{errors}");
    let other = arguments(&["--precision", "bf16", "--channels-last", "--limit", "10"]);
    assert!(other.contains("10 test images of trees"), "{other}");
    // A folder has its own part to choose by.
    let (output, errors) =
        command(&[&["eval", "--validation", "10"], &patch[..], &paths[..]].concat());
    assert!(
        !output.status.success() && errors.contains("the part val"),
        "{errors}"
    );
}

#[test]
fn images_read_as_they_are_needed_are_evaluated_as_those_in_memory() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    write_folder(folder.path(), 15);
    let classes = CLASSES.map(String::from);
    let sizes = Sizes::square(24, 24);
    let images = Folder::open(folder.path(), "train", &classes, sizes).unwrap();
    let memory = images.part(0, images.count()).unwrap();
    assert_eq!(memory.len(), 45);
    assert!(images.part(45, 10).unwrap().is_empty());
    tch::manual_seed(2);
    let header = Header {
        classes: classes.to_vec(),
        image_size: 24,
        ..header(toml::from_str("width = 8\nkernels = [3]\nstem_stride = 2").unwrap())
    };
    let (network, geometry) = run::build(&header, Device::Cpu).unwrap();
    let patches = [PatchSize::new(3, 3).unwrap(), PatchSize::new(1, 8).unwrap()];
    for batch in [7, 15, 100] {
        let mut done = Vec::new();
        let (read, times) = evaluate_timed(
            &network,
            Scores::Heaviside,
            &images,
            &geometry,
            Asked {
                patches: &patches,
                lead: 0,
            },
            batch,
            &mut |images| done.push(images),
        )
        .unwrap();
        let held = evaluate(&network, &memory, &geometry, &patches, 45, &mut |_| {}).unwrap();
        assert_eq!(read, held, "in batches of {batch}");
        assert_eq!(read.images, 45);
        assert_eq!(
            done.len() as i64,
            45i64.div_euclid(batch) + i64::from(45 % batch > 0)
        );
        assert_eq!(done.last(), Some(&45));
        assert!(!times.images.is_zero() && !times.certifier.is_zero());
    }

    // An image in the last batch that does not decode is an error, not one image less.
    fs::write(folder.path().join("train/cedar/014.png"), "broken").unwrap();
    let result = evaluate(&network, &images, &geometry, &patches, 20, &mut |_| {});
    match result.unwrap_err() {
        EvaluationError::Data(error @ DataError::Folder(FolderError::BadImage { .. })) => {
            assert!(error.to_string().contains("cedar/014.png"), "{error}");
        }
        other => panic!("{other}"),
    }
}
