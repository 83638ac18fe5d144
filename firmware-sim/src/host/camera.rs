//! The camera: frames from files or a synthetic road of them, with a patch now and then, sealed.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use bagcert::frames::{Frames, Size};
use bagcert::with_causes;
use bagcert_certifier::PatchSize;
use bagcert_firmware_sim::{DataId, Frame, Header};
use serde::Deserialize;

use super::damage::{Random, Values};
use super::scenario::{Kind, Scenario, text};
use super::stop::Stop;

/// The stream of the camera's pictures.
pub(crate) const PICTURES: DataId = DataId(0xCA3E_0001);

/// A road that is made of the inputs: each is an object that is seen for some frames, moved by a pixel
/// or two and with a sensor's noise, before the next one comes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Road {
    /// Frames that each object is seen for.
    pub(crate) frames: u32,
    /// The farthest that it moves from its place, in pixels.
    pub(crate) reach: i64,
}

/// What the camera gives in one cycle.
pub(crate) struct Shot {
    /// Sealed by the camera, and damaged on its way to the forward pass where that is asked for.
    pub(crate) picture: Frame<Values>,
    /// The scene without the patch that is in it, where there is one.
    pub(crate) clean: Option<Vec<f32>>,
    /// What it shows, where that is known.
    pub(crate) label: Option<usize>,
    /// Whether there was a picture before that could come again.
    pub(crate) had_before: bool,
}

/// The camera.
pub(crate) struct Camera {
    frames: Frames,
    size: Size,
    class_names: Vec<String>,
    patch: PatchSize,
    road: Option<Road>,
    seed: u64,
    patches: BTreeMap<u64, Found>,
    /// The last picture that came to the forward pass as it was sealed.
    last: Option<Vec<f32>>,
}

/// A line of `bagcert-train attack`, as far as it is used here.
#[derive(Debug, Deserialize)]
struct Line {
    image: u64,
    attack: Place,
    patch: [u32; 2],
    pixels: Vec<f32>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Place {
    x: u32,
    y: u32,
}

#[derive(Debug)]
struct Found {
    place: Place,
    size: PatchSize,
    pixels: Vec<f32>,
}

impl Camera {
    pub(crate) fn new(
        frames: Frames,
        size: Size,
        class_names: &[String],
        patch: PatchSize,
        road: Option<Road>,
        scenario: &Scenario,
    ) -> Result<Camera, Stop> {
        let patches = match &scenario.patches {
            Some(path) => read_patches(path, size, patch)?,
            None => BTreeMap::new(),
        };
        Ok(Camera {
            frames,
            size,
            class_names: class_names.to_vec(),
            patch,
            road,
            seed: scenario.seed,
            patches,
            last: None,
        })
    }

    /// Which input is seen in a cycle.
    fn at(&self, cycle: u32) -> usize {
        let object = match self.road {
            Some(road) => cycle.checked_div(road.frames).unwrap_or(0),
            None => cycle,
        };
        (object as usize)
            .checked_rem(self.frames.len())
            .unwrap_or(0)
    }

    /// The name of the input that is seen in a cycle.
    pub(crate) fn id(&self, cycle: u32) -> String {
        self.frames.id(self.at(cycle)).unwrap_or_default()
    }

    /// The scene of a cycle: pixels, and what it shows.
    pub(crate) fn scene(&self, cycle: u32) -> Result<(Vec<f32>, Option<usize>), String> {
        let at = self.at(cycle);
        let frame = self
            .frames
            .load(at, self.size, &self.class_names)
            .map_err(|error| with_causes(&error))?;
        let pixels = match self.road {
            Some(road) => self.moved(frame.picture.planes(), road, cycle),
            None => frame.picture.planes().to_vec(),
        };
        Ok((pixels, frame.label))
    }

    /// Takes a picture.
    pub(crate) fn take(
        &mut self,
        cycle: u32,
        captured: Duration,
        faults: &[Kind],
    ) -> Result<Shot, String> {
        let (mut pixels, label) = self.scene(cycle)?;
        let mut clean = None;
        for kind in faults {
            if let Kind::Patch = kind {
                clean = Some(pixels.clone());
                self.paint(&mut pixels, cycle);
            }
        }
        let frozen = faults.iter().any(|kind| matches!(kind, Kind::Frozen));
        if let (true, Some(last)) = (frozen, &self.last) {
            pixels.clone_from(last);
            clean = None;
        }
        let header = Header {
            counter: cycle,
            captured,
        };
        let before = self.last.take();
        let had_before = before.is_some();
        let whole = Values(pixels);
        let lost = faults
            .iter()
            .any(|kind| matches!(kind, Kind::Drop | Kind::Torn | Kind::FlipPicture(_)));
        self.last = if lost {
            before.clone()
        } else {
            Some(whole.0.clone())
        };
        let mut picture = Frame::seal(PICTURES, header, whole);
        for kind in faults {
            let mut random = Random::of(self.seed, cycle, *kind);
            let pixels = &mut picture.payload_mut().0;
            match kind {
                Kind::Torn => {
                    if let Some(before) = &before {
                        tear(pixels, before, &mut random);
                    }
                }
                Kind::FlipPicture(bits) => random.flip(pixels, *bits),
                _ => {}
            }
        }
        Ok(Shot {
            picture,
            clean,
            label,
            had_before,
        })
    }

