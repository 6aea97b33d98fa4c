//! What the project set itself, and whether it is reached.

use serde::Serialize;

/// A figure that has a goal; all are upper bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Figure {
    RedisBytesAToken,
    MemoryBytesAToken,
    ManyTokensOverFew,
    RedisMicrosecondsAt64,
    RedisMicrosecondsAt256,
    IdleMegabytes,
    StartMilliseconds,
    BinaryMegabytes,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Goal {
    pub(super) figure: Figure,
    at_most: f64,
    /// `None`: could not be measured.
    pub(super) reached: Option<f64>,
    pub(super) met: bool,
}

impl Figure {
    /// What it is, its unit, the most it may be.
    fn said(self) -> (&'static str, &'static str, f64) {
        match self {
            Self::RedisBytesAToken => ("Redis memory a live token, 10^6 tokens, 50 clients, two scopes", "bytes", 68.0),
            Self::MemoryBytesAToken => ("`memory:`, a live token", "bytes", 100.0),
            Self::ManyTokensOverFew => ("cost a request with 10^7 live tokens over that with 10^4", "times", 1.15),
            Self::RedisMicrosecondsAt64 => ("Redis CPU a token issued, 64 connections", "us", 2.0),
            Self::RedisMicrosecondsAt256 => ("Redis CPU a token issued, 256 connections", "us", 1.2),
            Self::IdleMegabytes => ("idle resident memory, two workers", "MB", 12.0),
            Self::StartMilliseconds => ("start to first answer on the embedded store", "ms", 30.0),
            Self::BinaryMegabytes => ("release binary", "MB", 10.0),
        }
    }
}

impl Goal {
    pub(super) fn new(figure: Figure, reached: Option<f64>) -> Self {
        let (_, _, at_most) = figure.said();
        Self { figure, at_most, reached, met: reached.is_some_and(|reached| reached <= at_most) }
    }

    /// A line of a Markdown table: figure, goal, reached, met.
    pub(super) fn line(&self) -> String {
        let (what, unit, at_most) = self.figure.said();
        let (reached, met) = match self.reached {
            Some(reached) => (format!("{reached:.2} {unit}"), if self.met { "yes" } else { "no" }),
            None => ("not measured".to_owned(), "-"),
        };
        format!("| {what} | at most {at_most} {unit} | {reached} | {met} |\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_up_to_its_bound() {
        assert!(Goal::new(Figure::IdleMegabytes, Some(12.0)).met);
        assert!(!Goal::new(Figure::IdleMegabytes, Some(12.001)).met);
        assert!(!Goal::new(Figure::IdleMegabytes, None).met);
        assert!(!Goal::new(Figure::IdleMegabytes, Some(f64::NAN)).met);
    }

    #[test]
    fn a_line_says_how_it_stands() {
        let line = |reached| Goal::new(Figure::RedisMicrosecondsAt256, reached).line();
        let what = "| Redis CPU a token issued, 256 connections | at most 1.2 us";
        assert_eq!(line(Some(1.0)), format!("{what} | 1.00 us | yes |\n"));
        assert_eq!(line(Some(1.25)), format!("{what} | 1.25 us | no |\n"));
        assert_eq!(line(None), format!("{what} | not measured | - |\n"));
    }
}
