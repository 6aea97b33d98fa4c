//! One core: a thread with its own single-threaded runtime, its own actors, its own connection to the store and its own share of
//! the connections. A request never leaves the worker it arrived on.
//!
//! Invariants: every task of a worker is in its set, so when the worker ends nothing of it goes on; none of them dies unnoticed: it is
//! started again, or the process ends.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use tokio::runtime::{Builder, LocalOptions, LocalRuntime};
use tokio::task::JoinSet;

use crate::actors::Surroundings;
use crate::actors::authenticator::{AuthenticatorHandle, AuthenticatorOptions};
use crate::actors::deadlines::Deadlines;
use crate::actors::inspector::{InspectorHandle, InspectorOptions};
use crate::actors::limiter::{LimiterHandle, LimiterOptions};
use crate::actors::mailbox::Capacity;
use crate::actors::minter::{MinterHandle, MinterOptions};
use crate::actors::notary::{NotaryHandle, NotaryOptions};
use crate::actors::revoker::{RevokerHandle, RevokerOptions};
use crate::actors::supervisor::{self, Crash};
use crate::http::{Services, Shared};
use crate::oauth::client::Clients;
use crate::oauth::client_assertion::Audiences;
use crate::random::Random;
use crate::store::TokenStore;

/// Messages that may wait for one actor, however fast it is.
const MESSAGES_MAX: usize = 8192;

/// Of these, kept for revocations at the actor that all requests need first: a tenth.
const RESERVED: usize = MESSAGES_MAX / 10;

/// How long those before a request may take at an actor that is behind; the rest are refused at once and can go elsewhere. At less than
/// five thousand items a second that is one full batch, behind the one on its way: what waits at full load anyway. On a busy core it is
/// some three thousand requests.
const WAIT_MAX: Duration = Duration::from_millis(50);

/// Items in one round trip to the store: at 0.65 us an item in Redis a batch holds it up for a sixth of a millisecond.
const BATCH_MAX: usize = 256;

/// Tasks polled between two looks at the sockets. A request is polled four times on its way, so with tokio's 61 a look would bring
/// fifteen requests, and each look is a system call; with this one it brings a batch for the actors, and still comes within a
/// millisecond.
const POLLS_BETWEEN_EVENTS: u32 = 256;

/// The actors of one thread, and the set of its tasks.
#[derive(Debug)]
pub struct House {
    /// What its endpoints work with.
    pub services: Services,
    tasks: JoinSet<Result<(), Crash>>,
}

impl House {
    /// Starts the actors of this thread on `store`. To be called within a [`LocalRuntime`].
    pub fn open<S: TokenStore>(store: S, clients: Arc<ArcSwap<Clients>>, random: Random, shared: Arc<Shared>) -> Self {
        let around = Surroundings {
            deadlines: Deadlines::default(),
            metrics: shared.metrics.clone(),
            capacity: Capacity { messages_max: MESSAGES_MAX, reserved: RESERVED, wait_max: WAIT_MAX },
        };
        let store = Rc::new(store);
        let clock = shared.clock.clone();
        let authenticating = AuthenticatorOptions {
            audiences: Audiences::of(&shared.issuer, shared.mtls_url(), shared.profile),
            clock: clock.clone(),
            guesses: shared.guesses.clone(),
            memory: shared.verifier.memory().clone(),
            profile: shared.profile,
        };
        let noting = NotaryOptions { batch_max: BATCH_MAX, random: random.clone() };
        let minting = MinterOptions {
            prefix: shared.token_prefix.clone(),
            keys: shared.keys.clone(),
            batch_max: BATCH_MAX,
            clock: clock.clone(),
            random,
        };
        let limiting = LimiterOptions { batch_max: BATCH_MAX, clock: clock.clone() };
        let inspecting = InspectorOptions { batch_max: BATCH_MAX, clock };
        let (authenticator, authenticating) = AuthenticatorHandle::start(&around, clients, authenticating);
        let (minter, minting) = MinterHandle::start(&around, store.clone(), minting);
        let (inspector, inspecting) = InspectorHandle::start(&around, store.clone(), inspecting);
        let (revoker, revoking) = RevokerHandle::start(&around, store.clone(), RevokerOptions { batch_max: BATCH_MAX });
        let (notary, noting) = NotaryHandle::start(&around, store.clone(), noting);
        let (limiter, limiting) = LimiterHandle::start(&around, store, limiting);

        let mut tasks = JoinSet::new();
        for actor in [authenticating, minting, inspecting, revoking, noting, limiting] {
            tasks.spawn_local(supervisor::once("supervisor", actor));
        }
        let deadlines = around.deadlines;
        tasks.spawn_local(supervisor::keep_alive("sweep", async move || deadlines.sweep_for_ever().await));
        Self { services: Services { authenticator, minter, inspector, revoker, notary, limiter, shared }, tasks }
    }

    /// Adds a task that lives as long as the house, and whose panic is a crash.
    pub(crate) fn keep(&mut self, name: &'static str, task: impl Future<Output = ()> + 'static) {
        self.tasks.spawn_local(supervisor::once(name, task.map(Ok)));
    }

    /// Adds a task that is begun again after a panic.
    pub(crate) fn keep_alive(&mut self, name: &'static str, task: impl AsyncFnMut() + 'static) {
        self.tasks.spawn_local(supervisor::keep_alive(name, task));
    }

    /// Waits until something has died for good; for ever while all live.
    pub(crate) async fn crash(&mut self) -> Crash {
        while let Some(ended) = self.tasks.join_next().await {
            match ended {
                // It has done its work.
                Ok(Ok(())) => {}
                Ok(Err(crash)) => return crash,
                // Panics are caught within; this one came from outside of what a task runs.
                Err(_) => return Crash::Worker,
            }
        }
        std::future::pending().await
    }
}

/// The runtime of one thread.
///
/// # Errors
/// Where the operating system gives no poll descriptor.
pub fn runtime() -> io::Result<LocalRuntime> {
    Builder::new_current_thread().event_interval(POLLS_BETWEEN_EVENTS).enable_all().build_local(LocalOptions::default())
}

/// CPU time that this thread has used.
pub(crate) fn thread_busy() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// How many workers `workers = 0` means: one for each core that affinity and cgroup leave.
pub(crate) fn workers_by_default() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
