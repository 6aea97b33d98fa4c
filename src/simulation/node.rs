//! A node of the service, whole but for its sockets: router, endpoints, actors, the store in Redis and its connection, all as they are
//! shipped, on a clock, a source of randomness and a network that the simulation holds.
//!
//! Invariant: a node that dies takes with it whatever its tasks were doing; who had asked it learns nothing.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use super::dice::Dice;
use super::redis::primary::Primary;
use super::registry;
use super::stage::{Micros, Stage};
use super::wire::{Stream, Weather};
use crate::clock::{Clock, Reading, ServiceTime, StepWatch};
use crate::http::router::Router;
use crate::http::testing::{Answer, ask_directly, limits, shared};
use crate::random::Random;
use crate::store::journal::Journal;
use crate::store::observer::{StoreLost, StoreObserver, StoreWarning};
use crate::store::redis::RedisStore;
use crate::store::redis::connector::Connector;
use crate::store::redis::journal::RedisJournal;
use crate::store::redis::options::{Access, RedisOptions};
use crate::store::watched::WatchedStore;
use crate::telemetry::exporter::Exporter;
use crate::telemetry::labels::{Label, RecordRefusal, StoreErrorKind, StoreOperation};
use crate::telemetry::metrics::Metrics;
use crate::worker::House;

/// How long one trip to Redis may take.
pub(super) const OPERATION_TIMEOUT: Duration = Duration::from_millis(250);

/// How often the service looks at its machine's clock.
const BETWEEN_LOOKS: i64 = 1_000_000;

pub(super) struct Node {
    pub(super) number: usize,
    stage: Rc<Stage>,
    dice: Dice,
    primary: Rc<Primary>,
    pub(super) weather: Rc<Weather>,
    options: RedisOptions,
    clock: Clock,
    /// How far its machine's clock is ahead, in milliseconds.
    ahead: Cell<i64>,
    /// What the service makes of that, as [`Clock::Service`] does: how far it is off, and what it showed where that changed.
    service_time: RefCell<(ServiceTime, StepWatch)>,
    next_look: Cell<i64>,
    off: Cell<i64>,
    readings: RefCell<Vec<(Micros, u64)>>,
    life: RefCell<Option<Life>>,
}

struct Life {
    router: Rc<Router>,
    ended: Rc<Notify>,
    /// Its tasks end with it.
    _house: House,
}

impl Node {
    /// A node that does not run yet.
    pub(super) fn new(number: usize, seed: u64, stage: Rc<Stage>, primary: Rc<Primary>, access: Access) -> Rc<Self> {
        let options = RedisOptions {
            operation_timeout: OPERATION_TIMEOUT,
            ttl_seconds_max: registry::TTL_SECONDS_MAX,
            ..RedisOptions::parse_url("redis://redis.example:6379").unwrap()
        };
        options.access.store(Arc::new(access));
        let clock = Clock::simulated(stage.unix_millis());
        Rc::new(Self {
            number,
            dice: Dice::new(seed, &format!("node {number}")),
            weather: Weather::fair(Dice::new(seed, &format!("weather {number}"))),
            stage,
            primary,
            options,
            clock,
            ahead: Cell::default(),
            service_time: RefCell::new((ServiceTime::new(Reading::default()), StepWatch::default())),
            next_look: Cell::default(),
            off: Cell::default(),
            readings: RefCell::default(),
            life: RefCell::default(),
        })
    }

    /// Starts the process.
    pub(super) fn start(&self) {
        *self.service_time.borrow_mut() = (ServiceTime::new(self.machine_clocks()), StepWatch::default());
        self.tick();
        let random = Random::seeded(self.dice.draw());
        let keys = Arc::new(ArcSwap::from_pointee(registry::keys()));
        let witness = Rc::new(Witness { number: self.number, stage: self.stage.clone() });
        let connector = SimulatedNetwork { primary: self.primary.clone(), weather: self.weather.clone() };
        // What a process knows ends with it.
        let journal = Journal::in_memory(&random, self.clock.clone(), registry::TTL_SECONDS_MAX);
        let options = RedisOptions { journal: Arc::new(RedisJournal::new(journal)), ..self.options.clone() };
        let (store, connection) = RedisStore::start_with(
            connector,
            options,
            keys.clone(),
            self.clock.clone(),
            random.clone(),
            witness.clone(),
        );
        let shared = shared("https://as.example", limits(), keys, self.clock.clone(), metrics());
        let clients = Arc::new(ArcSwap::from_pointee(registry::clients()));
        let mut house = House::open(WatchedStore::new(store, witness), clients, random, Arc::new(shared));
        house.keep("the connection to Redis", connection);
        let router = Router::public(house.services.clone());
        *self.life.borrow_mut() = Some(Life { router, ended: Rc::default(), _house: house });
        self.stage.say(format_args!("node {}: starts", self.number));
    }

