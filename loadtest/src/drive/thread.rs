//! One load thread: a single-threaded runtime with its share of the connections, tokens and requests.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{JoinSet, LocalSet};

use super::Plan;
use super::asker::{Desk, ask_until_over};
use super::prepare::prepare;
use super::progress::{self, Second};
use super::stage::{Stage, StageCell};
use crate::failure::{Context, Failure};
use crate::http1::Http1;
use crate::http2;
use crate::pace::Pace;
use crate::slices::Slice;
use crate::stock::Stock;
use crate::tally::Tally;
use crate::wire::Wire;

/// Answers still out at the end are waited for so long, then counted as unanswered.
const GRACE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(2);

/// Which thread this is, and its arrivals in an open loop.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) index: usize,
    pub(super) pace: Option<Arc<Pace>>,
    /// Where each second is told, when somebody looks on.
    pub(super) seconds: Option<SyncSender<Second>>,
}

pub(super) fn run(
    plan: &Arc<Plan>,
    stage: &Arc<StageCell>,
    seat: Seat,
    ready: SyncSender<Result<(), Failure>>,
) -> Result<Tally, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let desk = Rc::new(desk(plan, stage, &seat)?);
        let wires = wires(plan, seat.index);
        let prepared = prepare(&desk, wires).await;
        let wires = match prepared {
            Ok(wires) => wires,
            Err(failure) => {
                drop(ready.send(Err(failure)));
                return Tally::new(plan.slice());
            }
        };
        drop(ready.send(Ok(())));
        while stage.is(Stage::Preparing) {
            tokio::time::sleep(POLL).await;
        }
        let told = seat.seconds.map(|seconds| tokio::task::spawn_local(progress::tell(Rc::clone(&desk), seconds)));
        drive(&desk, wires).await?;
        if let Some(told) = told {
            told.abort();
        }
        if let Some(harvest) = &plan.harvest {
            harvest.put(desk.stock.borrow_mut().take_all());
        }
        Ok(desk.tally.replace(Tally::new(plan.slice())?))
    })
}

/// The part of `whole` that falls to the thread `index` of `threads`; parts differ by one at most.
fn part(whole: u64, index: usize, threads: usize) -> u64 {
    let (index, threads) = (index as u64, threads as u64);
    whole / threads + u64::from(index < whole % threads)
}

fn desk(plan: &Arc<Plan>, stage: &Arc<StageCell>, seat: &Seat) -> Result<Desk, Failure> {
    let live_max = part(plan.tokens as u64, seat.index, plan.threads).max(1);
    let requests = plan.requests_max.map_or(u64::MAX, |max| part(max, seat.index, plan.threads));
    Ok(Desk {
        plan: Arc::clone(plan),
        stage: Arc::clone(stage),
        pace: seat.pace.clone(),
        stock: RefCell::new(Stock::new(live_max as usize, Arc::clone(&plan.given), fastrand::u64(..))),
        tally: RefCell::new(Tally::new(plan.slice())?),
        token: RefCell::default(),
        requests_left: Cell::new(requests),
        turns: plan.asking_max.map(Semaphore::new),
        issued: Cell::new(0),
        pending: Cell::new(0),
        expires: Cell::new(None),
        second: RefCell::new(seat.seconds.is_some().then(Slice::new).transpose()?),
    })
}

fn wires(plan: &Plan, index: usize) -> Vec<Wire> {
    let connections = part(plan.connections as u64, index, plan.threads) as usize;
    let Some(streams) = plan.http2_streams else {
        return (0..connections).map(|_| Wire::Http1(Http1::new(Arc::clone(&plan.target)))).collect();
    };
    let shared = (0..connections).map(|_| http2::Shared::new(Arc::clone(&plan.target)));
    shared.flat_map(|shared| (0..streams).map(move |_| Wire::Http2(http2::Stream::new(shared.clone())))).collect()
}

/// Lets every connection ask until the run is over and its last answer is there, or has been waited for long enough.
async fn drive(desk: &Rc<Desk>, wires: Vec<Wire>) -> Result<(), Failure> {
    let mut askers = JoinSet::new();
    for wire in wires {
        askers.spawn_local(ask_until_over(Rc::clone(desk), wire));
    }
    let grace = async {
        while !desk.stage.is(Stage::Over) {
            tokio::time::sleep(POLL * 10).await;
        }
        tokio::time::sleep(GRACE).await;
    };
    let joined = async {
        while let Some(asker) = askers.join_next().await {
            asker.context(|| "a connection's task".to_owned())?;
        }
        Ok::<(), Failure>(())
    };
    tokio::select! {
        joined = joined => joined?,
        () = grace => {}
    }
    let mut tally = desk.tally.borrow_mut();
    tally.unanswered = desk.pending.get();
    tally.backlog = desk.pace.as_ref().map_or(0, |pace| pace.backlog());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_make_the_whole() {
        for (whole, threads) in [(0, 1), (1, 3), (7, 3), (64, 2)] {
            let parts: Vec<_> = (0..threads).map(|index| part(whole, index, threads)).collect();
            assert_eq!(parts.iter().sum::<u64>(), whole);
            assert!(parts.iter().max().unwrap() - parts.iter().min().unwrap() <= 1);
        }
    }
}
