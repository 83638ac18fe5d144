//! The loss of Section 3.3 against its formula, written out cell by cell.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bagcert_trainer::{
    config::{LossConfig, Scores},
    loss::{self, Margin},
};
use tch::{Device, Kind, Tensor};

const CLASSES: usize = 4;
const CELLS: usize = 6;

fn logits(seed: i64) -> (Tensor, Vec<f64>) {
    tch::manual_seed(seed);
    let logits = Tensor::randn([1, CLASSES as i64, 2, 3], (Kind::Float, Device::Cpu));
    let values = Vec::<f64>::try_from(logits.flatten(0, -1).to_kind(Kind::Double)).unwrap();
    (logits, values)
}

/// min over rivals of the mean of D_c, from logits in C x cells order.
fn worst_margin(values: &[f64], target: usize) -> f64 {
    let score = |class: usize, cell: usize| f64::from(values[class * CELLS + cell] >= 0.0);
    let rivals = (0..CLASSES).filter(|&class| class != target);
    let mean = |class: usize| {
        (0..CELLS)
            .map(|cell| score(target, cell) - score(class, cell))
            .sum::<f64>()
            / CELLS as f64
    };
    rivals.map(mean).fold(f64::INFINITY, f64::min)
}

fn config(margin: f64, one_hot: f64) -> LossConfig {
    toml::from_str(&format!("margin = {margin}\none_hot = {one_hot}")).unwrap()
}

#[test]
fn the_margin_loss_is_clipped_on_its_upper_side_only() {
    let mut clipped = 0;
    for seed in 0..200 {
        let (logits, values) = logits(seed);
        let target = seed as usize % CLASSES;
        let labels = Tensor::from_slice(&[target as i64]);
        let expected = -worst_margin(&values, target).min(0.25);
        clipped += usize::from(expected == -0.25);
        let found =
            loss::total(&logits, &labels, &config(0.25, 0.0), &Margin::Paper).double_value(&[]);
        assert!(
            (found - expected).abs() < 1e-6,
            "seed {seed}: {found} is not {expected}"
        );
    }
    assert!(
        clipped > 5 && clipped < 195,
        "{clipped} of 200 were clipped"
    );
}

#[test]
fn a_negative_margin_keeps_its_gradient_and_a_clipped_one_has_none() {
    for (value, alive) in [(-0.4f32, true), (0.4, false)] {
        // Class 0 leads everywhere, or nowhere.
        let logits = Tensor::full([1, 2, 2, 2], -value as f64, (Kind::Float, Device::Cpu));
        let _ = logits.narrow(1, 0, 1).fill_(f64::from(value));
        let logits = logits.set_requires_grad(true);
        let loss = loss::total(
            &logits,
            &Tensor::from_slice(&[0i64]),
            &config(0.5, 0.0),
            &Margin::Paper,
        );
        let gradient = Tensor::run_backward(&[&loss], &[&logits], false, false).remove(0);
        assert_eq!(
            gradient.abs().sum(Kind::Float).double_value(&[]) > 0.0,
            alive,
            "at logits of {value}"
        );
    }
}

#[test]
fn the_step_is_one_at_zero_and_passes_the_gradient_of_the_sigmoid() {
    let points = [-3.0f32, -0.5, -0.0, 0.0, 0.7, 4.0];
    let logits = Tensor::from_slice(&points).set_requires_grad(true);
    let scores = loss::scores(&logits, Scores::Heaviside);
    assert_eq!(
        Vec::<f32>::try_from(&scores.detach()).unwrap(),
        [0.0, 0.0, 1.0, 1.0, 1.0, 1.0]
    );
    let gradient =
        Tensor::run_backward(&[scores.sum(Kind::Float)], &[&logits], false, false).remove(0);
    for (point, found) in points.iter().zip(Vec::<f32>::try_from(&gradient).unwrap()) {
        let sigmoid = 1.0 / (1.0 + (-point).exp());
        assert!((found - sigmoid * (1.0 - sigmoid)).abs() < 1e-6);
    }
}

/// The gradient of the loss in its logits, C x cells.
fn gradient(values: &[f64], target: usize, config: &LossConfig) -> Vec<f64> {
    let logits = Tensor::from_slice(values).view([1, CLASSES as i64, 2, 3]);
    let logits = logits.set_requires_grad(true);
    let labels = Tensor::from_slice(&[target as i64]);
    let loss = loss::total(&logits, &labels, config, &Margin::Paper);
    let gradient = Tensor::run_backward(&[loss], &[&logits], false, false).remove(0);
    Vec::<f64>::try_from(gradient.flatten(0, -1)).unwrap()
}

