//! What is resumed is the run that was begun: the same images, the same seed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod common;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use bagcert_trainer::{checkpoint::Checkpoint, config::Config};
use common::{
    records, run, text,
    trees::{picture, write_folder},
    write_config, write_dataset,
};

/// A run of one epoch on such data.
struct Run {
    config: PathBuf,
    data: PathBuf,
    output: PathBuf,
}

impl Run {
    /// Begun in `folder`, where `data` lies.
    fn begun(folder: &Path, data: &Path, kind: &str) -> Self {
        let config = folder.join("config.toml");
        let table = format!(
            "seed = 3\n[data]\n{kind}\n[network]\nwidth = 4\nkernels = [3]\nstrides = [2]\npaths = 1\n\
             [loss]\nmargin = 0.5\n[training]\nepochs = 1\nbatch = 8\nlearning_rate = 0.01\n"
        );
        fs::write(&config, table).unwrap();
        let begun = Self {
            config,
            data: data.into(),
            output: folder.join("run"),
        };
        assert_eq!(begun.train(&[]), None);
        begun
    }

    /// The error, if any.
    fn train(&self, more: &[&str]) -> Option<String> {
        let mut arguments = vec!["train"];
        for (name, path) in [
            ("--config", &self.config),
            ("--data", &self.data),
            ("--output", &self.output),
        ] {
            arguments.extend([name, text(path)]);
        }
        arguments.extend(more);
        let (result, errors) = run(&arguments);
        (!result.status.success()).then_some(errors)
    }

    fn refused(&self, words: &[&str]) {
        let said = self.train(&["--resume"]).expect("it went on");
        for word in [words, &["checkpoint.safetensors", "other images"]].concat() {
            assert!(said.contains(word), "{word:?} is not in: {said}");
        }
    }

    fn goes_on(&self) {
        assert_eq!(self.train(&["--resume"]), None);
    }
}

/// A class by another name, in both parts.
fn rename(data: &Path, from: &str, to: &str) {
    for part in ["train", "val"] {
        fs::rename(data.join(part).join(from), data.join(part).join(to)).unwrap();
    }
}

#[test]
fn a_run_on_a_folder_is_not_resumed_on_another() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("trees");
    write_folder(&data, 8);
    let begun = Run::begun(
        folder.path(),
        &data,
        "kind = \"folder\"\nresize = 24\ncrop = 24",
    );
    let path = begun.output.join("checkpoint.safetensors");
    let before = fs::read(&path).unwrap();
    let kept = Checkpoint::read(&path).unwrap().header.data.unwrap();
    let parts: Vec<_> = kept.parts.iter().map(|part| part.name.as_str()).collect();
    assert_eq!(parts, ["train", "val"]);
    assert_eq!(kept.parts[0].images, [8, 8, 8]);
    assert_eq!(kept.parts[1].images, [4, 4, 4]);
    begun.goes_on();

    // Renamed, and by that in another place: cedar is class 0 now.
    rename(&data, "cedar", "acacia");
    begun.refused(&["\"cedar\" is gone", "\"acacia\" is new"]);
    rename(&data, "acacia", "cedar");
    // Added and removed.
    let elms = ["train", "val"].map(|part| data.join(part).join("elm"));
    for elm in &elms {
        fs::create_dir(elm).unwrap();
        fs::copy(data.join("train/ash/000.png"), elm.join("0.png")).unwrap();
    }
    begun.refused(&["the class \"elm\" is new"]);
    // What is measured would say nothing of it.
    fs::remove_dir_all(&elms[1]).unwrap();
    let said = begun.train(&["--resume"]).expect("it went on");
    assert!(
        said.contains("the class \"elm\" of train has no folder here"),
        "{said}"
    );
    fs::remove_dir_all(&elms[0]).unwrap();
    let aside = folder.path().join("aside");
    for part in ["train", "val"] {
        fs::create_dir_all(aside.join(part)).unwrap();
        fs::rename(
            data.join(part).join("birch"),
            aside.join(part).join("birch"),
        )
        .unwrap();
    }
    begun.refused(&["the class \"birch\" is gone"]);
    for part in ["train", "val"] {
        fs::rename(
            aside.join(part).join("birch"),
            data.join(part).join("birch"),
        )
        .unwrap();
    }
    begun.goes_on();

    // The same names, but two classes have changed places.
    rename(&data, "ash", "x");
    rename(&data, "birch", "ash");
    rename(&data, "x", "birch");
    begun.refused(&["train holds other images", "as many of each class"]);
    rename(&data, "ash", "x");
    rename(&data, "birch", "ash");
    rename(&data, "x", "birch");
    begun.goes_on();

    // An image more, an image exchanged, an image less in the part to choose by.
    let more = data.join("train/ash/900.png");
    picture(0, 30, 30, 1).save(&more).unwrap();
    begun.refused(&["\"ash\" had 8 images in train, now 9"]);
    fs::remove_file(&more).unwrap();
    let one = data.join("train/cedar/002.png");
    let whole = fs::read(&one).unwrap();
    picture(2, 60, 60, 3).save(&one).unwrap();
    begun.refused(&["train holds other images", "training.initial = \""]);
    fs::write(&one, whole).unwrap();
    let last = data.join("val/cedar/003.JPEG");
    let whole = fs::read(&last).unwrap();
    fs::remove_file(&last).unwrap();
    begun.refused(&["\"cedar\" had 4 images in val, now 3"]);
    fs::write(&last, whole).unwrap();
    begun.goes_on();
    assert!(fs::read(&path).unwrap() == before, "the checkpoint changed");
}

