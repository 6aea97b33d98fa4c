//! One simulation, from a seed to its judgement.
//!
//! Invariant: nothing of it depends on anything but the seed: one thread, paused time, no map whose order differs from run to run.

use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::dice::Dice;
use super::faults::{self, Fault, Nemesis};
use super::ledger::{Ledger, Told, What};
use super::node::Node;
use super::redis::primary::Primary;
use super::stage::Stage;
use super::{clients, judge, proofs, registry};
use crate::oauth::secret::Secret;
use crate::store::redis::options::Access;

/// Requests of all clients.
const REQUESTS: usize = 160;
/// The deadline of a request, and what timers are late.
const ANSWERED_WITHIN: u64 = 1_030_000;
/// How often clocks go on.
const TICK: Duration = Duration::from_millis(10);
/// Redis deletes what has ended ten times a second, and otherwise when it is asked for it.
const TICKS_BETWEEN_SWEEPS: u64 = 10;
/// After everything was put right: the longest pause between two attempts to connect, and a few role checks.
const SETTLED_AFTER: Duration = Duration::from_secs(3);
/// Longer than any simulation takes of its own time.
const PATIENCE: Duration = Duration::from_secs(3600);

/// What came of a seed.
#[derive(Debug)]
pub(super) struct Run {
    /// What happened, a line each.
    pub(super) record: String,
    /// Promises that were broken.
    pub(super) breaches: Vec<String>,
    pub(super) told: Tally,
}

/// How often what was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) issued: usize,
    /// Of these, those that a proof bound.
    pub(super) bound: usize,
    pub(super) active: usize,
    pub(super) inactive: usize,
    pub(super) revoked: usize,
    pub(super) refused: usize,
    pub(super) unavailable: usize,
    pub(super) nothing: usize,
}

/// Runs a seed to its end, with the kinds of faults that it draws.
pub(super) fn run(seed: u64) -> Run {
    run_with(seed, &[])
}

/// Runs a seed to its end with these kinds of faults; none: those that it draws.
pub(super) fn run_with(seed: u64, kinds: &[Fault]) -> Run {
    let mut runtime = Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build_local(LocalOptions::default()).unwrap();
    runtime.block_on(async { timeout(PATIENCE, play(seed, kinds)).await.expect("a simulation that does not end") })
}

async fn play(seed: u64, kinds: &[Fault]) -> Run {
    let stage = Rc::new(Stage::new());
    let dice = Dice::new(seed, "play");
    let primary = Primary::new(seed, stage.clone());
    let password = dice.one_in(2).then(|| b"password".to_vec());
    primary.conditions(|on| on.password.clone_from(&password));
    let access = || Access { password: password.as_deref().map(Secret::new), ..Access::default() };
    let node = |number| Node::new(number, seed, stage.clone(), primary.clone(), access());
    let nodes: Vec<Rc<Node>> = (1..3 + dice.below(2)).map(node).collect();
    nodes.iter().for_each(|node| node.start());
    let ledger = Ledger::new(stage.clone());

    let kinds = if kinds.is_empty() { faults::draw_kinds(&dice) } else { kinds.to_vec() };
    stage.say(format_args!("seed {seed}: {} nodes, faults: {kinds:?}", nodes.len()));

    let mut clocks = JoinSet::new();
    clocks.spawn_local(go_on(primary.clone(), nodes.clone()));
    let nemesis = |name| Nemesis {
        dice: Dice::new(seed, name),
        stage: stage.clone(),
        nodes: nodes.clone(),
        primary: primary.clone(),
        password: password.clone(),
        kinds: kinds.clone(),
    };
    let (one, other) = (nemesis("nemesis"), nemesis("another nemesis"));
    let two_at_once = dice.one_in(3);
    let mut working = JoinSet::new();
    let count = 2 + dice.below(5);
    for number in 0..count {
        let dice = Dice::new(seed, &format!("client {number}"));
        working.spawn_local(clients::work(dice, nodes.clone(), ledger.clone(), REQUESTS / count));
    }
    tokio::select! {
        biased;
        () = async { while let Some(ended) = working.join_next().await { ended.unwrap() } } => {}
        () = one.work() => {}
        () = other.work(), if two_at_once => {}
    }
    one.heal();
    sleep(SETTLED_AFTER).await;
    take_stock(&dice, &nodes, &ledger).await;

    judge_times(&ledger);
    let mut breaches = judge::breaches(&ledger, &primary.truth);
    if nodes.iter().all(|node| node.was_always_on_time()) && !kinds.contains(&Fault::RedisClockSteps) {
        breaches.extend(proofs::breaches(&ledger));
    }
    nodes.iter().for_each(|node| node.crash());
    Run { record: stage.record(), breaches, told: Tally::of(&ledger) }
}