/// Of -(S_label - sum of w S over the rivals), where w is exp(S / softness) over its sum; the step's gradient is that
/// of the sigmoid, T times as wide.
#[test]
fn rivals_share_the_gradient_by_their_scores() {
    for seed in 0..40 {
        let (_, values) = logits(seed);
        let target = seed as usize % CLASSES;
        let score = |class: usize| {
            let cells = values[class * CELLS..][..CELLS].iter();
            cells.filter(|value| **value >= 0.0).count() as f64 / CELLS as f64
        };
        for (softness, temperature) in [(0.1, 1.0), (0.5, 4.0), (0.001, 0.5)] {
            let text =
                format!("margin = 1.0\nrival_softness = {softness}\ntemperature = {temperature}");
            let config: LossConfig = toml::from_str(&text).unwrap();
            // The value is the paper's.
            let labels = Tensor::from_slice(&[target as i64]);
            let image = Tensor::from_slice(&values).view([1, CLASSES as i64, 2, 3]);
            let value = loss::total(&image, &labels, &config, &Margin::Paper).double_value(&[]);
            assert!((value + worst_margin(&values, target)).abs() < 1e-9);

            let rivals = (0..CLASSES).filter(|class| *class != target);
            let most = rivals.clone().map(score).fold(0.0, f64::max);
            let share = |class: usize| ((score(class) - most) / softness).exp();
            let sum: f64 = rivals.map(share).sum();
            let found = gradient(&values, target, &config);
            for (index, (found, value)) in found.iter().zip(&values).enumerate() {
                let class = index / CELLS;
                let weight = if class == target {
                    -1.0
                } else {
                    share(class) / sum
                };
                let sigmoid = 1.0 / (1.0 + (-value / temperature).exp());
                let slope = sigmoid * (1.0 - sigmoid) / temperature;
                let expected = weight * slope / CELLS as f64;
                assert!(
                    (found - expected).abs() < 1e-9,
                    "seed {seed}, {text}: {found} is not {expected} at {index}"
                );
            }
        }
    }
}

/// Without softness, the strongest rival alone has a gradient, as in the paper; equal ones would share it.
#[test]
fn alone_the_strongest_rival_has_the_gradient() {
    // Class 2 has the most votes of the rivals of class 0.
    let votes = [2, 3, 5, 1];
    let values: Vec<f64> = votes
        .into_iter()
        .flat_map(|votes| (0..CELLS).map(move |cell| if cell < votes { 0.4 } else { -0.4 }))
        .collect();
    let classes = |text: &str| -> Vec<bool> {
        let found = gradient(&values, 0, &toml::from_str(text).unwrap());
        let moved = |class: &[f64]| class.iter().any(|value| value.abs() > 1e-6);
        found.chunks(CELLS).map(moved).collect()
    };
    assert_eq!(classes("margin = 1.0"), [true, false, true, false]);
    assert_eq!(
        classes("margin = 1.0\nrival_softness = 0.2"),
        [true; CLASSES]
    );
    // What is clipped has none.
    let clipped = "margin = 1e-9\nrival_softness = 0.2";
    let sure: Vec<f64> = (0..CLASSES * CELLS)
        .map(|index| if index < CELLS { 0.3 } else { -0.3 })
        .collect();
    let found = gradient(&sure, 0, &toml::from_str(clipped).unwrap());
    assert!(found.iter().all(|value| *value == 0.0), "{found:?}");
    assert!(
        gradient(
            &sure,
            0,
            &toml::from_str("margin = 1.0\nrival_softness = 0.2").unwrap()
        )
        .iter()
        .all(|value| *value != 0.0)
    );
}

#[test]
fn the_one_hot_penalty_is_about_the_prediction_not_the_label() {
    for seed in 0..50 {
        let (logits, values) = logits(seed);
        let votes: Vec<f64> = (0..CLASSES)
            .map(|class| {
                (0..CELLS)
                    .filter(|cell| values[class * CELLS + cell] >= 0.0)
                    .count() as f64
            })
            .collect();
        let mut order = votes.clone();
        order.sort_by(f64::total_cmp);
        let expected = (order[CLASSES - 2] - order[CLASSES - 1]) / CELLS as f64;
        let mean = loss::mean_scores(&loss::scores(&logits, Scores::Heaviside));
        let found = loss::one_hot_penalty(&mean).double_value(&[0]);
        assert!(
            (found - expected).abs() < 1e-6,
            "seed {seed}: {found} is not {expected}"
        );
        let label = Tensor::from_slice(&[seed % 4]);
        let both =
            loss::total(&logits, &label, &config(1.0, 2.0), &Margin::Paper).double_value(&[]);
        let margin =
            loss::total(&logits, &label, &config(1.0, 0.0), &Margin::Paper).double_value(&[]);
        assert!((both - margin - 2.0 * expected).abs() < 1e-6);
    }
}
