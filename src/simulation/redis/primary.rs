//! The address under which a primary is found, and what operators, failovers and power cuts do behind it.
//!
//! Invariant: at any moment one process is the primary whose data the service is to believe; what changes when another takes its
//! place is noted as lost or revived.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, ErrorKind};
use std::rc::Rc;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::host::Host;
use super::machine::{Conditions, Machine};
use super::truth::Truth;
use crate::simulation::dice::Dice;
use crate::simulation::stage::{Micros, Stage};
use crate::simulation::wire::{Link, Stream, Weather};

pub(in crate::simulation) struct Primary {
    stage: Rc<Stage>,
    seed: u64,
    dice: Dice,
    pub(in crate::simulation) truth: Rc<Truth>,
    host: RefCell<Rc<Host>>,
    clock_ahead: Rc<Cell<i64>>,
    processes: Cell<u64>,
    serving: RefCell<JoinSet<()>>,
}

/// What a server that comes back still has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::simulation) enum Kept {
    All,
    /// All but what was written in the last so many microseconds.
    AllBut(Micros),
    Nothing,
}

impl Primary {
    pub(in crate::simulation) fn new(seed: u64, stage: Rc<Stage>) -> Rc<Self> {
        let (dice, truth) = (Dice::new(seed, "redis"), Rc::<Truth>::default());
        let clock_ahead = Rc::<Cell<i64>>::default();
        let machine = Machine::new(hex(&dice), hex(&dice));
        let host = Host::new(stage.clone(), machine, clock_ahead.clone(), Dice::new(seed, "host 1"), truth.clone());
        Rc::new(Self {
            stage,
            seed,
            dice,
            truth,
            host: RefCell::new(host),
            clock_ahead,
            processes: Cell::new(1),
            serving: RefCell::new(JoinSet::new()),
        })
    }

    pub(in crate::simulation) fn is_alive(&self) -> bool {
        self.host().is_alive()
    }

    fn host(&self) -> Rc<Host> {
        self.host.borrow().clone()
    }

    /// Opens a connection to whoever is the primary now.
    pub(in crate::simulation) async fn connect(&self, weather: &Rc<Weather>) -> io::Result<Stream> {
        sleep(weather.draw_delay()).await;
        if !weather.new_connections.get() {
            // Packets get lost: the caller will give up.
            return std::future::pending().await;
        }
        let host = self.host();
        if !host.is_alive() {
            return Err(ErrorKind::ConnectionRefused.into());
        }
        let (link, ours, theirs) = Link::open(weather.clone());
        host.greet(link);
        let mut serving = self.serving.borrow_mut();
        while let Some(ended) = serving.try_join_next() {
            ended.unwrap();
        }
        serving.spawn_local(host.serve(theirs));
        Ok(ours)
    }

    /// Changes what is wrong with the server.
    pub(in crate::simulation) fn conditions(&self, change: impl FnOnce(&mut Conditions)) {
        change(&mut self.host().machine.borrow_mut().conditions);
    }

    pub(in crate::simulation) fn stall_until(&self, moment: Instant) {
        self.host().stall_until(moment);
    }

    pub(in crate::simulation) fn crash(&self, silently: bool) {
        self.host().die(silently);
    }

    /// Starts the process again, if it has died.
    pub(in crate::simulation) fn restart(&self, kept: Kept) {
        let host = self.host();
        if host.is_alive() {
            return;
        }
        let machine = {
            let machine = host.machine.borrow();
            let written = match kept {
                Kept::All => machine.log().len(),
                Kept::AllBut(micros) => self.stage.now().checked_sub(micros).map_or(0, |at| machine.log_at(at)),
                Kept::Nothing => 0,
            };
            // One that had a log keeps its replication id only in a file that is written when it ends well.
            machine.restarted(written, hex(&self.dice), hex(&self.dice))
        };
        self.take_over(machine);
    }

    /// The replica becomes the primary, with as much as it has. The old primary dies, or lives on as a replica whose data stand still.
    pub(in crate::simulation) fn fail_over(&self, old_one_lives: bool) {
        let host = self.host();
        let has = host.replica_has();
        let machine = host.machine.borrow().restarted(has, hex(&self.dice), hex(&self.dice));
        if old_one_lives {
            host.demote();
        } else {
            host.die(self.dice.one_in(2));
        }
        self.take_over(machine);
    }

    fn take_over(&self, machine: Machine) {
        let number = self.processes.get() + 1;
        self.processes.set(number);
        let dice = Dice::new(self.seed, &format!("host {number}"));
        let host = Host::new(self.stage.clone(), machine, self.clock_ahead.clone(), dice, self.truth.clone());
        let (lost, revived) = self.truth.replace(&host.fields(), self.stage.now());
        self.stage.say(format_args!("redis: process {number} serves; {lost} records lost, {revived} revived"));
        *self.host.borrow_mut() = host;
    }

    /// A replica that lags behind by so much from now on.
    pub(in crate::simulation) fn lag(&self, micros: Micros) {
        self.host().replica_has();
        self.host().replica_lag.set(micros);
    }

    pub(in crate::simulation) fn demote(&self) {
        self.host().demote();
    }

    pub(in crate::simulation) fn promote(&self) {
        self.host().promote();
    }

    pub(in crate::simulation) fn flush(&self) {
        self.host().flush();
    }

    pub(in crate::simulation) fn step_clock(&self, millis: i64) {
        self.clock_ahead.set(self.clock_ahead.get() + millis);
    }

    /// Lets keys end whose time has come.
    pub(in crate::simulation) fn expire(&self) {
        let host = self.host();
        if host.is_alive() {
            host.change(|machine, now| machine.expire(now));
        }
    }
}

fn hex(dice: &Dice) -> String {
    format!("{:016x}{:016x}{:08x}", dice.draw(), dice.draw(), dice.draw() >> 32)
}

impl fmt::Debug for Primary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Primary").field("host", &self.host).finish_non_exhaustive()
    }
}
