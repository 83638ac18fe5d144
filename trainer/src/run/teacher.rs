//! A network to learn from.

use std::path::PathBuf;

use bagcert_certifier::Geometry;
use tch::{Device, Tensor, no_grad};

use super::{TrainError, load};
use crate::{
    checkpoint::Header,
    config::{DistillationConfig, Scores, Targets},
    import::import,
    loss::{Lesson, distil},
    network::{Compute, Mode, Network, Sampling},
};

/// A teacher, ready on the training device.
pub(super) struct Teacher {
    network: Network,
    kind: Targets,
    weight: f64,
    /// Rows and columns of the learner's score map.
    map: [i64; 2],
    /// Score maps as large as the learner's: only the sampled cells need to be worked out.
    cell_by_cell: bool,
}

impl Teacher {
    /// Loads it for a run of `header` and `geometry`.
    pub(super) fn new(
        config: &DistillationConfig,
        header: &Header,
        geometry: &Geometry,
        compute: Compute,
        device: Device,
    ) -> Result<Self, TrainError> {
        let exported = config
            .teacher
            .extension()
            .is_some_and(|end| end.eq_ignore_ascii_case("onnx"));
        let (own, mut network, map) = if exported {
            import(&config.teacher, device)?
        } else {
            load(&config.teacher, device)?
        };
        network.compute = compute;
        let refuse = |reason: String| {
            let path = PathBuf::from(&config.teacher);
            Err(TrainError::Teacher { path, reason })
        };
        if own.classes != header.classes {
            return refuse(format!(
                "its classes are {:?}, the data set's {:?}",
                own.classes, header.classes
            ));
        }
        if own.image_size != header.image_size {
            return refuse(format!(
                "its images have {} pixels a side, the data set's {}",
                own.image_size, header.image_size
            ));
        }
        let multiple = |teacher: u32, student: u32| teacher.is_multiple_of(student);
        let [theirs, ours] = [&map, geometry].map(|map| [map.y.outputs(), map.x.outputs()]);
        let fits = multiple(theirs[0], ours[0]) && multiple(theirs[1], ours[1]);
        if config.kind == Targets::ScoreMaps && !fits {
            return refuse(format!(
                "its score map has {}x{} cells, no whole multiple of the network's {}x{}; distillation.kind = \"mean-scores\" takes any",
                theirs[1], theirs[0], ours[1], ours[0]
            ));
        }
        Ok(Self {
            network,
            kind: config.kind,
            weight: config.weight,
            map: ours.map(i64::from),
            cell_by_cell: config.kind == Targets::ScoreMaps && theirs == ours,
        })
    }

    /// `loss` and the teacher's own, by the weight; `images` N x C x H x W are those that gave `logits`, of the
    /// sampled cells.
    pub(super) fn mix(
        &self,
        loss: &Tensor,
        images: &Tensor,
        logits: &Tensor,
        sampling: &Sampling,
        scores: Scores,
    ) -> Tensor {
        let lesson = no_grad(|| {
            if self.cell_by_cell {
                let taught = self
                    .network
                    .forward_sampled(images, Mode::Evaluate, sampling);
                return Lesson::of_cells(&taught);
            }
            let taught = self.network.forward(images, Mode::Evaluate);
            Lesson::new(&taught, self.kind, self.map, sampling)
        });
        let learnt = distil(logits, scores, &lesson) * self.weight;
        if self.weight == 1.0 {
            return learnt;
        }
        loss * (1.0 - self.weight) + learnt
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::network::Plan;
    use tch::Kind;

    /// A network that is taught by itself has nothing to learn: so it is only where teacher and learner are asked
    /// for the same cells.
    #[test]
    fn a_teacher_is_asked_for_the_cells_that_are_learnt() {
        let config = toml::from_str("width = 6\nkernels = [3, 1]\nstrides = [2, 1]").unwrap();
        let plan = Plan::new(&config, 3, 10);
        let images = Tensor::rand([2, 3, 32, 32], (Kind::Float, Device::Cpu));
        for cell_by_cell in [true, false] {
            let teacher = Teacher {
                network: Network::new(plan.clone(), vec![(0.5, 0.25); 3], Device::Cpu),
                kind: Targets::ScoreMaps,
                weight: 1.0,
                map: [16, 16],
                cell_by_cell,
            };
            for offset in [[0, 0], [3, 1], [1, 2]] {
                let sampling = Sampling::new(4, offset);
                let mode = Mode::Evaluate;
                let logits = no_grad(|| teacher.network.forward_sampled(&images, mode, &sampling));
                let logits = logits.set_requires_grad(true);
                let nothing = Tensor::zeros([], (Kind::Float, Device::Cpu));
                let loss = teacher.mix(&nothing, &images, &logits, &sampling, Scores::Heaviside);
                let gradient = Tensor::run_backward(&[loss], &[&logits], false, false).remove(0);
                let largest = gradient.abs().max().double_value(&[]);
                assert!(largest < 1e-6, "{offset:?}, {cell_by_cell}: {largest}");
            }
        }
    }
}
