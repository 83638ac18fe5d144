//! A search for patches that needs no gradient, only the engine as it is shipped.
//!
//! Contents that often help (noise, plain colours, checkerboards, stripes, pieces of this and of other images)
//! are tried at the worst position and at others; from the best, a (1+1) evolution strategy goes on that
//! replaces small blocks of the patch, after the square attack (Andriushchenko and others, 2020). What is
//! made small is the lead in votes, with votes inside the affected region smoothed so that a step towards a
//! vote counts before the vote turns.

use crate::oracle::{self, Model};
use crate::repository::Random;
use anyhow::{Context, Result, ensure};
use bagcert::engine::ForwardPass;

/// By what the searches on a model of so many multiply-adds a frame are fewer than those on one of 250 million or
/// less, so that the tests stay a matter of minutes; 1 or more.
pub fn thrift(macs: u64) -> usize {
    macs.div_ceil(250_000_000).max(1) as usize
}

/// What the search goes against.
pub struct Target<'t> {
    /// Which cells read which pixels.
    pub model: &'t Model,
    /// The image, `3 x height x width` in `[0,1]`.
    pub image: &'t [f32],
    /// Its logits without a patch.
    pub logits: &'t [f32],
    /// Width and height of the patch in pixels.
    pub patch: (usize, usize),
    /// Where to look first: left and top.
    pub worst: (usize, usize),
    /// Other images of the same size, whose pieces are tried as patches.
    pub others: &'t [&'t [f32]],
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Found {
    /// The image with the strongest patch.
    pub image: Vec<f32>,
    /// Left and top of that patch.
    pub at: (usize, usize),
    /// Least lead of the clean prediction over its strongest rival, in votes.
    pub lead: i64,
    /// The class it was changed to, if it was.
    pub flipped: Option<usize>,
    /// Forward passes made.
    pub queries: usize,
    /// The first logit outside the affected region that changed in any bit, with its patch: it must not.
    pub leak: Option<(usize, (usize, usize))>,
}

/// Share of the queries that go into contents and positions, before the strategy.
const SURVEY: f64 = 0.2;
/// Kinds of content.
const CONTENTS: usize = 8;

/// Looks for a patch that changes the prediction, with at most `queries` forward passes.
///
/// It stops at the first that does, and at the first leak.
///
/// # Errors
/// Where the engine fails, or the target does not fit the model.
pub fn search(
    engine: &mut dyn ForwardPass,
    target: &Target<'_>,
    queries: usize,
    random: &mut Random,
) -> Result<Found> {
    let mut attempt = Attempt::new(target)?;
    let survey = (queries as f64 * SURVEY) as usize;
    for number in 0..survey {
        // Every content at the worst position, and elsewhere.
        let at = if number % 2 == 0 {
            target.worst
        } else {
            attempt.place(random)
        };
        let patch = attempt.content(number / 2, at, random);
        if attempt.try_patch(engine, at, &patch)? {
            return Ok(attempt.found);
        }
    }
    let (width, height) = target.patch;
    for number in survey..queries {
        // Blocks from half the patch down to one pixel.
        let progress = (number - survey) as f64 / (queries - survey) as f64;
        let side =
            |length: usize| ((length as f64 * 0.6 * (1.0 - progress)).round() as usize).max(1);
        let (w, h) = (side(width).min(width), side(height).min(height));
        let (x, y) = (random.below(width - w + 1), random.below(height - h + 1));
        let colour: Vec<f32> = match random.below(3) {
            0 => (0..3).map(|_| random.unit()).collect(),
            _ => (0..3).map(|_| random.unit().round()).collect(),
        };
        let (at, mut patch) = (attempt.best_at, attempt.best_patch.clone());
        for (channel, value) in colour.iter().enumerate() {
            for row in y..y + h {
                for column in x..x + w {
                    if let Some(pixel) = patch.get_mut((channel * height + row) * width + column) {
                        *pixel = *value;
                    }
                }
            }
        }
        if attempt.try_patch(engine, at, &patch)? {
            break;
        }
    }
    Ok(attempt.found)
}

