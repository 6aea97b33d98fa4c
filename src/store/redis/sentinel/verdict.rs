//! What several sentinels say, made one answer.
//!
//! Invariant: a failover that was seen is never unseen because a sentinel has missed it: each failover has a higher epoch
//! (`config-epoch`), and a lower one than is known is believed only when most sentinels are there and none knows a higher.

use crate::store::redis::lookout::Primary;

/// What each sentinel said last.
#[derive(Debug)]
pub(super) struct Answers {
    of: Vec<Result<Primary, String>>,
    believed: Option<Primary>,
}

impl Answers {
    /// Nobody has said anything; `believed` is what is known from before.
    pub(super) fn new(sentinels: usize, believed: Option<Primary>) -> Self {
        Self { of: vec![Err("not asked yet".into()); sentinels], believed }
    }

    /// Notes what a sentinel says, or why it says nothing any more, and returns what to believe if that is something new.
    pub(super) fn note(&mut self, sentinel: usize, answer: Result<Primary, String>) -> Option<Primary> {
        self.of[sentinel] = answer;
        let latest = self.of.iter().flatten().max_by_key(|answer| answer.epoch)?;
        if self.believed.as_ref().is_some_and(|believed| !self.replaces(latest, believed)) {
            return None;
        }
        self.believed = Some(latest.clone());
        self.believed.clone()
    }

    /// Why those who say nothing do not.
    pub(super) fn trouble(&self) -> String {
        let troubles: Vec<&str> =
            self.of.iter().filter_map(|answer| answer.as_ref().err().map(String::as_str)).collect();
        troubles.join("; ")
    }

    fn replaces(&self, latest: &Primary, believed: &Primary) -> bool {
        // Of one epoch there is one primary; sentinels may differ in how they call it, by name or by address.
        let still_said = || self.of.iter().flatten().any(|answer| answer == believed);
        let answering = self.of.iter().flatten().count();
        latest.epoch > believed.epoch
            || latest.epoch == believed.epoch && !still_said()
            || latest.epoch < believed.epoch && 2 * answering > self.of.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::redis::endpoint::Address;

    fn primary(host: &str, epoch: u64) -> Primary {
        Primary { address: Address { host: host.into(), port: 6379 }, epoch }
    }

    fn silent() -> Result<Primary, String> {
        Err("silent".into())
    }

    #[test]
    fn the_first_to_know_of_a_failover_is_believed_and_who_missed_it_is_not() {
        let mut answers = Answers::new(3, None);
        assert_eq!(answers.note(0, Ok(primary("old", 1))), Some(primary("old", 1)));
        assert_eq!(answers.note(1, Ok(primary("old", 1))), None);
        assert_eq!(answers.note(2, Ok(primary("new", 2))), Some(primary("new", 2)));
        assert_eq!(answers.note(0, Ok(primary("new", 2))), None);
        assert_eq!(answers.trouble(), "");
        // Alone with one that was cut off all the while.
        assert_eq!(answers.note(0, silent()), None);
        assert_eq!(answers.note(2, silent()), None);
        assert_eq!(answers.note(1, Ok(primary("old", 1))), None);
        assert_eq!(answers.trouble(), "silent; silent");
    }

    #[test]
    fn sentinels_that_were_all_made_anew_are_believed_by_most() {
        let mut answers = Answers::new(3, Some(primary("old", 7)));
        assert_eq!(answers.note(0, Ok(primary("new", 0))), None);
        assert_eq!(answers.note(1, Ok(primary("new", 0))), Some(primary("new", 0)));
    }

    #[test]
    fn two_names_of_one_primary_are_no_change() {
        let mut answers = Answers::new(2, None);
        assert!(answers.note(0, Ok(primary("redis-1", 1))).is_some());
        assert_eq!(answers.note(1, Ok(primary("10.0.0.1", 1))), None);
        assert_eq!(answers.note(0, silent()), Some(primary("10.0.0.1", 1)));
        assert_eq!(answers.note(0, Ok(primary("redis-1", 1))), None);
    }
}
