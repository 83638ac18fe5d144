//! Masking predictors and their certificates worked out the slow way, straight from the definitions,
//! on sets of cells as bits. Shares no code with the crate.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::num::NonZeroU32;

use bagcert_certifier::*;

use super::{Case, PlainAxis};

/// A set of cells, row-major.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    pub(crate) fn none(cells: usize) -> Self {
        Self(vec![0; cells.div_ceil(64)])
    }

    pub(crate) fn of(cells: usize, set: impl IntoIterator<Item = usize>) -> Self {
        let mut bits = Self::none(cells);
        for cell in set {
            bits.0[cell / 64] |= 1 << (cell % 64);
        }
        bits
    }

    pub(crate) fn has(&self, cell: usize) -> bool {
        self.0[cell / 64] >> (cell % 64) & 1 == 1
    }

    pub(crate) fn flip(&mut self, cell: usize) {
        self.0[cell / 64] ^= 1 << (cell % 64);
    }

    pub(crate) fn within(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(a, b)| a & !b == 0)
    }

    /// Cells of this set outside both others.
    fn outside(&self, a: &Self, b: &Self) -> i64 {
        let words = self.0.iter().zip(&a.0).zip(&b.0);
        words
            .map(|((s, a), b)| i64::from((s & !a & !b).count_ones()))
            .sum()
    }

    pub(crate) fn cells(&self) -> Vec<usize> {
        (0..self.0.len() * 64).filter(|at| self.has(*at)).collect()
    }
}

/// What a certificate says, by windows instead of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Found {
    pub(crate) slack: i64,
    /// First window, by its number among those of the patch.
    pub(crate) window: usize,
    pub(crate) rival: usize,
}

/// A deployment: geometry, patch sizes, step, lead.
pub(crate) struct Deployment {
    pub(crate) patches: Vec<PatchSize>,
    pub(crate) step: NonZeroU32,
    lead: u32,
    geometry: Geometry,
    /// Windows of every patch size; a single empty one where no cell sees it.
    pub(crate) windows: Vec<Vec<Bits>>,
    /// Maximal affected regions of every size with the lowest position that ends where they do.
    pub(crate) regions: Vec<Vec<(Bits, Pixel)>>,
}

impl Deployment {
    /// Takes the windows from the crate, after a check that they are the maximal regions, or for
    /// larger steps that they hold every region.
    pub(crate) fn new(case: &Case, patches: &[(i64, i64)], step: u32) -> Self {
        let geometry = case.geometry();
        let (height, width) = (case.y.outputs as usize, case.x.outputs as usize);
        let sizes: Vec<PatchSize> = patches
            .iter()
            .map(|(w, h)| PatchSize::new(*w as u32, *h as u32).unwrap())
            .collect();
        let step = NonZeroU32::new(step).unwrap();
        let mut windows = Vec::new();
        let mut regions = Vec::new();
        for (size, (w, h)) in sizes.iter().zip(patches) {
            let reached = |axis: PlainAxis, length: i64| -> Vec<Vec<usize>> {
                let cells = 0..axis.outputs;
                let at = |first| {
                    cells
                        .clone()
                        .filter(move |cell| axis.sees(*cell, first, length))
                };
                let at = |first| at(first).map(|cell| cell as usize).collect();
                (0..=axis.inputs - length).map(at).collect()
            };
            let mut positions: Vec<(Pixel, Bits)> = Vec::new();
            for (y, rows) in (0..).zip(reached(case.y, *h)) {
                for (x, columns) in (0..).zip(reached(case.x, *w)) {
                    let cells = rows
                        .iter()
                        .flat_map(|y| columns.iter().map(move |x| y * width + x));
                    positions.push((Pixel { x, y }, Bits::of(height * width, cells)));
                }
            }
            // A rectangle of cells is maximal where its rows and its columns are.
            let (rows, columns) = (longest(&reached(case.y, *h)), longest(&reached(case.x, *w)));
            let mut maximal: Vec<(Bits, Pixel)> = Vec::new();
            for (y, rows) in &rows {
                for (x, columns) in &columns {
                    let cells = rows
                        .iter()
                        .flat_map(|y| columns.iter().map(move |x| y * width + x));
                    maximal.push((Bits::of(height * width, cells), Pixel { x: *x, y: *y }));
                }
            }
            if maximal.iter().all(|(region, _)| region.cells().is_empty()) {
                maximal = vec![(Bits::none(height * width), Pixel { x: 0, y: 0 })];
            }
            let one = [*size];
            let set = MaskSet::new(&geometry, &one).unwrap().with_step(step);
            let mut own: Vec<Bits> = set
                .windows()
                .map(|rect| {
                    let rows = rect.y.first..=rect.y.last;
                    let cells = rows.flat_map(|y| {
                        (rect.x.first..=rect.x.last).map(move |x| y as usize * width + x as usize)
                    });
                    Bits::of(height * width, cells)
                })
                .collect();
            for (_, region) in &positions {
                let held = own.iter().any(|window| region.within(window));
                assert!(
                    held || region.cells().is_empty(),
                    "{size}, step {step}: {case:?}"
                );
            }
            if own.is_empty() {
                own.push(Bits::none(height * width));
            }
            if step.get() == 1 {
                let regions: Vec<&Bits> = maximal.iter().map(|(region, _)| region).collect();
                assert_eq!(own.iter().collect::<Vec<_>>(), regions, "{size}: {case:?}");
            }
            windows.push(own);
            regions.push(maximal);
        }
        Self {
            patches: sizes,
            step,
            lead: 0,
            geometry,
            windows,
            regions,
        }
    }

