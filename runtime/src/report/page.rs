//! The page as a whole.

use bagcert_certifier::{Condition, Verdict};
use image::ImageError;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::chart::chart;
use super::panels::{GAIN, NO_VOTE, RIVAL_VOTE, VOTE, css, panels};
use super::words::{affected_cells, claim, class_name, condition_name, reckoning, votes_text};
use super::{Report, Shown, folder};
use crate::pipeline::Outcome;

const STYLE: &str = include_str!("style.css");

/// The whole page; every picture is inside it.
pub(super) fn render(report: &Report<'_>) -> Result<String, ImageError> {
    let cards = report
        .gallery
        .in_order()
        .into_iter()
        .map(|shown| card(report, shown))
        .collect::<Result<Vec<Markup>, ImageError>>()?;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="generator" content=(folder::MARK);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (report.title) " \u{b7} " (report.model.name) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (report.title) }
                    p.lead { (lead(report)) }
                }
                main {
                    section { h2 { "Summary" } (summary(report)) (chart(report.tally)) }
                    section { h2 { "How to read this page" } (guide(report)) }
                    section {
                        h2 { "Frames" }
                        p { (report.gallery.choice()) (pictured(report)) }
                        @for card in cards { (card) }
                        @if report.gallery.shown.is_empty() { p { "There is no frame to show." } }
                    }
                    section { h2 { "Model and run" } (facts(report)) }
                }
                footer { "Written by bagcert " (env!("CARGO_PKG_VERSION")) "." }
            }
        }
    };
    Ok(page.into_string())
}

fn percent(part: usize, whole: usize) -> String {
    if whole == 0 {
        return "\u{2013}".to_owned();
    }
    format!("{:.1} %", part as f64 / whole as f64 * 100.0)
}

fn lead(report: &Report<'_>) -> String {
    let tally = report.tally;
    let Some(first) = tally.patches.first() else {
        return String::new();
    };
    let mut text = format!(
        "{} of {} frames are certified against one {} patch anywhere in the frame.",
        first.certified, tally.frames, first.patch
    );
    if tally.labelled > 0 {
        text += &format!(
            " Of {} labelled frames {} are right, {} of them certified; {} certified {} wrong.",
            tally.labelled,
            tally.right,
            first.certified_right,
            first.certified_wrong,
            if first.certified_wrong == 1 {
                "answer is"
            } else {
                "answers are"
            }
        );
    }
    text
}

fn summary(report: &Report<'_>) -> Markup {
    let tally = report.tally;
    let labelled = tally.labelled;
    html! {
        div.scroll { table {
            thead { tr {
                th { "Patch, width x height" }
                th.number { "Certified" }
                @if labelled > 0 {
                    th.number { "Certified accuracy" }
                    th.number { "Certified and right" }
                    th.number { "Certified and wrong" }
                    th.number { "Right, not certified" }
                    th.number { "Wrong, not certified" }
                }
                th.number { "Median slack" }
            } }
            tbody { @for patch in &tally.patches { tr {
                th { (patch.patch) }
                td.number { (patch.certified) }
                @if labelled > 0 {
                    td.number { b { (percent(patch.certified_right, labelled)) } }
                    td.number { (patch.certified_right) }
                    td.number { (patch.certified_wrong) }
                    td.number { (patch.right_uncertified) }
                    td.number { (patch.wrong_uncertified) }
                }
                td.number { (patch.median_slack().map_or_else(|| "\u{2013}".to_owned(), |s| format!("{s:+}").replace('-', "\u{2212}"))) }
            } } }
        } }
        @if labelled > 0 {
            p { "Clean accuracy, without regard to patches: " b { (percent(tally.right, labelled)) } " (" (tally.right) " of " (labelled) "). "
                "Certified accuracy is the share of frames that are both right and certified." }
        }
        @if report.failures > 0 {
            p.warning { b { (report.failures) " input(s) could not be used" } " and are not counted here." }
        }
    }
}

