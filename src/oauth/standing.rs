//! How a client stands with one of its limits: what is left of it, and when there is more.

/// Of one limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What the limit is called.
    pub name: &'static str,
    /// Tokens in a window.
    pub quota: u32,
    /// How long that is.
    pub window_seconds: u32,
    /// Tokens that the client may have now.
    pub remaining: u32,
    /// Whole seconds until all of it is there again.
    pub reset_seconds: u32,
    /// Whole seconds until it may have the next, where it may not have this one.
    pub retry_after_seconds: Option<u32>,
    /// Whether whoever is over it is counted alone, and served.
    pub report_only: bool,
}
