//! The table at the end.

use std::fmt;
use std::time::Duration;

/// What a scenario counted.
#[derive(Debug, Default)]
pub(super) struct Row {
    pub(super) rounds: usize,
    /// Requests that were answered.
    pub(super) answers: u64,
    /// Of these, with 503.
    pub(super) refused: u64,
    /// Requests that were sent and not answered.
    pub(super) failed: usize,
    /// Of strict clients that were themselves late.
    pub(super) late: u64,
    pub(super) tokens: usize,
    pub(super) revoked: usize,
    /// Introspections that said inactive.
    pub(super) said_inactive: usize,
    pub(super) note: String,
}

/// One line a scenario.
#[derive(Debug, Default)]
pub(super) struct Table {
    lines: Vec<String>,
    failures: usize,
}

impl Table {
    /// Adds what a scenario came to; it has failed where it panicked, with this sentence.
    pub(super) fn add(&mut self, name: &str, ended: Result<Row, String>, took: Duration) {
        let seconds = took.as_secs();
        self.lines.push(match ended {
            Ok(row) => {
                let Row { rounds, answers, refused, failed, late, tokens, revoked, said_inactive, note } = row;
                format!(
                    "{name:<16} {rounds:>6} {seconds:>6} {answers:>9} {refused:>8} {failed:>6} {late:>4} {tokens:>8} {revoked:>8} \
                     {said_inactive:>8}  {note}"
                )
            }
            Err(why) => {
                self.failures += 1;
                format!("{name:<16} FAILED after {seconds} s: {why}")
            }
        });
    }

    /// Whether no scenario failed.
    pub(super) fn is_good(&self) -> bool {
        self.failures == 0 && !self.lines.is_empty()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = ["scenario", "rounds", "s", "answers", "503", "failed", "late", "tokens", "revoked", "inactive"];
        let [scenario, rounds, s, answers, refused, failed, late, tokens, revoked, inactive] = names;
        writeln!(
            f,
            "{scenario:<16} {rounds:>6} {s:>6} {answers:>9} {refused:>8} {failed:>6} {late:>4} {tokens:>8} {revoked:>8} {inactive:>8}"
        )?;
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
