//! What one connection is doing and since when: cells that the connection writes and the worker's sweep reads.
//!
//! Invariant: whatever a connection waits for, one of the timers runs: until a TLS handshake is over the handshake's, before and
//! between requests the idle time, in a head the head's time, in a body the body's, in a write the write stall's; while an endpoint works its deadline stands for them. A timer
//! never fires early and is late by two sweeps at most.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;

use super::frames::Unfinished;

/// How often a worker looks at its connections.
pub(crate) const SWEEP_INTERVAL: Duration = Duration::from_millis(100);

/// How long an answer may wait for a client that does not read.
const WRITE_STALL: Duration = Duration::from_secs(10);

/// How long a connection that we close is still read: closed with unread bytes, the kernel would send a reset, and the client could
/// lose the answer before it.
const LINGER: Duration = Duration::from_secs(1);

/// Milliseconds since the worker began, as its last sweep found them.
#[derive(Clone, Debug, Default)]
pub(crate) struct CoarseClock(Rc<Cell<u64>>);

/// The times that a listener's connections have (`[limits]`).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timers {
    pub(crate) idle: Duration,
    pub(crate) head: Duration,
    pub(crate) body: Duration,
    /// From accept, where TLS is spoken.
    pub(crate) handshake: Duration,
}

/// What a connection was told. It only ever goes down this list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Order {
    /// Nothing.
    Serve,
    /// Let the next answer be the last.
    Leave,
    /// The same, and do not wait for a next one if none has begun.
    LeaveIfIdle,
    /// End at once.
    Cut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Before or between requests, and no byte of the next one has come.
    Idle,
    /// Bytes of a TLS handshake have come.
    Handshake,
    /// Bytes have come, and no request yet.
    Head,
    /// Requests are under way.
    Answering,
    /// Our side is closed, the client's not yet.
    Lingering,
}

/// One connection's cells. Times are those of the [`CoarseClock`].
pub(crate) struct Activity {
    clock: CoarseClock,
    phase: Cell<Phase>,
    since: Cell<u64>,
    handshake_since: Cell<Option<u64>>,
    handshake_overdue: Cell<bool>,
    requests: Cell<u32>,
    body_since: Cell<Option<u64>>,
    body_overdue: Cell<bool>,
    stalled_since: Cell<Option<u64>>,
    /// HTTP/2: a frame has begun and not ended.
    unfinished: Cell<(Unfinished, u64)>,
    /// Answers that have been given and not taken, and since when none was.
    unsent: Cell<(u32, u64)>,
    leave_at: u64,
    order: Cell<(Order, u64)>,
    multiplexed: Cell<bool>,
    lingered: Cell<bool>,
    over: Cell<bool>,
    task: RefCell<Option<Waker>>,
}

/// A request under way, from its head until its answer is taken; dropped, it is not any more.
#[derive(Debug)]
pub(crate) struct Underway {
    activity: Rc<Activity>,
    answered: bool,
}

impl CoarseClock {
    pub(crate) fn now(&self) -> u64 {
        self.0.get()
    }

    pub(crate) fn set(&self, since_start: Duration) {
        self.0.set(u64::try_from(since_start.as_millis()).unwrap_or(u64::MAX));
    }
}

impl Activity {
    /// A connection that has just been opened. `age`: after which it is asked to leave.
    pub(crate) fn new(clock: CoarseClock, age: Option<Duration>) -> Rc<Self> {
        let now = clock.now();
        Rc::new(Self {
            clock,
            phase: Cell::new(Phase::Idle),
            since: Cell::new(now),
            handshake_since: Cell::new(None),
            handshake_overdue: Cell::new(false),
            requests: Cell::new(0),
            body_since: Cell::new(None),
            body_overdue: Cell::new(false),
            stalled_since: Cell::new(None),
            unfinished: Cell::new((Unfinished::Nothing, now)),
            unsent: Cell::new((0, now)),
            leave_at: age.map_or(u64::MAX, |age| now.saturating_add(millis(age))),
            order: Cell::new((Order::Serve, now)),
            multiplexed: Cell::new(false),
            lingered: Cell::new(false),
            over: Cell::new(false),
            task: RefCell::default(),
        })
    }

    fn enter(&self, phase: Phase) {
        self.phase.set(phase);
        self.since.set(self.clock.now());
    }

    /// A TLS handshake must be over in its time, which runs from now.
    pub(crate) fn handshake_awaited(&self) {
        self.handshake_since.set(Some(self.clock.now()));
    }

    /// Its first byte has come: the connection is idle no more.
    pub(crate) fn handshake_began(&self) {
        self.enter(Phase::Handshake);
    }

    /// Its last byte has come.
    pub(crate) fn handshake_over(&self) {
        self.handshake_since.set(None);
        self.enter(Phase::Idle);
    }

    /// Whether the handshake awaited is overdue.
    pub(crate) fn handshake_is_overdue(&self) -> bool {
        self.handshake_overdue.get()
    }

    /// It speaks HTTP/2: bytes are no sign of a request there.
    pub(crate) fn is_multiplexed(&self) {
        self.multiplexed.set(true);
        self.enter(Phase::Idle);
    }

    /// Bytes were read.
    pub(crate) fn bytes_came(&self) {
        if self.phase.get() == Phase::Idle && !self.multiplexed.get() {
            self.enter(Phase::Head);
        }
    }

    /// HTTP/2: whether a frame ended among the bytes that were read, and what is unfinished behind them.
    pub(crate) fn frames_came(&self, ended: bool, unfinished: Unfinished) {
        if ended || self.unfinished.get().0 != unfinished {
            self.unfinished.set((unfinished, self.clock.now()));
        }
    }