/// The state of a search.
struct Attempt<'t> {
    target: &'t Target<'t>,
    predicted: usize,
    /// Logits are divided by this before they are smoothed.
    scale: f32,
    best_score: f64,
    best_at: (usize, usize),
    best_patch: Vec<f32>,
    found: Found,
}

impl<'t> Attempt<'t> {
    fn new(target: &'t Target<'t>) -> Result<Self> {
        let (width, height) = pixels(target.model);
        ensure!(
            target.image.len() == 3 * width * height
                && target.logits.len() == target.model.logits(),
            "image or logits do not fit the model"
        );
        ensure!(
            (1..=width).contains(&target.patch.0) && (1..=height).contains(&target.patch.1),
            "the patch does not fit the image"
        );
        let (_, predicted) = oracle::predict(target.model, target.logits)?;
        let mut sizes: Vec<f32> = target.logits.iter().map(|z| z.abs()).collect();
        sizes.sort_by(f32::total_cmp);
        let median = sizes.get(sizes.len() / 2).copied().unwrap_or(1.0);
        Ok(Self {
            target,
            predicted,
            scale: median.max(f32::MIN_POSITIVE) / 2.0,
            best_score: f64::INFINITY,
            best_at: target.worst,
            best_patch: vec![0.0; 3 * target.patch.0 * target.patch.1],
            found: Found {
                image: target.image.to_vec(),
                at: target.worst,
                lead: i64::MAX,
                flipped: None,
                queries: 0,
                leak: None,
            },
        })
    }

    /// Any place; a corner or an edge now and then.
    fn place(&self, random: &mut Random) -> (usize, usize) {
        let (width, height) = pixels(self.target.model);
        let along = |room: usize, random: &mut Random| match random.below(6) {
            0 => 0,
            1 => room,
            _ => random.below(room + 1),
        };
        (
            along(width - self.target.patch.0, random),
            along(height - self.target.patch.1, random),
        )
    }

    /// One of several kinds of content for a patch at `at`.
    fn content(&self, kind: usize, at: (usize, usize), random: &mut Random) -> Vec<f32> {
        let (width, height) = self.target.patch;
        let mut colour = |round: bool| -> [f32; 3] {
            [(); 3].map(|()| {
                let value = random.unit();
                if round { value.round() } else { value }
            })
        };
        let two = [colour(true), colour(kind % 16 < 8)];
        match kind % CONTENTS {
            0 => (0..3 * width * height).map(|_| random.unit()).collect(),
            1 => (0..3 * width * height)
                .map(|_| random.unit().round())
                .collect(),
            2 => self.fill(|_, _| two[1]),
            3 => self.fill(|x, y| two[(x + y) % 2]),
            4 => self.fill(|x, y| two[(x / 2 + y / 2) % 2]),
            5 if random.below(2) == 0 => self.fill(|x, _| two[x % 2]),
            5 => self.fill(|_, y| two[y % 2]),
            6 => {
                let from = self.place(random);
                self.piece(self.target.image, from)
            }
            _ => {
                let others = self.target.others;
                let other = others.get(random.below(others.len())).copied();
                // A piece from the same place half of the time: sky for sky, road for road.
                let from = if random.below(2) == 0 {
                    at
                } else {
                    self.place(random)
                };
                self.piece(other.unwrap_or(self.target.image), from)
            }
        }
    }

    fn fill(&self, colour: impl Fn(usize, usize) -> [f32; 3]) -> Vec<f32> {
        let (width, height) = self.target.patch;
        let place = |at: usize| (at / (width * height), at % width, at / width % height);
        (0..3 * width * height)
            .map(place)
            .map(|(channel, x, y)| colour(x, y).get(channel).copied().unwrap_or(0.0))
            .collect()
    }

    fn piece(&self, image: &[f32], from: (usize, usize)) -> Vec<f32> {
        let (width, height) = self.target.patch;
        (0..3 * width * height)
            .map(|at| {
                let (channel, x, y) = (at / (width * height), at % width, at / width % height);
                let pixel = self.pixel(channel, from.0 + x, from.1 + y);
                image.get(pixel).copied().unwrap_or(0.0)
            })
            .collect()
    }

