//! What the simulation knows and the loop does not: whether a cycle's answer is one that it may give.

use bagcert_certifier::failsafe::{Event, Trust};
use bagcert_certifier::{Certifier, ScoreMap, Verdict};
use bagcert_firmware_sim::{Frame, Outcome, Reason, Scores, Settings};

use super::damage::Values;
use super::scenario::Kind;
use super::supervisor::{Arrival, Turn, has};

/// The verdict on a frame's logits, worked out beside the loop in memory of its own; needed where a
/// scenario damages the loop's.
pub(crate) fn verdict_beside(
    settings: &Settings,
    arrival: &Arrival,
    faults: &[Kind],
) -> Option<Verdict> {
    let Arrival::Frame(frame) = arrival else {
        return None;
    };
    let damages = |kind: &Kind| matches!(kind, Kind::FlipScores(_) | Kind::FlipTable(_));
    has(faults, damages)
        .then(|| verdict(settings, frame))
        .flatten()
}

fn verdict(settings: &Settings, frame: &Frame<Values>) -> Option<Verdict> {
    let Scores::Logits(logits) = frame.scores() else {
        return None;
    };
    let shape = settings.shape;
    let mut scores = vec![0; shape.score_len()];
    let mut table = vec![0; shape.table_len()];
    let map = ScoreMap::from_logits(shape, logits, &mut scores).ok()?;
    Certifier::new(&map, &settings.geometry, &mut table)
        .ok()?
        .certify(settings.patch, settings.condition)
        .ok()
}

/// What there was before a cycle that could come again in it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Before {
    /// Sealed logits.
    pub(crate) frame: bool,
    /// A picture.
    pub(crate) picture: bool,
}

/// The injections of a cycle that it did not answer as it must. `beside` is the verdict of sound memory.
pub(crate) fn missed(
    settings: &Settings,
    turn: &Turn,
    faults: &[Kind],
    before: Before,
    beside: Option<&Verdict>,
) -> Vec<Kind> {
    let outcome = turn.report.outcome;
    let trust = turn.output.trust;
    let is_fault = outcome.fault().is_some() && !trust.has_class();
    let mut missed = Vec::new();
    for kind in faults {
        let holds = match kind {
            Kind::Repeat if !before.frame => true,
            Kind::Torn | Kind::Frozen if !before.picture => true,
            kind if kind.must_be_a_fault(settings.deadline) => is_fault,
            Kind::FlipScores(_) | Kind::FlipTable(_) => is_fault || same(outcome, beside),
            Kind::FlipLogic => trust == Trust::SafeStop,
            Kind::Lie(_) | Kind::Silent => matches_primary(settings, turn),
            Kind::FlipMessage(_) | Kind::DropMessage => turn.received.is_none(),
            // One that was lost before and comes now is late, which a counter cannot tell.
            Kind::RepeatMessage => !turn.knows_last || turn.received.is_none(),
            // A patch and a damaged model are judged once the run is over.
            _ => true,
        };
        if !holds {
            missed.push(*kind);
        }
    }
    missed
}

/// Whether trust and class are what verdict and primary perception allow, whoever lied.
pub(crate) fn matches_primary(settings: &Settings, turn: &Turn) -> bool {
    // A class that there is none of counts as nothing said.
    let classes = settings.shape.classes();
    let said = turn.primary.filter(|class| *class < classes);
    let class = turn.output.class.map(usize::from);
    let certified = match turn.report.outcome {
        Outcome::Certified { class, .. } => Some(class),
        _ => None,
    };
    let contradicted = certified.is_some() && said.is_some() && said != certified;
    let event = turn.output.event;
    // A verdict in time may be too old at the step, and then has no class.
    let too_old = event == Event::FrameFault && class.is_none();
    if contradicted && !too_old && !matches!(event, Event::Contradicted | Event::Integrity) {
        return false;
    }
    match turn.output.trust {
        Trust::SafeStop | Trust::None => class.is_none(),
        Trust::Unverified => certified.is_none() && class == said,
        Trust::Fallback => class == certified && said.is_none(),
        Trust::Overrides => class == certified && contradicted,
        Trust::Confirmed => class == certified && said == certified,
    }
}

fn same(outcome: Outcome, beside: Option<&Verdict>) -> bool {
    match (outcome, beside) {
        (Outcome::Certified { class, slack }, Some(sound)) => {
            sound.certified && (class, slack) == (sound.predicted, sound.slack)
        }
        (Outcome::NotCertified { class, slack }, Some(sound)) => {
            !sound.certified && (class, slack) == (sound.predicted, sound.slack)
        }
        _ => false,
    }
}

/// Follows a model that was damaged in memory until it is noticed.
#[derive(Default)]
pub(crate) struct ModelWatch {
    /// Cycle of the damage.
    since: Option<u32>,
    /// Cycles from the damage to its detection, the longest of all.
    pub(crate) longest: u32,
    pub(crate) detected: u32,
    /// Damages that were not noticed in time.
    pub(crate) missed: u32,
}

impl ModelWatch {
    /// Takes in a cycle. `every`: cycles from one known answer to the next; 0 for never.
    pub(crate) fn turn(&mut self, cycle: u32, faults: &[Kind], turn: &Turn, every: u32) {
        if self.since.is_none() && has(faults, |kind| matches!(kind, Kind::FlipModel)) {
            self.since = Some(cycle);
        }
        let Some(since) = self.since else {
            return;
        };
        let passed = cycle.saturating_sub(since);
        if turn.report.outcome.fault() == Some(Reason::Model) {
            self.detected += 1;
            self.longest = self.longest.max(passed);
            self.since = None;
        } else if passed == every {
            // Counted once; where no answer is known it is never noticed.
            self.missed += 1;
        }
        if turn.reset.is_some() {
            self.since = None;
        }
    }
}