fn guide(report: &Report<'_>) -> Markup {
    let geometry = report.model.geometry;
    let condition = report.query.condition;
    html! {
        div.guide {
            div {
                p { "The network looks at the frame through small windows of "
                    (geometry.x.receptive_field()) " x " (geometry.y.receptive_field())
                    " pixels. In each cell of its score map every class gets a vote or none; "
                    @match condition {
                        Condition::SumGlobal33 | Condition::SumWindow32 | Condition::WorstCase31 => "the class with the most votes is the answer.",
                        Condition::Mask => "the class that keeps the most votes when its best window of the map is left out is the answer.",
                        Condition::DoubleMask => "the class with the most votes is the answer, unless windows of the map, once left out, speak for another one whatever second window is left out too.",
                    } }
                p { "A patch can only change cells whose window it touches: the " b { "affected region" } ". "
                    @match condition {
                        Condition::SumGlobal33 => "Condition 3.3 takes two votes of the lead for every cell of the largest such region and asks whether any lead is left.",
                        Condition::SumWindow32 | Condition::WorstCase31 => {
                            "In each affected cell an attacker can take the predicted class's vote, give the rival one, or both: a gain of 0, 1 or 2 votes. "
                            "The patch position and the rival with the least lead left over decide (Condition " (condition) ")."
                        }
                        Condition::Mask => "For each position the predicted class loses its votes in that region, each rival gains every vote there, and then each class its best window (Condition 3.1 for the mask aggregator).",
                        Condition::DoubleMask => "Its windows hold every such region. If the answer leads without any two of them, then whatever a patch writes into one is out of sight of the windows that decide, and the answer stays.",
                    } }
                @if condition.masking().is_some() {
                    p { "The windows are made for " b { "all patch sizes of this page together" } ": one answer for each frame, certified against each size or not. Other sizes make another predictor." }
                }
                p { b { "Slack" } " is the lead that is left at worst. More than 0 means certified; 0 is a tie and certifies nothing." }
            }
            div {
                p { b { "Certified" } " says that no content of one patch of that size, at any place, can change this answer. "
                    "If the frame at hand already holds such a patch, the answer equals the one without it. "
                    b { "It does not say that the answer is right." } }
                p { b { "Not certified" } " says that the answer must not be relied on where a patch may be present; it does not say that an attack is known." }
                ul.key {
                    (key(swatch("patch"), match condition {
                        Condition::SumGlobal33 => "the worst patch: one with the largest affected region",
                        Condition::SumWindow32 | Condition::WorstCase31 | Condition::Mask => "the worst patch: its position decides the slack",
                        Condition::DoubleMask => "a patch in the first of the two worst windows",
                    }))
                    (key(swatch("region"), match condition {
                        Condition::DoubleMask => "its affected region in the score map, and the second of the two worst windows",
                        _ => "its affected region in the score map",
                    }))
                    (key(square(&css(VOTE)), "vote for the predicted class"))
                    (key(square(&css(RIVAL_VOTE)), "vote for the strongest rival: the class that decides the slack, not always the second in votes"))
                    (key(square(&css(NO_VOTE)), "no vote"))
                    (key(html! { @for colour in GAIN { (square(&css(colour))) } }, "attacker's gain of 0, 1 and 2 votes"))
                }
            }
        }
    }
}

fn key(sign: Markup, meaning: &str) -> Markup {
    html! { li { span { (sign) } span { (meaning) } } }
}

fn swatch(class: &str) -> Markup {
    html! { svg.swatch viewBox="0 0 24 16" aria-hidden="true" {
        rect.under x="3" y="3" width="18" height="10" {}
        rect class=(class) x="3" y="3" width="18" height="10" {}
    } }
}

fn square(colour: &str) -> Markup {
    html! { svg.square viewBox="0 0 14 14" aria-hidden="true" { rect width="14" height="14" fill=(colour) stroke="#777" stroke-width="1" {} } }
}

fn pictured(report: &Report<'_>) -> String {
    match report.tally.patches.as_slice() {
        [first, _, ..] => format!(
            " The pictures show the worst {} patch; the table below them has all sizes.",
            first.patch
        ),
        _ => String::new(),
    }
}