/// What was trained is not lost with an image that is only chosen by; put right, it may have another length, and no other file.
#[test]
fn a_damaged_image_to_choose_by_costs_no_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("trees");
    write_folder(&data, 8);
    let kind = "kind = \"folder\"\nresize = 24\ncrop = 24";
    let begun = Run::begun(folder.path(), &data, kind);
    let longer = |name: &str| Run {
        config: begun.config.clone(),
        data: data.clone(),
        output: folder.path().join(name),
    };
    let (whole, stopped) = (longer("whole"), longer("stopped"));
    assert_eq!(whole.train(&["--epochs", "3"]), None);

    let broken = data.join("val/cedar/002.png");
    let intact = fs::read(&broken).unwrap();
    let other = data.join("val/birch/001.JPEG");
    let unchanged = fs::read(&other).unwrap();
    let damage = || fs::write(&broken, &intact[..intact.len() / 2]).unwrap();
    damage();
    let checkpoint = |run: &Run| fs::read(run.output.join("checkpoint.safetensors")).unwrap();
    let epoch = || {
        let path = stopped.output.join("checkpoint.safetensors");
        Checkpoint::read(&path).unwrap().header.epoch
    };
    let fails = |more: &[&str]| {
        let error = stopped.train(more).expect("it measured a damaged image");
        for part in ["epoch 1 is trained and kept", "cedar/002.png", "--resume"] {
            assert!(error.contains(part), "{part} is not in: {error}");
        }
        assert_eq!(epoch(), 1);
    };
    fails(&["--epochs", "3"]);
    // Nothing comes of trying again before it is put right.
    let kept = checkpoint(&stopped);
    fails(&["--resume", "--epochs", "3"]);
    assert!(checkpoint(&stopped) == kept);

    // Put right, it is the run that it was; so with a damage that another epoch meets, and after the last.
    fs::write(&broken, &intact).unwrap();
    assert_eq!(stopped.train(&["--resume", "--epochs", "3"]), None);
    assert!(checkpoint(&stopped) == checkpoint(&whole));
    let log = |run: &Run| -> Vec<serde_json::Value> {
        let log = fs::read_to_string(run.output.join("log.jsonl")).unwrap();
        log.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let (found, expected) = (log(&stopped), log(&whole));
    assert_eq!((found.len(), expected.len()), (3, 3));
    for (found, expected) in found.iter().zip(&expected) {
        for key in ["epoch", "loss", "learning_rate", "validation"] {
            assert_eq!(found[key], expected[key], "{key}");
        }
        assert!(found["validation"].is_object());
    }

    let (last, one) = (longer("last"), longer("one"));
    assert_eq!(one.train(&[]), None);
    damage();
    assert!(last.train(&[]).is_some());
    // Only the names of the part that was damaged are enough: what is trained on is as it was, and no file is gone.
    let taught = data.join("train/ash/002.png");
    let before = fs::read(&taught).unwrap();
    picture(0, 61, 60, 3).save(&taught).unwrap();
    last.refused(&["train holds other images", "training.initial", "last"]);
    fs::write(&taught, before).unwrap();
    fs::rename(&other, data.join("val/birch/00x.JPEG")).unwrap();
    last.refused(&["val holds other images"]);
    fs::remove_file(data.join("val/birch/00x.JPEG")).unwrap();
    last.refused(&["\"birch\" had 4 images in val, now 3"]);
    fs::write(&other, &unchanged).unwrap();
    fs::write(&broken, &intact).unwrap();
    assert_eq!(last.train(&["--resume"]), None);
    assert!(checkpoint(&last) == checkpoint(&one));
    // From there on, lengths count again.
    picture(2, 61, 60, 3).save(&broken).unwrap();
    last.refused(&["val holds other images"]);
}

