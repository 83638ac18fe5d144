//! What the paper states in figures of its own models; its curves are pictures and are not taken over.

use bagcert_charts::{GREY, Line, Marker, Point, Series};

use super::{Kind, Subject};

/// The images that the paper's figures are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paper {
    /// The 10,000 test images.
    Cifar10,
    /// The 50,000 validation images, at 224x224 pixels.
    ImageNet,
}

/// Frames that the times of Table 1 are for.
const TIMED_FRAMES: f64 = 10_000.0;
/// Table 1: receptive field, and seconds for the CIFAR-10 test images on one V100.
const TIMES: [(f64, f64); 5] = [
    (5.0, 39.0),
    (7.0, 40.6),
    (9.0, 43.2),
    (11.0, 45.9),
    (13.0, 48.5),
];
/// The least that the model for CIFAR-10 certifies of each shape of [`SHAPES_AREA`] pixels.
const SHAPES: f64 = 40.0;
/// Pixels of each shape in Figure 4.
const SHAPES_AREA: u32 = 24;

impl Paper {
    /// Side of the square patch.
    const fn side(self) -> u32 {
        match self {
            Self::Cifar10 => 5,
            Self::ImageNet => 32,
        }
    }

    /// Clean and certified accuracy against that patch, and what it is.
    const fn accuracies(self) -> &'static [(f64, f64, &'static str)] {
        match self {
            Self::Cifar10 => &[(86.0, 60.0, "BagCert (3.2)"), (47.8, 30.3, "IBP")],
            Self::ImageNet => &[(45.3, 22.9, "BagCert (3.2)"), (45.3, 18.9, "BagCert (3.3)")],
        }
    }

    /// Why the paper states nothing that belongs into a figure; nothing where it does.
    #[must_use]
    pub fn lacks(self, kind: Kind, subject: &Subject) -> Option<String> {
        let (side, patch, area) = (self.side(), subject.patch, subject.area);
        match (self, kind) {
            (_, Kind::Conditions) if (patch.width(), patch.height()) != (side, side) => {
                Some(format!(
                    "of these images the paper states what it certifies at {side}x{side}, not at {patch}"
                ))
            }
            (_, Kind::Squares) if subject.largest < side => Some(format!(
                "of these images the paper states what it certifies at {side}x{side}; --largest {} does not reach there",
                subject.largest
            )),
            (Self::Cifar10, Kind::Shapes) if area != SHAPES_AREA => Some(format!(
                "the paper states what it certifies of patches of {SHAPES_AREA} pixels, not of {area}"
            )),
            (Self::ImageNet, Kind::Shapes | Kind::Speed) => {
                Some("the paper states no such figures of ImageNet".into())
            }
            _ => None,
        }
    }

    /// Clean against certified accuracy.
    pub(super) fn conditions(self) -> Series {
        let points = self.accuracies().iter();
        let points = points.map(|&(clean, certified, what)| Point {
            label: what.into(),
            ..Point::new(clean, certified)
        });
        stated("stated in the paper", points.collect())
    }

    /// The clean accuracy at side 0, and what is certified.
    pub(super) fn squares(self) -> Series {
        let ours = self.accuracies().iter().take(1);
        let points = ours.flat_map(|&(clean, certified, _)| [(0, clean), (self.side(), certified)]);
        let points = points.map(|(side, percent)| Point::new(f64::from(side), percent));
        stated("stated in the paper", points.collect())
    }

    /// The least of all of `count` shapes; nothing of ImageNet.
    pub(super) fn shapes(self, count: usize) -> Option<Series> {
        let points = (0..count).map(|place| Point::new(place as f64, SHAPES));
        let least = stated("the paper's least, stated", points.collect());
        (self == Self::Cifar10).then_some(least)
    }

    /// Time against the receptive field for so many frames; nothing of ImageNet.
    pub(super) fn speed(self, frames: usize) -> Option<Series> {
        let share = frames as f64 / TIMED_FRAMES;
        let points = TIMES.map(|(field, seconds)| Point::new(field, seconds * share));
        let name = if share == 1.0 {
            "stated in the paper: 28 to 66 M parameters, a V100"
        } else {
            "stated in the paper for 10,000, in proportion: 28 to 66 M parameters, a V100"
        };
        (self == Self::Cifar10).then(|| stated(name, points.into()))
    }
}

fn stated(name: &str, points: Vec<Point>) -> Series {
    Series {
        name: name.into(),
        colour: GREY,
        marker: Marker::Cross,
        line: Line::None,
        points,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use bagcert_certifier::PatchSize;

    use super::*;

    /// Of ImageNet there is one patch of 32x32, and neither shapes nor times.
    #[test]
    fn imagenet_has_one_patch_and_no_shapes_or_times() {
        let paper = Paper::ImageNet;
        let lacks = |kind, side, largest| {
            let subject = Subject {
                patch: PatchSize::new(side, side).unwrap(),
                conditions: vec![],
                leads: vec![],
                largest,
                area: SHAPES_AREA,
                paper: Some(paper),
            };
            paper.lacks(kind, &subject).is_some()
        };
        assert!(!lacks(Kind::Conditions, 32, 12) && lacks(Kind::Conditions, 5, 12));
        assert!(!lacks(Kind::Squares, 5, 32) && lacks(Kind::Squares, 5, 31));
        assert!(lacks(Kind::Shapes, 32, 32) && lacks(Kind::Speed, 32, 32));
        assert!(paper.shapes(8).is_none() && paper.speed(10_000).is_none());
        let of = |series: Series| series.points.iter().map(|p| (p.x, p.y)).collect::<Vec<_>>();
        assert_eq!(of(paper.conditions()), [(45.3, 22.9), (45.3, 18.9)]);
        assert_eq!(of(paper.squares()), [(0.0, 45.3), (32.0, 22.9)]);
    }
}