    /// The object of a cycle, moved and with noise. The border's pixels go on outside of it.
    fn moved(&self, planes: &[f32], road: Road, cycle: u32) -> Vec<f32> {
        let mut random = Random::new(self.seed.wrapping_add(u64::from(cycle) << 20));
        let span = 2 * road.reach.unsigned_abs() + 1;
        let dx = random.below(span) as i64 - road.reach;
        let dy = random.below(span) as i64 - road.reach;
        let (width, height) = (i64::from(self.size.width), i64::from(self.size.height));
        let mut out = Vec::with_capacity(planes.len());
        for plane in planes.chunks((width * height).max(1) as usize) {
            for y in 0..height {
                for x in 0..width {
                    let (y, x) = ((y + dy).clamp(0, height - 1), (x + dx).clamp(0, width - 1));
                    let pixel = plane.get((y * width + x) as usize).copied();
                    // One step of eight bits either way, as a sensor's last bit.
                    let noise = random.below(3) as f32 - 1.0;
                    out.push((pixel.unwrap_or(0.0) + noise / 255.0).clamp(0.0, 1.0));
                }
            }
        }
        out
    }

    /// Paints a patch: the one that was found for this input, else a random one anywhere.
    fn paint(&self, pixels: &mut [f32], cycle: u32) {
        let mut random = Random::of(self.seed, cycle, Kind::Patch);
        let number = number_of(&self.id(cycle));
        let found = number.and_then(|number| self.patches.get(&number));
        let (size, place) = match found {
            Some(found) => (found.size, found.place),
            None => {
                let free = |image: u32, patch: u32| u64::from(image.saturating_sub(patch)) + 1;
                let place = Place {
                    x: random.below(free(self.size.width, self.patch.width())) as u32,
                    y: random.below(free(self.size.height, self.patch.height())) as u32,
                };
                (self.patch, place)
            }
        };
        let (width, height) = (self.size.width as usize, self.size.height as usize);
        let mut next = found.map(|found| found.pixels.iter().copied());
        for plane in pixels.chunks_mut((width * height).max(1)) {
            for row in 0..size.height() {
                for column in 0..size.width() {
                    let value = match &mut next {
                        Some(found) => found.next().unwrap_or(0.0),
                        None => random.below(256) as f32 / 255.0,
                    };
                    let (y, x) = ((place.y + row) as usize, (place.x + column) as usize);
                    if let Some(pixel) = plane.get_mut(y * width + x) {
                        *pixel = value;
                    }
                }
            }
        }
    }
}

/// From some place on the pixels are those of the picture before, and at least one of them differs.
fn tear(pixels: &mut [f32], before: &[f32], random: &mut Random) {
    let mut pairs = pixels.iter().zip(before);
    let last = pairs.rposition(|(pixel, before)| pixel.to_bits() != before.to_bits());
    let from = random.below(last.map_or(1, |last| last as u64 + 1)) as usize;
    let rest = pixels.iter_mut().zip(before).skip(from);
    rest.for_each(|(pixel, before)| *pixel = *before);
}

/// The number that the name of an input begins with: that of the image in its data set.
fn number_of(id: &str) -> Option<u64> {
    let name = Path::new(id).file_name()?.to_str()?;
    let digits: String = name.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn read_patches(path: &Path, size: Size, largest: PatchSize) -> Result<BTreeMap<u64, Found>, Stop> {
    let usage = |reason: String| Stop::Usage(format!("{}: {reason}", path.display()));
    let text = text(path).map_err(|reason| usage(format!("cannot be read: {reason}")))?;
    let mut patches = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let line: Line = serde_json::from_str(line)
            .map_err(|error| usage(format!("line {}: not a patch: {error}", number + 1)))?;
        let wrong = |reason: &str| usage(format!("line {}: {reason}", number + 1));
        let [width, height] = line.patch;
        let patch = PatchSize::new(width, height).map_err(|error| wrong(&error.to_string()))?;
        if width > largest.width() || height > largest.height() {
            return Err(wrong(
                "the patch is larger than the one that is certified against",
            ));
        }
        let fits =
            |at: u32, side: u32, image: u32| at.checked_add(side).is_some_and(|end| end <= image);
        if !fits(line.attack.x, width, size.width) || !fits(line.attack.y, height, size.height) {
            return Err(wrong("the patch does not lie in the image"));
        }
        let values = 3 * width as usize * height as usize;
        let in_range = line.pixels.iter().all(|pixel| (0.0..=1.0).contains(pixel));
        if line.pixels.len() != values || !in_range {
            return Err(wrong(
                "the patch needs three values in [0, 1] for each pixel",
            ));
        }
        let found = Found {
            place: line.attack,
            size: patch,
            pixels: line.pixels,
        };
        patches.insert(line.image, found);
    }
    Ok(patches)
}
