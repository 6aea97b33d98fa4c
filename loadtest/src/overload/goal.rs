//! What an overloaded service has to hold to, and whether it did.
//!
//! Invariant: a figure that could not be had, as the latency of refusals where nothing was refused, misses its goal.

use serde::Serialize;

use super::guesses::Guesses;
use super::memory::Growth;
use crate::report::Summary;
use crate::report::figures::Spread;

/// Refusals come within this, milliseconds at the 99th percentile.
const REFUSAL_MS_MAX: f64 = 5.0;
/// Right answers a second, over those at capacity or at the peak.
const GOODPUT_MIN: f64 = 0.9;
/// The 99th percentile of what was accepted, over that at full load.
const SLOWER_MAX: f64 = 2.0;
/// Resident memory in the last third of a window over that in the first: what the kernel and the allocator round to.
const GROWTH_MAX: f64 = 1.05;
/// Cores that slow hashes must take, or nothing was shown.
const BUSY_MIN: f64 = 0.25;

#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Goal {
    /// What is overloaded, and by what.
    pub(super) load: String,
    pub(super) figure: &'static str,
    pub(super) bound: Bound,
    /// `None`: could not be had.
    pub(super) reached: Option<f64>,
    pub(super) met: bool,
}

impl Goal {
    fn new(load: &str, figure: &'static str, bound: Bound, reached: Option<f64>) -> Self {
        let reached = reached.filter(|reached| reached.is_finite());
        let met = reached.is_some_and(|reached| match bound {
            Bound::AtLeast(least) => reached >= least,
            Bound::AtMost(most) => reached <= most,
        });
        Self { load: load.to_owned(), figure, bound, reached, met }
    }

    /// A line of a table: load, figure, goal, reached, met.
    pub(super) fn line(&self) -> String {
        let bound = match self.bound {
            Bound::AtLeast(least) => format!("at least {least}"),
            Bound::AtMost(most) => format!("at most {most}"),
        };
        let reached = self.reached.map_or("-".to_owned(), |reached| format!("{reached:.2}"));
        let met = if self.met { "yes" } else { "NO" };
        format!("{:<38} {:<44} {bound:>14} {reached:>9} {met:>4}\n", self.load, self.figure)
    }
}

/// The same goals of several turns as one: the median, but the worst where nothing at all may happen. What a turn could not tell, none told.
pub(super) fn over_turns(turns: &[Vec<Goal>]) -> Vec<Goal> {
    let Some(first) = turns.first() else { return Vec::new() };
    let merged = first.iter().enumerate().map(|(index, goal)| {
        let reached: Option<Vec<f64>> = turns.iter().map(|goals| goals.get(index)?.reached).collect();
        let reached = reached.and_then(Spread::of).map(|spread| match goal.bound {
            Bound::AtMost(0.0) => spread.most,
            Bound::AtMost(_) | Bound::AtLeast(_) => spread.median,
        });
        Goal::new(&goal.load, goal.figure, goal.bound, reached)
    });
    merged.collect()
}

/// Right answers a second.
pub(super) fn goodput(summary: &Summary) -> f64 {
    summary.right as f64 / summary.elapsed_seconds.max(f64::MIN_POSITIVE)
}

/// What came that is neither a right answer nor a refusal as it should be: other statuses, wrong bodies, broken connections,
/// requests without an answer.
pub(super) fn strays(summary: &Summary) -> u64 {
    let answers = summary.operations.values().map(|operation| {
        let other = operation.statuses.iter().filter(|(status, _)| !matches!(status, 200 | 503));
        operation.wrong + other.map(|(_, count)| count).sum::<u64>()
    });
    answers.sum::<u64>() + summary.errors.values().sum::<u64>() + summary.unanswered
}

/// `capacity`: right answers a second where the store is asked as much as it can do; `full`: asked nearly that, in an open loop;
/// `over`: several times that.
pub(super) fn of_store(load: &str, capacity: f64, full: &Summary, over: &Summary, growth: Option<Growth>) -> Vec<Goal> {
    let p99 = |summary: &Summary| summary.only_operation().map(|operation| operation.latency_us.p99);
    let slower = p99(over).zip(p99(full)).map(|(over, full)| over / full);
    let refused = over.only_operation().and_then(|operation| operation.other_latency_us);
    let curt = over.only_operation().map(|operation| operation.curt as f64);
    let goal = |figure, bound, reached| Goal::new(load, figure, bound, reached);
    vec![
        goal("goodput over capacity", Bound::AtLeast(GOODPUT_MIN), Some(goodput(over) / capacity)),
        goal("p99 of accepted over that at full load", Bound::AtMost(SLOWER_MAX), slower),
        goal("p99 of refusals, ms", Bound::AtMost(REFUSAL_MS_MAX), refused.map(|refused| refused.p99 / 1000.0)),
        goal("refusals without Retry-After", Bound::AtMost(0.0), curt),
        goal("neither 200 nor 503", Bound::AtMost(0.0), Some(strays(over) as f64)),
        memory(load, growth),
    ]
}

