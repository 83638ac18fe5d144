//! What the options of a run do: bf16 and channels_last give the network that f32 gives, nearly; the log has the
//! rate; the margin changes when it is asked to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use bagcert_trainer::{
    config::{Config, LossConfig},
    loss::{self, Margin},
    network::{Compute, Mode, Network, Plan},
    run::{self, EpochLog, Observer},
};
use common::{alone, run as command, text, write_config_with, write_dataset};
use tch::{Device, Kind, Tensor};

fn network() -> Network {
    let _alone = alone();
    tch::manual_seed(4);
    let layers = "width = 24\nkernels = [3, 1, 3]\nstrides = [1, 2, 1]\nshake = false";
    let config = toml::from_str(&format!("{layers}\nposition_embedding = true")).unwrap();
    let normalisation = vec![(0.49, 0.25), (0.48, 0.24), (0.45, 0.26)];
    Network::new(Plan::new(&config, 32, 3, 10), normalisation, Device::Cpu)
}

/// Loss, logits and gradient of one batch.
fn step(network: &mut Network, compute: Compute) -> (f64, Tensor, Tensor) {
    let _alone = alone();
    network.compute = compute;
    tch::manual_seed(9);
    let images = Tensor::rand([32, 3, 32, 32], (Kind::Float, Device::Cpu));
    let labels = Tensor::randint(10, [32], (Kind::Int64, Device::Cpu));
    let config: LossConfig = toml::from_str("margin = 0.5\nscores = \"sigmoid\"").unwrap();
    let logits = network.forward(&images, Mode::Train { shake: false });
    let loss = loss::total(&logits, &labels, &config, &Margin::Paper);
    let flat = &network.parameters.flat;
    let gradient = Tensor::run_backward(&[&loss], &[flat], false, false).remove(0);
    (loss.double_value(&[]), logits.detach(), gradient)
}

/// Random path weights are drawn where there are two paths, anew for each pass, and nowhere else.
#[test]
fn paths_are_mixed_at_random_only_where_there_are_two_and_it_is_asked_for() {
    let _alone = alone();
    let options = (Kind::Float, Device::Cpu);
    let images = Tensor::rand([4, 3, 32, 32], options);
    for (paths, shake) in [(1, false), (1, true), (2, false), (2, true)] {
        let config = format!("width = 8\nkernels = [3, 1]\npaths = {paths}");
        let plan = Plan::new(&toml::from_str(&config).unwrap(), 32, 3, 10);
        let network = Network::new(plan, vec![(0.5, 0.25); 3], Device::Cpu);
        tch::manual_seed(3);
        let next = Tensor::rand([1], options);
        tch::manual_seed(3);
        let pass = || network.forward(&images, Mode::Train { shake });
        let (one, other) = (pass(), pass());
        let random = paths == 2 && shake;
        assert_eq!(one != other, random, "{paths} {shake}");
        // Where nothing is drawn, what is drawn next is what would have been.
        assert_eq!(
            Tensor::rand([1], options) != next,
            random,
            "{paths} {shake}"
        );
    }
}

/// The cosine of the angle between two tensors.
fn cosine(one: &Tensor, other: &Tensor) -> f64 {
    let dot = |a: &Tensor, b: &Tensor| (a * b).sum(Kind::Double).double_value(&[]);
    dot(one, other) / (dot(one, one) * dot(other, other)).sqrt()
}

#[test]
fn losses_and_gradients_are_close_in_every_arithmetic() {
    let mut network = network();
    let (loss, logits, gradient) = step(&mut network, Compute::default());
    for (kind, channels_last, near) in [
        (Kind::Float, true, 1e-5),
        (Kind::BFloat16, false, 2e-2),
        (Kind::BFloat16, true, 2e-2),
    ] {
        let found = step(
            &mut network,
            Compute {
                kind,
                channels_last,
            },
        );
        assert_eq!((found.1.kind(), found.2.kind()), (Kind::Float, Kind::Float));
        assert!(
            (found.0 - loss).abs() < near,
            "{kind:?}: loss {} for {loss}",
            found.0
        );
        let angles = [cosine(&found.1, &logits), cosine(&found.2, &gradient)];
        eprintln!("{kind:?}, channels last {channels_last}: cosines {angles:?}");
        assert!(angles.iter().all(|angle| *angle > 1.0 - near), "{angles:?}");
        // It is another arithmetic, not f32 by another name.
        let same = found.1 == logits;
        assert!(kind == Kind::Float || !same);
    }
}

#[test]
fn crops_are_padded_as_asked() {
    let first = |mode: &str| train("data", &format!("padding_mode = \"{mode}\""))[0].loss;
    let (black, mirrored) = (first("zeros"), first("reflect"));
    assert_eq!(black, train("", "")[0].loss);
    assert_ne!(black, mirrored);
}

