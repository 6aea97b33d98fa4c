//! What goes wrong in a simulation, when, and for how long: drawn from the seed.
//!
//! Each seed has its own few kinds of faults, so that some of them meet often rather than all of them rarely.

use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::dice::Dice;
use super::node::Node;
use super::redis::primary::{Kept, Primary};
use super::stage::Stage;
use super::wire::Mischief;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// All connections of a node break.
    ConnectionsBreak,
    /// The network between a node and Redis holds everything back for a while.
    NetworkHolds,
    /// And brings no new connection about.
    NetworkIsCut,
    /// One connection brings nothing any more, or only much later, while new ones work.
    ConnectionHangs,
    NetworkIsSlow,
    BytesComeInPieces,
    RepliesAreMangled,
    RedisStalls,
    RedisCrashes,
    /// Its machine too: nobody resets its connections.
    RedisVanishes,
    RedisFailsOver,
    /// The old primary goes on to answer, as a replica.
    RedisIsDemoted,
    /// It is a replica for a while, and then primary again.
    RedisStepsBack,
    RedisIsFlushed,
    RedisIsFull,
    RedisCannotSave,
    RedisLacksReplicas,
    PasswordIsChanged,
    RedisClockSteps,
    NodeClockSteps,
    NodeCrashes,
}

const ALL: [Fault; 21] = [
    Fault::ConnectionsBreak,
    Fault::NetworkHolds,
    Fault::NetworkIsCut,
    Fault::ConnectionHangs,
    Fault::NetworkIsSlow,
    Fault::BytesComeInPieces,
    Fault::RepliesAreMangled,
    Fault::RedisStalls,
    Fault::RedisCrashes,
    Fault::RedisVanishes,
    Fault::RedisFailsOver,
    Fault::RedisIsDemoted,
    Fault::RedisStepsBack,
    Fault::RedisIsFlushed,
    Fault::RedisIsFull,
    Fault::RedisCannotSave,
    Fault::RedisLacksReplicas,
    Fault::PasswordIsChanged,
    Fault::RedisClockSteps,
    Fault::NodeClockSteps,
    Fault::NodeCrashes,
];

const MISCHIEF: [Mischief; 7] = [
    Mischief::Doubled,
    Mischief::AllDoubled,
    Mischief::Repeated,
    Mischief::LeftOut,
    Mischief::Replaced,
    Mischief::Cut,
    Mischief::Pushed,
];

const EVER: Duration = Duration::from_secs(3600);

/// Lets things go wrong, until it is dropped.
pub(super) struct Nemesis {
    pub(super) dice: Dice,
    pub(super) stage: Rc<Stage>,
    pub(super) nodes: Vec<Rc<Node>>,
    pub(super) primary: Rc<Primary>,
    pub(super) password: Option<Vec<u8>>,
    pub(super) kinds: Vec<Fault>,
}

/// The kinds of a seed.
pub(super) fn draw_kinds(dice: &Dice) -> Vec<Fault> {
    (0..1 + dice.below(6)).map(|_| *dice.pick(&ALL)).collect()
}

impl Nemesis {
    pub(super) async fn work(&self) {
        let (shortest, longest) = *self.dice.pick(&[(50, 400), (200, 1500), (1000, 4000)]);
        loop {
            sleep(self.dice.millis(shortest, longest)).await;
            let fault = *self.dice.pick(&self.kinds);
            let node = self.dice.pick(&self.nodes).clone();
            let lasts = self.dice.millis(1, *self.dice.pick(&[30, 300, 1500, 4000]));
            self.stage.say(format_args!("fault: {fault:?} (node {}) for {lasts:?}", node.number));
            self.happen(fault, &node, lasts).await;
        }
    }

    /// Puts everything right again.
    pub(super) fn heal(&self) {
        self.stage.say("all is put right");
        for node in &self.nodes {
            node.weather.clear();
            node.set_clock_ahead(0);
            // One that was started while its machine's clock was wrong would not believe for a minute that it is right again.
            if !node.is_on_time() {
                node.crash();
            }
            if !node.runs() {
                node.start();
            }
        }
        if !self.primary.is_alive() {
            self.primary.restart(Kept::All);
        }
        self.primary.promote();
        self.primary.stall_until(Instant::now());
        self.primary.lag(1000);
        self.primary.conditions(|on| {
            (on.full, on.misconfigured, on.too_few_replicas, on.loading) = (false, false, false, false);
            on.password.clone_from(&self.password);
        });
    }

