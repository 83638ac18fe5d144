//! Tables as CSV.

/// Rows of fields under a header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    text: String,
    columns: usize,
}

impl Table {
    /// A table with these columns.
    #[must_use]
    pub fn new(columns: &[&str]) -> Self {
        let mut table = Self {
            text: String::new(),
            columns: columns.len(),
        };
        table.row(columns);
        table
    }

    /// Adds a row. One that is shorter than the header ends in empty fields; what is beyond it is left out.
    pub fn row(&mut self, fields: &[impl AsRef<str>]) {
        for at in 0..self.columns {
            if at > 0 {
                self.text.push(',');
            }
            let field = fields.get(at).map_or("", AsRef::as_ref);
            // RFC 4180.
            if field.contains(['"', ',', '\n', '\r']) {
                self.text.push('"');
                self.text.push_str(&field.replace('"', "\"\""));
                self.text.push('"');
            } else {
                self.text.push_str(field);
            }
        }
        self.text.push('\n');
    }

    /// The table as a CSV file has it.
    #[must_use]
    pub fn csv(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_where_they_must_be() {
        let mut table = Table::new(&["a", "b, c"]);
        table.row(&["1", "say \"so\""]);
        table.row(&["2"]);
        table.row(&["3", "two\nlines", "too much"]);
        assert_eq!(
            table.csv(),
            "a,\"b, c\"\n1,\"say \"\"so\"\"\"\n2,\n3,\"two\nlines\"\n"
        );
    }
}