#[test]
fn a_run_on_records_is_not_resumed_on_others() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("ten");
    fs::create_dir(&data).unwrap();
    let files = [("train.bin", records(40, 1)), ("more.bin", records(20, 2))];
    for (name, bytes) in &files {
        fs::write(data.join(name), bytes).unwrap();
    }
    let kind =
        "kind = \"records\"\nlabels = 10\nvalidation = 10\ntrain = [\"train.bin\", \"more.bin\"]";
    let begun = Run::begun(folder.path(), &data, kind);
    begun.goes_on();

    // A pixel of the last record, which is only chosen by.
    let mut other = files[1].1.clone();
    *other.last_mut().unwrap() ^= 1;
    fs::write(data.join("more.bin"), other).unwrap();
    begun.refused(&["more.bin holds other images"]);
    // One record less, one more of class 0.
    fs::write(data.join("more.bin"), &files[1].1[..19 * 3073]).unwrap();
    begun.refused(&["\"9\" had 2 images in more.bin, now 1"]);
    fs::write(data.join("more.bin"), &files[1].1).unwrap();
    // Packed, the records are still those.
    fs::remove_file(data.join("train.bin")).unwrap();
    let mut packer = liblzma::write::XzEncoder::new(vec![], 1);
    packer.write_all(&files[0].1).unwrap();
    fs::write(data.join("train.bin.xz"), packer.finish().unwrap()).unwrap();
    begun.goes_on();

    // Another number of classes is another configuration, and where that was exchanged the checkpoint tells.
    let wider = fs::read_to_string(&begun.config)
        .unwrap()
        .replace("labels = 10", "labels = 11");
    fs::write(&begun.config, wider).unwrap();
    let said = begun.train(&["--resume"]).unwrap();
    assert!(said.contains("data.labels was 10 and is 11 now"), "{said}");
    fs::copy(&begun.config, begun.output.join("config.toml")).unwrap();
    begun.refused(&["the class \"10\" is new"]);
}

#[test]
fn a_run_from_before_images_were_kept_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path(), 20);
    let begun = Run::begun(folder.path(), folder.path(), "validation = 20");
    let path = begun.output.join("checkpoint.safetensors");
    let bytes = fs::read(&path).unwrap();
    let kept = Checkpoint::read(&path).unwrap().header.data.unwrap();
    assert_eq!(kept.parts.len(), 5);
    assert_eq!(kept.parts[4].name, "data_batch_5.bin");
    // The header without it, as it was written then, filled up with spaces to the same length.
    let len = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let text = str::from_utf8(&bytes[8..8 + len]).unwrap();
    let from = text.find(",\\\"data\\\":{").unwrap();
    let to = from + text[from..].find("}]}").unwrap() + 3;
    let mut older = bytes.clone();
    older[8 + from..8 + to].fill(b' ');
    // Nor was a header sealed then.
    let seal = text.find(",\\\"seal\\\":").unwrap();
    let end = seal + text[seal..].find('}').unwrap();
    older[8 + seal..8 + end].fill(b' ');
    fs::write(&path, older).unwrap();
    assert_eq!(Checkpoint::read(&path).unwrap().header.data, None);
    begun.goes_on();
    fs::write(
        folder.path().join("data_batch_2.bin"),
        common::records(20, 77),
    )
    .unwrap();
    begun.goes_on();
    fs::write(&path, bytes).unwrap();
    begun.refused(&["data_batch_2.bin holds other images"]);
}

#[test]
fn a_seed_of_the_command_line_is_that_of_the_run() {
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path(), 40);
    let config = write_config(folder.path(), 1, "");
    let begin = |name: &str, config: &Path, more: &[&str]| {
        let begun = Run {
            config: config.into(),
            data: folder.path().into(),
            output: folder.path().join(name),
        };
        assert_eq!(begun.train(more), None);
        let checkpoint = fs::read(begun.output.join("checkpoint.safetensors")).unwrap();
        (begun, checkpoint)
    };
    let (own, of_file) = begin("own", &config, &[]);
    let (begun, given) = begin("given", &config, &["--seed", "-12"]);
    assert!(given != of_file, "the seed changed nothing");
    // Kept with the run as if the file had said it.
    let saved = Config::read(&begun.output.join("config.toml")).unwrap();
    assert_eq!(saved.seed, -12);
    let other = folder.path().join("other.toml");
    let asked = fs::read_to_string(&config)
        .unwrap()
        .replace("seed = 7", "seed = -12");
    fs::write(&other, asked).unwrap();
    let (_, said) = begin("said", &other, &[]);
    assert!(said == given, "another run than with that seed in the file");
    // Resumed with it, and with nothing else.
    assert_eq!(begun.train(&["--resume", "--seed", "-12"]), None);
    for (more, now) in [(&["--resume"][..], 7), (&["--resume", "--seed", "5"], 5)] {
        let error = begun.train(more).unwrap();
        let differs = format!("another configuration: seed was -12 and is {now} now;");
        assert!(error.contains(&differs), "{error}");
    }
    assert_eq!(own.train(&["--resume", "--seed", "7"]), None);
    let error = own.train(&["--resume", "--seed", "x"]).unwrap();
    assert!(error.contains("--seed"), "{error}");
}