/// Each place of a map has a gradient of its own.
#[test]
fn position_embeddings_are_trained() {
    let mut network = network();
    let (_, _, gradient) = step(&mut network, Compute::default());
    let gradient = network
        .parameters
        .with(&gradient, &network.parameters.statistics);
    let mut embeddings = 0;
    for (name, tensor) in gradient.named() {
        if name.ends_with(".place.value") {
            embeddings += 1;
            let spread = tensor.std_dim([1i64, 2].as_slice(), true, false);
            assert!(spread.max().double_value(&[]) > 1e-6, "{name}");
        }
    }
    assert_eq!(embeddings, 4);
}

#[test]
fn activations_lie_as_asked() {
    let mut network = network();
    for channels_last in [false, true] {
        let compute = Compute {
            kind: Kind::BFloat16,
            channels_last,
        };
        let (_, logits, _) = step(&mut network, compute);
        // Strides of N x 10 x 16 x 16: the channel's is 1 where channels lie side by side.
        assert_eq!(logits.stride()[1], if channels_last { 1 } else { 256 });
    }
}

struct Losses(Vec<EpochLog>);

impl Observer for Losses {
    fn step(&mut self, _: usize, _: i64, _: i64) {}
    fn epoch(&mut self, log: &EpochLog) {
        self.0.push(log.clone());
    }
}

fn train(table: &str, lines: &str) -> Vec<EpochLog> {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path(), 60);
    let config = write_config_with(folder.path(), 12, &[(table, lines)]);
    let config = Config::read(&config).unwrap();
    let mut losses = Losses(vec![]);
    let output = folder.path().join("run");
    run::train(
        &config,
        folder.path(),
        &output,
        run::Start::New,
        None,
        Device::Cpu,
        &mut losses,
    )
    .unwrap();
    losses.0
}

#[test]
fn bf16_learns_what_f32_learns() {
    let end = |logs: &[EpochLog]| logs.last().unwrap().loss;
    let (single, half) = (
        train("", ""),
        train("training", "precision = \"bf16\"\nchannels_last = true"),
    );
    let start = single[0].loss;
    eprintln!("from {start}: f32 {}, bf16 {}", end(&single), end(&half));
    assert!(end(&single) < start - 0.05);
    assert!((end(&half) - end(&single)).abs() < 0.25 * (start - end(&single)));
    assert_ne!(end(&half), end(&single));
}

#[test]
fn the_log_has_the_rate_and_its_share_of_the_peak() {
    let logs = train("training", "peak_tflops = 2.0\nclip_norm = 0.1");
    for log in &logs {
        // Multiply-adds of a 32x32 image: the stem 3 -> 8 with 3x3 at 32x32; block 1 with stride 2, to 16x16, two
        // paths of 3x3 and 1x1 and a 1x1 shortcut; block 2 with four 1x1; the head.
        let stem = 1024 * 9 * 3 * 8;
        let first = 256 * (9 + 1) * 64 + (1024 + 256 * 9) * 64 + 256 * 64;
        let rest = 256 * 4 * 64 + 256 * 80;
        let work = 6.0 * f64::from(stem + first + rest);
        let expected = log.images_per_second * work / 1e9;
        assert!(
            (log.gflops / expected - 1.0).abs() < 1e-9,
            "{} is not {expected}",
            log.gflops
        );
        assert!((log.share_of_peak.unwrap() - log.gflops / 2000.0).abs() < 1e-12);
    }
    // One rate for all epochs of a command. No small network comes near to it, nor is it beyond what one core can.
    let rates = logs
        .iter()
        .map(|log| log.gflops / log.share_of_matrix_rate.unwrap());
    let rates: Vec<f64> = rates.collect();
    let (least, most) = rates
        .iter()
        .fold((f64::MAX, 0.0f64), |(least, most), rate| {
            (least.min(*rate), most.max(*rate))
        });
    assert!(most / least - 1.0 < 1e-9, "{rates:?}");
    assert!(least > 1.0 && most < 1e5, "{rates:?}");
}

#[test]
fn the_margin_changes_after_the_paper_s_epochs() {
    let losses =
        |lines: &str| -> Vec<f64> { train("loss", lines).iter().map(|log| log.loss).collect() };
    let pair = "margin_kind = \"worst-pair\"\npatches = [\"2x2\"]";
    let (paper, late) = (losses(""), losses(&format!("{pair}\npaper_epochs = 4")));
    assert_eq!(paper[..4], late[..4]);
    assert_ne!(paper[4], late[4]);
    // Fewer cells count: a margin that was there is smaller, at first.
    assert!(late[4] > paper[4], "{} after {}", late[4], paper[4]);
    let early = losses(pair);
    assert_ne!(early[0], paper[0]);
}

