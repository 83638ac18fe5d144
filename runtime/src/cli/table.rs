//! Tables for people: columns of fixed width, so that each line can be shown as soon as it is known.

use std::time::Duration;

use bagcert::frames::Frames;
use bagcert::pipeline::Query;
use bagcert::tally::Tally;
use bagcert_certifier::PatchSize;

use super::printable;
use super::rows::{Row, class_name};

/// Lines of aligned columns. The first column is aligned left, as are names; numbers to the right.
pub(crate) struct Columns {
    columns: Vec<(String, usize, Align)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

impl Columns {
    /// Columns with their heads and the width that their content needs.
    pub(crate) fn new(columns: impl IntoIterator<Item = (String, usize, Align)>) -> Columns {
        Columns {
            columns: columns
                .into_iter()
                .map(|(head, width, align)| {
                    let width = width.max(head.chars().count());
                    (head, width, align)
                })
                .collect(),
        }
    }

    /// The line of heads and a rule below it.
    pub(crate) fn head(&self) -> String {
        let heads: Vec<String> = self.columns.iter().map(|(head, ..)| head.clone()).collect();
        let rules: Vec<String> = self
            .columns
            .iter()
            .map(|(_, width, _)| "-".repeat(*width))
            .collect();
        self.line(&heads) + &self.line(&rules)
    }

    /// One line.
    pub(crate) fn line(&self, cells: &[String]) -> String {
        let mut text = String::new();
        for (cell, (_, width, align)) in cells.iter().zip(&self.columns) {
            if !text.is_empty() {
                text.push_str("  ");
            }
            let gap = " ".repeat(width.saturating_sub(cell.chars().count()));
            match align {
                Align::Left => {
                    text.push_str(cell);
                    text.push_str(&gap);
                }
                Align::Right => {
                    text.push_str(&gap);
                    text.push_str(cell);
                }
            }
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    }
}

/// The table of `certify`.
pub(crate) struct FrameTable {
    columns: Columns,
    single: bool,
}

impl FrameTable {
    /// Measures the columns that hold names; nothing is decoded yet.
    pub(crate) fn new(
        frames: &Frames,
        class_names: &[String],
        patches: &[PatchSize],
    ) -> FrameTable {
        let names = class_names
            .iter()
            .map(|n| n.chars().count())
            .max()
            .unwrap_or(0);
        let ids = (0..frames.len())
            .filter_map(|at| frames.id(at))
            .map(|id| id.chars().count())
            .max()
            .unwrap_or(0);
        let single = patches.len() == 1;
        let mut columns = vec![
            ("frame".to_owned(), ids, Align::Left),
            ("label".to_owned(), names, Align::Left),
            ("predicted".to_owned(), names, Align::Left),
        ];
        for patch in patches {
            if single {
                columns.push((format!("certified {patch}"), 3, Align::Left));
                columns.push(("slack".to_owned(), 5, Align::Right));
            } else {
                columns.push((patch.to_string(), 9, Align::Left));
            }
        }
        columns.push(("largest square".to_owned(), 7, Align::Left));
        columns.push(("time".to_owned(), 9, Align::Right));
        FrameTable {
            columns: Columns::new(columns),
            single,
        }
    }

    /// The heads; where several patches share the table, how their cells read.
    pub(crate) fn head(&self, query: &Query) -> String {
        let note = if self.single {
            String::new()
        } else {
            format!(
                "Below each patch size (width x height): certified by {}? and the slack in votes.\n\n",
                named(query)
            )
        };
        note + &self.columns.head()
    }

    /// One frame.
    pub(crate) fn line(&self, row: &Row<'_>) -> String {
        let name = |class| printable(&class_name(row.class_names, class));
        let mut cells = vec![
            printable(row.id),
            row.label.map_or_else(|| "-".to_owned(), name),
            name(row.outcome.predicted),
        ];
        for verdict in &row.outcome.verdicts {
            let yes = if verdict.certified { "yes" } else { "no" };
            let slack = format!("{:+}", verdict.slack);
            if self.single {
                cells.push(yes.to_owned());
                cells.push(slack);
            } else {
                cells.push(format!("{yes:<3} {slack:>5}"));
            }
        }
        cells.push(match row.outcome.largest_square {
            Some(side) if side > 0 => format!("{side}x{side}"),
            Some(_) => "none".to_owned(),
            None => "-".to_owned(),
        });
        cells.push(milliseconds(row.outcome.forward + row.outcome.certificate));
        self.columns.line(&cells)
    }
}

/// A duration as milliseconds with three places.
pub(crate) fn milliseconds(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1e3)
}

/// A share in percent with two places; a dash where there is nothing to share.
pub(crate) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.2} %", share * 100.0))
}

/// A condition in words, with what else its predictor is made of.
pub(crate) fn named(query: &Query) -> String {
    let condition = query.condition;
    if condition.masking().is_none() {
        return format!("Condition {condition}");
    }
    let mut text = format!("condition {condition}");
    let mut word = " with";
    for (name, value, usual) in [
        ("mask step", query.mask_step.get(), 1),
        ("lead", query.lead, 0),
    ] {
        if value != usual {
            text += &format!("{word} a {name} of {value}");
            word = " and";
        }
    }
    text
}

/// The counts in words and numbers.
pub(crate) fn summary(tally: &Tally, query: &Query) -> String {
    if tally.frames == 0 {
        return "no frame was judged\n".to_owned();
    }
    let mut text = if tally.labelled == tally.frames {
        format!("{} frames\n", tally.frames)
    } else {
        format!(
            "{} frames, {} of them labelled\n",
            tally.frames, tally.labelled
        )
    };
    if tally.labelled > 0 {
        text += &format!(
            "clean accuracy {} ({} of {})\n",
            percent(tally.clean_accuracy()),
            tally.right,
            tally.labelled
        );
    }
    if tally.without_verdict > 0 {
        text += &format!(
            "{} frames got no verdict; labelled ones among them count as wrong and not certified\n",
            tally.without_verdict
        );
    }
    text += &format!(
        "{}, patch sizes width x height, slack in votes\n",
        named(query)
    );
    if query.condition.masking().is_some() && tally.patches.len() > 1 {
        text += "one predictor for all of these sizes, which its windows cover together\n";
    }
    text.push('\n');
    let number = |head: &str| (head.to_owned(), 6, Align::Right);
    let mut columns = vec![("patch".to_owned(), 7, Align::Left), number("certified")];
    if tally.labelled > 0 {
        columns.extend(
            [
                "certified accuracy",
                "certified and right",
                "certified and wrong",
                "right, not certified",
                "wrong, not certified",
            ]
            .map(number),
        );
    }
    columns.push(number("median slack"));
    let columns = Columns::new(columns);
    text += &columns.head();
    for patch in &tally.patches {
        let mut cells = vec![patch.patch.to_string(), patch.certified.to_string()];
        if tally.labelled > 0 {
            cells.push(percent(patch.certified_accuracy()));
            cells.extend(
                [
                    patch.certified_right,
                    patch.certified_wrong,
                    patch.right_uncertified,
                    patch.wrong_uncertified,
                ]
                .map(|count| count.to_string()),
            );
        }
        cells.push(
            patch
                .median_slack()
                .map_or_else(|| "-".to_owned(), |slack| format!("{slack:+}")),
        );
        text += &columns.line(&cells);
    }
    text
}