/// A run that was killed before its first checkpoint has a configuration and a log.
#[test]
fn a_run_without_a_checkpoint_is_that_run_still() {
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path(), 20);
    let run = Run {
        config: write_config(folder.path(), 1, ""),
        data: folder.path().into(),
        output: folder.path().join("run"),
    };
    assert_eq!(run.train(&[]), None);
    let checkpoint = run.output.join("checkpoint.safetensors");
    let whole = fs::read(&checkpoint).unwrap();
    let log = fs::read(run.output.join("log.jsonl")).unwrap();
    fs::remove_file(&checkpoint).unwrap();
    let error = run.train(&["--resume", "--seed", "8"]).unwrap();
    assert!(error.contains("seed was 7 and is 8 now"), "{error}");
    assert_eq!(fs::read(run.output.join("log.jsonl")).unwrap(), log);
    assert_eq!(run.train(&["--resume"]), None);
    assert!(fs::read(&checkpoint).unwrap() == whole);
}

/// `--epochs` alone is a run of that length; with `--resume` a run goes on to another one, by its schedule.
#[test]
fn the_length_of_a_run_is_its_own_to_change() {
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path(), 20);
    let config = write_config(folder.path(), 3, "");
    let of = |name: &str| Run {
        config: config.clone(),
        data: folder.path().into(),
        output: folder.path().join(name),
    };
    let log = |run: &Run| -> Vec<serde_json::Value> {
        let log = fs::read_to_string(run.output.join("log.jsonl")).unwrap();
        log.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let (long, begun) = (of("long"), of("begun"));
    assert_eq!(long.train(&["--epochs", "5"]), None);
    assert_eq!(begun.train(&[]), None);
    let before = log(&begun);
    assert_eq!((log(&long).len(), before.len()), (5, 3));

    assert_eq!(begun.train(&["--resume", "--epochs", "5"]), None);
    let after = log(&begun);
    // What was done stands; what follows has the learning rates of a run of five epochs.
    assert_eq!(after[..3], before[..]);
    for (found, expected) in after.iter().zip(log(&long)).skip(3) {
        assert_eq!(found["learning_rate"], expected["learning_rate"]);
    }
    assert_eq!(after.len(), 5);
    // Kept with the run: it is one of five epochs now.
    let own = begun.output.join("config.toml");
    assert_eq!(Config::read(&own).unwrap().training.epochs, 5);
    let error = begun.train(&["--resume"]).unwrap();
    for part in ["5 epochs", "not of 3", "--epochs 3"] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
    let again = Run {
        config: own.clone(),
        ..of("begun")
    };
    assert_eq!(again.train(&["--resume"]), None);

    // Refused: fewer than are done, none, and whatever else differs. Nothing is lost by it.
    let kept = fs::read(begun.output.join("checkpoint.safetensors")).unwrap();
    let error = begun.train(&["--resume", "--epochs", "4"]).unwrap();
    for part in ["5 epochs", "4", "--epochs 5"] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
    let error = begun.train(&["--resume", "--epochs", "0"]).unwrap();
    assert!(error.contains("training.epochs"), "{error}");
    let wider = fs::read_to_string(&own).unwrap();
    let wider = wider.replace("batch = 16", "batch = 15\nema = 0.5");
    fs::write(&config, wider).unwrap();
    let error = begun.train(&["--resume", "--epochs", "6"]).unwrap();
    let differs = "training.batch was 16 and is 15 now, training.ema was not given and is 0.5 now;";
    assert!(error.contains(differs), "{error}");
    // Only once the images are there and the same is the new length kept.
    let elsewhere = tempfile::tempdir().unwrap();
    write_dataset(elsewhere.path(), 21);
    let astray = Run {
        config: own.clone(),
        data: elsewhere.path().into(),
        ..of("begun")
    };
    assert!(astray.train(&["--resume", "--epochs", "6"]).is_some());
    assert_eq!(Config::read(&own).unwrap().training.epochs, 5);
    let now = fs::read(begun.output.join("checkpoint.safetensors")).unwrap();
    assert!(now == kept, "a refused run changed the checkpoint");
}