/// Time passes for clocks and for keys that end.
async fn go_on(primary: Rc<Primary>, nodes: Vec<Rc<Node>>) {
    for tick in 0_u64.. {
        nodes.iter().for_each(|node| node.tick());
        if tick.is_multiple_of(TICKS_BETWEEN_SWEEPS) {
            primary.expire();
        }
        sleep(TICK).await;
    }
}

/// With everything put right, every node answers everything, and so truly: what no fault excuses any more.
async fn take_stock(dice: &Dice, nodes: &[Rc<Node>], ledger: &Ledger) {
    let ask = async |what| {
        let node = dice.pick(nodes);
        let told = ledger.ask(node, what).await;
        if matches!(told, Told::Unavailable | Told::Nothing) {
            ledger.breach(format_args!("node {}: {what:?} gets {told:?} though all is put right", node.number));
        }
        told
    };
    // Every grant that there is: one that Redis had lost, with no record that named it lost as well, is back by then.
    for client in 0..registry::CLIENTS.len() {
        join_all((0..registry::SCOPES.len()).map(|scope| ask(What::Issue { client, scope }))).await;
    }
    let tokens = ledger.token_count();
    join_all((0..tokens).map(What::Introspect).map(ask)).await;
    let doomed: Vec<usize> = (0..tokens).filter(|_| dice.one_in(4)).collect();
    join_all(doomed.iter().map(|token| ask(What::Revoke(*token)))).await;
    let told = join_all(doomed.iter().map(|token| ask(What::Introspect(*token)))).await;
    for (token, _) in doomed.iter().zip(told).filter(|(_, told)| *told != Told::Inactive) {
        ledger.breach(format_args!("token {token} is not inactive though it was revoked in peace"));
    }
}

/// Every request is answered by its deadline, whatever happens.
fn judge_times(ledger: &Ledger) {
    for event in ledger.events.borrow().iter().filter(|event| event.ended - event.begun > ANSWERED_WITHIN) {
        ledger.breaches.borrow_mut().push(format!("answered late: {event}"));
    }
}

impl Tally {
    fn of(ledger: &Ledger) -> Self {
        let mut tally = Self::default();
        for event in ledger.events.borrow().iter() {
            tally.bound += usize::from(matches!((event.what, &event.told), (What::Prove(_), Told::Issued(_))));
            *match event.told {
                Told::Issued(_) => &mut tally.issued,
                Told::Active { .. } => &mut tally.active,
                Told::Inactive => &mut tally.inactive,
                Told::Revoked => &mut tally.revoked,
                Told::Refused => &mut tally.refused,
                Told::Unavailable => &mut tally.unavailable,
                Told::Nothing => &mut tally.nothing,
            } += 1;
        }
        tally
    }

    pub(super) fn add(&mut self, other: Self) {
        self.issued += other.issued;
        self.bound += other.bound;
        self.active += other.active;
        self.inactive += other.inactive;
        self.revoked += other.revoked;
        self.refused += other.refused;
        self.unavailable += other.unavailable;
        self.nothing += other.nothing;
    }
}
