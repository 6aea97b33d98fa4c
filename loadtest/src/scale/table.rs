//! What `scale` found, as Markdown and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use super::gauge::Resident;
use super::goals::Goal;
use crate::failure::{Context, Failure};
use crate::operation::Operation;
use crate::report::About;

#[derive(Debug, Serialize)]
pub(super) struct Findings {
    pub(super) about: About,
    pub(super) rows: Vec<Row>,
    pub(super) goals: Vec<Goal>,
}

/// One value of what grows.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub(super) part: String,
    pub(super) value: String,
    pub(super) costs: Vec<Cost>,
    /// Of jeton, after its last window.
    pub(super) resident: Resident,
    /// Until it issued a first token.
    pub(super) started_in_seconds: f64,
    /// Growth of memory, of jeton or of Redis, over the tokens that made it grow.
    pub(super) bytes_a_token: Option<f64>,
    pub(super) notes: Vec<String>,
}

/// Medians over turns; microseconds of CPU a request.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Cost {
    pub(super) operation: String,
    pub(super) server_us: f64,
    /// Over the first value's in the same turn.
    pub(super) over_first: f64,
    pub(super) redis_us: Option<f64>,
    pub(super) per_second: f64,
    /// Nearly every answer was as it should be.
    pub(super) clean: bool,
    pub(super) server_us_by_turn: Vec<f64>,
}

impl Row {
    pub(super) fn is_clean(&self) -> bool {
        self.costs.iter().all(|cost| cost.clean)
    }

    pub(super) fn cost(&self, operation: Operation) -> Option<&Cost> {
        self.costs.iter().find(|cost| cost.operation == operation.name())
    }

    fn line(&self) -> String {
        let mut line = format!("| {} | {} |", self.part, self.value);
        for operation in [Operation::Issue, Operation::Introspect] {
            let cost = self.cost(operation);
            let _ = write!(
                line,
                " {} | {} | {} |",
                figure(cost.map(|cost| cost.server_us), 1),
                figure(cost.map(|cost| cost.over_first), 2),
                figure(cost.and_then(|cost| cost.redis_us), 2)
            );
        }
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        let _ = write!(line, " {:.1} |", megabytes(self.resident.now));
        let beside = self.bytes_a_token.map(|bytes| format!("{bytes:.1} bytes a token"));
        let beside: Vec<_> = beside.into_iter().chain(self.notes.iter().cloned()).collect();
        let _ = writeln!(line, " {} |", beside.join(", "));
        line
    }
}

impl Findings {
    pub(super) fn markdown(&self) -> String {
        let mut text = String::new();
        if !self.rows.is_empty() {
            text += "| what grows | | issue: server us | over first | Redis us | introspect: server us | over first | Redis us | \
                     RSS, MB | |\n|---|---|---|---|---|---|---|---|---|---|\n";
            text.extend(self.rows.iter().map(Row::line));
            text.push('\n');
        }
        text += "| figure | goal | reached | met |\n|---|---|---|---|\n";
        text.extend(self.goals.iter().map(Goal::line));
        text
    }

    pub(super) fn json(&self) -> Result<String, Failure> {
        serde_json::to_string(self).context(|| "writing JSON".to_owned())
    }
}

fn figure(value: Option<f64>, digits: usize) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.digits$}"))
}

#[cfg(test)]
mod tests {
    use super::super::goals::Figure;
    use super::*;

    fn row() -> Row {
        let cost = Cost {
            operation: "introspect".to_owned(),
            server_us: 11.04,
            over_first: 1.126,
            redis_us: Some(2.5),
            per_second: 50_000.0,
            clean: true,
            server_us_by_turn: vec![11.04],
        };
        Row {
            part: "clients".to_owned(),
            value: "10^6".to_owned(),
            costs: vec![cost],
            resident: Resident { now: 7_960_000, peak: 9_000_000 },
            started_in_seconds: 1.0,
            bytes_a_token: Some(57.25),
            notes: vec!["start 1.0 s".to_owned()],
        }
    }

    #[test]
    fn a_line_has_every_column() {
        let line = row().line();
        let expected = "| clients | 10^6 | - | - | - | 11.0 | 1.13 | 2.50 | 8.0 | 57.2 bytes a token, start 1.0 s |\n";
        assert_eq!(line, expected);
    }

    #[test]
    fn all_lines_are_as_wide_as_their_head() {
        let goals = vec![Goal::new(Figure::IdleMegabytes, Some(8.0))];
        let findings = Findings { about: About::now(None, Vec::new()), rows: vec![row(), row()], goals };
        let text = findings.markdown();
        for table in text.trim_end().split("\n\n") {
            let widths: Vec<_> = table.lines().map(|line| line.matches('|').count()).collect();
            assert!(widths.len() >= 3 && widths.iter().all(|width| *width == widths[0]), "{table}");
        }
        let json: serde_json::Value = serde_json::from_str(&findings.json().unwrap()).unwrap();
        assert_eq!(json["goals"][0]["met"], true);
    }
}
