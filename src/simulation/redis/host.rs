//! A process of the simulated Redis: its connections, its stalls, its death.
//!
//! Invariants: the commands of one read are executed one after another with nothing between them, as a real server does; a process
//! that has died executes nothing more, whatever still arrives.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, sleep_until};

use super::keyspace::Effect;
use super::machine::{Machine, Now, Outcome};
use super::resp::{Reply, Requests};
use super::session::Session;
use super::truth::{Place, Truth};
use crate::simulation::dice::Dice;
use crate::simulation::stage::{Micros, Stage};
use crate::simulation::wire::{Link, Mischief, Stream};

pub(super) struct Host {
    pub(super) stage: Rc<Stage>,
    pub(super) machine: RefCell<Machine>,
    life: Cell<Life>,
    /// It answers nothing before then.
    stalled_until: Cell<Option<Instant>>,
    /// How far its clock is ahead, in milliseconds.
    pub(super) clock_ahead: Rc<Cell<i64>>,
    links: RefCell<Vec<Rc<Link>>>,
    dice: Dice,
    /// Where the primary's changes are noted; a server that is none notes only who reads from it.
    truth: Rc<Truth>,
    is_primary: Cell<bool>,
    demoted_at: Cell<Micros>,
    /// How far behind its replica is, in microseconds, and how much of the log the replica has.
    pub(super) replica_lag: Cell<Micros>,
    replica_has: Cell<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Alive,
    /// Its connections were reset by the kernel that survived it.
    Dead,
    /// Nobody tells its peers.
    Vanished,
}

impl Host {
    pub(super) fn new(
        stage: Rc<Stage>,
        machine: Machine,
        clock_ahead: Rc<Cell<i64>>,
        dice: Dice,
        truth: Rc<Truth>,
    ) -> Rc<Self> {
        Rc::new(Self {
            stage,
            machine: RefCell::new(machine),
            life: Cell::new(Life::Alive),
            stalled_until: Cell::default(),
            clock_ahead,
            links: RefCell::default(),
            dice,
            truth,
            is_primary: Cell::new(true),
            demoted_at: Cell::default(),
            replica_lag: Cell::new(1000),
            replica_has: Cell::default(),
        })
    }

    pub(super) fn is_alive(&self) -> bool {
        self.life.get() == Life::Alive
    }

    pub(super) fn demote(&self) {
        self.is_primary.set(false);
        self.demoted_at.set(self.stage.now());
        self.machine.borrow_mut().conditions.replica = true;
    }

    /// What it has by now is what is to be believed: it may have been flushed, and keys may have ended, while it was no primary.
    pub(super) fn promote(&self) {
        self.is_primary.set(true);
        self.machine.borrow_mut().conditions.replica = false;
        self.truth.replace(&self.fields(), self.stage.now());
    }

    pub(super) fn stall_until(&self, moment: Instant) {
        self.stalled_until.set(Some(moment));
    }

    /// Kills the process; `silently`: together with its machine, so that nobody tells its peers.
    pub(super) fn die(&self, silently: bool) {
        self.life.set(if silently { Life::Vanished } else { Life::Dead });
        if !silently {
            self.links.borrow_mut().drain(..).for_each(|link| link.reset());
        }
    }

    pub(super) fn now(&self) -> Now {
        let clock = self.stage.unix_millis().saturating_add_signed(self.clock_ahead.get());
        Now { at: self.stage.now(), clock }
    }

    pub(super) fn fields(&self) -> BTreeSet<Place> {
        self.machine.borrow().fields()
    }

