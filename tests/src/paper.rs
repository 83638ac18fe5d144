//! What a text cites of the paper.

use std::collections::BTreeSet;

/// The conditions and sections that a text cites: "Conditions 3.1 to 3.3" is three of them.
#[must_use]
pub fn citations(text: &str) -> BTreeSet<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut found = BTreeSet::new();
    for (at, word) in words.iter().enumerate() {
        let kind = match word.trim_start_matches(|c: char| !c.is_alphanumeric()) {
            "Condition" | "Conditions" => "Condition",
            "Section" | "Sections" => "Section",
            _ => continue,
        };
        let rest = words.get(at + 1..).unwrap_or_default();
        found.extend(
            list(rest)
                .into_iter()
                .map(|number| format!("{kind} {number}")),
        );
    }
    found
}

/// The numbers of a list such as "3.1, 3.2 and A.2" at the beginning of `words`.
fn list(words: &[&str]) -> Vec<String> {
    let joins = |word: &str| ["and", "or", "to"].contains(&word);
    let mut numbers: Vec<String> = Vec::new();
    let mut range = false;
    let mut goes_on = true;
    for word in words {
        if joins(word) && !numbers.is_empty() {
            (range, goes_on) = (*word == "to", true);
            continue;
        }
        let number = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let number = number.strip_suffix("'s").unwrap_or(number);
        if !goes_on || !is_number(number) {
            break;
        }
        if let (true, Some(from)) = (range, numbers.last().cloned()) {
            numbers.extend(between(&from, number));
        }
        numbers.push(number.to_owned());
        (range, goes_on) = (false, word.ends_with(','));
    }
    numbers
}

/// "3.2", "A.1.2", "3".
fn is_number(word: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let mut parts = word.split('.');
    parts
        .next()
        .is_some_and(|first| first == "A" || digits(first))
        && parts.all(digits)
}

/// The numbers strictly between two: "3.2" between "3.1" and "3.3".
fn between(from: &str, to: &str) -> Vec<String> {
    let part = |number: &str| {
        let (head, last) = number.rsplit_once('.')?;
        Some((head.to_owned(), last.parse::<u32>().ok()?))
    };
    match (part(from), part(to)) {
        (Some((head, from)), Some((same, to))) if head == same => (from + 1..to)
            .map(|last| format!("{head}.{last}"))
            .collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::citations;

    #[test]
    fn lists_and_ranges() {
        let found = |text: &str| citations(text).into_iter().collect::<Vec<_>>().join("; ");
        assert_eq!(
            found("(Conditions 3.1 to 3.3 of the paper) hold"),
            "Condition 3.1; Condition 3.2; Condition 3.3"
        );
        assert_eq!(
            found("Sections 3.1 and A.2, A.3."),
            "Section 3.1; Section A.2; Section A.3"
        );
        assert_eq!(
            found("Condition 3.2: 5 rows, Condition 3.2 and 3.2"),
            "Condition 3.2"
        );
        assert_eq!(
            found("Section A.1.2 has 5; Section 3, Condition A"),
            "Condition A; Section 3; Section A.1.2"
        );
        assert_eq!(found("Conditions and sections, 3.1; a Section to 4"), "");
    }
}