/// `refused`: what is asked while there is no store.
pub(super) fn of_no_store(load: &str, refused: &Summary) -> Vec<Goal> {
    let latency = refused.only_operation().and_then(|operation| operation.other_latency_us);
    let curt = refused.only_operation().map(|operation| operation.curt as f64);
    vec![
        Goal::new(
            load,
            "p99 of refusals, ms",
            Bound::AtMost(REFUSAL_MS_MAX),
            latency.map(|latency| latency.p99 / 1000.0),
        ),
        Goal::new(load, "refusals without Retry-After", Bound::AtMost(0.0), curt),
        Goal::new(load, "not refused with 503", Bound::AtMost(0.0), Some((strays(refused) + refused.right) as f64)),
    ]
}

/// `quiet`: nobody guesses; `attacked`: many do.
pub(super) fn of_guesses(load: &str, quiet: &Summary, attacked: &Summary, guesses: Guesses) -> Vec<Goal> {
    let p99 = |summary: &Summary| summary.only_operation().map(|operation| operation.latency_us.p99);
    let slower = p99(attacked).zip(p99(quiet)).map(|(attacked, quiet)| attacked / quiet);
    let not_right = (strays(attacked) + attacked.requests - attacked.right) as f64;
    let busy = busy_cores(attacked).zip(busy_cores(quiet)).map(|(attacked, quiet)| attacked - quiet);
    vec![
        Goal::new(load, "p99 of others over that without guesses", Bound::AtMost(SLOWER_MAX), slower),
        Goal::new(load, "others not answered with 200", Bound::AtMost(0.0), Some(not_right)),
        Goal::new(load, "cores that guesses keep busy", Bound::AtLeast(BUSY_MIN), busy),
        Goal::new(
            load,
            "guesses neither 401 nor 503",
            Bound::AtMost(0.0),
            (guesses.refused > 0).then_some(guesses.other as f64),
        ),
    ]
}

fn busy_cores(summary: &Summary) -> Option<f64> {
    let cpu_us = summary.cpu_us_per_request.server? * summary.requests as f64;
    Some(cpu_us / 1e6 / summary.elapsed_seconds.max(f64::MIN_POSITIVE))
}

/// `rate`: with all connections that are allowed; `peak`: the highest with fewer.
pub(super) fn of_cpu(load: &str, rate: f64, peak: f64, failed: u64) -> Vec<Goal> {
    vec![
        Goal::new(load, "rate over the peak with fewer connections", Bound::AtLeast(GOODPUT_MIN), Some(rate / peak)),
        Goal::new(load, "not answered with 200", Bound::AtMost(0.0), Some(failed as f64)),
    ]
}