    /// The same, of a predictor that asks for so many votes more.
    pub(crate) fn with_lead(self, lead: u32) -> Self {
        Self { lead, ..self }
    }

    pub(crate) fn set(&self) -> MaskSet<'_> {
        let set = MaskSet::new(&self.geometry, &self.patches).unwrap();
        set.with_step(self.step).with_lead(self.lead)
    }

    fn all(&self) -> impl Iterator<Item = &Bits> {
        self.windows.iter().flatten()
    }

    /// The class with the most votes outside both windows, the lowest one on a tie.
    fn elected(scores: &[Bits], a: &Bits, b: &Bits) -> usize {
        let mut best = (i64::MIN, 0);
        for (class, scores) in scores.iter().enumerate() {
            let votes = scores.outside(a, b);
            if votes > best.0 {
                best = (votes, class);
            }
        }
        best.1
    }

    /// Whether `class` has the most votes outside both windows even with as many less as the lead, the lowest one
    /// on a tie.
    fn leads(&self, scores: &[Bits], class: usize, a: &Bits, b: &Bits) -> bool {
        let own = scores[class].outside(a, b) - i64::from(self.lead);
        scores.iter().enumerate().all(|(rival, scores)| {
            let votes = scores.outside(a, b);
            rival == class || votes < own || votes == own && class < rival
        })
    }

    /// The override loop, in order.
    pub(crate) fn double_prediction(&self, scores: &[Bits]) -> usize {
        let nothing = Bits(vec![0; scores[0].0.len()]);
        let plain = Self::elected(scores, &nothing, &nothing);
        for first in self.all() {
            let class = Self::elected(scores, first, first);
            let agreed = |second| self.leads(scores, class, first, second);
            if class != plain && self.all().all(agreed) {
                return class;
            }
        }
        plain
    }

    /// Least margin of `class` outside two windows, the first of them of size `patch`.
    pub(crate) fn double_slack(
        &self,
        scores: &[Bits],
        class: usize,
        patch: usize,
    ) -> (Found, Bits) {
        let mut least: Option<(Found, Bits)> = None;
        for (window, first) in self.windows[patch].iter().enumerate() {
            for second in self.all() {
                let own = scores[class].outside(first, second);
                for (rival, other) in scores.iter().enumerate() {
                    let slack = own - other.outside(first, second) - i64::from(self.lead);
                    let found = Found {
                        slack,
                        window,
                        rival,
                    };
                    if rival != class && least.as_ref().is_none_or(|(least, _)| found < *least) {
                        least = Some((found, second.clone()));
                    }
                }
            }
        }
        least.unwrap()
    }

    fn mask_value(&self, scores: &Bits) -> i64 {
        let nothing = Bits(vec![0; scores.0.len()]);
        let left = self.all().map(|window| scores.outside(window, &nothing));
        left.min().unwrap()
    }

    pub(crate) fn mask_prediction(&self, scores: &[Bits]) -> usize {
        let values: Vec<i64> = scores.iter().map(|s| self.mask_value(s)).collect();
        Case::argmax(&values)
    }

    /// Condition 3.1 for the mask aggregator, from its definition.
    pub(crate) fn mask_slack(&self, scores: &[Bits], class: usize, patch: usize) -> Found {
        let mut least: Option<Found> = None;
        for (window, (region, _)) in self.regions[patch].iter().enumerate() {
            let attacked = |class: usize, score: bool| {
                let mut bits = scores[class].clone();
                for (bits, region) in bits.0.iter_mut().zip(&region.0) {
                    *bits = if score {
                        *bits | region
                    } else {
                        *bits & !region
                    };
                }
                self.mask_value(&bits)
            };
            let own = attacked(class, false);
            for rival in (0..scores.len()).filter(|rival| *rival != class) {
                let found = Found {
                    slack: own - attacked(rival, true),
                    window,
                    rival,
                };
                least = Some(least.map_or(found, |least| least.min(found)));
            }
        }
        least.unwrap()
    }
}

/// Those of the cells reached from each position that no others hold, with the first position of each.
fn longest(reached: &[Vec<usize>]) -> Vec<(u32, Vec<usize>)> {
    let mut found: Vec<(u32, Vec<usize>)> = Vec::new();
    for (at, cells) in (0..).zip(reached) {
        let within = |other: &Vec<usize>| {
            cells.len() < other.len() && cells.iter().all(|cell| other.contains(cell))
        };
        if !reached.iter().any(within) && found.iter().all(|(_, known)| known != cells) {
            found.push((at, cells.clone()));
        }
    }
    found
}