    /// The time, as the last sweep found it.
    pub(crate) fn now(&self) -> u64 {
        self.clock.now()
    }

    /// Whether it speaks HTTP/2.
    pub(crate) fn speaks_http2(&self) -> bool {
        self.multiplexed.get()
    }

    /// A write went through.
    pub(crate) fn write_went(&self) {
        self.stalled_since.set(None);
    }

    /// A write could not go on.
    pub(crate) fn write_stalled(&self) {
        if self.stalled_since.get().is_none() {
            self.stalled_since.set(Some(self.clock.now()));
        }
    }

    /// Our side is closed; what still comes is thrown away.
    pub(crate) fn lingers(&self) {
        if self.phase.get() != Phase::Lingering {
            self.enter(Phase::Lingering);
        }
    }

    /// Whether that has gone on for long enough.
    pub(crate) fn has_lingered(&self) -> bool {
        self.lingered.get()
    }

    /// A request's head is whole.
    pub(crate) fn request_began(self: &Rc<Self>) -> Underway {
        self.requests.set(self.requests.get() + 1);
        self.enter(Phase::Answering);
        Underway { activity: self.clone(), answered: false }
    }

    /// HTTP/1.1: its body is waited for, or not any more.
    pub(crate) fn body_awaited(&self, awaited: bool) {
        self.body_since.set(awaited.then(|| self.clock.now()));
        self.body_overdue.set(false);
    }

    /// Whether the body waited for is overdue.
    pub(crate) fn body_is_overdue(&self) -> bool {
        self.body_overdue.get()
    }

    fn unsent_changed(&self, change: impl FnOnce(u32) -> u32) {
        self.unsent.set((change(self.unsent.get().0), self.clock.now()));
    }

    /// Whether it waits for the first byte of a request.
    pub(crate) fn is_idle(&self) -> bool {
        self.phase.get() == Phase::Idle && self.stalled_since.get().is_none() && !self.over.get()
    }

    /// Since when it is in its phase.
    pub(crate) fn since(&self) -> u64 {
        self.since.get()
    }

    /// What it was told.
    pub(crate) fn order(&self) -> Order {
        self.order.get().0
    }

    /// Tells it, unless it was told more already.
    pub(crate) fn tell(&self, order: Order) {
        if order > self.order() {
            self.order.set((order, self.clock.now()));
            self.wake();
        }
    }

    /// The task to wake when it is told something.
    pub(crate) fn watch(&self, waker: &Waker) {
        let mut task = self.task.borrow_mut();
        if !task.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *task = Some(waker.clone());
        }
    }

    fn wake(&self) {
        if let Some(task) = &*self.task.borrow() {
            task.wake_by_ref();
        }
    }

    /// The connection has ended.
    pub(crate) fn end(&self) {
        self.over.set(true);
        self.task.take();
    }

    /// Whether the connection has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.over.get()
    }

    /// Holds the connection to its timers.
    pub(crate) fn sweep(&self, timers: &Timers) {
        let now = self.clock.now();
        // What began right after a sweep bears that sweep's time, so a sweep more must pass.
        let passed = |since: u64, limit: Duration| now.saturating_sub(since) > millis(limit) + millis(SWEEP_INTERVAL);
        let (order, told_at) = self.order.get();
        let since = self.since.get();
        let (unfinished, unfinished_since) = self.unfinished.get();
        let (unsent, unsent_since) = self.unsent.get();
        let overdue = match unfinished {
            Unfinished::Nothing => false,
            Unfinished::Head => passed(unfinished_since, timers.head),
            Unfinished::Body => passed(unfinished_since, timers.body),
        };
        if self.handshake_since.get().is_some_and(|since| passed(since, timers.handshake)) {
            self.handshake_overdue.set(true);
            return self.tell(Order::Cut);
        }
        let stalled = self.stalled_since.get().is_some_and(|since| passed(since, WRITE_STALL));
        if overdue || stalled || (unsent > 0 && passed(unsent_since, WRITE_STALL)) {
            return self.tell(Order::Cut);
        }
        match self.phase.get() {
            Phase::Idle if order == Order::LeaveIfIdle && passed(told_at.max(since), LINGER) => self.tell(Order::Cut),
            Phase::Idle if passed(since, timers.idle) => self.tell(Order::LeaveIfIdle),
            Phase::Head if passed(since, timers.head) => self.tell(Order::Cut),
            Phase::Lingering if self.lingered.get() => self.tell(Order::Cut),
            Phase::Lingering if passed(since, LINGER) => {
                self.lingered.set(true);
                self.wake();
            }
            Phase::Answering if self.body_since.get().is_some_and(|since| passed(since, timers.body)) => {
                self.body_since.set(None);
                self.body_overdue.set(true);
                self.wake();
            }
            Phase::Idle | Phase::Handshake | Phase::Head | Phase::Lingering | Phase::Answering => {}
        }
        if now >= self.leave_at {
            self.tell(Order::Leave);
        }
    }
}

impl Underway {
    /// The answer is given, and not yet taken.
    pub(crate) fn answered(mut self) -> Self {
        self.answered = true;
        self.activity.unsent_changed(|unsent| unsent + 1);
        self
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        let activity = &self.activity;
        if self.answered {
            activity.unsent_changed(|unsent| unsent - 1);
        }
        let left = activity.requests.get() - 1;
        activity.requests.set(left);
        if left == 0 && activity.phase.get() == Phase::Answering {
            activity.enter(Phase::Idle);
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4)
}

impl fmt::Debug for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Activity")
            .field("phase", &self.phase.get())
            .field("since", &self.since.get())
            .field("order", &self.order())
            .finish_non_exhaustive()
    }
}
