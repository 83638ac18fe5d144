//! The certificate of Condition 3.2 worked out from its definition.
//!
//! Nothing here is fast and nothing is shared with the certifier: for every
//! patch position and every rival it walks over all cells, asks of each whether
//! its receptive field meets the patch, and adds up.

use anyhow::{Context, Result};
use bagcert::admission::AdmittedModel;
use serde_json::Value;

/// Along one axis: output `i` reads inputs `stride*i + lo ..= stride*i + hi`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis {
    /// Pixels of the image.
    pub pixels: i64,
    /// Cells of the score map.
    pub cells: i64,
    /// Pixels from one cell to the next.
    pub stride: i64,
    /// First input of cell 0.
    pub lo: i64,
    /// Last input of cell 0.
    pub hi: i64,
}

impl Axis {
    /// Whether `cell` reads one of the pixels `first..=last`.
    #[must_use]
    pub fn affected(&self, cell: i64, first: i64, last: i64) -> bool {
        self.stride * cell + self.lo <= last && self.stride * cell + self.hi >= first
    }
}

/// What `bagcert inspect --format json` says of a model.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// Number of classes.
    pub classes: usize,
    /// From left to right.
    pub x: Axis,
    /// From top to bottom.
    pub y: Axis,
}

impl Model {
    /// Reads the JSON of `inspect`.
    ///
    /// # Errors
    /// Where a key is missing.
    pub fn from_inspect(json: &Value) -> Result<Model> {
        let number = |path: &str| {
            json.pointer(path)
                .and_then(Value::as_i64)
                .with_context(|| format!("inspect says nothing of {path}"))
        };
        let axis = |side: &str, name: &str| -> Result<Axis> {
            Ok(Axis {
                pixels: number(&format!("/input/{side}"))?,
                cells: number(&format!("/output/{side}"))?,
                stride: number(&format!("/receptive_field/{name}/stride"))?,
                lo: number(&format!("/receptive_field/{name}/lo"))?,
                hi: number(&format!("/receptive_field/{name}/hi"))?,
            })
        };
        Ok(Model {
            classes: usize::try_from(number("/output/classes")?)?,
            x: axis("width", "x")?,
            y: axis("height", "y")?,
        })
    }

    /// What admission found of a model.
    #[must_use]
    pub fn of(model: &AdmittedModel) -> Model {
        let geometry = model.geometry();
        let [x, y] = [geometry.x, geometry.y].map(|axis| Axis {
            pixels: axis.inputs().into(),
            cells: axis.outputs().into(),
            stride: axis.stride().into(),
            lo: axis.lo().into(),
            hi: axis.hi().into(),
        });
        let classes = model.shape().classes();
        Model { classes, x, y }
    }

    /// The length of a score map, `classes x height x width`.
    #[must_use]
    pub fn logits(&self) -> usize {
        self.classes * self.cells()
    }

    /// Cells of the map.
    #[must_use]
    pub fn cells(&self) -> usize {
        usize::try_from(self.x.cells * self.y.cells).unwrap_or(0)
    }

    /// For each cell in row-major order, whether a patch at (left, top) affects it.
    #[must_use]
    pub fn region(&self, left: i64, top: i64, width: i64, height: i64) -> Vec<bool> {
        (0..self.y.cells)
            .flat_map(|row| (0..self.x.cells).map(move |column| (row, column)))
            .map(|(row, column)| {
                self.x.affected(column, left, left + width - 1)
                    && self.y.affected(row, top, top + height - 1)
            })
            .collect()
    }
}

/// The verdict on one map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Votes of each class.
    pub votes: Vec<i64>,
    /// The class with the most votes, the lowest on a tie.
    pub predicted: usize,
    /// Least margin over rivals and positions; certified when above 0.
    pub slack: i64,
    /// Left and top of the patch at which it is attained, the topmost then leftmost of several.
    pub worst: (i64, i64),
}

/// Votes of each class, and the class with the most, the lowest on a tie.
///
/// # Errors
/// Where the number of logits does not fit the model.
pub fn predict(model: &Model, logits: &[f32]) -> Result<(Vec<i64>, usize)> {
    anyhow::ensure!(
        logits.len() == model.logits() && model.cells() > 0,
        "{} logits for a map of {}",
        logits.len(),
        model.logits()
    );
    let votes: Vec<i64> = logits
        .chunks_exact(model.cells())
        .map(|plane| plane.iter().filter(|z| **z >= 0.0).count() as i64)
        .collect();
    let most = votes.iter().copied().max().unwrap_or(0);
    let predicted = votes.iter().position(|v| *v == most).unwrap_or(0);
    Ok((votes, predicted))
}

/// Condition 3.2 for a patch of `width x height` pixels.
///
/// # Errors
/// Where the number of logits does not fit the model.
pub fn certify(model: &Model, logits: &[f32], width: i64, height: i64) -> Result<Verdict> {
    let (votes, predicted) = predict(model, logits)?;
    let scores: Vec<Vec<i64>> = logits
        .chunks_exact(model.cells())
        .map(|plane| plane.iter().map(|z| i64::from(*z >= 0.0)).collect())
        .collect();
    let own = scores.get(predicted).context("there is no class")?;
    let (mut slack, mut worst) = (i64::MAX, (0, 0));
    for top in 0..=model.y.pixels - height {
        for left in 0..=model.x.pixels - width {
            let region = model.region(left, top, width, height);
            let size = region.iter().filter(|inside| **inside).count() as i64;
            for (class, rival) in scores.iter().enumerate() {
                if class == predicted {
                    continue;
                }
                let outside: i64 = own
                    .iter()
                    .zip(rival)
                    .zip(&region)
                    .filter(|(_, inside)| !**inside)
                    .map(|((a, b), _)| a - b)
                    .sum();
                if outside - size < slack {
                    (slack, worst) = (outside - size, (left, top));
                }
            }
        }
    }
    Ok(Verdict {
        votes,
        predicted,
        slack,
        worst,
    })
}
