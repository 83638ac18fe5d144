//! One result per frame and patch: JSON lines and CSV.

use bagcert::pipeline::{Outcome, Query};
use bagcert_certifier::Verdict;
use serde::Serialize;

use super::stop::Stop;

/// A frame with its answer.
pub(crate) struct Row<'a> {
    pub(crate) id: &'a str,
    pub(crate) label: Option<usize>,
    pub(crate) outcome: &'a Outcome,
    pub(crate) query: &'a Query,
    pub(crate) class_names: &'a [String],
}

/// A JSON line; its keys are part of the interface and stay in this order.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    label: Option<usize>,
    predicted: usize,
    predicted_name: &'a str,
    votes: &'a [u32],
    patch: [u32; 2],
    condition: String,
    certified: bool,
    slack: i64,
    rival: usize,
    worst: Worst,
    mask_step: u32,
    lead: u32,
}

#[derive(Serialize)]
struct Worst {
    x: u32,
    y: u32,
}

/// The name of a class, or its number where it has none.
pub(crate) fn class_name(names: &[String], class: usize) -> String {
    names
        .get(class)
        .map_or_else(|| class.to_string(), String::clone)
}

/// All lines of one frame, each ended.
pub(crate) fn json_lines(row: &Row<'_>) -> Result<String, Stop> {
    let mut text = String::new();
    for verdict in &row.outcome.verdicts {
        let line = Line {
            id: row.id,
            label: row.label,
            predicted: verdict.predicted,
            predicted_name: &class_name(row.class_names, verdict.predicted),
            votes: &row.outcome.votes,
            patch: [verdict.patch.width(), verdict.patch.height()],
            condition: verdict.condition.to_string(),
            certified: verdict.certified,
            slack: verdict.slack,
            rival: verdict.rival,
            worst: Worst {
                x: verdict.worst.x,
                y: verdict.worst.y,
            },
            mask_step: row.query.mask_step.get(),
            lead: row.query.lead,
        };
        text.push_str(&json(&line)?);
        text.push('\n');
    }
    Ok(text)
}

/// Any value as one line of JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<String, Stop> {
    serde_json::to_string(value).map_err(|error| Stop::Failed(error.into()))
}

/// The CSV header, ended.
pub(crate) const CSV_HEADER: &str = "id,label,predicted,predicted_name,votes,patch_width,\
patch_height,condition,certified,slack,rival,worst_x,worst_y,mask_step,lead\n";

/// All CSV lines of one frame. Votes stand in one field, separated by spaces.
pub(crate) fn csv_lines(row: &Row<'_>) -> String {
    row.outcome
        .verdicts
        .iter()
        .map(|verdict| csv_line(row, verdict))
        .collect()
}

fn csv_line(row: &Row<'_>, verdict: &Verdict) -> String {
    let votes: Vec<String> = row.outcome.votes.iter().map(u32::to_string).collect();
    format!(
        "{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}\n",
        csv_field(row.id),
        row.label.map(|label| label.to_string()).unwrap_or_default(),
        verdict.predicted,
        csv_field(&class_name(row.class_names, verdict.predicted)),
        votes.join(" "),
        verdict.patch.width(),
        verdict.patch.height(),
        verdict.condition,
        verdict.certified,
        verdict.slack,
        verdict.rival,
        verdict.worst.x,
        verdict.worst.y,
        row.query.mask_step,
        row.query.lead,
    )
}

/// A field as RFC 4180 writes it: quoted where it holds a comma, a quote or a line end.
fn csv_field(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
