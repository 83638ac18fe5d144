//! The margins outside windows against all patches and pairs, written out cell by cell, and against the
//! certifier's slack.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::num::NonZeroU32;

use bagcert_certifier::{
    Axis, CellRect, Certifier, Condition, Geometry, MaskCertifier, MaskSet, Masking, PatchSize,
    Pixel, ScoreMap, Shape,
};
use bagcert_trainer::{
    config::LossConfig,
    loss::{self, Margin, Margins, Windows},
};
use tch::{Device, Kind, Tensor};

const CLASSES: usize = 4;

fn geometry() -> Geometry {
    // Uneven on purpose: a stride, an even receptive field, more rows than columns.
    Geometry {
        x: Axis::new(12, 6, 2, -1, 2).unwrap(),
        y: Axis::new(9, 9, 1, -1, 1).unwrap(),
    }
}

fn patch(width: u32, height: u32) -> PatchSize {
    PatchSize::new(width, height).unwrap()
}

fn windows(size: PatchSize) -> Windows {
    Windows::new(&geometry(), size, NonZeroU32::MIN, Device::Cpu).unwrap()
}

fn config(kind: &str, margin: f64, more: &str) -> LossConfig {
    toml::from_str(&format!(
        "margin = {margin}\nmargin_kind = \"{kind}\"\n{more}"
    ))
    .unwrap()
}

/// Logits 1 x C x 9 x 6 in which the class `seed % C` leads more or less.
fn logits(seed: i64) -> (Tensor, Tensor, usize) {
    tch::manual_seed(seed);
    let logits = Tensor::randn([1, CLASSES as i64, 9, 6], (Kind::Float, Device::Cpu));
    let target = seed as usize % CLASSES;
    let lift = (seed % 7) as f64 * 0.4;
    let _ = logits.narrow(1, target as i64, 1).g_add_scalar_(lift);
    (logits, Tensor::from_slice(&[target as i64]), target)
}

/// D_c, class by class, row by row.
fn leads(logits: &Tensor, target: usize) -> Vec<Vec<i64>> {
    let values = Vec::<f32>::try_from(logits.flatten(0, -1)).unwrap();
    let cells = values.len() / CLASSES;
    let score = |class: usize, cell: usize| i64::from(values[class * cells + cell] >= 0.0);
    (0..CLASSES)
        .map(|class| {
            (0..cells)
                .map(|cell| score(target, cell) - score(class, cell))
                .collect()
        })
        .collect()
}

/// The affected region of every position, each asked of the geometry by itself.
fn regions(size: PatchSize) -> Vec<CellRect> {
    let geometry = geometry();
    let (columns, rows) = (12 - size.width() + 1, 9 - size.height() + 1);
    (0..rows)
        .flat_map(|y| (0..columns).map(move |x| Pixel { x, y }))
        .filter_map(|at| geometry.affected(size, at))
        .collect()
}

/// Those that no other one contains: what double masking leaves out.
fn maximal(size: PatchSize) -> Vec<CellRect> {
    let all = regions(size);
    let inside = |inner: &CellRect, outer: &CellRect| {
        outer.x.first <= inner.x.first
            && inner.x.last <= outer.x.last
            && outer.y.first <= inner.y.first
            && inner.y.last <= outer.y.last
    };
    let is_maximal = |region: &&CellRect| {
        all.iter()
            .all(|other| other == *region || !inside(region, other))
    };
    all.iter().filter(is_maximal).copied().collect()
}

fn holds(region: &CellRect, cell: usize) -> bool {
    let (y, x) = ((cell / 6) as u32, (cell % 6) as u32);
    (region.y.first..=region.y.last).contains(&y) && (region.x.first..=region.x.last).contains(&x)
}

/// The least sum of D_c over the cells outside, over the rivals.
fn least(leads: &[Vec<i64>], target: usize, outside: impl Fn(usize) -> bool) -> i64 {
    let rivals = leads
        .iter()
        .enumerate()
        .filter(|(class, _)| *class != target);
    rivals
        .map(|(_, lead)| {
            (0..lead.len())
                .filter(|&cell| outside(cell))
                .map(|cell| lead[cell])
                .sum()
        })
        .min()
        .unwrap()
}

