//! Verdicts in words.

use bagcert_certifier::{CellRect, Condition, Verdict};

use super::{ModelFacts, Report};
use crate::pipeline::Outcome;

/// The name of a class, or its number where it has none.
pub(super) fn class_name(model: &ModelFacts<'_>, class: usize) -> String {
    model
        .class_names
        .get(class)
        .map_or_else(|| format!("class {class}"), String::clone)
}

/// Number of cells in a region.
pub(super) fn cells(region: &CellRect) -> u64 {
    let along = |first: u32, last: u32| u64::from(last.saturating_sub(first)) + 1;
    along(region.x.first, region.x.last) * along(region.y.first, region.y.last)
}

/// Cells that the worst patch affects, 0 where it affects none.
pub(super) fn affected_cells(model: &ModelFacts<'_>, verdict: &Verdict) -> u64 {
    model
        .geometry
        .affected(verdict.patch, verdict.worst)
        .map_or(0, |region| cells(&region))
}

/// How a condition is named in a sentence.
pub(super) fn condition_name(condition: Condition) -> String {
    match condition {
        Condition::WorstCase31 | Condition::SumWindow32 | Condition::SumGlobal33 => {
            format!("Condition {condition}")
        }
        Condition::Mask => "the mask aggregator".to_owned(),
        Condition::DoubleMask => "double masking".to_owned(),
    }
}

/// The claim of a verdict in one sentence.
pub(super) fn claim(verdict: &Verdict, predicted: &str) -> String {
    let patch = verdict.patch;
    if verdict.certified {
        format!("No {patch} patch, anywhere in this frame, can change the answer {predicted}.")
    } else {
        format!("A {patch} patch might change the answer {predicted}; it must not be relied on.")
    }
}

/// The sum behind a verdict: lead, what an attacker can gain, what is left.
pub(super) fn reckoning(report: &Report<'_>, outcome: &Outcome, verdict: &Verdict) -> String {
    let model = &report.model;
    let votes = |class: usize| i64::from(outcome.votes.get(class).copied().unwrap_or_default());
    let lead = votes(verdict.predicted) - votes(verdict.rival);
    let asked = i64::from(report.query.lead);
    let (lead, gain) = (number(lead), number(lead - verdict.slack - asked));
    let (predicted, rival) = (
        class_name(model, verdict.predicted),
        class_name(model, verdict.rival),
    );
    let region = affected_cells(model, verdict);
    let worst = format!("at x {}, y {}", verdict.worst.x, verdict.worst.y);
    let bound = match report.query.condition {
        Condition::SumGlobal33 => format!(
            "Condition 3.3 grants an attacker two votes in each cell of the largest affected region \
             ({region} cells), {gain} in all."
        ),
        Condition::SumWindow32 | Condition::WorstCase31 => format!(
            "The worst patch, {worst}, affects {region} cells, in which an attacker can gain {gain} \
             on {rival}."
        ),
        Condition::Mask => format!(
            "Each class counts the votes that its worst window leaves it. With the worst patch, \
             {worst}, on {region} cells, that leaves {rival} {gain} votes closer than the whole map does."
        ),
        Condition::DoubleMask => format!(
            "Without the two worst windows, one of them around a patch {worst}, {gain} votes of the \
             lead are gone, and whatever an attacker writes there is out of sight."
        ),
    };
    let (asks, less) = match asked {
        0 => (String::new(), String::new()),
        _ => (
            format!(" A lead of more than {} is asked for.", votes_text(asked)),
            format!(" \u{2212} {asked}"),
        ),
    };
    let end = if verdict.certified {
        "more than 0: certified."
    } else {
        "not more than 0: not certified."
    };
    format!(
        "{predicted} has {} and its strongest rival {rival} {}: a lead of {lead}. {bound}{asks} \
         Slack: {lead} \u{2212} {gain}{less} = {}, {end}",
        votes_text(votes(verdict.predicted)),
        votes(verdict.rival),
        votes_text(verdict.slack),
    )
}

/// A number with a true minus sign.
fn number(number: i64) -> String {
    number.to_string().replace('-', "\u{2212}")
}

/// A number of votes with a true minus sign.
pub(super) fn votes_text(votes: i64) -> String {
    let unit = if votes.unsigned_abs() == 1 {
        "vote"
    } else {
        "votes"
    };
    format!("{} {unit}", number(votes))
}
