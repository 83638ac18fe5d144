//! The masking predictors under attack: what they answer, and how far they are from another answer.

use bagcert_certifier::{
    CellRect, Fault, Geometry, MaskCertifier, MaskSet, Masking, PatchSize, Pixel, ScoreMap,
    ScoreWord, Shape, Span, TableWord, Verdict,
};

use crate::table::Table;

/// A masking predictor with its memory.
pub(super) struct Masks<'g> {
    geometry: &'g Geometry,
    shape: Shape,
    masking: Masking,
    patches: [PatchSize; 1],
    lead: u32,
    windows: Vec<CellRect>,
    scores: Vec<ScoreWord>,
    memory: Vec<TableWord>,
}

/// Where a patch goes, and what it leaves the predictor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Top-left pixel.
    pub(super) at: Pixel,
    /// The other window of the weakest pair.
    pub(super) other: Option<CellRect>,
}

impl<'g> Masks<'g> {
    /// The predictor whose windows are made for `patch`, on the score maps of `shape`, and which asks for `lead`
    /// votes where it is double masking.
    ///
    /// # Errors
    /// Where the patch does not fit the images.
    pub(super) fn new(
        shape: Shape,
        geometry: &'g Geometry,
        masking: Masking,
        patch: PatchSize,
        lead: u32,
    ) -> Result<Self, Fault> {
        let windows = MaskSet::new(geometry, &[patch])?.windows().collect();
        Ok(Self {
            geometry,
            shape,
            masking,
            patches: [patch],
            lead,
            windows,
            scores: vec![0; shape.score_len()],
            memory: vec![0; shape.masks_len(1)],
        })
    }

    /// Which of the two it is.
    pub(super) fn masking(&self) -> Masking {
        self.masking
    }

    /// The windows that it leaves out.
    pub(super) fn windows(&self) -> &[CellRect] {
        &self.windows
    }

    /// Rows and columns of the score maps.
    pub(super) fn grid(&self) -> (usize, usize) {
        (self.shape.height(), self.shape.width())
    }

    /// The prediction and its certificate for logits C x h x w.
    ///
    /// # Errors
    /// A logit that is NaN or infinite.
    pub(super) fn verdict(&mut self, logits: &[f32]) -> Result<Verdict, Fault> {
        let [patch] = self.patches;
        self.with(logits, |certifier| certifier.certify(patch))?
    }

    /// The class predicted, and the lead that `own` has in this predictor, in votes.
    ///
    /// For the mask aggregator it is the lead over the strongest rival, each class counting what any one
    /// window leaves it. For double masking it is the largest, over windows, of the least lead outside that
    /// window and any second, less the lead asked for: above 0 a window is unanimous for `own`, which nothing can override. No patch
    /// brings it below the slack of the certificate, on images certified or not.
    ///
    /// # Errors
    /// A logit that is NaN or infinite.
    pub(super) fn answer(&mut self, logits: &[f32], own: usize) -> Result<(usize, i64), Fault> {
        let predicted = self.with(logits, |certifier| certifier.predicted())?;
        let lead = match self.masking {
            Masking::Single => self.lead_after_one(logits, own),
            Masking::Double => self.lead_after_two(logits, own) - i64::from(self.lead),
        };
        Ok((predicted, lead))
    }

