//! What came of attacks, image by image and in all.

use serde::{Deserialize, Serialize};

/// An image that changed class.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flip {
    /// The step after which it did; 0 is the random patch that the attack started from.
    pub step: usize,
    /// The class that it changed to.
    pub class: usize,
}

/// One attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Left pixel of the patch.
    pub x: u32,
    /// Top pixel of the patch.
    pub y: u32,
    /// The rival it went for, c*.
    pub rival: usize,
    /// The least lead of the clean prediction over its strongest rival, in votes, after any step. Under masks,
    /// the lead in the masking predictor.
    pub least_lead: i64,
    /// Whether it succeeded.
    pub flipped: Option<Flip>,
    /// Whether a vote outside the affected region differed from the clean image's. By the network's geometry
    /// it cannot; libtorch, which rounds differently from one batch to the next, may still turn one at 0.
    pub outside_changed: bool,
}

/// The strongest patch that an attack found, to try on another engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoundPatch {
    /// What came of it here.
    #[serde(flatten)]
    pub record: Record,
    /// Width and height of the patch in pixels.
    pub patch: [u32; 2],
    /// Its pixels in [0, 1]: 3 x height x width, row-major.
    pub pixels: Vec<f32>,
}

/// One image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its index in the data set.
    pub image: i64,
    /// Its class.
    pub label: i64,
    /// The class predicted without a patch.
    pub predicted: usize,
    /// Whether that is certified, by the condition of the attack.
    pub certified: bool,
    /// The certificate's slack in votes.
    pub slack: i64,
    /// The attack; nothing where the image was neither right nor certified.
    pub attack: Option<Attempt>,
}

impl Record {
    /// Whether the prediction without a patch is right.
    pub fn right(&self) -> bool {
        usize::try_from(self.label) == Ok(self.predicted)
    }

    /// Whether the attack changed the class.
    pub fn flipped(&self) -> bool {
        self.attack.is_some_and(|attack| attack.flipped.is_some())
    }

    /// Whether the certificate was broken, which must never happen: a certified class changed, or less lead was left
    /// than the slack, below which no patch can bring it, on an image certified or not.
    pub fn broken(&self) -> bool {
        let below = self.attack.is_some_and(|a| a.least_lead < self.slack);
        below || (self.certified && self.flipped())
    }
}

/// Counts of images.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Images seen.
    pub images: usize,
    /// Right without a patch.
    pub right: usize,
    /// Right without a patch and after every step of the attack.
    pub held: usize,
    /// Right and certified.
    pub certified_right: usize,
    /// Wrong and certified.
    pub certified_wrong: usize,
    /// Certified images that were attacked: all that are certified.
    pub certified_attacked: usize,
    /// Images whose votes changed outside the affected region.
    pub outside_changed: usize,
    /// Indices of images whose certificate was broken, see [`Record::broken`]. Must stay empty.
    pub broken: Vec<i64>,
}

impl Summary {
    /// Counts `record` in.
    pub fn add(&mut self, record: &Record) {
        let right = record.right();
        self.images += 1;
        self.right += usize::from(right);
        self.held += usize::from(right && !record.flipped());
        self.certified_right += usize::from(record.certified && right);
        self.certified_wrong += usize::from(record.certified && !right);
        self.certified_attacked += usize::from(record.certified && record.attack.is_some());
        let outside = record.attack.is_some_and(|attack| attack.outside_changed);
        self.outside_changed += usize::from(outside);
        if record.broken() {
            self.broken.push(record.image);
        }
    }

    /// `count` as a share of the images, in per cent.
    pub fn percent(&self, count: usize) -> f64 {
        100.0 * count as f64 / self.images.max(1) as f64
    }
}

impl<'r> FromIterator<&'r Record> for Summary {
    fn from_iter<I: IntoIterator<Item = &'r Record>>(records: I) -> Self {
        let mut summary = Self::default();
        for record in records {
            summary.add(record);
        }
        summary
    }
}
