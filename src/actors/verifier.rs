//! Verifies what would hold up a worker. Secrets whose hashes are slow on purpose, on few threads of its own: a secret comes in, whether it is
//! right goes out, and what was right is known from then on. And signatures by slow keys, on threads that each take a millisecond.
//!
//! Invariants: no worker waits while a hash is computed, and whatever is sent, no more threads compute than were allowed; a pair of client
//! and source that was wrong too often reaches none of them; a secret that many present at once is verified once; what waited in vain is
//! not begun.
//!
//! One for the process. Its threads begin with the first secret that needs them.

mod queue;
mod signatures;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use self::queue::{Job, Place, Queue};
use self::signatures::Signatures;
use super::guesses::{Guesses, TooMany};
use super::{ActorError, Deadline};
use crate::failpoint::{self, FailPoint};
use crate::oauth::client::Client;
use crate::oauth::credentials::{PresentedAssertion, PresentedCredentials, PresentedMethod, SecretReading, Unproven};
use crate::oauth::jws::jwk::Jwk;
use crate::oauth::remembered_secrets::{Mark, MemoryKey, Recollection};
use crate::oauth::source::Source;
use crate::telemetry::labels::ActorName;
use crate::telemetry::metrics::{MailboxMetrics, Metrics};

/// Cores for each thread that computes: most of them serve.
const CORES_A_THREAD: usize = 4;
/// Threads on however many cores: each may need 64 MiB.
const THREADS_MAX: usize = 4;
/// How far the threads step back behind those that serve: as far as they can. At 10 the 99th percentile of requests on a core that one shares
/// was twice as high.
const NICENESS: i32 = 19;

/// Asks whether secrets are right. Cheap to clone; from any thread. After the last drop the threads end.
#[derive(Clone, Debug)]
pub struct VerifierHandle(Arc<Door>);

/// A secret that nobody can judge before it was compared with slow hashes, in each of its readings (row A03) that may be right.
#[derive(Clone, Debug)]
pub struct UnverifiedSecret {
    /// Who was named, as the RFC reads it.
    pub(super) named: Box<str>,
    pub(super) method: PresentedMethod,
    /// Of the first, and maybe of a second reading.
    pub(super) claims: Vec<Claim>,
}

/// One reading, and the client that it names.
#[derive(Clone, Debug)]
pub(super) struct Claim {
    pub(super) client: Arc<Client>,
    pub(super) reading: SecretReading,
}

/// An assertion that nobody can judge before its signature was verified by keys that are slow to verify by.
#[derive(Clone, Debug)]
pub struct UnverifiedSignature {
    pub(super) presented: Arc<PresentedAssertion>,
    pub(super) client: Arc<Client>,
    pub(super) keys: Vec<Jwk>,
}

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is one of the client's; whoever is asked about it again knows that.
    Right,
    /// It is none.
    Wrong,
    /// It may be right, and its client and source were wrong too often for anybody to look.
    TooMany {
        /// Whole seconds until somebody will.
        retry_after_seconds: u32,
    },
}

/// Who asked, and from where.
struct Asker {
    source: Option<Source>,
    asked: Instant,
    answer: oneshot::Sender<Verdict>,
}

/// What the threads and the handles share.
struct Pool {
    queue: Mutex<Queue<Asker>>,
    came: Condvar,
    signatures: Signatures,
    memory: Arc<MemoryKey>,
    guesses: Arc<Guesses>,
    metrics: Arc<Metrics>,
    mailbox: MailboxMetrics,
}

/// Closed behind the last handle.
#[derive(Debug)]
struct Door(Arc<Pool>);

impl VerifierHandle {
    /// A verifier that remembers by this key.
    pub fn new(memory: MemoryKey, guesses: Arc<Guesses>, metrics: Arc<Metrics>) -> Self {
        let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self::with_threads((cores / CORES_A_THREAD).clamp(1, THREADS_MAX), memory, guesses, metrics)
    }

