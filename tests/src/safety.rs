//! The rows of the safety pages: assumptions of use, faults, requirements.

use crate::repository;
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// Kinds of rows, the page that holds them, and the fields that each row must have.
pub const KINDS: [(&str, &str, &[&str]); 3] = [
    ("AOU", "manual.md", &["Why", "Check"]),
    ("FLT", "faults.md", &["Effect", "Detection", "Reaction"]),
    ("REQ", "trace.md", &["Requirement"]),
];

/// What stands between a heading such as `### FLT-3: No frame comes` and the next heading.
#[derive(Debug)]
pub struct Row {
    /// The identifier, such as `FLT-3`.
    pub id: String,
    /// The texts of `- **Name:** text`, by name.
    pub fields: BTreeMap<String, String>,
}

/// The folder of the safety pages.
#[must_use]
pub fn folder() -> PathBuf {
    repository::root().join("docs").join("safety")
}

/// The identifiers of a kind that a text names.
pub fn named<'t>(text: &'t str, kind: &'t str) -> impl Iterator<Item = String> + 't {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
        .filter(move |word| {
            let number = word
                .strip_prefix(kind)
                .and_then(|rest| rest.strip_prefix('-'));
            number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        })
        .map(str::to_owned)
}

impl Row {
    /// The rows of one kind, in the order of their page.
    ///
    /// # Errors
    /// Where the page cannot be read, or a row is not in the form of one.
    pub fn all(kind: &str) -> Result<Vec<Row>> {
        let (_, page, _) = KINDS
            .iter()
            .find(|(known, ..)| *known == kind)
            .with_context(|| format!("{kind} is no kind of row"))?;
        Row::parse(&fs::read_to_string(folder().join(page))?, kind)
    }

    /// The rows of one kind in a page's text.
    ///
    /// # Errors
    /// Where a row has no title, a field stands twice, or a line is in no field.
    pub fn parse(text: &str, kind: &str) -> Result<Vec<Row>> {
        let mut rows: Vec<Row> = Vec::new();
        let mut open: Option<Row> = None;
        let mut field = String::new();
        for line in text.lines() {
            if let Some(heading) = line.strip_prefix('#') {
                rows.extend(open.take());
                field.clear();
                let heading = heading.trim_start_matches('#').trim();
                if heading.starts_with(&format!("{kind}-")) {
                    let (id, title) = heading.split_once(": ").unwrap_or((heading, ""));
                    ensure!(!title.trim().is_empty(), "{id} has no title");
                    open = Some(Row {
                        id: id.to_owned(),
                        fields: BTreeMap::new(),
                    });
                }
            } else if let Some(row) = &mut open {
                row.take(line, &mut field)?;
            }
        }
        rows.extend(open);
        Ok(rows)
    }

    /// Takes in a line below the heading; `field` is the one that goes on.
    fn take(&mut self, line: &str, field: &mut String) -> Result<()> {
        if let Some((name, text)) = line
            .strip_prefix("- **")
            .and_then(|line| line.split_once(":**"))
        {
            let before = self.fields.insert(name.to_owned(), text.trim().to_owned());
            ensure!(before.is_none(), "{}: {name} stands twice", self.id);
            name.clone_into(field);
        } else if line.trim().is_empty() {
            field.clear();
        } else {
            let Some(text) = self.fields.get_mut(field) else {
                bail!("{}: {line:?} is in no field", self.id);
            };
            text.push(' ');
            text.push_str(line.trim());
        }
        Ok(())
    }

    /// A field's text, empty where it is missing.
    #[must_use]
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }

    /// What a field names: each file with its items, written `` `file.rs`: `item`, `item`; ``.
    ///
    /// # Errors
    /// Where it holds anything else.
    pub fn references(&self, field: &str) -> Result<Vec<(String, Vec<String>)>> {
        let text = self.field(field).trim_end_matches('.');
        if text.is_empty() {
            return Ok(Vec::new());
        }
        text.split(';')
            .map(|part| {
                let mut spans = part.split('`').skip(1).step_by(2).map(str::to_owned);
                let between: String = part.split('`').step_by(2).collect();
                let plain = between.chars().all(|c| " :,".contains(c));
                let file = spans.next();
                let items: Vec<String> = spans.collect();
                match file {
                    Some(file) if plain && !items.is_empty() => Ok((file, items)),
                    _ => bail!("{}, {field}: {part:?} is no file with items", self.id),
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::{Row, named};

    #[test]
    fn rows_and_what_they_name() {
        let text = "# Page\n\n### FLT-1: One\n\n- **Effect:** a\n  b\n- **Code:** `a.rs`: `x`,\n  `y`; \
                    `b.rs`: `z`\n\n## Part\n\nWords.\n\n### FLT-2: Two\n\n- **Effect:** c\n";
        let rows = Row::parse(text, "FLT").unwrap();
        assert_eq!((rows.len(), rows[0].field("Effect")), (2, "a b"));
        let found = rows[0].references("Code").unwrap();
        let expected = [("a.rs", vec!["x", "y"]), ("b.rs", vec!["z"])];
        assert_eq!(
            found,
            expected.map(|(file, items)| (
                file.to_owned(),
                items.into_iter().map(str::to_owned).collect()
            ))
        );
        assert_eq!(rows[1].references("Code").unwrap(), []);
        assert!(Row::parse(text, "REQ").unwrap().is_empty());
    }

    #[test]
    fn rows_out_of_form() {
        for text in [
            "### FLT-1",
            "### FLT-1: ",
            "### FLT-1: One\nwords",
            "### FLT-1: One\n- **Effect:** a\n- **Effect:** b",
            "### FLT-1: One\n- **Effect:** a\n\nwords",
        ] {
            assert!(Row::parse(text, "FLT").is_err(), "{text}");
        }
        for code in ["`a.rs`", "a.rs", "see `a.rs`: `x`", "`a.rs`: `x`;"] {
            let rows = Row::parse(&format!("### FLT-1: One\n- **Code:** {code}"), "FLT").unwrap();
            assert!(rows[0].references("Code").is_err(), "{code}");
        }
    }

    #[test]
    fn identifiers_in_a_text() {
        let found: Vec<String> =
            named("(FLT-3, FLT-12) FLT- FLT-x XFLT-1 REQ-2 FLT-7.", "FLT").collect();
        assert_eq!(found, ["FLT-3", "FLT-12", "FLT-7"]);
    }
}
