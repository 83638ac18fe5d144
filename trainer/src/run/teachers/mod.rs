//! Networks to learn from.

mod onnx;
mod script;
mod whole;

use std::path::Path;

use bagcert_certifier::Geometry;
use tch::{Device, Tensor, no_grad};

use self::{
    script::Script,
    whole::{Format, Whole},
};
use super::{TrainError, load};
use crate::{
    checkpoint::Header,
    config::{DistillationConfig, LossConfig, Targets},
    import::{ImportError, import, is_exported},
    loss::{Lesson, distil},
    network::{Compute, Mode, Network, Sampling},
};

/// Teachers, ready on the training device.
pub(super) struct Teachers {
    each: Vec<Teacher>,
    kind: Targets,
    /// What makes chances of mean scores, where classes are learnt.
    softness: f64,
    /// What logits of whole images are divided by.
    temperature: f64,
    weight: f64,
    /// The share of a step's images that are mixed.
    mixed: f64,
    /// How many epochs they teach.
    epochs: usize,
    /// Rows and columns of the learner's score map.
    map: [i64; 2],
}

enum Teacher {
    /// Of this program's kind.
    Network {
        network: Box<Network>,
        /// Score maps as large as the learner's: only the sampled cells need to be worked out.
        cell_by_cell: bool,
    },
    /// Of any other.
    Whole(Whole),
}

impl Teachers {
    /// Loads them for a run of `header` and `geometry`.
    pub(super) fn new(
        config: &DistillationConfig,
        header: &Header,
        geometry: &Geometry,
        compute: Compute,
        device: Device,
    ) -> Result<Self, TrainError> {
        if config.teachers.is_empty() {
            return Err(TrainError::NoTeacher);
        }
        let ours = cells(geometry);
        let open = |path| {
            let opened = Teacher::open(path, config.kind, (header, ours), compute, device);
            opened.map_err(|reason| TrainError::teacher(path, reason))
        };
        let each = config.teachers.iter().map(|path| open(path));
        let each: Vec<_> = each.collect::<Result<_, _>>()?;
        let whole = |teacher: &Teacher| matches!(teacher, Teacher::Whole(_));
        if config.temperature.is_some() && !each.iter().any(whole) {
            return Err(TrainError::NoLogits);
        }
        Ok(Self {
            each,
            kind: config.kind,
            softness: config.softness.unwrap_or(1.0),
            temperature: config.temperature.unwrap_or(1.0),
            weight: config.weight,
            mixed: config.mixed.unwrap_or(0.0),
            epochs: config.epochs.unwrap_or(usize::MAX),
            map: ours.map(i64::from),
        })
    }

    /// Multiply-adds of all of them for one image, of which a step takes every `stride`-th cell along both axes; those
    /// of networks of another kind are not known, and not counted.
    pub(super) fn multiply_adds(&self, stride: i64) -> i64 {
        let each = self.each.iter().map(|teacher| match teacher {
            Teacher::Network {
                network,
                cell_by_cell,
            } => {
                let stride = if *cell_by_cell { stride } else { 1 };
                network.plan.sampled_multiply_adds(stride)
            }
            Teacher::Whole(_) => 0,
        });
        each.sum()
    }

    /// Whether they teach in an epoch, from 0.
    pub(super) fn teach_in(&self, epoch: usize) -> bool {
        epoch < self.epochs
    }

    /// How many of `batch` images are to be [mixed](crate::data::cut_mix): never all.
    pub(super) fn mixed(&self, batch: i64) -> i64 {
        (self.mixed * batch as f64) as i64
    }

    /// `loss`, which is of `config`, and the teachers' own, by the weight; `images` N x C x H x W are those that gave
    /// `logits`, of the sampled cells.
    pub(super) fn mix(
        &self,
        loss: &Tensor,
        images: &Tensor,
        logits: &Tensor,
        sampling: &Sampling,
        config: &LossConfig,
    ) -> Result<Tensor, TrainError> {
        let ask = |teacher| no_grad(|| self.ask(teacher, images, sampling));
        let lessons: Vec<_> = self.each.iter().map(ask).collect::<Result<_, _>>()?;
        let Some(lesson) = Lesson::mean(&lessons) else {
            return Ok(loss.shallow_clone());
        };
        let learnt = distil(logits, config, &lesson, self.softness) * self.weight;
        if self.weight == 1.0 {
            return Ok(learnt);
        }
        Ok(loss * (1.0 - self.weight) + learnt)
    }

    /// What one says of `images`.
    fn ask(
        &self,
        teacher: &Teacher,
        images: &Tensor,
        sampling: &Sampling,
    ) -> Result<Lesson, TrainError> {
        let mode = Mode::Evaluate;
        Ok(match teacher {
            Teacher::Whole(whole) => Lesson::of_images(&(whole.ask(images)? / self.temperature)),
            Teacher::Network {
                network,
                cell_by_cell: true,
            } => Lesson::of_cells(&network.forward_sampled(images, mode, sampling)),
            Teacher::Network { network, .. } => Lesson::new(
                &network.forward(images, mode),
                self.kind,
                self.softness,
                self.map,
                sampling,
            ),
        })
    }
}

