//! Everything a run needs to know.

use std::sync::Arc;
use std::time::Duration;

use super::harvest::Harvest;
use crate::client::Credential;
use crate::operation::{Operation, Shares};
use crate::request::Endpoint;
use crate::stock::{Held, InactiveShares};
use crate::target::Target;

/// A window's course is told in so many slices at most, none shorter than [`SLICE_MIN`]: below, a percentile tells nothing.
const SLICES_MAX: u32 = 100;
const SLICE_MIN: Duration = Duration::from_millis(100);

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) target: Arc<Target>,
    /// By operation as index.
    pub(crate) endpoints: [Endpoint; 3],
    /// Who asks for tokens and revokes them; one at least.
    pub(crate) clients: Arc<[Credential]>,
    /// Who introspects; one at least.
    pub(crate) introspectors: Vec<Credential>,
    pub(crate) shares: Shares,
    pub(crate) inactive: InactiveShares,
    /// Where expired tokens come from; `None` when no share of them is asked for.
    pub(crate) expiring: Option<Expiring>,
    /// Live tokens of an earlier run, to be asked about in place of ones made for this.
    pub(crate) given: Arc<[Held]>,
    /// Where some of the tokens issued go.
    pub(crate) harvest: Option<Arc<Harvest>>,
    /// Live tokens to hold before the run begins, where it names tokens.
    pub(crate) tokens: usize,
    pub(crate) connections: usize,
    /// Each thread has at most so many requests under way, by turns over its connections; `None`: as many as connections.
    pub(crate) asking_max: Option<usize>,
    /// At most as many as connections.
    pub(crate) threads: usize,
    /// `None`: HTTP/1.1. Else HTTP/2 with so many streams asking on each connection.
    pub(crate) http2_streams: Option<usize>,
    /// Each request opens a connection of its own; `connections` of them are open at once.
    pub(crate) new_connections: bool,
    pub(crate) warmup: Duration,
    pub(crate) duration: Duration,
    /// The window also ends after so many requests.
    pub(crate) requests_max: Option<u64>,
    /// `None`: closed loop. Else arrivals a second.
    pub(crate) rate: Option<f64>,
    /// Say each second on standard error how it goes.
    pub(crate) progress: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Expiring {
    pub(crate) client: Credential,
    /// Tokens that live longer are not waited for: the run fails.
    pub(crate) wait_max: Duration,
}

impl Plan {
    /// A closed loop of 64 kept HTTP/1.1 connections from one thread for ten seconds, over 10,000 live tokens.
    pub(crate) fn new(
        target: &Arc<Target>,
        clients: impl Into<Arc<[Credential]>>,
        introspectors: Vec<Credential>,
        shares: Shares,
    ) -> Self {
        Self {
            endpoints: Operation::ALL.map(|operation| Endpoint::new(target, operation, "")),
            target: Arc::clone(target),
            clients: clients.into(),
            introspectors,
            shares,
            inactive: InactiveShares::default(),
            expiring: None,
            given: Arc::default(),
            harvest: None,
            tokens: 10_000,
            connections: 64,
            asking_max: None,
            threads: 1,
            http2_streams: None,
            new_connections: false,
            warmup: Duration::from_secs(1),
            duration: Duration::from_secs(10),
            requests_max: None,
            rate: None,
            progress: false,
        }
    }

    /// How long one slice of the window is.
    pub(crate) fn slice(&self) -> Duration {
        (self.duration / SLICES_MAX).max(SLICE_MIN)
    }
}
