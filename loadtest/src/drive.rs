//! A run: threads with connections drive the target through preparation, warm-up and the measured window.
//!
//! Invariants:
//! - Threads share nothing that is written while they measure, but the stage, which changes three times.
//! - CPU times are read at the window's two ends, and only what is answered between them is counted.

mod asker;
mod harvest;
mod plan;
mod prepare;
mod progress;
mod stage;
mod thread;

use std::sync::{Arc, mpsc};
use std::thread as os_thread;
use std::time::Duration;

use crate::cpu::CpuMeter;
use crate::failure::{Context, Failure};
use crate::pace::{self, Pace};
use crate::scrape::{self, Batches, Metrics};
use crate::tally::Tally;
pub(crate) use harvest::Harvest;
pub(crate) use plan::{Expiring, Plan};
use progress::Watch;
use stage::{Stage, StageCell};
use thread::Seat;

/// Whose CPU time is read, and whose metrics.
#[derive(Clone, Debug, Default)]
pub(crate) struct Watched {
    pub(crate) server: Option<CpuMeter>,
    pub(crate) redis: Option<CpuMeter>,
    /// The service's metrics, for the sizes of its batches.
    pub(crate) metrics: Option<Metrics>,
}

/// CPU time within the window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CpuUse {
    pub(crate) server: Option<Duration>,
    pub(crate) redis: Option<Duration>,
    /// The load generator's.
    pub(crate) load: Option<Duration>,
}

struct Window {
    elapsed: Duration,
    cpu: CpuUse,
    batches: Batches,
}

#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) elapsed: Duration,
    pub(crate) tally: Tally,
    pub(crate) cpu: CpuUse,
    pub(crate) batches: Batches,
}

/// How often the end of the window is looked for.
const POLL: Duration = Duration::from_millis(5);

pub(crate) fn run(plan: Plan, watched: &Watched) -> Result<Outcome, Failure> {
    let plan = Arc::new(plan);
    let stage = Arc::new(StageCell::default());
    let paces = plan.rate.map(|rate| Pace::split(rate, plan.threads)).unwrap_or_default();
    let (ready, readies) = mpsc::sync_channel(plan.threads);
    let mut watch = plan.progress.then(|| Watch::new(plan.threads));
    let mut threads = Vec::new();
    for index in 0..plan.threads {
        let (plan, stage, ready) = (Arc::clone(&plan), Arc::clone(&stage), ready.clone());
        let seat = Seat { index, pace: paces.get(index).cloned(), seconds: watch.as_ref().map(Watch::sender) };
        let spawned = os_thread::Builder::new().name(format!("load-{index}"));
        threads.push(spawned.spawn(move || thread::run(&plan, &stage, seat, ready))?);
    }
    drop(ready);
    // A thread that cannot prepare says so and ends; the others must not wait for it.
    let prepared: Result<(), Failure> = readies.iter().take(plan.threads).collect();
    if prepared.is_err() {
        stage.set(Stage::Over);
    }
    let pacer = (prepared.is_ok() && !paces.is_empty()).then(|| {
        let (paces, stage) = (paces.clone(), Arc::clone(&stage));
        os_thread::spawn(move || pace::run(&paces, || stage.is(Stage::Over)))
    });
    let looked = || {
        if let Some(watch) = &mut watch {
            watch.print();
        }
        threads.iter().all(|thread| thread.is_finished())
    };
    let window = prepared.and_then(|()| window(&plan, &stage, watched, looked));
    stage.set(Stage::Over);

    let mut tally = Tally::new(plan.slice())?;
    for thread in threads {
        tally.merge(&thread.join().map_err(|_| Failure::new("a load thread panicked"))??)?;
    }
    if let Some(pacer) = pacer {
        pacer.join().map_err(|_| Failure::new("the pacer panicked"))?;
    }
    let Window { elapsed, cpu, batches } = window?;
    Ok(Outcome { elapsed, tally, cpu, batches })
}

/// Warms up, opens the window, and closes it when its time is over or all threads have asked what they may.
fn window(
    plan: &Plan,
    stage: &StageCell,
    watched: &Watched,
    mut finished: impl FnMut() -> bool,
) -> Result<Window, Failure> {
    stage.set(Stage::WarmUp);
    os_thread::sleep(plan.warmup);
    let own = CpuMeter::own().ok();
    let read = || -> Result<_, Failure> {
        let server = watched.server.as_ref().map(CpuMeter::read).transpose()?;
        let redis = watched.redis.as_ref().map(CpuMeter::read).transpose()?;
        Ok((server, redis, own.as_ref().and_then(|meter| meter.read().ok())))
    };
    // Outside the readings of CPU time: a scrape costs the service some.
    let batches = || watched.metrics.as_ref().map_or(Ok(Batches::new()), Metrics::read);
    let batches_before = batches()?;
    let before = read().context(|| "before the window".to_owned())?;
    let started = stage.measure();
    while !finished() {
        let left = plan.duration.saturating_sub(started.elapsed());
        if left.is_zero() {
            break;
        }
        os_thread::sleep(left.min(POLL));
    }
    stage.set(Stage::Over);
    let elapsed = started.elapsed();
    let after = read().context(|| "after the window".to_owned())?;
    let used = |after: Option<Duration>, before: Option<Duration>| Some(after?.saturating_sub(before?));
    let cpu = CpuUse { server: used(after.0, before.0), redis: used(after.1, before.1), load: used(after.2, before.2) };
    Ok(Window { elapsed, cpu, batches: scrape::between(&batches_before, &batches()?) })
}
