//! Random larger maps under masks: windows of several shapes, steps and geometries, against the
//! definitions; attacks on what is certified; and which certificate implies which.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    missing_docs
)]

mod support;

use bagcert_certifier::{Axis, Condition, Geometry, MaskSet, Masking, PatchSize, Work};
use std::num::NonZeroU32;
use support::masked::{Bits, Deployment, Masked, bits, check};
use support::{Buffers, Case, PlainAxis};

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In `from..=to`.
    fn range(&mut self, from: i64, to: i64) -> i64 {
        from + (self.next() % (to - from + 1) as u64) as i64
    }

    fn axis(&mut self, inputs: i64, outputs: i64) -> PlainAxis {
        let lo = self.range(-3, 1);
        PlainAxis {
            inputs: self.range(2, inputs),
            outputs: self.range(1, outputs),
            stride: self.range(1, 3),
            lo,
            hi: lo + self.range(0, 4),
        }
    }

    /// Scores with a favourite, so that certificates are in reach, and sometimes a block where
    /// another class has everything, so that windows disagree with the vote.
    fn scores(&mut self, classes: usize, height: i64, width: i64) -> Vec<Vec<Vec<bool>>> {
        let favourite = self.range(0, classes as i64 - 1) as usize;
        let intruder = self.range(0, classes as i64 - 1) as usize;
        let (high, low) = (self.range(40, 100), self.range(0, 50));
        let block = [
            self.range(0, height),
            self.range(0, height),
            self.range(0, width),
            self.range(0, width),
        ];
        let intrudes = self.range(0, 1) == 1;
        (0..classes)
            .map(|class| {
                let rate = if class == favourite { high } else { low };
                let mut cell = |y: i64, x: i64| {
                    let inside = intrudes
                        && (block[0].min(block[1])..=block[0].max(block[1])).contains(&y)
                        && (block[2].min(block[3])..=block[2].max(block[3])).contains(&x);
                    let noise = self.range(0, 99) < rate;
                    if inside { class == intruder } else { noise }
                };
                let mut row = |y| (0..width).map(|x| cell(y, x)).collect();
                (0..height).map(&mut row).collect()
            })
            .collect()
    }
}

fn patches(random: &mut Random, x: PlainAxis, y: PlainAxis, most: i64) -> Vec<(i64, i64)> {
    let count = random.range(1, most);
    let mut size = || {
        let side = |random: &mut Random, inputs: i64| random.range(1, inputs.min(5));
        (side(random, x.inputs), side(random, y.inputs))
    };
    (0..count).map(|_| size()).collect()
}

#[test]
fn predictions_and_verdicts_match_the_definitions() {
    let mut random = Random(7);
    let (mut overridden, mut certified, mut differ) = ([0, 0], [0, 0], 0);
    for _ in 0..1_500 {
        let (x, y) = (random.axis(18, 9), random.axis(14, 8));
        let classes = random.range(2, 19) as usize;
        let scores = random.scores(classes, y.outputs, x.outputs);
        let case = Case { x, y, scores };
        let sizes = patches(&mut random, x, y, 3);
        let step = random.range(1, 3) as u32;
        // As often none as one.
        let lead = random.range(-4, 4).max(0) as u32;
        let deployment = Deployment::new(&case, &sizes, step).with_lead(lead);
        let mut masked = Masked::new(case.shape(), sizes.len());
        let planes = bits(&case);
        let answers = check(&mut masked, &case, &planes, &deployment);
        let plain = Case::argmax(&Case::votes(&case.scores));
        differ += u32::from(answers[0].0 != answers[1].0);
        for (at, (predicted, sizes)) in answers.iter().enumerate() {
            overridden[at] += u32::from(*predicted != plain);
            certified[at] += sizes.iter().filter(|certified| **certified).count();
        }
    }
    println!("{overridden:?} predictions unlike the plain vote, {differ} unlike each other's");
    println!("{certified:?} verdicts certified");
    assert!(differ >= 20, "{differ}");
    assert!(overridden.iter().all(|n| *n >= 20), "{overridden:?}");
    assert!(certified.iter().all(|n| *n >= 50), "{certified:?}");
}

/// Several vectors to a row of windows, ranges of many neighbours, more classes than eight vectors hold,
/// sizes listed twice or as large as the image, steps that leave few windows or one.
#[test]
fn maps_wider_than_a_vector() {
    let mut random = Random(17);
    let (mut overridden, mut certified, mut widest) = (0, 0, 0);
    for turn in 0..120 {
        let mut axes = [random.axis(60, 48), random.axis(8, 4)];
        axes.rotate_left(turn % 2);
        let [x, y] = axes;
        let mut sizes = patches(&mut random, x, y, 1);
        for _ in 0..random.range(0, 4) * random.range(0, 1) {
            let any = (random.range(1, x.inputs), random.range(1, y.inputs));
            sizes.push([any, sizes[0]][usize::from(random.range(0, 3) == 0)]);
        }
        let step = [1, 1, random.range(2, 12)][turn % 3] as u32;
        let classes = if sizes.len() > 1 { 9 } else { 70 };
        let classes = random.range(2, classes) as usize;
        let scores = random.scores(classes, y.outputs, x.outputs);
        let case = Case { x, y, scores };
        let lead = [0, turn as u32 % 5][turn / 3 % 2];
        let deployment = Deployment::new(&case, &sizes, step).with_lead(lead);
        let mut masked = Masked::new(case.shape(), sizes.len());
        let answers = check(&mut masked, &case, &bits(&case), &deployment);
        let plain = Case::argmax(&Case::votes(&case.scores));
        overridden += u32::from(answers[1].0 != plain);
        certified += answers[1].1.iter().filter(|certified| **certified).count();
        widest = widest.max(deployment.set().windows().count());
    }
    println!("{overridden} overridden, {certified} certified, up to {widest} windows");
    assert!(
        overridden >= 5 && certified >= 50 && widest >= 100,
        "{overridden} {certified} {widest}"
    );
}