    fn with_threads(threads_max: usize, memory: MemoryKey, guesses: Arc<Guesses>, metrics: Arc<Metrics>) -> Self {
        Self(Arc::new(Door(Arc::new(Pool {
            queue: Mutex::new(Queue::new(threads_max)),
            came: Condvar::new(),
            signatures: Signatures::new(),
            memory: Arc::new(memory),
            guesses,
            mailbox: metrics.mailbox(ActorName::Verifier),
            metrics,
        }))))
    }

    /// By what it remembers.
    pub fn memory(&self) -> &Arc<MemoryKey> {
        &self.0.0.memory
    }

    /// Waits until somebody has verified the secret.
    ///
    /// # Errors
    /// [`ActorError`]: nobody knows whether it is right. [`ActorError::Overloaded`] where too many wait.
    pub async fn verify(
        &self,
        by: Deadline,
        unverified: Arc<UnverifiedSecret>,
        source: Option<Source>,
    ) -> Result<Verdict, ActorError> {
        let (answer, answered) = oneshot::channel();
        self.0.0.take(unverified, Asker { source, asked: Instant::now(), answer })?;
        match timeout_at(by.instant(), answered).await {
            Ok(Ok(verdict)) => Ok(verdict),
            Ok(Err(_)) => Err(ActorError::Lost),
            Err(_) => Err(ActorError::TimedOut),
        }
    }

    /// Waits until somebody has settled an assertion's signature. Judged again, it is known.
    ///
    /// # Errors
    /// As [`VerifierHandle::verify`].
    pub async fn settle(&self, by: Deadline, unverified: UnverifiedSignature) -> Result<(), ActorError> {
        let UnverifiedSignature { presented, keys, .. } = unverified;
        self.spend(by, move || {
            if let Ok(assertion) = &presented.assertion {
                assertion.settle(keys);
            }
        })
        .await
    }

    /// Waits until somebody has done this, which takes a millisecond or some.
    ///
    /// # Errors
    /// As [`VerifierHandle::verify`].
    pub async fn spend<T: Send + 'static>(
        &self,
        by: Deadline,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ActorError> {
        let done = self.0.0.signatures.spend(by, work).await;
        if let Err(ActorError::Overloaded) = done {
            self.0.0.mailbox.refused();
        }
        done
    }
}

impl UnverifiedSignature {
    /// The same, to be judged again once it is known.
    pub fn presented(&self) -> PresentedCredentials {
        PresentedCredentials::Assertion(self.presented.clone())
    }
}

impl UnverifiedSecret {
    /// The same, to be judged again once it is known.
    pub fn presented(&self) -> PresentedCredentials {
        let mut readings = self.claims.iter().map(|claim| claim.reading.clone());
        match readings.next() {
            Some(first) => PresentedCredentials::Secret { method: self.method, first, second: readings.next() },
            None => PresentedCredentials::Unproven(Unproven::Missing),
        }
    }

    /// The client that was named.
    pub fn client(&self) -> Option<&Arc<Client>> {
        self.claims.first().map(|claim| &claim.client)
    }

    /// Equal for equal secrets of equal clients with equal hashes: a reload may have brought others.
    fn mark(&self, key: &MemoryKey) -> Mark {
        key.mark(self.claims.iter().flat_map(|Claim { client, reading }| {
            let hashes = client.slow_hashes().map(str::as_bytes);
            [client.id().as_str().as_bytes(), reading.secret()].into_iter().chain(hashes)
        }))
    }