impl Teacher {
    /// Loads that at `path`, for a run of a header whose map has these rows and columns; why it cannot teach there,
    /// where it cannot.
    fn open(
        path: &Path,
        kind: Targets,
        (header, ours): (&Header, [u32; 2]),
        compute: Compute,
        device: Device,
    ) -> Result<Self, String> {
        let whole = |format| {
            match kind {
            Targets::Classes => Whole::open(path, format, header, device).map(Self::Whole),
            Targets::MeanScores | Targets::ScoreMaps => Err(
                "it has no score map that could be learnt; distillation.kind = \"classes\" takes any network"
                    .to_owned(),
            ),
        }
        };
        let opened = if Script::is_at(path) {
            return whole(Format::Script);
        } else if is_exported(path) {
            match import(path, device) {
                // One of this program's that was damaged is no other network either, and is told why.
                Err(foreign @ ImportError::Foreign { .. }) => {
                    return whole(Format::Onnx).map_err(|reason| {
                        format!("{reason}. As a network of this program: {foreign}")
                    });
                }
                opened => opened.map_err(|error| error.to_string()),
            }
        } else {
            load(path, device).map_err(|error| error.to_string())
        };
        let (own, mut network, map) = opened?;
        network.compute = compute;
        let theirs = cells(&map);
        // Lessons are votes, or sigmoids of logits, whatever the learner's scores are.
        let votes = own.scores.expect_votes().map_err(|error| error.to_string());
        let misfit = || misfit((&own, theirs), (header, ours), kind);
        if let Some(reason) = votes.err().or_else(misfit) {
            return Err(reason);
        }
        Ok(Self::Network {
            network: Box::new(network),
            cell_by_cell: kind == Targets::ScoreMaps && theirs == ours,
        })
    }
}

/// Rows and columns of a score map.
fn cells(geometry: &Geometry) -> [u32; 2] {
    [geometry.y.outputs(), geometry.x.outputs()]
}

/// Why a network cannot teach another, each by its header and the rows and columns of its map; nothing where it can.
fn misfit(
    (teacher, theirs): (&Header, [u32; 2]),
    (network, ours): (&Header, [u32; 2]),
    kind: Targets,
) -> Option<String> {
    if teacher.classes != network.classes {
        return Some(format!(
            "its classes are {:?}, the data set's {:?}",
            teacher.classes, network.classes
        ));
    }
    if teacher.image_size != network.image_size {
        return Some(format!(
            "its images have {} pixels a side, the data set's {}",
            teacher.image_size, network.image_size
        ));
    }
    let [rows, columns] = theirs;
    let multiple = rows.is_multiple_of(ours[0]) && columns.is_multiple_of(ours[1]);
    (kind == Targets::ScoreMaps && !multiple).then(|| {
        format!(
            "its score map has {columns}x{rows} cells, no whole multiple of the network's {}x{}; distillation.kind = \"mean-scores\" takes any",
            ours[1], ours[0]
        )
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::network::Plan;
    use tch::Kind;

    /// A network that is taught by itself has nothing to learn: so it is only where teachers and learner are asked
    /// for the same cells, each teacher in its own way.
    #[test]
    fn teachers_are_asked_for_the_cells_that_are_learnt() {
        for network in [
            "kernels = [3, 1]\nstrides = [2, 1]",
            "kernels = [1, 3, 1]\nstem_kernel = 2\nstem_stride = 2\ndilations = [1, 2, 1]\nposition_embedding = true",
        ] {
            let config = toml::from_str(&format!("width = 6\n{network}")).unwrap();
            learns_nothing_from_itself(&Plan::new(&config, 32, 3, 10));
        }
    }

    fn learns_nothing_from_itself(plan: &Plan) {
        let mut first = Network::new(plan.clone(), vec![(0.5, 0.25); 3], Device::Cpu);
        for (name, tensor) in first.parameters.named() {
            // No cell is like another.
            if name.ends_with(".place.value") {
                assert!(first.parameters.set(&name, &tensor.randn_like()));
            }
        }
        let numbers = &first.parameters;
        let images = Tensor::rand([2, 3, 32, 32], (Kind::Float, Device::Cpu));
        for ways in [&[true][..], &[false], &[true, false], &[false, false, true]] {
            let teacher = |cell_by_cell: &bool| Teacher::Network {
                network: Box::new(first.with(numbers.with(&numbers.flat, &numbers.statistics))),
                cell_by_cell: *cell_by_cell,
            };
            let teachers = Teachers {
                each: ways.iter().map(teacher).collect(),
                kind: Targets::ScoreMaps,
                softness: 1.0,
                temperature: 1.0,
                weight: 1.0,
                mixed: 0.0,
                epochs: usize::MAX,
                map: [16, 16],
            };
            for offset in [[0, 0], [3, 1], [1, 2]] {
                let sampling = Sampling::new(4, offset);
                let mode = Mode::Evaluate;
                let logits = no_grad(|| first.forward_sampled(&images, mode, &sampling));
                let logits = logits.set_requires_grad(true);
                let nothing = Tensor::zeros([], (Kind::Float, Device::Cpu));
                let config = toml::from_str("margin = 0.5").unwrap();
                let loss = teachers
                    .mix(&nothing, &images, &logits, &sampling, &config)
                    .unwrap();
                let gradient = Tensor::run_backward(&[loss], &[&logits], false, false).remove(0);
                let largest = gradient.abs().max().double_value(&[]);
                assert!(largest < 1e-6, "{offset:?}, {ways:?}: {largest}");
            }
        }
    }
}
