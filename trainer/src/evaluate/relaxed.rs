//! Certificates for scores that are numbers in [0, 1] and not votes (Section A.3).
//!
//! Sigmoid and softmax scores exist to be compared with the Heaviside step while a network is trained: nothing
//! that runs on a vehicle reads them. A patch can make each score that it reaches anything in [0, 1], so
//! Conditions 3.2 and 3.3 hold for them as for votes.

use bagcert_certifier::{Fault, Geometry, MaskSet, PatchSize, Shape};

use super::judge::{Outcome, PatchOutcome};
use crate::table::Table;

/// Conditions 3.2 and 3.3 for one image's scores (C x h x w, row-major), for each patch size. Sums are of 64
/// bits.
///
/// # Errors
/// A score that is NaN or infinite; a patch that does not fit.
pub(super) fn outcome(
    scores: &[f32],
    shape: Shape,
    geometry: &Geometry,
    patches: &[PatchSize],
) -> Result<Outcome, Fault> {
    if let Some(at) = scores.iter().position(|score| !score.is_finite()) {
        let (cells, width) = (shape.cells(), shape.width());
        return Err(Fault::NonFinite {
            class: at / cells,
            y: at % cells / width,
            x: at % width,
        });
    }
    let (rows, columns) = (geometry.y.outputs(), geometry.x.outputs());
    if (shape.height(), shape.width()) != (rows as usize, columns as usize) {
        return Err(Fault::GeometryMismatch {
            height: shape.height(),
            width: shape.width(),
            geometry_height: rows,
            geometry_width: columns,
        });
    }
    let tables: Vec<Table<f64>> = scores
        .chunks(shape.cells())
        .map(|class| Table::new(class.iter().copied().map(f64::from), shape.width()))
        .collect();
    // The first of those with the largest sum, as for votes.
    let mut predicted = 0;
    for (class, table) in tables.iter().enumerate() {
        if table.total()
            > tables
                .get(predicted)
                .map_or(f64::NEG_INFINITY, Table::total)
        {
            predicted = class;
        }
    }
    let mut found = Vec::with_capacity(patches.len());
    for patch in patches {
        let set = MaskSet::new(geometry, std::slice::from_ref(patch))?;
        let largest = f64::from(geometry.max_affected_cells(*patch)?);
        let mut outcome = PatchOutcome {
            window: true,
            global: true,
            double_mask: None,
        };
        let rivals = tables.iter().enumerate();
        for (_, rival) in rivals.filter(|(class, _)| *class != predicted) {
            let Some(own) = tables.get(predicted) else {
                continue;
            };
            let lead = own.total() - rival.total();
            outcome.global &= lead > 2.0 * largest;
            outcome.window &= set.windows().all(|window| {
                let inside = own.sum(&window) - rival.sum(&window);
                let rows = f64::from(window.y.last - window.y.first + 1);
                let columns = f64::from(window.x.last - window.x.first + 1);
                lead - inside > rows * columns
            });
        }
        found.push(outcome);
    }
    Ok(Outcome {
        predicted,
        patches: found,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use crate::evaluate::{Asked, Judge};
    use bagcert_certifier::Axis;
    use tch::{Device, Kind, Tensor};

    fn geometry() -> Geometry {
        // Cells overlap, the stride is no divisor of the image, and the fields differ by axis.
        Geometry {
            x: Axis::new(13, 6, 2, -1, 3).unwrap(),
            y: Axis::new(9, 7, 1, 0, 2).unwrap(),
        }
    }

    fn patches() -> [PatchSize; 3] {
        [(1, 1), (3, 2), (5, 4)].map(|(width, height)| PatchSize::new(width, height).unwrap())
    }

    #[test]
    fn votes_are_judged_as_by_the_certifier() {
        let (geometry, patches) = (geometry(), patches());
        let shape = Shape::new(4, 7, 6).unwrap();
        tch::manual_seed(5);
        let mut certified = [0; 2];
        for round in 0..500 {
            let random = Tensor::rand([4, 42], (Kind::Float, Device::Cpu));
            let often = 0.5 + f64::from(round) / 1000.0;
            let often = Tensor::from_slice(&[often, 0.2, 0.2, 0.2]).view([4, 1]);
            let votes = random.less_tensor(&often).to_kind(Kind::Float);
            let votes = Vec::<f32>::try_from(votes.flatten(0, -1)).unwrap();
            let logits: Vec<f32> = votes.iter().map(|vote| vote - 0.5).collect();
            let ours = outcome(&votes, shape, &geometry, &patches).unwrap();
            let theirs = Judge::of(shape, &geometry)
                .outcome(
                    &logits,
                    Asked {
                        patches: &patches,
                        lead: 0,
                    },
                )
                .unwrap();
            assert_eq!(ours.predicted, theirs.predicted);
            for (ours, theirs) in ours.patches.iter().zip(&theirs.patches) {
                assert_eq!((ours.window, ours.global), (theirs.window, theirs.global));
                certified[0] += usize::from(ours.window);
                certified[1] += usize::from(ours.global);
            }
        }
        assert!(
            certified[0] > certified[1] && certified[1] > 100,
            "{certified:?}"
        );
        assert!(certified[0] < 1400, "{certified:?}");
    }

    #[test]
    fn a_map_of_another_network_is_refused() {
        let shape = Shape::new(4, 6, 7).unwrap();
        let fault = outcome(&[0.5; 168], shape, &geometry(), &patches()).err();
        assert!(
            matches!(fault, Some(Fault::GeometryMismatch { .. })),
            "{fault:?}"
        );
    }

    #[test]
    fn halves_are_not_votes() {
        // One row of four cells, each of which reads its own pixel.
        let axis = |cells| Axis::new(cells, cells, 1, 0, 0).unwrap();
        let geometry = Geometry {
            x: axis(4),
            y: axis(1),
        };
        let shape = Shape::new(2, 1, 4).unwrap();
        let patch = [PatchSize::new(1, 1).unwrap()];
        let of = |own: f32| {
            let scores = [own, own, own, own, 0.5, 0.5, 0.5, 0.5];
            outcome(&scores, shape, &geometry, &patch).unwrap().patches[0].window
        };
        // Outside of one cell three lead by `own` - 0.5 each; that must be more than 1.
        assert!(of(0.84) && !of(0.83));
        let mut scores = [0.0; 8];
        scores[6] = f32::NAN;
        let fault = outcome(&scores, shape, &geometry, &patch).err().unwrap();
        assert_eq!(
            fault,
            Fault::NonFinite {
                class: 1,
                y: 0,
                x: 2
            }
        );
    }
}