    /// Whether it is right in any of its readings. Takes as long as the slow hashes of its clients.
    fn is_right(&self, key: &MemoryKey) -> bool {
        self.claims.iter().any(|Claim { client, reading }| match client.recall(key, reading.secret()) {
            // Somebody was faster.
            Recollection::Known(matches) => matches.any(),
            Recollection::Unknown => client.verify_slowly(key, reading.secret()),
        })
    }
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, Queue<Asker>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(self: &Arc<Self>, unverified: Arc<UnverifiedSecret>, asker: Asker) -> Result<(), ActorError> {
        let mark = unverified.mark(&self.memory);
        let mut queue = self.lock();
        let waited = queue.len();
        let place = queue.push(mark, unverified, asker, |asker| !asker.answer.is_closed());
        self.mailbox.depth_changed(queue.len() as f64 - waited as f64);
        match place {
            Place::Joined => return Ok(()),
            Place::Full => {
                self.mailbox.refused();
                return Err(ActorError::Overloaded);
            }
            Place::New => {}
        }
        if queue.wants_thread() {
            let pool = self.clone();
            match thread::Builder::new().name("jeton-verifier".into()).spawn(move || pool.work()) {
                Ok(_ends_with_the_queue) => queue.thread_began(),
                // The next one tries again; those that wait have their deadlines.
                Err(error) => tracing::error!(event = "warning", %error, "no thread to verify secrets on"),
            }
        }
        drop(queue);
        self.came.notify_one();
        Ok(())
    }

    /// The body of a thread.
    fn work(&self) {
        step_back();
        while let Some((mark, unverified)) = self.next() {
            let found = catch_unwind(AssertUnwindSafe(|| {
                failpoint::reach(FailPoint::Verifier);
                unverified.is_right(&self.memory)
            }));
            let askers = self.lock().finish(&mark);
            match found {
                Ok(is_right) => askers.into_iter().for_each(|asker| self.answer(&unverified, asker, is_right)),
                // Those who asked learn by their dropped replies that nobody knows.
                Err(_) => self.metrics.actor_restarted(ActorName::Verifier),
            }
        }
    }

    /// The next that somebody still waits for and may ask; `None`: no more will come.
    fn next(&self) -> Option<(Mark, Arc<UnverifiedSecret>)> {
        loop {
            let job = self.take_next()?;
            self.mailbox.depth_changed(-1.0);
            let now = Instant::now();
            let (mark, unverified) = (job.mark, job.unverified.clone());
            // What was found of others meanwhile counts. With no lock: a worker would wait for a thread that yields to everybody.
            let Some(job) = job.keep(|asker| self.admit(&unverified, asker, now)) else { continue };
            if let Some(oldest) = job.oldest() {
                self.mailbox.waited(now.saturating_duration_since(oldest.asked));
            }
            self.lock().begin(job);
            return Some((mark, unverified));
        }
    }

    fn take_next(&self) -> Option<Job<Asker>> {
        let mut queue = self.lock();
        loop {
            if queue.is_closed() {
                return None;
            }
            if let Some(job) = queue.pop() {
                return Some(job);
            }
            queue = self.came.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whoever still waits and was not wrong too often.
    fn admit(&self, unverified: &UnverifiedSecret, asker: Asker, now: Instant) -> Option<Asker> {
        if asker.answer.is_closed() {
            return None;
        }
        match self.guesses.check((unverified.named.as_bytes(), asker.source), now) {
            Ok(()) => Some(asker),
            Err(too_many) => {
                tell(asker, too_many.into());
                None
            }
        }
    }

    fn answer(&self, unverified: &UnverifiedSecret, asker: Asker, is_right: bool) {
        let verdict = if is_right {
            Verdict::Right
        } else {
            let counted = self.guesses.count((unverified.named.as_bytes(), asker.source), Instant::now());
            counted.map_or_else(Verdict::from, |()| Verdict::Wrong)
        };
        tell(asker, verdict);
    }
}

fn tell(asker: Asker, verdict: Verdict) {
    // An error: nobody waits any more.
    let _ = asker.answer.send(verdict);
}

/// The calling thread yields to those that serve. On Linux a niceness is the thread's; elsewhere it would be all threads'.
fn step_back() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "secrets are verified at the priority of the workers");
    }
}

impl From<TooMany> for Verdict {
    fn from(TooMany { retry_after_seconds }: TooMany) -> Self {
        Self::TooMany { retry_after_seconds }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.0.lock().close();
        self.0.came.notify_all();
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pool")
    }
}

#[cfg(test)]
mod tests;