pub(crate) fn bits(case: &Case) -> Vec<Bits> {
    let cells = (case.y.outputs * case.x.outputs) as usize;
    let class = |plane: &Vec<Vec<bool>>| {
        let all = plane.iter().flatten().enumerate();
        Bits::of(cells, all.filter(|(_, score)| **score).map(|(at, _)| at))
    };
    case.scores.iter().map(class).collect()
}

/// Memory that holds rubbish, and what the crate says with it.
pub(crate) struct Masked {
    scores: Vec<ScoreWord>,
    memory: Vec<TableWord>,
}

impl Masked {
    pub(crate) fn new(shape: Shape, patches: usize) -> Self {
        Self {
            scores: vec![0x5a; shape.score_len()],
            memory: vec![0x2bad; shape.masks_len(patches)],
        }
    }

    pub(crate) fn run<T>(
        &mut self,
        shape: Shape,
        scores: &[Bits],
        set: MaskSet<'_>,
        masking: Masking,
        body: impl FnOnce(&mut MaskCertifier<'_>) -> T,
    ) -> T {
        let width = shape.width();
        let map = ScoreMap::from_scores(
            shape,
            |c, y, x| scores[c].has(y * width + x),
            &mut self.scores,
        )
        .unwrap();
        body(&mut MaskCertifier::new(&map, set, masking, &mut self.memory).unwrap())
    }
}

/// Prediction and verdicts of the crate for both predictors, against the definitions. Returns the
/// predictions and whether each size is certified, for the mask aggregator first.
pub(crate) fn check(
    masked: &mut Masked,
    case: &Case,
    scores: &[Bits],
    deployment: &Deployment,
) -> [(usize, Vec<bool>); 2] {
    [Masking::Single, Masking::Double]
        .map(|masking| check_one(masked, case, scores, deployment, masking))
}

/// [`check`] for one predictor.
pub(crate) fn check_one(
    masked: &mut Masked,
    case: &Case,
    scores: &[Bits],
    deployment: &Deployment,
    masking: Masking,
) -> (usize, Vec<bool>) {
    let expected = match masking {
        Masking::Single => deployment.mask_prediction(scores),
        Masking::Double => deployment.double_prediction(scores),
    };
    let mut verdicts = Vec::new();
    let answer = masked.run(
        case.shape(),
        scores,
        deployment.set(),
        masking,
        |certifier| {
            let context = || {
                let (step, lead) = (deployment.step, deployment.lead);
                format!("{masking:?}, step {step}, lead {lead}, {case:?}")
            };
            assert_eq!(certifier.predicted(), expected, "{}", context());
            let mut certified = Vec::new();
            for (number, patch) in deployment.patches.iter().enumerate() {
                let verdict = certifier.certify(*patch).unwrap();
                let (found, second) = match masking {
                    Masking::Single => (deployment.mask_slack(scores, expected, number), None),
                    Masking::Double => {
                        let (found, second) = deployment.double_slack(scores, expected, number);
                        (found, Some(second))
                    }
                };
                assert_eq!(verdict.slack, found.slack, "{patch}, {}", context());
                assert_eq!(verdict.rival, found.rival, "{patch}, {}", context());
                assert_eq!(verdict.predicted, expected);
                assert_eq!(verdict.certified, found.slack > 0);
                assert_eq!(verdict.patch, *patch);
                assert_eq!(verdict.condition, masking.condition());
                let width = case.x.outputs as usize;
                let second_cells = verdict.second.map(|rect| {
                    let rows = rect.y.first..=rect.y.last;
                    let cells = rows.flat_map(|y| {
                        (rect.x.first..=rect.x.last).map(move |x| y as usize * width + x as usize)
                    });
                    cells.collect::<Vec<_>>()
                });
                let expected_second = second.map(|second| second.cells());
                assert_eq!(
                    second_cells,
                    expected_second.filter(|cells| !cells.is_empty()),
                    "{patch}, {}",
                    context()
                );
                if masking == Masking::Single || deployment.step.get() == 1 {
                    let (_, at) = &deployment.regions[number][found.window];
                    assert_eq!(verdict.worst, *at, "{patch}, {}", context());
                }
                certified.push(verdict.certified);
                verdicts.push(verdict);
            }
            (expected, certified)
        },
    );
    // The same answers where the work is the same for every map.
    let constant = deployment.set().with_work(Work::Constant);
    masked.run(case.shape(), scores, constant, masking, |certifier| {
        assert_eq!(certifier.predicted(), expected, "{masking:?}, {case:?}");
        for verdict in &verdicts {
            let found = certifier.certify(verdict.patch).unwrap();
            assert_eq!(found, *verdict, "{masking:?}, {case:?}");
        }
    });
    answer
}
