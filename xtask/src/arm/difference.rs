//! What another processor computes otherwise: logits, scores, verdicts.

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// How near to 0, relative to the largest logit of its class, a score may turn: the tolerance of
/// golden frames (`bagcert::integrity::TOLERANCE`).
const TOLERANCE: f32 = 1e-5;

/// Differences of the logits of many frames.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Logits {
    /// Logits compared.
    pub(crate) count: usize,
    /// Those with other bits.
    pub(crate) other_bits: usize,
    /// Largest difference, relative to the largest logit of its class and frame.
    pub(crate) largest: f32,
    /// Scores (class and cell) that turned.
    pub(crate) turned: usize,
    /// Numbers of the frames in which one did.
    pub(crate) frames: Vec<usize>,
}

impl Logits {
    /// Compares logits of `frames` frames of `classes` planes each.
    ///
    /// # Errors
    /// Where they are not as many, and where they differ by more than rounding does.
    pub(crate) fn compare(
        here: &[f32],
        there: &[f32],
        frames: usize,
        classes: usize,
    ) -> Result<Self> {
        let planes = frames * classes;
        if here.len() != there.len() || planes == 0 || !here.len().is_multiple_of(planes) {
            bail!(
                "{} logits of {frames} frames here, {} there",
                here.len(),
                there.len()
            );
        }
        let cells = (here.len() / planes).max(1);
        let mut found = Logits {
            count: here.len(),
            ..Logits::default()
        };
        let all = here.chunks(cells).zip(there.chunks(cells));
        for (number, (here, there)) in all.enumerate() {
            let frame = number / classes;
            let largest = here.iter().fold(0f32, |most, logit| most.max(logit.abs()));
            for (here, there) in here.iter().zip(there) {
                if !here.is_finite() || !there.is_finite() {
                    bail!("frame {frame}: a logit is {here:e} here and {there:e} there");
                }
                if here.to_bits() == there.to_bits() {
                    continue;
                }
                found.other_bits += 1;
                let difference = (here - there).abs();
                if difference > TOLERANCE * largest {
                    bail!(
                        "frame {frame}: a logit is {here:e} here and {there:e} there, which is more \
                         than {TOLERANCE:e} of the largest of its class ({largest:e}): not rounding"
                    );
                }
                found.largest = found.largest.max(difference / largest);
                if (*here >= 0.0) != (*there >= 0.0) {
                    found.turned += 1;
                    if found.frames.last() != Some(&frame) {
                        found.frames.push(frame);
                    }
                }
            }
        }
        Ok(found)
    }
}

/// Differences of the verdicts of many frames, as `bagcert` writes them in JSON lines.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Verdicts {
    /// Verdicts compared.
    pub(crate) count: usize,
    /// Certified ones here.
    pub(crate) certified: usize,
    /// Verdicts with another class.
    pub(crate) class: usize,
    /// Verdicts that are certified on one side only.
    pub(crate) certificate: usize,
    /// Verdicts with another slack.
    pub(crate) slack: usize,
    /// Largest difference of slacks, in votes.
    pub(crate) most: u64,
    /// Verdicts that differ in anything.
    pub(crate) any: usize,
}

impl Verdicts {
    /// Compares the lines, one a frame. `turned` are the frames in which scores turned.
    ///
    /// # Errors
    /// Where they are not as many or not of the same frames, and where a verdict differs though no
    /// score did.
    pub(crate) fn compare(here: &str, there: &str, turned: &[usize]) -> Result<Self> {
        if here.lines().count() != there.lines().count() || here.is_empty() {
            bail!("not the same number of verdicts on both sides");
        }
        let mut found = Verdicts::default();
        for (frame, (here, there)) in here.lines().zip(there.lines()).enumerate() {
            let here: Value = serde_json::from_str(here)?;
            let there: Value = serde_json::from_str(there)?;
            let field = |name: &str| -> Result<(&Value, &Value)> {
                let missing = || format!("no {name} in a verdict");
                let pair = (here.get(name), there.get(name));
                Ok((pair.0.with_context(missing)?, pair.1.with_context(missing)?))
            };
            let (id, other) = field("id")?;
            if id != other {
                bail!("verdict {frame} is of {id} here and of {other} there");
            }
            found.count += 1;
            let differs = |name| field(name).map(|(here, there)| usize::from(here != there));
            found.certified += usize::from(field("certified")?.0 == true);
            found.class += differs("predicted")?;
            found.certificate += differs("certified")?;
            let (slack, other) = field("slack")?;
            let pair = (slack.as_i64(), other.as_i64());
            let (slack, other) = (pair.0.context("slack")?, pair.1.context("slack")?);
            found.slack += usize::from(slack != other);
            found.most = found.most.max(slack.abs_diff(other));
            if here != there {
                found.any += 1;
                if !turned.contains(&frame) {
                    bail!("{id}: another verdict, though no score turned: {here} and {there}");
                }
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn logits_differ_by_rounding_or_not_at_all() {
        // Two frames of two classes of two cells.
        let here = [1.0, -0.5, 2.0, 1e-8, 1.0, -1.0, 3.0, -3.0];
        let same = Logits::compare(&here, &here, 2, 2).unwrap();
        assert_eq!((same.count, same.other_bits, same.turned), (8, 0, 0));
        let mut there = here;
        there[3] = -1e-8;
        there[4] = 1.000_001;
        let found = Logits::compare(&here, &there, 2, 2).unwrap();
        assert_eq!((found.other_bits, found.turned), (2, 1));
        assert_eq!(found.frames, [0]);
        assert!((found.largest - 9.5e-7).abs() < 1e-7, "{}", found.largest);
        there[6] = 3.001;
        let error = Logits::compare(&here, &there, 2, 2).unwrap_err();
        assert!(error.to_string().contains("frame 1"), "{error}");
        there[6] = f32::NAN;
        assert!(Logits::compare(&here, &there, 2, 2).is_err());
        assert!(Logits::compare(&here, &there[1..], 2, 2).is_err());
    }

    #[test]
    fn a_verdict_may_differ_only_where_a_score_did() {
        let line = |id: u8, slack: i64| {
            format!(
                "{{\"id\":{id},\"predicted\":3,\"certified\":{},\"slack\":{slack}}}\n",
                slack > 0
            )
        };
        let here = line(0, 5) + &line(1, 1);
        let there = line(0, 5) + &line(1, -1);
        assert_eq!(Verdicts::compare(&here, &here, &[]).unwrap().any, 0);
        assert!(Verdicts::compare(&here, &there, &[0]).is_err());
        let found = Verdicts::compare(&here, &there, &[1]).unwrap();
        assert_eq!((found.count, found.certified), (2, 2));
        assert_eq!((found.certificate, found.slack, found.most), (1, 1, 2));
        assert_eq!((found.class, found.any), (0, 1));
        let swapped = line(1, 1) + &line(0, 5);
        assert!(Verdicts::compare(&here, &swapped, &[0, 1]).is_err());
        assert!(Verdicts::compare(&here, &line(0, 5), &[]).is_err());
    }
}
