//! A certificate worked out the slow way, straight from the definitions: which cells a patch
//! affects by testing each cell's receptive field, the attack by flipping every affected score.
//! Shares no code with the crate.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub(crate) mod masked;

use bagcert_certifier::*;

/// One axis as plain numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlainAxis {
    pub(crate) inputs: i64,
    pub(crate) outputs: i64,
    pub(crate) stride: i64,
    pub(crate) lo: i64,
    pub(crate) hi: i64,
}

impl PlainAxis {
    pub(crate) fn checked(self) -> Axis {
        Axis::new(
            self.inputs as u32,
            self.outputs as u32,
            self.stride as u32,
            self.lo as i32,
            self.hi as i32,
        )
        .unwrap()
    }

    /// Whether some pixel of `first..first + length` lies in the receptive field of `cell`.
    pub(crate) fn sees(self, cell: i64, first: i64, length: i64) -> bool {
        (first..first + length).any(|pixel| {
            let offset = pixel - self.stride * cell;
            self.lo <= offset && offset <= self.hi
        })
    }
}

/// A whole case.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) x: PlainAxis,
    pub(crate) y: PlainAxis,
    /// `scores[class][y][x]`
    pub(crate) scores: Vec<Vec<Vec<bool>>>,
}

/// A patch position (row, column) and the cells (row, column) that it affects.
type Position = ((i64, i64), Vec<(usize, usize)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) slack: i64,
    pub(crate) worst: (i64, i64),
    pub(crate) rival: usize,
}

impl Case {
    pub(crate) fn geometry(&self) -> Geometry {
        Geometry {
            x: self.x.checked(),
            y: self.y.checked(),
        }
    }

    pub(crate) fn shape(&self) -> Shape {
        Shape::new(
            self.scores.len(),
            self.scores[0].len(),
            self.scores[0][0].len(),
        )
        .unwrap()
    }

    pub(crate) fn votes(scores: &[Vec<Vec<bool>>]) -> Vec<i64> {
        scores
            .iter()
            .map(|c| c.iter().flatten().filter(|s| **s).count() as i64)
            .collect()
    }

    pub(crate) fn argmax(values: &[i64]) -> usize {
        let mut best = 0;
        for (class, value) in values.iter().enumerate() {
            if *value > values[best] {
                best = class;
            }
        }
        best
    }

    /// Every patch position in pixel order, with its affected cells.
    pub(crate) fn positions(&self, w: i64, h: i64) -> Vec<Position> {
        let mut all = Vec::new();
        for py in 0..=self.y.inputs - h {
            for px in 0..=self.x.inputs - w {
                let mut cells = Vec::new();
                for cy in 0..self.y.outputs {
                    for cx in 0..self.x.outputs {
                        if self.y.sees(cy, py, h) && self.x.sees(cx, px, w) {
                            cells.push((cy as usize, cx as usize));
                        }
                    }
                }
                all.push(((py, px), cells));
            }
        }
        all
    }

    /// The least margin that an attacker who owns all affected scores can leave, for any class-wise
    /// aggregation; for each position every rival is attacked on its own.
    pub(crate) fn attack(
        &self,
        w: i64,
        h: i64,
        aggregate: impl Fn(&[Vec<bool>]) -> i64,
    ) -> Expected {
        let values: Vec<i64> = self.scores.iter().map(|c| aggregate(c)).collect();
        let target = Self::argmax(&values);
        let mut worst: Option<Expected> = None;
        for ((py, px), cells) in self.positions(w, h) {
            let mut attacked = self.scores.clone();
            for (class, map) in attacked.iter_mut().enumerate() {
                for (cy, cx) in &cells {
                    map[*cy][*cx] = class != target;
                }
            }
            let goal = aggregate(&attacked[target]);
            for (rival, map) in attacked.iter().enumerate() {
                if rival == target {
                    continue;
                }
                let slack = goal - aggregate(map);
                if worst.is_none_or(|w| slack < w.slack) {
                    worst = Some(Expected {
                        slack,
                        worst: (py, px),
                        rival,
                    });
                }
            }
        }
        worst.unwrap()
    }

