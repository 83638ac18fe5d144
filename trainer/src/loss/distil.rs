//! Learning from a teacher's scores, without labels.

use tch::{Kind, Reduction, Tensor};

use super::{mean_scores, scores};
use crate::{
    config::{LossConfig, Scores, Targets},
    network::Sampling,
};

/// What teachers say about a batch.
#[derive(Debug)]
pub struct Lesson {
    kind: Targets,
    /// Mean scores or chances N x C, or scores N x C x h x w, in [0, 1].
    target: Tensor,
}

impl Lesson {
    /// From the teacher's logits N x C x H x W for a network whose map has `map` rows and columns: H and W must be
    /// these or whole multiples where score maps are learnt. Of the map, what `sampling` takes is learnt; the
    /// teacher's mean scores are always of all its cells, and its chances with `softness` of them.
    pub fn new(
        logits: &Tensor,
        kind: Targets,
        softness: f64,
        map: [i64; 2],
        sampling: &Sampling,
    ) -> Self {
        let logits = logits.detach();
        let votes = || mean_scores(&scores(&logits, Scores::Heaviside));
        let target = match kind {
            Targets::MeanScores => votes(),
            Targets::Classes => (votes() / softness).softmax(1, Kind::Float),
            // Each cell learns the mean of the teacher's cells in its place.
            Targets::ScoreMaps => sampling.of(&logits.sigmoid().adaptive_avg_pool2d(map)),
        };
        Self {
            kind,
            target: target.detach(),
        }
    }

    /// Score maps, from the teacher's logits N x C x h x w of the very cells that are learnt.
    pub fn of_cells(logits: &Tensor) -> Self {
        Self {
            kind: Targets::ScoreMaps,
            target: logits.detach().sigmoid(),
        }
    }

    /// Chances, from logits N x C of whole images.
    pub fn of_images(logits: &Tensor) -> Self {
        Self {
            kind: Targets::Classes,
            target: logits.detach().softmax(1, Kind::Float),
        }
    }

    /// What several say: the mean of what each does. All must be of one kind and of the same cells. Of none, nothing.
    pub fn mean(lessons: &[Self]) -> Option<Self> {
        let first = lessons.first()?;
        let targets: Vec<&Tensor> = lessons.iter().map(|lesson| &lesson.target).collect();
        let target = if targets.len() == 1 {
            first.target.shallow_clone()
        } else {
            Tensor::stack(&targets, 0).mean_dim(0, false, None)
        };
        Some(Self {
            kind: first.kind,
            target,
        })
    }
}