    /// Kills the process, if it runs.
    pub(super) fn crash(&self) {
        if let Some(life) = self.life.borrow_mut().take() {
            self.stage.say(format_args!("node {}: dies", self.number));
            life.ended.notify_waiters();
        }
    }

    pub(super) fn runs(&self) -> bool {
        self.life.borrow().is_some()
    }

    /// Asks it; `None` where it does not run, or dies before it has answered.
    pub(super) async fn ask(&self, path: &str, authorization: &str, proof: Option<&str>, form: &str) -> Option<Answer> {
        let (router, ended) = {
            let life = self.life.borrow();
            let Life { router, ended, .. } = life.as_ref()?;
            (router.clone(), ended.clone())
        };
        tokio::select! {
            biased;
            () = ended.notified() => None,
            answer = ask_directly(&router, path, authorization, proof, form) => Some(answer),
        }
    }

    /// Lets its clock show what time it is, as far as the service believes its machine.
    pub(super) fn tick(&self) {
        let Clock::Simulated(shows) = &self.clock else { return };
        let read = self.machine_clocks();
        let (time, watch) = &mut *self.service_time.borrow_mut();
        if read.running >= self.next_look.get() {
            watch.look(time, read);
            self.next_look.set(read.running + BETWEEN_LOOKS);
        }
        let (before, now) = (self.unix_millis(), u64::try_from(time.at(read.running) / 1000).unwrap());
        shows.store(now, Ordering::Release);
        let off = now.cast_signed() - self.stage.unix_millis().cast_signed();
        if self.off.replace(off) != off {
            self.readings.borrow_mut().extend([(self.stage.now(), before), (self.stage.now(), now)]);
        }
    }

    /// The machine's clock, which may be put to anything, and the one that never steps.
    fn machine_clocks(&self) -> Reading {
        let wall = (self.stage.unix_millis().cast_signed() + self.ahead.get()) * 1000;
        Reading { wall, running: i64::try_from(self.stage.now() / 1000 * 1000).unwrap() }
    }

    pub(super) fn unix_millis(&self) -> u64 {
        self.clock.unix_millis()
    }

    pub(super) fn is_on_time(&self) -> bool {
        self.off.get() == 0
    }

    /// Whether its clock showed the true time from the beginning.
    pub(super) fn was_always_on_time(&self) -> bool {
        self.readings.borrow().is_empty()
    }

    /// Puts the clock of its machine ahead of the true time by so much.
    pub(super) fn set_clock_ahead(&self, millis: i64) {
        self.ahead.set(millis);
    }

    /// The least and the most that its clock has shown since `from`, where it showed `at_first`.
    pub(super) fn shown_since(&self, from: Micros, at_first: u64) -> (u64, u64) {
        let readings = self.readings.borrow();
        let stepped = readings.iter().filter(|(at, _)| *at >= from).map(|(_, shown)| *shown);
        let all = stepped.chain([at_first, self.unix_millis()]);
        all.fold((u64::MAX, 0), |(least, most), shown| (least.min(shown), most.max(shown)))
    }
}

/// Opens connections of the simulation.
struct SimulatedNetwork {
    primary: Rc<Primary>,
    weather: Rc<Weather>,
}

impl Connector for SimulatedNetwork {
    type Stream = Stream;

    async fn connect(&self) -> io::Result<Stream> {
        let stream = self.primary.connect(&self.weather).await?;
        self.weather.opened(stream.link());
        Ok(stream)
    }
}

/// Writes down what a node's store reports.
struct Witness {
    number: usize,
    stage: Rc<Stage>,
}

impl Witness {
    fn say(&self, what: impl fmt::Display) {
        self.stage.say(format_args!("node {}: {what}", self.number));
    }
}

impl StoreObserver for Witness {
    fn lost(&self, reason: &StoreLost) {
        self.say(format_args!("store lost: {reason}"));
    }

    fn back(&self) {
        self.say("store back");
    }

    fn warning(&self, warning: &StoreWarning) {
        self.say(warning);
    }

    fn eviction_policy(&self, safe: bool) {
        if !safe {
            self.say("redis may evict");
        }
    }

    fn operation(&self, operation: StoreOperation, batch_size: usize, took: Duration) {
        self.say(format_args!("{} of {batch_size} took {took:?}", operation.as_str()));
    }

    fn failed(&self, operation: StoreOperation, kind: StoreErrorKind, items: u64) {
        self.say(format_args!("{} failed: {} of {items}", operation.as_str(), kind.as_str()));
    }

    fn refused(&self, refusal: RecordRefusal) {
        self.say(format_args!("record refused: {}", refusal.as_str()));
    }

    fn forgot_uses(&self) {
        self.say("redis may have forgotten uses");
    }
}

/// What all simulations of a thread count into, and nobody reads.
fn metrics() -> Arc<Metrics> {
    thread_local! {
        static METRICS: Arc<Metrics> = Arc::new(Exporter::new("0", "0").register(1));
    }
    METRICS.with(Arc::clone)
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("number", &self.number).field("runs", &self.runs()).finish_non_exhaustive()
    }
}