    /// Condition 3.3 from its definition.
    pub(crate) fn global(&self, w: i64, h: i64) -> Expected {
        let votes = Self::votes(&self.scores);
        let target = Self::argmax(&votes);
        let mut largest = 0;
        let mut worst = (0, 0);
        for (index, (position, cells)) in self.positions(w, h).into_iter().enumerate() {
            if index == 0 || cells.len() > largest {
                (largest, worst) = (cells.len(), position);
            }
        }
        let (margin, rival) = (0..votes.len())
            .filter(|c| *c != target)
            .map(|c| (votes[target] - votes[c], c))
            .min()
            .unwrap();
        Expected {
            slack: margin - 2 * largest as i64,
            worst,
            rival,
        }
    }
}

pub(crate) fn sum(map: &[Vec<bool>]) -> i64 {
    map.iter().flatten().filter(|s| **s).count() as i64
}

/// Buffers that hold rubbish: nothing may depend on what they held.
pub(crate) struct Buffers {
    scores: Vec<ScoreWord>,
    table: Vec<TableWord>,
}

impl Buffers {
    pub(crate) fn new(shape: Shape) -> Self {
        Self {
            scores: vec![0xa5; shape.score_len()],
            table: vec![0x5aa5; shape.table_len()],
        }
    }

    pub(crate) fn certify<T>(
        &mut self,
        case: &Case,
        body: impl FnOnce(&ScoreMap<'_>, &Certifier<'_>) -> T,
    ) -> T {
        let shape = case.shape();
        let map =
            ScoreMap::from_scores(shape, |c, y, x| case.scores[c][y][x], &mut self.scores).unwrap();
        let certifier = Certifier::new(&map, &case.geometry(), &mut self.table).unwrap();
        body(&map, &certifier)
    }
}

pub(crate) fn assert_verdict(
    verdict: &Verdict,
    expected: Expected,
    case: &Case,
    (w, h): (i64, i64),
    condition: Condition,
) {
    let found = Expected {
        slack: verdict.slack,
        worst: (i64::from(verdict.worst.y), i64::from(verdict.worst.x)),
        rival: verdict.rival,
    };
    assert_eq!(found, expected, "{condition} for {w}x{h} in {case:?}");
    assert_eq!(
        verdict.certified,
        expected.slack > 0,
        "{condition} for {w}x{h} in {case:?}"
    );
    assert_eq!(verdict.condition, condition);
    assert_eq!(
        (
            i64::from(verdict.patch.width()),
            i64::from(verdict.patch.height())
        ),
        (w, h)
    );
}

/// Everything that the crate says about one case and patch, against the slow way.
pub(crate) fn check(buffers: &mut Buffers, case: &Case, patches: &[(i64, i64)]) {
    let geometry = case.geometry();
    let votes = Case::votes(&case.scores);
    let predicted = Case::argmax(&votes);
    buffers.certify(case, |map, certifier| {
        assert_eq!(map.votes().map(i64::from).collect::<Vec<_>>(), votes);
        assert_eq!(map.predicted(), predicted);
        for &(w, h) in patches {
            let patch = PatchSize::new(w as u32, h as u32).unwrap();
            let expected = case.attack(w, h, sum);
            for condition in [Condition::SumWindow32, Condition::WorstCase31] {
                let verdict = certifier.certify(patch, condition).unwrap();
                assert_eq!(verdict.predicted, predicted);
                assert_verdict(&verdict, expected, case, (w, h), condition);
            }
            assert_eq!(
                certifier.certify_constant_work(patch),
                certifier.certify(patch, Condition::SumWindow32),
                "constant work for {w}x{h} in {case:?}"
            );
            let monotone = certify_monotone(map, &geometry, patch, &Sum).unwrap();
            assert_verdict(&monotone, expected, case, (w, h), Condition::WorstCase31);
            let global = case.global(w, h);
            let verdict = certifier.certify(patch, Condition::SumGlobal33).unwrap();
            assert_verdict(&verdict, global, case, (w, h), Condition::SumGlobal33);
            assert!(
                global.slack <= expected.slack,
                "3.3 must imply 3.2: {case:?}"
            );
        }
    });
}