pub(super) fn memory(load: &str, growth: Option<Growth>) -> Goal {
    let ratio = growth.map(|growth| growth.last / growth.first);
    Goal::new(load, "resident memory, last third over first", Bound::AtMost(GROWTH_MAX), ratio)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::{Answer, Verdict};
    use crate::drive::{CpuUse, Outcome, Plan};
    use crate::operation::{Operation, Shares};
    use crate::scrape::Batches;
    use crate::tally::Tally;
    use crate::target::{Paths, Target};
    use std::sync::Arc;
    use std::time::Duration;

    /// One second with so many answers of a status, each after so many milliseconds.
    fn window(answers: &[(u16, bool, u64, u64)]) -> Summary {
        let target = Arc::new(Target::new("http://127.0.0.1:1", Paths::default()).unwrap());
        let plan = Plan::new(&target, vec![], vec![], Shares::only(Operation::Issue));
        let mut tally = Tally::new(Duration::from_millis(100)).unwrap();
        for (status, retry_after, count, millis) in answers.iter().copied() {
            let verdict = if status == 200 { Verdict::Right } else { Verdict::Refused };
            for _ in 0..count {
                let answer = Answer { status, body: b"", retry_after };
                tally.answered(Operation::Issue, answer, verdict, Duration::from_millis(millis), Duration::ZERO);
            }
        }
        let cpu = CpuUse { server: None, redis: None, load: None };
        let outcome = Outcome { elapsed: Duration::from_secs(1), tally, cpu, batches: Batches::new() };
        Summary::of(&plan, outcome).unwrap()
    }

    fn missed(goals: &[Goal]) -> Vec<&'static str> {
        goals.iter().filter(|goal| !goal.met).map(|goal| goal.figure).collect()
    }

    const FLAT: Option<Growth> = Some(Growth { first: 1e7, last: 1.01e7 });

    #[test]
    fn a_service_that_sheds_its_load_holds_every_goal() {
        let full = window(&[(200, false, 950, 50)]);
        let over = window(&[(200, false, 960, 99), (503, true, 2000, 1)]);
        assert_eq!(missed(&of_store("x", 1000.0, &full, &over, FLAT)), Vec::<&str>::new());
        assert_eq!(missed(&of_cpu("x", 91.0, 100.0, 0)), Vec::<&str>::new());
    }

    #[test]
    fn every_goal_can_be_missed() {
        let full = window(&[(200, false, 950, 50)]);
        let over = window(&[(200, false, 890, 900), (503, false, 2000, 6), (500, false, 1, 1)]);
        let grown = Some(Growth { first: 1e7, last: 1.2e7 });
        assert_eq!(missed(&of_store("x", 1000.0, &full, &over, grown)).len(), 6);
        assert_eq!(missed(&of_cpu("x", 89.0, 100.0, 1)).len(), 2);
    }

    #[test]
    fn guesses_at_slow_hashes_must_be_made_and_must_not_be_felt() {
        let busy = |millis, cpu_seconds| {
            let mut summary = window(&[(200, false, 1000, millis)]);
            summary.cpu_us_per_request.server = Some(cpu_seconds * 1e6 / 1000.0);
            summary
        };
        let (quiet, refused) = (busy(10, 0.1), Guesses { refused: 100, other: 0 });
        assert_eq!(missed(&of_guesses("x", &quiet, &busy(19, 0.6), refused)), Vec::<&str>::new());
        let mut harmed = busy(30, 0.2);
        harmed.right -= 1;
        assert_eq!(missed(&of_guesses("x", &quiet, &harmed, Guesses { refused: 100, other: 1 })).len(), 4);
        assert_eq!(missed(&of_guesses("x", &quiet, &busy(19, 0.6), Guesses::default())).len(), 1, "nobody guessed");
    }

    #[test]
    fn without_a_store_everything_is_refused_at_once() {
        assert_eq!(missed(&of_no_store("x", &window(&[(503, true, 1000, 1)]))), Vec::<&str>::new());
        assert_eq!(missed(&of_no_store("x", &window(&[(503, false, 1000, 6), (200, false, 1, 1)]))).len(), 3);
    }

    #[test]
    fn turns_are_judged_by_their_median_and_what_may_not_happen_by_the_worst() {
        let turn = |p99, strays| {
            let reached = |bound, reached| Goal::new("x", "f", bound, reached);
            vec![reached(Bound::AtMost(2.0), p99), reached(Bound::AtMost(0.0), Some(strays))]
        };
        let turns = [turn(Some(1.0), 0.0), turn(Some(9.0), 0.0), turn(Some(2.0), 3.0)];
        let merged: Vec<_> = over_turns(&turns).iter().map(|goal| (goal.reached, goal.met)).collect();
        assert_eq!(merged, [(Some(2.0), true), (Some(3.0), false)]);
        let untold = over_turns(&[turn(Some(1.0), 0.0), turn(None, 0.0)]);
        assert_eq!((untold[0].reached, untold[0].met), (None, false));
        assert_eq!(over_turns(&[]), vec![]);
    }

    #[test]
    fn what_could_not_be_had_misses_its_goal() {
        let full = window(&[(200, false, 950, 50)]);
        let goals = of_store("x", 1000.0, &full, &window(&[(200, false, 960, 99)]), None);
        assert_eq!(missed(&goals), ["p99 of refusals, ms", "resident memory, last third over first"]);
        assert!(goals[2].line().contains("at most 5         -   NO"), "{}", goals[2].line());
    }
}
