//! What the ascent climbs.

use bagcert_certifier::{CellRect, Masking};
use tch::{Kind, Tensor};

use super::predictor::Masks;
use crate::{config::Scores, loss};

/// A gain of the rival on the prediction, to be made as large as can be.
pub(super) enum Objective {
    /// In the votes of the whole map: L_R with M = 1.
    Votes,
    /// In the votes outside the other window of the weakest pair.
    Counted,
    /// In the mask aggregator; cells x windows, 1 where a cell lies in a window.
    Aggregator(Tensor),
}

impl Objective {
    /// That of a round. Against a masking predictor its own one and that of the plain vote take turns: double
    /// masking is turned by a window outside which the rival leads, and by no window that stands against a
    /// plain vote that the rival won.
    pub(super) fn of(masks: Option<&Masks<'_>>, round: usize) -> Self {
        let Some(masks) = masks.filter(|_| round.is_multiple_of(2)) else {
            return Self::Votes;
        };
        match masks.masking() {
            Masking::Double => Self::Counted,
            Masking::Single => Self::Aggregator(members(masks.windows(), masks.grid())),
        }
    }

    /// The gain of all images together; that of each depends on no other's patch. `logits` are N x C x h x w,
    /// `own` and `rival` N classes, `counted` N x 1 x h x w.
    pub(super) fn gain(
        &self,
        logits: &Tensor,
        own: &Tensor,
        rival: &Tensor,
        counted: &Tensor,
    ) -> Tensor {
        let scores = loss::scores(logits, Scores::Heaviside);
        let difference = |values: &Tensor, shape: &[i64]| {
            let of = |class: &Tensor| {
                let mut places = vec![1; shape.len()];
                if let Some(first) = places.first_mut() {
                    *first = -1;
                }
                values.gather(
                    1,
                    &class.view(places.as_slice()).expand(shape, false),
                    false,
                )
            };
            of(rival) - of(own)
        };
        match self {
            Self::Votes => difference(&loss::mean_scores(&scores), &[-1, 1]),
            Self::Counted => {
                let size = scores.size();
                let plane = [
                    -1,
                    1,
                    size.get(2).copied().unwrap_or(0),
                    size.get(3).copied().unwrap_or(0),
                ];
                difference(&scores, &plane) * counted
            }
            Self::Aggregator(members) => {
                // What the window that costs a class most leaves it.
                let planes = scores.flatten(2, 3);
                let inside = planes.matmul(&members.to_device(scores.device()));
                let left = planes.sum_dim_intlist([2i64].as_slice(), false, Kind::Float)
                    - inside.amax([2i64].as_slice(), false);
                difference(&left, &[-1, 1])
            }
        }
        .sum(Kind::Float)
    }
}

/// Cells x windows of a grid of rows and columns: 1 inside, 0 outside.
fn members(windows: &[CellRect], (rows, columns): (usize, usize)) -> Tensor {
    let mut inside = Vec::with_capacity(windows.len() * rows * columns);
    for window in windows {
        for y in 0..rows as u32 {
            let row = (window.y.first..=window.y.last).contains(&y);
            let cells = 0..columns as u32;
            inside.extend(cells.map(|x| {
                let within = row && (window.x.first..=window.x.last).contains(&x);
                f32::from(u8::from(within))
            }));
        }
    }
    Tensor::from_slice(&inside)
        .view([windows.len() as i64, -1])
        .transpose(0, 1)
}