/// How far the network's scores are from the teacher's, over a batch.
///
/// Mean scores: the squared difference, summed over the classes. Score maps: the binary cross-entropy of each cell
/// and class, in nats. Classes: the cross-entropy of the chances that `softness` makes of mean scores, in nats, times
/// `softness`; on its way there a logit is divided by the temperature of `config`, as in [`super::total`].
/// `logits`: N x C x h x w.
pub fn distil(logits: &Tensor, config: &LossConfig, lesson: &Lesson, softness: f64) -> Tensor {
    match lesson.kind {
        Targets::MeanScores => {
            let apart = mean_scores(&scores(logits, config.scores)) - &lesson.target;
            let squares = apart.square();
            squares
                .sum_dim_intlist([1i64].as_slice(), false, squares.kind())
                .mean(squares.kind())
        }
        Targets::ScoreMaps => logits.binary_cross_entropy_with_logits(
            &lesson.target.to_kind(logits.kind()),
            None::<Tensor>,
            None::<Tensor>,
            Reduction::Mean,
        ),
        Targets::Classes => {
            let mean = mean_scores(&scores(&(logits / config.temperature), config.scores));
            let chances = (mean / softness).log_softmax(1, Kind::Float);
            let each =
                (chances * &lesson.target).sum_dim_intlist([1i64].as_slice(), false, Kind::Float);
            -each.mean(Kind::Float) * softness
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use tch::Device;

    fn logits(seed: i64, side: i64) -> Tensor {
        tch::manual_seed(seed);
        Tensor::randn([2, 3, side, side], (Kind::Float, Device::Cpu))
    }

    fn plain() -> LossConfig {
        toml::from_str("margin = 0.5").unwrap()
    }

    /// The gradient of the cross-entropy at the mean scores: the learner's chances less the teacher's, whatever the
    /// softness, shared among the cells by the sigmoid's slope.
    #[test]
    fn classes_are_pulled_to_the_teachers_chances() {
        let teacher = Tensor::from_slice2(&[[2.0_f32, 0.0, -1.0], [0.0, 0.0, 0.0]]);
        let lesson = Lesson::of_images(&teacher);
        for (softness, temperature) in [(0.05, 1.0), (0.3, 1.0), (0.1, 4.0)] {
            let config = LossConfig {
                temperature,
                ..plain()
            };
            let student = logits(11, 4).set_requires_grad(true);
            let loss = distil(&student, &config, &lesson, softness);
            let gradient = Tensor::run_backward(&[&loss], &[&student], false, false).remove(0);
            let detached = student.detach();
            let votes = mean_scores(&detached.ge(0.0).to_kind(Kind::Float));
            let own = (votes / softness).softmax(1, Kind::Float);
            let wanted = teacher.softmax(1, Kind::Float);
            let expected = -(own.log() * &wanted).sum(Kind::Float) / 2.0 * softness;
            assert!((loss.double_value(&[]) - expected.double_value(&[])).abs() < 1e-6);
            let sigmoid = (detached / temperature).sigmoid();
            let slope = &sigmoid * (1.0 - &sigmoid) / temperature;
            let pull = ((own - wanted) / 2.0 / 16.0).unsqueeze(2).unsqueeze(3);
            assert!(gradient.allclose(&(slope * pull), 1e-4, 1e-8, false));
        }
        // Of a network of this kind, its mean scores over the softness are logits.
        let map = logits(12, 4);
        let votes = mean_scores(&map.ge(0.0).to_kind(Kind::Float));
        let lesson = Lesson::new(&map, Targets::Classes, 0.2, [2, 2], &Sampling::ALL);
        let expected = Lesson::of_images(&(votes / 0.2));
        assert!(lesson.target.allclose(&expected.target, 1e-6, 1e-7, false));
    }

    #[test]
    fn mean_scores_are_compared_class_by_class() {
        let (student, teacher) = (logits(1, 2), logits(2, 4));
        let lesson = Lesson::new(&teacher, Targets::MeanScores, 0.1, [2, 2], &Sampling::ALL);
        let found = distil(&student, &plain(), &lesson, 0.1).double_value(&[]);
        let share = |logits: &Tensor, image: i64, class: i64| {
            let cells = logits.get(image).get(class);
            let votes = cells.ge(0.0).sum(Kind::Int64).int64_value(&[]);
            votes as f64 / cells.numel() as f64
        };
        let pairs = (0..2).flat_map(|image| (0..3).map(move |class| (image, class)));
        let expected: f64 = pairs
            .map(|(image, class)| {
                (share(&student, image, class) - share(&teacher, image, class)).powi(2)
            })
            .sum();
        assert!(
            (found - expected / 2.0).abs() < 1e-6,
            "{found} is not {expected}"
        );
        // The same votes are nothing left to learn.
        let own = Lesson::new(&student, Targets::MeanScores, 0.1, [2, 2], &Sampling::ALL);
        assert_eq!(distil(&student, &plain(), &own, 0.1).double_value(&[]), 0.0);
    }

    #[test]
    fn score_maps_are_compared_cell_by_cell_and_larger_ones_averaged() {
        let student = logits(3, 2).set_requires_grad(true);
        let teacher = logits(4, 4);
        let lesson = Lesson::new(&teacher, Targets::ScoreMaps, 0.1, [2, 2], &Sampling::ALL);
        let loss = distil(&student, &plain(), &lesson, 0.1);
        let gradient = Tensor::run_backward(&[loss], &[&student], false, false).remove(0);
        // The gradient of the cross-entropy: what the network says less what the teacher says.
        let said = student.detach().sigmoid();
        for (y, x) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let taught = teacher.sigmoid().narrow(2, 2 * y, 2).narrow(3, 2 * x, 2);
            let taught = taught.mean_dim([2i64, 3].as_slice(), false, Kind::Float);
            let at = |tensor: &Tensor| tensor.select(3, x).select(2, y);
            let expected = (at(&said) - taught) / 24.0;
            assert!(at(&gradient).allclose(&expected, 1e-5, 1e-7, false));
        }
    }

    /// The mean of chances, not of logits: one sure teacher and one that says nothing make a chance of three
    /// quarters.
    #[test]
    fn several_teachers_are_averaged() {
        let maps = [logits(7, 2), logits(8, 4), logits(9, 2)];
        for kind in [Targets::ScoreMaps, Targets::MeanScores, Targets::Classes] {
            let lessons = maps
                .each_ref()
                .map(|map| Lesson::new(map, kind, 0.1, [2, 2], &Sampling::ALL));
            let mean = Lesson::mean(&lessons).unwrap();
            let sum = &lessons[0].target + &lessons[1].target + &lessons[2].target;
            assert!(mean.target.allclose(&(sum / 3.0), 1e-6, 1e-7, false));
            let alone = Lesson::mean(&lessons[..1]).unwrap();
            assert_eq!(alone.target, lessons[0].target);
        }
        let map = |logit: f64| Tensor::full([1, 1, 1, 1], logit, (Kind::Float, Device::Cpu));
        let sure = [map(50.0), map(0.0)].map(|logits| Lesson::of_cells(&logits));
        let chance = Lesson::mean(&sure)
            .unwrap()
            .target
            .double_value(&[0, 0, 0, 0]);
        assert!((chance - 0.75).abs() < 1e-6, "{chance}");
        assert!(Lesson::mean(&[]).is_none());
    }

    #[test]
    fn of_sampled_cells_the_same_cells_are_learnt() {
        let (student, teacher) = (logits(5, 4), logits(6, 8));
        let whole = Lesson::new(&teacher, Targets::ScoreMaps, 0.1, [4, 4], &Sampling::ALL);
        let sampling = Sampling::new(2, [1, 0]);
        let lesson = Lesson::new(&teacher, Targets::ScoreMaps, 0.1, [4, 4], &sampling);
        assert_eq!(lesson.target, sampling.of(&whole.target));
        // A teacher whose map is as large is asked for these cells alone.
        let same = Lesson::new(&student, Targets::ScoreMaps, 0.1, [4, 4], &sampling);
        let cells = Lesson::of_cells(&sampling.of(&student));
        // libtorch's sigmoid may round a cell otherwise where it has other neighbours in memory.
        assert!(cells.target.allclose(&same.target, 1e-6, 1e-7, false));
    }
}