    fn with<T>(
        &mut self,
        logits: &[f32],
        ask: impl FnOnce(&mut MaskCertifier<'_>) -> T,
    ) -> Result<T, Fault> {
        let map = ScoreMap::from_logits(self.shape, logits, &mut self.scores)?;
        let set = MaskSet::new(self.geometry, &self.patches)?.with_lead(self.lead);
        let mut certifier = MaskCertifier::new(&map, set, self.masking, &mut self.memory)?;
        Ok(ask(&mut certifier))
    }

    /// The places of `patch` for a verdict: in the worst window and, for double masking, in the second one too,
    /// each where it affects most of the window's cells.
    pub(super) fn places(&self, verdict: &Verdict, patch: PatchSize) -> Vec<Place> {
        let worst = self.geometry.affected(verdict.patch, verdict.worst);
        let mut places = vec![Place {
            at: self.fit(verdict.worst, patch),
            other: verdict.second,
        }];
        if let Some(second) = verdict.second
            && let Some(at) = self.inside(&second)
        {
            let place = Place {
                at: self.fit(at, patch),
                other: worst,
            };
            if places.iter().all(|other| other.at != place.at) {
                places.push(place);
            }
        }
        places
    }

    /// The first position of the certified patch that affects most cells of `window`, and none outside it.
    fn inside(&self, window: &CellRect) -> Option<Pixel> {
        let [patch] = self.patches;
        let (columns, rows) = (self.geometry.x.inputs(), self.geometry.y.inputs());
        let positions = (0..=rows.saturating_sub(patch.height()))
            .flat_map(|y| (0..=columns.saturating_sub(patch.width())).map(move |x| Pixel { x, y }));
        let mut best: Option<(u64, Pixel)> = None;
        for at in positions {
            let Some(region) = self.geometry.affected(patch, at) else {
                continue;
            };
            let area = area(&region);
            if overlap(&region, window) == Some(region) && best.is_none_or(|(most, _)| area > most)
            {
                best = Some((area, at));
            }
        }
        best.map(|(_, at)| at)
    }

    /// The same position, or the nearest at which `patch` lies inside the image.
    fn fit(&self, at: Pixel, patch: PatchSize) -> Pixel {
        Pixel {
            x: at
                .x
                .min(self.geometry.x.inputs().saturating_sub(patch.width())),
            y: at
                .y
                .min(self.geometry.y.inputs().saturating_sub(patch.height())),
        }
    }

    fn lead_after_one(&self, logits: &[f32], own: usize) -> i64 {
        let left = |plane: &[f32]| {
            let votes = plane.iter().map(|logit| vote(*logit));
            let table = Table::new(votes, self.shape.width());
            let most = self.windows.iter().map(|window| table.sum(window)).max();
            table.total() - most.unwrap_or(0)
        };
        let (mut mine, mut strongest) = (0, i64::MIN);
        for (class, plane) in logits.chunks(self.shape.cells()).enumerate() {
            if class == own {
                mine = left(plane);
            } else {
                strongest = strongest.max(left(plane));
            }
        }
        mine.saturating_sub(strongest)
    }

    fn lead_after_two(&self, logits: &[f32], own: usize) -> i64 {
        let cells = self.shape.cells();
        let mine = logits.chunks(cells).nth(own).unwrap_or_default();
        let rivals = logits.chunks(cells).enumerate();
        let leads: Vec<(Table<i64>, Vec<i64>)> = rivals
            .filter(|(class, _)| *class != own)
            .map(|(_, theirs)| {
                let pairs = mine.iter().zip(theirs);
                let lead = pairs.map(|(own, theirs)| vote(*own) - vote(*theirs));
                let table = Table::new(lead, self.shape.width());
                let sums = self
                    .windows
                    .iter()
                    .map(|window| table.sum(window))
                    .collect();
                (table, sums)
            })
            .collect();
        let mut best = i64::MIN;
        for (first, window) in self.windows.iter().enumerate() {
            let mut least = i64::MAX;
            'others: for (second, other) in self.windows.iter().enumerate() {
                let common = overlap(window, other);
                for (table, sums) in &leads {
                    let sum = |at: usize| sums.get(at).copied().unwrap_or(0);
                    let twice = common.map_or(0, |common| table.sum(&common));
                    least = least.min(table.total() - sum(first) - sum(second) + twice);
                    // This window cannot become the best one.
                    if least <= best {
                        break 'others;
                    }
                }
            }
            best = best.max(least);
        }
        best
    }
}

fn vote(logit: f32) -> i64 {
    i64::from(logit >= 0.0)
}

fn area(cells: &CellRect) -> u64 {
    let len = |span: &Span| u64::from(span.last - span.first + 1);
    len(&cells.x) * len(&cells.y)
}