    /// Does something to the data, and notes it where this is the primary.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Machine, Now) -> T) -> T {
        let now = self.now();
        let mut machine = self.machine.borrow_mut();
        let logged = machine.log().len();
        let result = change(&mut machine, now);
        if self.is_primary.get() {
            self.truth.note(machine.log()[logged..].iter().map(|(_, effect)| effect), now.at);
        }
        result
    }

    pub(super) fn flush(&self) {
        self.change(|machine, now| machine.effect(Effect::Flush, now));
    }

    /// How many effects the replica has by now.
    pub(super) fn replica_has(&self) -> usize {
        let machine = self.machine.borrow();
        let has = self.stage.now().checked_sub(self.replica_lag.get()).map_or(0, |at| machine.log_at(at));
        self.replica_has.set(self.replica_has.get().max(has));
        self.replica_has.get()
    }

    pub(super) fn greet(&self, link: Rc<Link>) {
        let mut links = self.links.borrow_mut();
        links.retain(|link| !link.is_over());
        links.push(link);
    }

    /// Serves one connection until it ends, or the process does.
    pub(super) async fn serve(self: Rc<Self>, mut stream: Stream) {
        let mut session = Session::new(self.machine.borrow().conditions.password.is_none());
        let mut requests = Requests::default();
        let mut read = vec![0; 16 * 1024];
        let mut repeated = Vec::new();
        loop {
            let Ok(count @ 1..) = stream.read(&mut read).await else { return };
            self.until_running().await;
            requests.feed(&read[..count]);
            let mut replies = Vec::new();
            loop {
                match requests.next() {
                    Ok(Some(words)) => match self.answer(&mut session, &words).await {
                        Some(reply) => replies.push(reply.bytes(session.version)),
                        None => return std::future::pending().await,
                    },
                    Ok(None) => break,
                    Err(_) => return,
                }
            }
            if !self.send(&mut stream, replies, &mut repeated).await {
                return;
            }
        }
    }

    async fn until_running(&self) {
        while let Some(until) = self.stalled_until.get().filter(|until| *until > Instant::now()) {
            sleep_until(until).await;
        }
    }

    /// `None` where the process died first, and nobody is told.
    async fn answer(&self, session: &mut Session, words: &[Vec<u8>]) -> Option<Reply> {
        let begun = Instant::now();
        loop {
            if !self.is_alive() {
                return None;
            }
            if !self.is_primary.get() && words[0].eq_ignore_ascii_case(b"HGET") && words.len() == 3 {
                let at = self.stage.now();
                self.truth.stale_read((words[1].clone(), words[2].clone()), at, at - self.demoted_at.get());
            }
            let in_time =
                |timeout_millis| timeout_millis == 0 || begun.elapsed() < Duration::from_millis(timeout_millis);
            match self.change(|machine, now| machine.execute(session, words, now)) {
                Outcome::Reply(reply) => return Some(reply),
                Outcome::Wait { replicas, timeout_millis } => {
                    let have = u64::from(self.replica_has() >= session.wrote);
                    if have >= replicas || !in_time(timeout_millis) {
                        return Some(Reply::Number(have.cast_signed()));
                    }
                }
                Outcome::Block { timeout_millis } if in_time(timeout_millis) => {}
                Outcome::Block { .. } => return Some(Reply::NilArray),
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Sends the replies to what was read at once; false where that was the end of the connection.
    async fn send(&self, stream: &mut Stream, mut replies: Vec<Vec<u8>>, repeated: &mut Vec<u8>) -> bool {
        if !repeated.is_empty() && !replies.is_empty() {
            if stream.write_all(&std::mem::take(repeated)).await.is_err() {
                return false;
            }
            sleep(self.dice.millis(0, 5)).await;
        }
        let mischief = if replies.is_empty() { None } else { stream.link().mischief.take() };
        let mut cut = false;
        if let Some(mischief) = mischief {
            self.stage.say(format_args!("network: {mischief:?} of {} replies", replies.len()));
            let at = self.dice.below(replies.len());
            match mischief {
                Mischief::Doubled => replies.insert(at, replies[at].clone()),
                Mischief::AllDoubled => replies.extend_from_within(..),
                Mischief::Repeated => *repeated = replies.concat(),
                Mischief::LeftOut => drop(replies.remove(at)),
                Mischief::Replaced => {
                    let other: [&[u8]; 4] = [b"#t\r\n", b"%0\r\n", b"(12345\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"];
                    replies[at] = self.dice.pick(&other).to_vec();
                }
                Mischief::Cut => {
                    replies.truncate(at + 1);
                    let whole = replies[at].len();
                    replies[at].truncate(self.dice.below(whole));
                    cut = true;
                }
                Mischief::Pushed => replies.insert(at, b">2\r\n+message\r\n*1\r\n:1\r\n".to_vec()),
            }
        }
        let sent = stream.write_all(&replies.concat()).await.is_ok();
        sent && !cut
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("life", &self.life).field("is_primary", &self.is_primary).finish_non_exhaustive()
    }
}
