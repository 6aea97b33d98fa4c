//! Moments and spans as the protocol counts them.
//!
//! Invariant: a [`Timestamp`] is wall-clock time in whole milliseconds since the Unix epoch; what RFC 7662 calls `exp`, `iat`
//! and `nbf` are whole seconds, rounded down.

/// A moment: milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// A moment from milliseconds since the Unix epoch.
    pub const fn from_unix_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// A moment from seconds since the Unix epoch.
    pub const fn from_unix_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    pub const fn unix_millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn unix_seconds(self) -> u64 {
        self.0 / 1000
    }
}

/// How long a token lives, in whole seconds: at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lifetime(u32);

impl Lifetime {
    /// A lifetime of `seconds`; zero is taken as one second, since a token that is dead at birth helps nobody.
    pub const fn from_seconds(seconds: u32) -> Self {
        Self(if seconds == 0 { 1 } else { seconds })
    }

    /// Whole seconds.
    pub const fn seconds(self) -> u32 {
        self.0
    }
}
