//! The certificate of a cycle, in one memory or in two.

use bagcert_certifier::{Certifier, Fault, ScoreMap, ScoreWord, Shape, TableWord, Verdict};

use crate::cycle::Settings;
use crate::frame::Scores;
use crate::outcome::Reason;

/// What one certificate needs: [`Shape::score_len`] and [`Shape::table_len`] words.
pub struct Memory<'m> {
    /// For the score map.
    pub scores: &'m mut [ScoreWord],
    /// For the summed-area tables.
    pub table: &'m mut [TableWord],
}

/// Damage to a certificate's memory while it is worked out, for fault injection. `()` does none.
pub trait Damage {
    /// The score words of memory 0 or 1 once they are there, and then the words of the votes. Called
    /// for logits only.
    fn scores(&mut self, _memory: usize, _words: &mut [ScoreWord]) {}

    /// The table words of memory 0 or 1 once they are there.
    fn table(&mut self, _memory: usize, _words: &mut [TableWord]) {}
}

impl Damage for () {}

/// The certifier's memory: one, or two of which both must give the same verdict.
pub(crate) struct Channels<'m> {
    pub(crate) first: Memory<'m>,
    pub(crate) second: Option<Memory<'m>>,
}

impl Channels<'_> {
    /// The verdict on scores.
    ///
    /// With two memories it is worked out in each, from the sealed scores on. A fault of either memory
    /// turns at most its own verdict, so that it shows, or does no harm.
    pub(crate) fn verdict(
        &mut self,
        settings: &Settings,
        scores: Scores<'_>,
        damage: &mut impl Damage,
    ) -> Result<Verdict, Reason> {
        let first = verdict(settings, scores, &mut self.first, 0, damage);
        let Some(second) = &mut self.second else {
            return first;
        };
        if first != verdict(settings, scores, second, 1, damage) {
            return Err(Reason::Memory);
        }
        first
    }
}

fn verdict(
    settings: &Settings,
    scores: Scores<'_>,
    memory: &mut Memory<'_>,
    number: usize,
    damage: &mut impl Damage,
) -> Result<Verdict, Reason> {
    let shape = settings.shape;
    let map = match scores {
        Scores::Logits(logits) => ScoreMap::damaged(shape, logits, memory.scores, |words| {
            damage.scores(number, words);
        })
        .map_err(Reason::Certifier)?,
        Scores::Binary(scores) => binary(shape, scores, memory.scores)?,
    };
    certify(&map, settings, memory.table, |words| {
        damage.table(number, words);
    })
    .map_err(Reason::Certifier)
}

/// A trial certificate: whether shape, geometry, patch and memory fit each other.
pub(crate) fn attempt(settings: &Settings, memory: &mut Memory<'_>) -> Result<(), Fault> {
    let map = ScoreMap::from_scores(settings.shape, |_, _, _| false, memory.scores)?;
    certify(&map, settings, memory.table, |_| ()).map(|_| ())
}

fn certify(
    map: &ScoreMap<'_>,
    settings: &Settings,
    table: &mut [TableWord],
    damage: impl FnOnce(&mut [TableWord]),
) -> Result<Verdict, Fault> {
    Certifier::damaged(map, &settings.geometry, table, damage)?
        .certify(settings.patch, settings.condition)
}

/// A ready map, whose every byte must be 0 or 1: a byte that is not was never a score.
fn binary<'m>(
    shape: Shape,
    scores: &[u8],
    memory: &'m mut [ScoreWord],
) -> Result<ScoreMap<'m>, Reason> {
    let expected = shape.classes().saturating_mul(shape.cells());
    if scores.len() != expected {
        return Err(Reason::ScoresLength {
            expected,
            found: scores.len(),
        });
    }
    if let Some(index) = scores.iter().position(|score| *score > 1) {
        return Err(Reason::NotBinary { index });
    }
    let score = |class: usize, y: usize, x: usize| {
        let row = class.saturating_mul(shape.height()).saturating_add(y);
        let index = row.saturating_mul(shape.width()).saturating_add(x);
        scores.get(index) == Some(&1)
    };
    ScoreMap::from_scores(shape, score, memory).map_err(Reason::Certifier)
}