fn card(report: &Report<'_>, shown: &Shown) -> Result<Markup, ImageError> {
    let (model, outcome) = (&report.model, &shown.outcome);
    let Some(verdict) = outcome.verdicts.first() else {
        return Ok(html! {});
    };
    let predicted = class_name(model, outcome.predicted);
    let pictures = panels(model, shown, verdict)?;
    Ok(html! {
        article {
            h3 {
                (badge(verdict))
                " " span.id { (frame_name(&shown.frame.id)) }
            }
            p.answer {
                "Predicted " b { (predicted) }
                @match shown.frame.label {
                    Some(label) if label == outcome.predicted => { ", which is right." }
                    Some(label) => { ", which is " b { "wrong" } ": it is " b { (class_name(model, label)) } "." }
                    None => { "; the true class is not known." }
                }
                " " (claim(verdict, &predicted))
                @match outcome.largest_square {
                    Some(0) => { " No square patch is certified." }
                    Some(side) => { " The largest certified square is " b { (side) "x" (side) } "." }
                    None => {}
                }
                @if outcome.largest_square.is_some() && report.query.condition != Condition::SumWindow32 { " (Squares by Condition 3.2.)" }
                @if outcome.largest_square.is_none() && plain_winner(outcome) != Some(outcome.predicted) { " The plain vote would have named another class." }
            }
            (pictures)
            p.reckoning { (reckoning(report, outcome, verdict)) }
            @if outcome.verdicts.len() > 1 { (all_sizes(report, shown)) }
        }
    })
}

/// The class with the most votes on the whole map, the lowest on a tie.
fn plain_winner(outcome: &Outcome) -> Option<usize> {
    let most = outcome.votes.iter().max()?;
    outcome.votes.iter().position(|votes| votes == most)
}

/// Files keep their path; the records of a data set only have a number.
fn frame_name(id: &str) -> String {
    if id.bytes().all(|b| b.is_ascii_digit()) {
        format!("Record {id}")
    } else {
        id.to_owned()
    }
}

fn badge(verdict: &Verdict) -> Markup {
    html! {
        @if verdict.certified {
            span.badge.yes { "\u{2713} certified, " (verdict.patch) }
        } @else {
            span.badge.no { "\u{2717} not certified, " (verdict.patch) }
        }
    }
}

fn all_sizes(report: &Report<'_>, shown: &Shown) -> Markup {
    let model = &report.model;
    html! {
        details { summary { "All " (shown.outcome.verdicts.len()) " patch sizes" }
            div.scroll { table {
                thead { tr { th { "Patch" } th { "Certified" } th.number { "Slack" } th { "Strongest rival" } th { "Worst patch at" } th.number { "Cells affected there" } } }
                tbody { @for verdict in &shown.outcome.verdicts { tr {
                    th { (verdict.patch) }
                    td { @if verdict.certified { "\u{2713} yes" } @else { "\u{2717} no" } }
                    td.number { (votes_text(verdict.slack)) }
                    td { (class_name(model, verdict.rival)) }
                    td { "x " (verdict.worst.x) ", y " (verdict.worst.y) }
                    td.number { (affected_cells(model, verdict)) }
                } } }
            } }
        }
    }
}

fn facts(report: &Report<'_>) -> Markup {
    let model = &report.model;
    let (x, y) = (&model.geometry.x, &model.geometry.y);
    html! {
        dl {
            dt { "Model" } dd { (model.name) }
            dt { "SHA-256" } dd { code { (model.sha256) } }
            dt { "Input" } dd { (model.channels) " channels, " (x.inputs()) " x " (y.inputs()) " pixels, values in [0, 1]" }
            dt { "Output" } dd { (model.shape.classes()) " classes, " (x.outputs()) " x " (y.outputs()) " cells" }
            dt { "Receptive field" } dd { (x.receptive_field()) " x " (y.receptive_field()) " pixels, stride " (x.stride()) " x " (y.stride()) }
            dt { "Parameters" } dd { (model.parameters) }
            dt { "Multiply-adds" } dd { (model.macs) " for a frame" }
            dt { "Condition" } dd { (condition_name(report.query.condition)) }
            @if report.query.mask_step.get() > 1 { dt { "Mask step" } dd { (report.query.mask_step) } }
            @if report.query.lead > 0 { dt { "Lead" } dd { "more than " (votes_text(report.query.lead.into())) " are asked for" } }
            @if let Some(data) = report.data { dt { "Data" } dd { (data) } }
            dt { "Frames" } dd { (report.tally.frames) ", " (report.tally.labelled) " of them labelled" }
            dt { "Inputs not used" } dd { (report.failures) }
            dt { "Time" } dd { (format!("{:.2} s", report.seconds)) }
        }
    }
}