/// The loss in cells of the map: the margin, for M = 1.
fn margin(logits: &Tensor, labels: &Tensor, kind: &str, margin: &Margin) -> i64 {
    let more = "patches = [\"1x1\"]";
    let loss = loss::total(logits, labels, &config(kind, 1.0, more), margin);
    let cells = -loss.double_value(&[]) * 54.0;
    assert!(
        (cells - cells.round()).abs() < 1e-3,
        "{cells} is no number of cells"
    );
    cells.round() as i64
}

const SIZES: [(u32, u32); 5] = [(1, 1), (2, 2), (3, 2), (1, 5), (5, 1)];

#[test]
fn the_worst_window_is_the_least_over_all_patches_and_rivals() {
    let mut certified = 0;
    for seed in 0..150 {
        let (logits, labels, target) = logits(seed);
        let leads = leads(&logits, target);
        for (width, height) in SIZES {
            let size = patch(width, height);
            let slack = |region: &CellRect| {
                let inside = (0..54).filter(|&cell| holds(region, cell)).count() as i64;
                least(&leads, target, |cell| !holds(region, cell)) - inside
            };
            let expected = regions(size).iter().map(slack).min().unwrap();
            let found = margin(
                &logits,
                &labels,
                "worst-window",
                &Margin::WorstWindow(&windows(size)),
            );
            assert_eq!(found, expected, "seed {seed}, patch {size}");
            certified += usize::from(expected > 0);
        }
    }
    assert!(
        (50..700).contains(&certified),
        "{certified} of 750 have a margin"
    );
}

#[test]
fn the_worst_pair_is_the_least_over_all_pairs_of_windows_and_rivals() {
    let mut certified = 0;
    for seed in 0..60 {
        let (logits, labels, target) = logits(seed);
        let leads = leads(&logits, target);
        for (width, height) in SIZES {
            let size = patch(width, height);
            let all = maximal(size);
            let pairs = all
                .iter()
                .flat_map(|first| all.iter().map(move |second| (first, second)));
            let expected = pairs
                .map(|(first, second)| {
                    least(&leads, target, |cell| {
                        !holds(first, cell) && !holds(second, cell)
                    })
                })
                .min()
                .unwrap();
            let found = margin(
                &logits,
                &labels,
                "worst-pair",
                &Margin::WorstPair(&windows(size), 0),
            );
            assert_eq!(found, expected, "seed {seed}, patch {size}");
            certified += usize::from(expected > 0);
        }
    }
    assert!(
        (20..290).contains(&certified),
        "{certified} of 300 have a margin"
    );
}

#[test]
fn both_are_the_certifier_s_slack_for_the_class_predicted() {
    let shape = Shape::new(CLASSES, 9, 6).unwrap();
    for seed in 0..200 {
        let (logits, ..) = logits(seed);
        let values = Vec::<f32>::try_from(logits.flatten(0, -1)).unwrap();
        let (mut scores, mut table) = (vec![0; shape.score_len()], vec![0; shape.table_len()]);
        let map = ScoreMap::from_logits(shape, &values, &mut scores).unwrap();
        for (width, height) in SIZES {
            let sizes = [patch(width, height)];
            let certifier = Certifier::new(&map, &geometry(), &mut table).unwrap();
            let plain = certifier.certify(sizes[0], Condition::SumWindow32).unwrap();
            let label = Tensor::from_slice(&[plain.predicted as i64]);
            let windows = windows(sizes[0]);
            let found = margin(
                &logits,
                &label,
                "worst-window",
                &Margin::WorstWindow(&windows),
            );
            assert_eq!(found, plain.slack);

            for step in 1..=3 {
                let step = NonZeroU32::new(step).unwrap();
                let set = MaskSet::new(&geometry(), &sizes).unwrap().with_step(step);
                let mut memory = vec![0; shape.masks_len(1)];
                let mut masks =
                    MaskCertifier::new(&map, set, Masking::Double, &mut memory).unwrap();
                let verdict = masks.certify(sizes[0]).unwrap();
                let label = Tensor::from_slice(&[verdict.predicted as i64]);
                let windows = Windows::new(&geometry(), sizes[0], step, Device::Cpu).unwrap();
                let found = margin(
                    &logits,
                    &label,
                    "worst-pair",
                    &Margin::WorstPair(&windows, 0),
                );
                assert_eq!(
                    found, verdict.slack,
                    "seed {seed}, {}, step {step}",
                    sizes[0]
                );
            }
        }
    }
}