#[test]
fn images_are_varied_for_as_many_epochs_as_were_asked_for() {
    let losses = |lines: &str| -> Vec<f64> {
        let lines = format!("[augmentation]\nrotation = 20.0\nzoom = 0.5\n{lines}");
        train("", &lines).iter().map(|log| log.loss).collect()
    };
    let (always, at_first) = (losses(""), losses("epochs = 4"));
    assert_eq!(always[..4], at_first[..4]);
    assert_ne!(always[4], at_first[4]);
}

#[test]
fn validation_measures_the_average_of_the_weights() {
    let measured = |lines: &str| {
        let logs = train("training", lines);
        (
            logs[0].loss,
            logs[0].validation.clone().unwrap(),
            logs[11].loss,
        )
    };
    let (plain, averaged) = (measured(""), measured("ema = 0.99"));
    // The average changes what is measured, and nothing about the training.
    assert_eq!((plain.0, plain.2), (averaged.0, averaged.2));
    assert_ne!(plain.1, averaged.1);
    let clipped = measured("clip_norm = 0.001");
    assert_ne!(plain.2, clipped.2);
    assert_ne!(plain.2, measured("weight_decay = 0.5").2);
}

/// Softmax knows no votes: neither validation nor `eval` may count logits of 0 and more.
#[test]
fn relaxed_scores_are_measured_as_numbers() {
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path(), 60);
    let lines = [("loss", "scores = \"softmax\"")];
    let config = write_config_with(folder.path(), 8, &lines);
    let output = folder.path().join("run");
    let (result, errors) = common::train(&config, folder.path(), &output, &[]);
    assert!(result.status.success(), "{errors}");
    let log = std::fs::read_to_string(output.join("log.jsonl")).unwrap();
    assert!(!log.contains("double_mask"), "{log}");
    let checkpoint = output.join("checkpoint.safetensors");
    let [checkpoint, data] = [checkpoint.as_path(), folder.path()].map(text);
    let (result, errors) = command(&["eval", "--checkpoint", checkpoint, "--data", data]);
    let said = String::from_utf8(result.stdout).unwrap();
    assert!(result.status.success(), "{errors}");
    assert!(!said.contains("double masking"), "{said}");
    // The made-up classes differ by brightness: whoever reads the scores rightly tells more than a few apart.
    let clean = said.split("clean accuracy ").nth(1).unwrap();
    let clean: f64 = clean.split(' ').next().unwrap().parse().unwrap();
    assert!(clean > 25.0, "{said}");
}

#[test]
fn a_grey_square_larger_than_the_images_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path(), 20);
    let more = ("", "[augmentation]\ncutout = 33");
    let config = write_config_with(folder.path(), 1, &[more]);
    let output = folder.path().join("run");
    let (result, errors) = common::train(&config, folder.path(), &output, &[]);
    assert!(!result.status.success());
    for part in ["augmentation.cutout = 33", "32 pixels"] {
        assert!(errors.contains(part), "{errors}");
    }
    assert!(!output.join("config.toml").exists());
}

/// oneDNN writes beyond its memory in the gradient of a strided 1x1 convolution of few channels, which ends a process without
/// a word, or never.
#[test]
fn networks_of_few_channels_are_trained() {
    let folder = tempfile::tempdir().unwrap();
    write_dataset(folder.path(), 20);
    for (at, layers) in [
        "stem_kernel = 1\nstem_stride = 2\nkernels = [3, 1]",
        "stem_kernel = 1\nstem_stride = 4\nkernels = [1]",
        "width = 3\nkernels = [3, 1]\nstrides = [2, 1]",
        "width = 7\nkernels = [3, 1]\nstrides = [4, 1]\npaths = 1",
    ]
    .into_iter()
    .enumerate()
    {
        let config = folder.path().join("few.toml");
        let width = if layers.contains("width") {
            ""
        } else {
            "width = 8\n"
        };
        let tables = format!(
            "seed = 7\n[data]\nvalidation = 20\n[network]\n{width}{layers}\n[loss]\nmargin = 0.5\n[training]\nepochs = 2\n\
             batch = 16\nlearning_rate = 0.01\n"
        );
        std::fs::write(&config, tables).unwrap();
        let output = folder.path().join(at.to_string());
        let (result, errors) = common::train(&config, folder.path(), &output, &[]);
        assert!(
            result.status.success(),
            "{layers}: {:?} {errors}",
            result.status
        );
    }
}
