//! What is asked of the service, and in which shares.
//!
//! Every workload is a mix: `issue` is the mix with one share. So nothing downstream knows workloads, only shares.

use std::fmt;
use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Issue,
    Introspect,
    Revoke,
}

impl Operation {
    pub(crate) const ALL: [Self; 3] = [Self::Issue, Self::Introspect, Self::Revoke];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Issue => "issue",
            Self::Introspect => "introspect",
            Self::Revoke => "revoke",
        }
    }

    fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }
}

/// How often each operation is asked, by [`Operation`] as index; the sum is above zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shares([u32; 3]);

impl Shares {
    pub(crate) fn only(operation: Operation) -> Self {
        let mut shares = [0; 3];
        shares[operation as usize] = 1;
        Self(shares)
    }

    pub(crate) fn has(&self, operation: Operation) -> bool {
        self.0[operation as usize] > 0
    }

    pub(crate) fn is_only(&self, operation: Operation) -> bool {
        Operation::ALL.into_iter().all(|one| self.has(one) == (one == operation))
    }

    /// Introspection and revocation name a token: the run must hold some before it begins.
    pub(crate) fn need_tokens(&self) -> bool {
        self.has(Operation::Introspect) || self.has(Operation::Revoke)
    }

    pub(crate) fn pick(&self, random: &mut fastrand::Rng) -> Operation {
        let mut drawn = random.u32(0..self.0.iter().sum());
        for operation in Operation::ALL {
            let share = self.0[operation as usize];
            if drawn < share {
                return operation;
            }
            drawn -= share;
        }
        Operation::Issue
    }
}

/// `issue`, `introspect`, `revoke`, `mixed`, or `mixed=issue:10,introspect:85,revoke:5`.
impl FromStr for Shares {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(operation) = Operation::by_name(text) {
            return Ok(Self::only(operation));
        }
        let list = match text {
            "mixed" => "issue:10,introspect:85,revoke:5",
            other => other.strip_prefix("mixed=").ok_or("one of issue, introspect, revoke, mixed, mixed=issue:10,…")?,
        };
        let mut shares = [0; 3];
        for part in list.split(',') {
            let (name, share) = part.split_once(':').ok_or_else(|| format!("`{part}` is not NAME:SHARE"))?;
            let operation = Operation::by_name(name).ok_or_else(|| format!("no operation `{name}`"))?;
            let share: u16 = share.parse().map_err(|_| format!("`{share}` is no share (0 to 65535)"))?;
            shares[operation as usize] = u32::from(share);
        }
        if shares == [0; 3] { Err("the shares are all zero".to_owned()) } else { Ok(Self(shares)) }
    }
}

impl fmt::Display for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<_> = Operation::ALL.into_iter().filter(|operation| self.has(*operation)).collect();
        if let [operation] = parts.as_slice() {
            return f.write_str(operation.name());
        }
        let list: Vec<_> = parts.iter().map(|part| format!("{}:{}", part.name(), self.0[*part as usize])).collect();
        write!(f, "mixed={}", list.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_is_read_and_said_alike() {
        for text in
            ["issue", "introspect", "revoke", "mixed=issue:1,introspect:2", "mixed=issue:10,introspect:85,revoke:5"]
        {
            assert_eq!(text.parse::<Shares>().unwrap().to_string(), text);
        }
        assert_eq!("mixed".parse::<Shares>(), "mixed=issue:10,introspect:85,revoke:5".parse());
    }

    #[test]
    fn a_workload_that_asks_nothing_is_refused() {
        for text in ["", "mint", "mixed=", "mixed=issue", "mixed=issue:0", "mixed=mint:1", "mixed=issue:-1"] {
            assert!(text.parse::<Shares>().is_err(), "{text}");
        }
    }

    #[test]
    fn picks_follow_the_shares() {
        let shares: Shares = "mixed=issue:1,revoke:3".parse().unwrap();
        let mut random = fastrand::Rng::with_seed(7);
        let mut picked = [0_u32; 3];
        for _ in 0..4000 {
            picked[shares.pick(&mut random) as usize] += 1;
        }
        assert_eq!(picked[1], 0);
        assert!((900..1100).contains(&picked[0]), "{picked:?}");
    }
}