/// With fewer rivals the pair found is a real one, so never below the least, and mostly the least.
#[test]
fn fewer_rivals_never_find_less_than_the_least() {
    let (mut same, mut all) = (0, 0);
    for seed in 0..300 {
        let (logits, labels, _) = logits(seed);
        let windows = windows(patch(2, 2));
        let exact = margin(
            &logits,
            &labels,
            "worst-pair",
            &Margin::WorstPair(&windows, 0),
        );
        for rivals in 1..=4 {
            let found = margin(
                &logits,
                &labels,
                "worst-pair",
                &Margin::WorstPair(&windows, rivals),
            );
            assert!(found >= exact, "seed {seed}: {found} is below {exact}");
            assert!(
                rivals < 3 || found == exact,
                "seed {seed}: all three rivals were looked at"
            );
            all += usize::from(rivals == 1);
            same += usize::from(rivals == 1 && found == exact);
        }
    }
    eprintln!("one rival of three: the least pair in {same} of {all}");
    assert!(same > all * 9 / 10 && same < all, "{same} of {all}");
}

/// Nine cells of one row lead by one each, but for a rival's cells at both ends.
#[test]
fn a_map_made_by_hand() {
    let row = Geometry {
        x: Axis::new(9, 9, 1, 0, 0).unwrap(),
        y: Axis::new(1, 1, 1, 0, 0).unwrap(),
    };
    // Class 0 is there in cells 0..7, class 1 in 7 and 8: 7 against 2.
    let own = [1.0f32, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, -1.0, -1.0];
    let rival = own.map(|value| -value);
    let logits = Tensor::from_slice(&[own, rival].concat()).view([1, 2, 1, 9]);
    let labels = Tensor::from_slice(&[0i64]);
    let windows = Windows::new(&row, patch(2, 1), NonZeroU32::MIN, Device::Cpu).unwrap();
    assert_eq!(windows.count(), 8);
    let inside = windows.inside(1, 9);
    assert_eq!(inside.sum(Kind::Float).double_value(&[]), 16.0);
    let value = |kind: &str, margin: f64, of: &Margin| {
        loss::total(
            &logits,
            &labels,
            &config(kind, margin, "patches = [\"2x1\"]"),
            of,
        )
        .double_value(&[])
    };
    // All cells: 7 - 2 = 5. Outside a window of two own cells 3, less its 2 cells: 1. Outside two: 1.
    let paper = toml::from_str("margin = 1.0").unwrap();
    let whole = loss::total(&logits, &labels, &paper, &Margin::Paper).double_value(&[]);
    assert!((whole + 5.0 / 9.0).abs() < 1e-6);
    assert!((value("worst-window", 1.0, &Margin::WorstWindow(&windows)) + 1.0 / 9.0).abs() < 1e-6);
    assert!((value("worst-pair", 1.0, &Margin::WorstPair(&windows, 0)) + 1.0 / 9.0).abs() < 1e-6);
    // Clipped at M.
    assert!((value("worst-pair", 0.05, &Margin::WorstPair(&windows, 0)) + 0.05).abs() < 1e-6);
}

/// Against differences, on smooth scores in double precision; the cells left out have no gradient.
#[test]
fn the_gradient_is_that_of_the_value() {
    let windows = windows(patch(3, 2));
    let cases = [
        ("worst-window", Margin::WorstWindow(&windows)),
        ("worst-pair", Margin::WorstPair(&windows, 0)),
    ];
    for (kind, margin) in &cases {
        let config = config(
            kind,
            0.9,
            "patches = [\"3x2\"]\nscores = \"sigmoid\"\none_hot = 0.3",
        );
        tch::manual_seed(11);
        let logits = Tensor::randn([3, 4, 9, 6], (Kind::Double, Device::Cpu));
        let labels = Tensor::from_slice(&[0i64, 3, 1]);
        let value = |logits: &Tensor| loss::total(logits, &labels, &config, margin);
        let leaf = logits.copy().set_requires_grad(true);
        let gradient = Tensor::run_backward(&[value(&leaf)], &[&leaf], false, false).remove(0);
        let step = 1e-5;
        for at in 0..logits.numel() as i64 {
            let moved = |by: f64| {
                let copy = logits.copy();
                let _ = copy.flatten(0, -1).get(at).g_add_scalar_(by);
                value(&copy).double_value(&[])
            };
            let numeric = (moved(step) - moved(-step)) / (2.0 * step);
            let found = gradient.flatten(0, -1).double_value(&[at]);
            assert!(
                (numeric - found).abs() < 1e-7,
                "{kind}, {at}: {found}, not {numeric}"
            );
        }
    }
}