    async fn happen(&self, fault: Fault, node: &Node, lasts: Duration) {
        let weather = &node.weather;
        match fault {
            Fault::ConnectionsBreak => weather.links().iter().for_each(|link| link.reset()),
            Fault::NetworkHolds | Fault::NetworkIsCut => {
                weather.held_until.set(Some(Instant::now() + lasts));
                weather.links().iter().for_each(|link| link.hold_until(Instant::now() + lasts));
                weather.new_connections.set(fault == Fault::NetworkHolds);
                sleep(lasts).await;
                weather.clear();
            }
            Fault::ConnectionHangs => {
                let lasts = if self.dice.one_in(3) { EVER } else { lasts };
                weather.links().iter().for_each(|link| link.hold_until(Instant::now() + lasts));
            }
            Fault::NetworkIsSlow => {
                let low = self.dice.between(1, 180_000);
                weather.delay.set((low, 2 * low));
                sleep(lasts).await;
                weather.clear();
            }
            Fault::BytesComeInPieces => {
                weather.sliced.set(true);
                sleep(lasts).await;
                weather.clear();
            }
            Fault::RepliesAreMangled => {
                weather.links().iter().for_each(|link| link.mischief.set(Some(*self.dice.pick(&MISCHIEF))));
            }
            Fault::NodeClockSteps => {
                node.set_clock_ahead(self.draw_step());
                sleep(lasts).await;
                node.set_clock_ahead(0);
            }
            Fault::NodeCrashes => {
                node.crash();
                sleep(lasts).await;
                node.start();
            }
            _ => self.happen_to_redis(fault, lasts).await,
        }
    }

    async fn happen_to_redis(&self, fault: Fault, lasts: Duration) {
        let primary = &self.primary;
        match fault {
            Fault::RedisStalls => primary.stall_until(Instant::now() + lasts),
            Fault::RedisCrashes | Fault::RedisVanishes => {
                primary.crash(fault == Fault::RedisVanishes);
                sleep(lasts).await;
                primary.restart(*self.dice.pick(&[
                    Kept::All,
                    Kept::AllBut(self.dice.between(0, 2_000_000)),
                    Kept::Nothing,
                ]));
                if self.dice.one_in(2) {
                    primary.conditions(|on| on.loading = true);
                    sleep(self.dice.millis(1, 1000)).await;
                    primary.conditions(|on| on.loading = false);
                }
            }
            Fault::RedisFailsOver | Fault::RedisIsDemoted => {
                primary.lag(self.dice.between(0, 1_500_000));
                sleep(lasts).await;
                primary.fail_over(fault == Fault::RedisIsDemoted);
            }
            Fault::RedisStepsBack => {
                primary.demote();
                sleep(lasts).await;
                primary.promote();
            }
            Fault::RedisIsFlushed => primary.flush(),
            Fault::RedisIsFull => {
                primary.conditions(|on| on.full = true);
                sleep(lasts).await;
                primary.conditions(|on| on.full = false);
            }
            Fault::RedisCannotSave => {
                primary.conditions(|on| on.misconfigured = true);
                sleep(lasts).await;
                primary.conditions(|on| on.misconfigured = false);
            }
            Fault::RedisLacksReplicas => {
                primary.conditions(|on| on.too_few_replicas = true);
                sleep(lasts).await;
                primary.conditions(|on| on.too_few_replicas = false);
            }
            Fault::PasswordIsChanged => {
                primary.conditions(|on| on.password = Some(b"another".to_vec()));
                sleep(lasts).await;
                primary.conditions(|on| on.password.clone_from(&self.password));
            }
            Fault::RedisClockSteps => primary.step_clock(self.draw_step()),
            _ => {}
        }
    }

    /// Milliseconds, forwards or back.
    fn draw_step(&self) -> i64 {
        let far = *self.dice.pick(&[3_000, 60_000, 3_600_000]);
        let step = i64::try_from(self.dice.between(1, far)).unwrap_or(0);
        if self.dice.one_in(2) { -step } else { step }
    }
}