/// Writes into the affected region what may hurt: the predicted class nothing, one rival
/// everything, the others at random; or noise.
fn write(random: &mut Random, planes: &mut [Bits], region: &Bits, predicted: usize) {
    let rival = random.range(0, planes.len() as i64 - 1) as usize;
    let noise = random.range(0, 3) == 0;
    for (class, plane) in planes.iter_mut().enumerate() {
        for cell in region.cells() {
            let score = if noise || (class != predicted && class != rival) {
                random.range(0, 1) == 1
            } else {
                class == rival
            };
            if plane.has(cell) != score {
                plane.flip(cell);
            }
        }
    }
}

#[test]
fn no_attack_turns_a_certified_map() {
    let mut random = Random(11);
    let mut certified = [0, 0];
    while certified[0] < 150 || certified[1] < 400 {
        let (x, y) = (random.axis(18, 10), random.axis(14, 9));
        let classes = random.range(2, 10) as usize;
        let scores = random.scores(classes, y.outputs, x.outputs);
        let case = Case { x, y, scores };
        let sizes = patches(&mut random, x, y, 2);
        let step = random.range(1, 2) as u32;
        let lead = random.range(-3, 3).max(0) as u32;
        let deployment = Deployment::new(&case, &sizes, step).with_lead(lead);
        let mut masked = Masked::new(case.shape(), sizes.len());
        let planes = bits(&case);
        for (at, masking) in [Masking::Single, Masking::Double].into_iter().enumerate() {
            let shape = case.shape();
            let mut predict = |planes: &[Bits]| {
                masked.run(shape, planes, deployment.set(), masking, |certifier| {
                    let verdicts = certifier.verdicts();
                    let certified: Vec<bool> = verdicts.map(|v| v.unwrap().certified).collect();
                    (certifier.predicted(), certified)
                })
            };
            let (predicted, yes) = predict(&planes);
            for (regions, _) in deployment.regions.iter().zip(&yes).filter(|(_, yes)| **yes) {
                certified[at] += 1;
                for _ in 0..40 {
                    let region = &regions[random.range(0, regions.len() as i64 - 1) as usize].0;
                    let mut attacked = planes.clone();
                    write(&mut random, &mut attacked, region, predicted);
                    let (turned, _) = predict(&attacked);
                    assert_eq!(turned, predicted, "{masking:?}, {region:?}, {case:?}");
                }
            }
        }
    }
}

/// Windows of one size: 3.3 implies 3.2, that the mask aggregator's, that double masking's, all for
/// the same class.
#[test]
fn each_condition_implies_the_next() {
    let mut random = Random(13);
    let mut counts = [0; 4];
    let mut only = [0; 4];
    for _ in 0..1_500 {
        let (outputs, side) = (random.range(4, 9), random.range(1, 3));
        let axis = PlainAxis {
            inputs: outputs,
            outputs,
            stride: 1,
            lo: 0,
            hi: 0,
        };
        let classes = random.range(2, 10) as usize;
        let case = Case {
            x: axis,
            y: axis,
            scores: random.scores(classes, outputs, outputs),
        };
        let patch = PatchSize::new(side as u32, side as u32).unwrap();
        let deployment = Deployment::new(&case, &[(side, side)], 1);
        let mut verdicts = Vec::new();
        Buffers::new(case.shape()).certify(&case, |_, certifier| {
            for condition in [Condition::SumGlobal33, Condition::SumWindow32] {
                verdicts.push(certifier.certify(patch, condition).unwrap());
            }
        });
        let mut masked = Masked::new(case.shape(), 1);
        for masking in [Masking::Single, Masking::Double] {
            masked.run(case.shape(), &bits(&case), deployment.set(), masking, |c| {
                verdicts.push(c.certify(patch).unwrap());
            });
        }
        for (at, verdict) in verdicts.iter().enumerate() {
            counts[at] += u32::from(verdict.certified);
            if let Some(next) = verdicts.get(at + 1) {
                assert!(
                    !verdict.certified || next.certified && next.predicted == verdict.predicted,
                    "{verdict:?} but {next:?}: {case:?}"
                );
                only[at + 1] += u32::from(next.certified && !verdict.certified);
            }
        }
    }
    println!("{counts:?} certified, {only:?} of them not by the condition before");
    assert!(
        counts[0] >= 50 && only[1..].iter().all(|n| *n >= 20),
        "{counts:?} {only:?}"
    );
}

#[test]
fn what_a_set_is_asked_for_can_be_read_back() {
    let axis = Axis::new(12, 12, 1, 0, 0).unwrap();
    let geometry = Geometry { x: axis, y: axis };
    let patches = [PatchSize::new(2, 3).unwrap()];
    let set = MaskSet::new(&geometry, &patches).unwrap();
    assert_eq!(
        (set.step().get(), set.lead(), set.work()),
        (1, 0, Work::Least)
    );
    // 11 places across and 10 down.
    assert_eq!(set.windows().count(), 110);
    let step = NonZeroU32::new(4).unwrap();
    let coarse = set.with_step(step).with_lead(7).with_work(Work::Constant);
    assert_eq!(
        (coarse.step(), coarse.lead(), coarse.work()),
        (step, 7, Work::Constant)
    );
    assert_eq!(
        (coarse.geometry(), coarse.patches()),
        (&geometry, &patches[..])
    );
    // From the first, the fifth and the ninth place on.
    assert_eq!(coarse.windows().count(), 9);
}