#[test]
fn heaviside_scores_pass_a_gradient_outside_the_windows_only() {
    let size = patch(3, 3);
    let windows = windows(size);
    let (logits, labels, target) = logits(3);
    let leaf = logits.copy().set_requires_grad(true);
    let config = config("worst-pair", 1.0, "patches = [\"3x3\"]");
    let loss = loss::total(&leaf, &labels, &config, &Margin::WorstPair(&windows, 0));
    let gradient = Tensor::run_backward(&[loss], &[&leaf], false, false).remove(0);
    let moved = gradient.get(0).ne(0.0).flatten(1, 2).sum_dim_intlist(
        [1i64].as_slice(),
        false,
        Kind::Int64,
    );
    let moved = Vec::<i64>::try_from(moved).unwrap();
    let largest = i64::from(geometry().max_affected_cells(size).unwrap());
    // The label and one rival, each in the same cells: those outside two windows.
    assert_eq!(moved.iter().filter(|&&cells| cells > 0).count(), 2);
    assert!(
        moved
            .iter()
            .all(|&cells| cells == 0 || cells == moved[target])
    );
    assert!(
        (54 - 2 * largest..54 - largest).contains(&moved[target]),
        "{moved:?}"
    );
}

#[test]
fn each_kind_and_each_patch_is_another_loss() {
    let images: Vec<_> = (0..8).map(logits).collect();
    let part = |of: fn(&(Tensor, Tensor, usize)) -> &Tensor| {
        Tensor::cat(&images.iter().map(of).collect::<Vec<_>>(), 0)
    };
    let (logits, labels) = (part(|image| &image.0), part(|image| &image.1));
    let values = |kind: &str, more: &str| {
        let config = config(kind, 1.0, more);
        let margins = Margins::new(&config, &geometry(), Device::Cpu).unwrap();
        tch::manual_seed(1);
        let values = (0..40).map(|_| {
            let loss = loss::total(&logits, &labels, &config, &margins.draw());
            (loss.double_value(&[]) * -54.0 * 8.0).round() as i64
        });
        values.collect::<std::collections::BTreeSet<_>>()
    };
    let small = "patches = [\"2x2\"]";
    let large = "patches = [\"3x3\"]";
    let kinds = [
        values("paper", ""),
        values("worst-window", small),
        values("worst-pair", small),
        values("worst-pair", large),
        values("worst-pair", "patches = [\"2x2\"]\nmask_step = 2"),
    ];
    for (index, kind) in kinds.iter().enumerate() {
        assert_eq!(kind.len(), 1, "{kinds:?}");
        assert!(!kinds[..index].contains(kind), "{kinds:?}");
    }
    // Drawn anew for each step, and the same again after the same seed.
    let both = "patches = [\"2x2\", \"3x3\"]";
    let expected = kinds[2].union(&kinds[3]).copied().collect();
    assert_eq!(values("worst-pair", both), expected);
    assert_eq!(values("worst-pair", "patch_areas = [4, 9]"), expected);
    let more = values(
        "worst-pair",
        "patch_areas = [4, 9]\npatch_shape = \"rectangle\"",
    );
    assert!(more.len() > 2 && more.is_superset(&expected), "{more:?}");
    // Of 11 pixels one shape is higher than the image, and is left out.
    let wide = "patch_areas = [11, 11]\npatch_shape = \"rectangle\"";
    let listed = values("worst-window", "patches = [\"11x1\"]");
    assert_eq!(values("worst-window", wide), listed);
}

#[test]
fn patches_that_leave_nothing_are_named() {
    let refused = |kind: &str, patches: &str| {
        let config = config(kind, 0.5, patches);
        Margins::new(&config, &geometry(), Device::Cpu)
            .unwrap_err()
            .to_string()
    };
    let large = refused("worst-window", "patches = [\"2x2\", \"13x1\"]");
    assert!(large.contains("13x1") && large.contains("12x9"), "{large}");
    let whole = refused("worst-pair", "patches = [\"8x8\"]");
    assert!(
        whole.contains("8x8") && whole.contains("54 cells"),
        "{whole}"
    );
    let none = refused(
        "worst-window",
        "patch_areas = [13, 13]\npatch_shape = \"rectangle\"",
    );
    assert!(none.contains("[13, 13]") && none.contains("12x9"), "{none}");
}