/// The cells of both.
fn overlap(a: &CellRect, b: &CellRect) -> Option<CellRect> {
    let along = |a: &Span, b: &Span| {
        let (first, last) = (a.first.max(b.first), a.last.min(b.last));
        (first <= last).then_some(Span { first, last })
    };
    Some(CellRect {
        x: along(&a.x, &b.x)?,
        y: along(&a.y, &b.y)?,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::{attack::objective::Objective, random::Random};
    use bagcert_certifier::Axis;
    use tch::Tensor;

    fn geometry() -> Geometry {
        Geometry {
            x: Axis::new(12, 6, 2, -1, 3).unwrap(),
            y: Axis::new(9, 9, 1, -2, 2).unwrap(),
        }
    }

    /// Votes for class 0 are the most frequent, so that many maps are certified.
    fn logits(random: &mut Random, classes: usize) -> Vec<f32> {
        let share = |class| if class == 0 { 0.8 } else { 0.3 };
        (0..classes)
            .flat_map(|class| [class; 54])
            .map(|class| share(class) - random.unit())
            .collect()
    }

    /// From the definition: the votes of each class outside two windows, cell by cell.
    fn slowly(logits: &[f32], windows: &[CellRect], pair: [usize; 2]) -> Vec<i64> {
        let within = |window: &CellRect, cell: usize| {
            let (x, y) = (cell as u32 % 6, cell as u32 / 6);
            (window.x.first..=window.x.last).contains(&x)
                && (window.y.first..=window.y.last).contains(&y)
        };
        let left_out = |cell| pair.iter().any(|at| within(&windows[*at], cell));
        let count = |plane: &[f32]| {
            let votes = plane.iter().enumerate();
            votes
                .filter(|(cell, logit)| !left_out(*cell) && **logit >= 0.0)
                .count() as i64
        };
        logits.chunks(54).map(count).collect()
    }

    fn margin(votes: &[i64], own: usize) -> i64 {
        let rivals = votes.iter().enumerate().filter(|(class, _)| *class != own);
        votes[own] - rivals.map(|(_, votes)| *votes).max().unwrap()
    }

    #[test]
    fn leads_are_those_of_the_definition_and_no_less_than_the_slack() {
        let (geometry, shape) = (geometry(), Shape::new(3, 9, 6).unwrap());
        let patch = PatchSize::new(2, 2).unwrap();
        let mut random = Random::new(1, 1);
        let mut certified = [0, 0, 0];
        for _ in 0..60 {
            let logits = logits(&mut random, 3);
            let predictors = [
                (Masking::Single, 0),
                (Masking::Double, 0),
                (Masking::Double, 2),
            ];
            for (at, (masking, asked)) in predictors.into_iter().enumerate() {
                let mut masks = Masks::new(shape, &geometry, masking, patch, asked).unwrap();
                let verdict = masks.verdict(&logits).unwrap();
                let own = verdict.predicted;
                let (predicted, lead) = masks.answer(&logits, own).unwrap();
                assert_eq!(predicted, own);
                assert!(lead >= verdict.slack, "{lead} {verdict:?}");
                certified[at] += usize::from(verdict.certified);
                let windows = masks.windows().to_vec();
                let all = 0..windows.len();
                if masking == Masking::Double {
                    let pairs = all
                        .clone()
                        .flat_map(|first| all.clone().map(move |second| [first, second]));
                    let left = pairs.map(|pair| margin(&slowly(&logits, &windows, pair), own));
                    assert_eq!(verdict.slack, left.min().unwrap() - i64::from(asked));
                }
                let expected = match masking {
                    Masking::Single => {
                        let left = all.map(|at| slowly(&logits, &windows, [at, at]));
                        let least =
                            left.reduce(|a, b| a.iter().zip(&b).map(|(a, b)| *a.min(b)).collect());
                        margin(&least.unwrap(), own)
                    }
                    Masking::Double => all
                        .map(|first| {
                            let pairs = (0..windows.len()).map(|second| [first, second]);
                            let margins =
                                pairs.map(|pair| margin(&slowly(&logits, &windows, pair), own));
                            margins.min().unwrap()
                        })
                        .max()
                        .unwrap(),
                };
                assert_eq!(lead, expected - i64::from(asked), "{masking:?}, {asked}");
            }
        }
        assert!(
            certified.iter().all(|count| (5..60).contains(count)),
            "{certified:?}"
        );
    }

    /// With one rival, what the ascent climbs is the aggregator's lead the other way round.
    #[test]
    fn the_objective_of_the_aggregator_is_its_lead() {
        let (geometry, shape) = (geometry(), Shape::new(2, 9, 6).unwrap());
        let patch = PatchSize::new(3, 1).unwrap();
        let mut masks = Masks::new(shape, &geometry, Masking::Single, patch, 0).unwrap();
        let mut random = Random::new(2, 2);
        for _ in 0..20 {
            let logits = logits(&mut random, 2);
            let (_, lead) = masks.answer(&logits, 0).unwrap();
            let tensor = Tensor::from_slice(&logits).view([1, 2, 9, 6]);
            let class = |class: i64| Tensor::from_slice(&[class]);
            let counted = tensor.narrow(1, 0, 1).isfinite();
            let gain = Objective::of(Some(&masks), 0).gain(&tensor, &class(0), &class(1), &counted);
            assert_eq!(gain.double_value(&[]), -lead as f64);
        }
    }

    /// The patch lies in the worst window, then in the second, each time with the other one named.
    #[test]
    fn places_are_the_two_windows_of_the_pair() {
        let (geometry, shape) = (geometry(), Shape::new(3, 9, 6).unwrap());
        let patch = PatchSize::new(2, 2).unwrap();
        let mut masks = Masks::new(shape, &geometry, Masking::Double, patch, 0).unwrap();
        let mut random = Random::new(3, 3);
        let mut both = 0;
        for _ in 0..40 {
            let logits = logits(&mut random, 3);
            let verdict = masks.verdict(&logits).unwrap();
            let places = masks.places(&verdict, patch);
            let regions: Vec<CellRect> = places
                .iter()
                .map(|place| geometry.affected(patch, place.at).unwrap())
                .collect();
            assert!(masks.windows().contains(&regions[0]), "{regions:?}");
            assert_eq!(places[0].other, verdict.second);
            if let [first, second] = regions[..] {
                both += 1;
                assert_eq!(Some(second), verdict.second);
                assert_eq!(places[1].other, Some(first));
            }
            // Outside both the certificate's least lead is left.
            let windows = masks.windows();
            let at = |region| windows.iter().position(|window| *window == region).unwrap();
            let pair = [at(regions[0]), at(verdict.second.unwrap())];
            let votes = slowly(&logits, windows, pair);
            assert_eq!(margin(&votes, verdict.predicted), verdict.slack);
        }
        assert!(both > 20, "{both} of 40 have two places");
    }
}