    fn pixel(&self, channel: usize, x: usize, y: usize) -> usize {
        let (width, height) = pixels(self.target.model);
        (channel * height + y) * width + x
    }

    /// One query; whether the search is over.
    fn try_patch(
        &mut self,
        engine: &mut dyn ForwardPass,
        at: (usize, usize),
        patch: &[f32],
    ) -> Result<bool> {
        let (width, height) = self.target.patch;
        let target = self.target;
        let image = with_patch(target.model, target.image, target.patch, at, patch)?;
        let logits = engine.forward(&image)?;
        self.found.queries += 1;
        let model = self.target.model;
        let region = model.region(at.0 as i64, at.1 as i64, width as i64, height as i64);
        let leak = logits
            .iter()
            .zip(self.target.logits)
            .zip(region.iter().cycle())
            .position(|((after, before), inside)| !inside && after.to_bits() != before.to_bits());
        if let Some(logit) = leak {
            self.found.leak.get_or_insert((logit, at));
        }
        let (votes, class) = oracle::predict(model, logits)?;
        let lead = lead(&votes, self.predicted).context("the model has one class")?;
        let score = self.smooth_lead(logits, &region);
        let flipped = class != self.predicted;
        if score < self.best_score {
            (self.best_score, self.best_at) = (score, at);
            self.best_patch = patch.to_vec();
        }
        if lead < self.found.lead || flipped {
            self.found.lead = lead;
            self.found.at = at;
            self.found.image = image;
            self.found.flipped = flipped.then_some(class);
        }
        Ok(flipped || leak.is_some())
    }

    /// The lead with votes inside `region` between 0 and 1.
    fn smooth_lead(&self, logits: &[f32], region: &[bool]) -> f64 {
        let votes: Vec<f64> = logits
            .chunks(region.len())
            .map(|plane| {
                plane
                    .iter()
                    .zip(region)
                    .map(|(z, inside)| {
                        let hard = f64::from(u8::from(*z >= 0.0));
                        if *inside {
                            let soft = f64::from(z / (z.abs() + self.scale));
                            // Mostly the vote itself; the rest says how near the next one is.
                            0.5 * hard + 0.25 * (1.0 + soft)
                        } else {
                            hard
                        }
                    })
                    .sum()
            })
            .collect();
        let rivals = votes.iter().enumerate();
        let strongest = rivals
            .filter(|(class, _)| *class != self.predicted)
            .map(|(_, votes)| *votes)
            .fold(f64::NEG_INFINITY, f64::max);
        votes.get(self.predicted).copied().unwrap_or(0.0) - strongest
    }
}

/// `image` with a patch of `size` (width and height in pixels) at `at` (left and top). `patch`: its pixels,
/// `3 x height x width`.
///
/// # Errors
/// Where the patch does not fit.
pub fn with_patch(
    model: &Model,
    image: &[f32],
    size: (usize, usize),
    at: (usize, usize),
    patch: &[f32],
) -> Result<Vec<f32>> {
    let ((columns, rows), (width, height)) = (pixels(model), size);
    ensure!(
        patch.len() == 3 * width * height && at.0 + width <= columns && at.1 + height <= rows,
        "a patch of {width}x{height} at {at:?} with {} values does not fit {columns}x{rows}",
        patch.len()
    );
    let mut image = image.to_vec();
    for (index, value) in patch.iter().enumerate() {
        let (channel, x, y) = (
            index / (width * height),
            index % width,
            index / width % height,
        );
        let place = (channel * rows + at.1 + y) * columns + at.0 + x;
        *image.get_mut(place).context("the image is too short")? = *value;
    }
    Ok(image)
}

/// Width and height of the model's images.
fn pixels(model: &Model) -> (usize, usize) {
    (model.x.pixels as usize, model.y.pixels as usize)
}

/// Votes of `own` above its strongest rival.
fn lead(votes: &[i64], own: usize) -> Option<i64> {
    let rivals = votes.iter().enumerate().filter(|(class, _)| *class != own);
    let strongest = rivals.map(|(_, votes)| *votes).max()?;
    Some(votes.get(own)? - strongest)
}
