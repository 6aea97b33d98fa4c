//! The tokens that a thread will name, made over its connections before the run: expired, revoked and live ones.
//!
//! Invariant: an expired token was issued by the service and its life has passed; a live one outlives the run.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::asker::Desk;
use super::plan::Expiring;
use crate::answer;
use crate::client::{Credential, form_encoded};
use crate::failure::{Context, Failure};
use crate::operation::Operation;
use crate::request::Draft;
use crate::stock::Held;
use crate::wire::Wire;

/// Tokens of each kind that must be found inactive, in each thread.
const INACTIVE_TOKENS: usize = 500;
/// A token's last second, rounded up, and a clock beside this one's.
const EXPIRED_FOR: Duration = Duration::from_secs(2);
/// Live tokens must have so much left when the window ends.
const MARGIN: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Live,
    Revoked,
    Expired,
}

/// Gives the connections back, ready to ask.
pub(super) async fn prepare(desk: &Rc<Desk>, mut wires: Vec<Wire>) -> Result<Vec<Wire>, Failure> {
    if !desk.plan.shares.need_tokens() || !desk.plan.given.is_empty() {
        return Ok(wires);
    }
    if desk.plan.expiring.is_some() {
        wires = make(desk, wires, Kind::Expired, INACTIVE_TOKENS).await?;
        wires = expire(desk, wires).await;
    }
    if desk.plan.inactive.revoked > 0.0 {
        wires = make(desk, wires, Kind::Revoked, INACTIVE_TOKENS).await?;
    }
    let live = desk.stock.borrow().live_max();
    make(desk, wires, Kind::Live, live).await
}

/// Waits until all that shall be expired is. A connection would have been idle for so long that a service may have closed it.
async fn expire(desk: &Desk, mut wires: Vec<Wire>) -> Vec<Wire> {
    for wire in &mut wires {
        wire.close().await;
    }
    let end = desk.expires.get().unwrap_or_else(Instant::now) + EXPIRED_FOR;
    tokio::time::sleep_until(end.into()).await;
    wires
}

async fn make(desk: &Rc<Desk>, wires: Vec<Wire>, kind: Kind, count: usize) -> Result<Vec<Wire>, Failure> {
    let left = Rc::new(Cell::new(count));
    let mut tasks = JoinSet::new();
    for mut wire in wires {
        let (desk, left) = (Rc::clone(desk), Rc::clone(&left));
        tasks.spawn_local(async move {
            while let Some(rest) = left.get().checked_sub(1) {
                left.set(rest);
                make_one(&desk, &mut wire, kind, rest).await?;
            }
            Ok::<Wire, Failure>(wire)
        });
    }
    let mut wires = Vec::new();
    while let Some(wire) = tasks.join_next().await {
        wires.push(wire.context(doing)??);
    }
    Ok(wires)
}

async fn make_one(desk: &Desk, wire: &mut Wire, kind: Kind, number: usize) -> Result<(), Failure> {
    let client = number % desk.plan.clients.len();
    let expiring = desk.plan.expiring.as_ref().filter(|_| kind == Kind::Expired);
    let credential = expiring.map_or(&desk.plan.clients[client], |expiring| &expiring.client);
    let (token, life) = issue(desk, wire, credential).await?;
    let held = Held { client: client as u32, token };
    match (kind, expiring) {
        (Kind::Expired, Some(expiring)) => {
            let end = Instant::now() + lives_shortly(life, expiring)?;
            desk.expires.set(desk.expires.get().max(Some(end)));
        }
        (Kind::Live, _) if desk.plan.expiring.is_some() => outlives(life, desk)?,
        (Kind::Revoked, _) => revoke(desk, wire, &held).await?,
        _ => {}
    }
    let mut stock = desk.stock.borrow_mut();
    match kind {
        Kind::Live => stock.keep(held),
        Kind::Revoked => stock.keep_revoked(held),
        Kind::Expired => stock.keep_expired(held),
    }
    Ok(())
}

/// A token, form-encoded, and its life as the answer says it.
async fn issue(
    desk: &Desk,
    wire: &mut Wire,
    credential: &Credential,
) -> Result<(Box<[u8]>, Option<Duration>), Failure> {
    let endpoint = &desk.plan.endpoints[Operation::Issue as usize];
    wire.load(Draft { endpoint, credential, token: b"" });
    let answer = wire.exchange().await.map_err(|error| error.name()).context(doing)?;
    let token = answer::access_token(answer.body).filter(|_| answer.status == 200);
    let Some(token) = token.and_then(|token| std::str::from_utf8(token).ok()) else {
        let body = String::from_utf8_lossy(&answer.body[..answer.body.len().min(300)]);
        return Err(Failure::new(format!("{}: a token request was answered {} {body}", doing(), answer.status)));
    };
    let life = answer::expires_in(answer.body).map(Duration::from_secs);
    Ok((form_encoded(token).into_bytes().into(), life))
}

async fn revoke(desk: &Desk, wire: &mut Wire, held: &Held) -> Result<(), Failure> {
    desk.load_revocation(wire, held);
    let answer = wire.exchange().await.map_err(|error| error.name()).context(doing)?;
    match answer.status {
        200 => Ok(()),
        status => Err(Failure::new(format!("{}: a revocation was answered {status}", doing()))),
    }
}

fn doing() -> String {
    "preparing tokens".to_owned()
}

/// A life that can be waited for.
fn lives_shortly(life: Option<Duration>, expiring: &Expiring) -> Result<Duration, Failure> {
    let life = life.ok_or_else(|| Failure::new("--expired: the service does not say how long its tokens live"))?;
    if life <= expiring.wait_max {
        return Ok(life);
    }
    Err(Failure::new(format!(
        "--expired: the service's tokens live too long to wait for: {} s, and --expiry-wait allows {} s. Register a client \
         whose tokens live shortly and name it with --expired-client (for jeton: access_token_ttl_seconds = 2)",
        life.as_secs(),
        expiring.wait_max.as_secs()
    )))
}

fn outlives(life: Option<Duration>, desk: &Desk) -> Result<(), Failure> {
    let needed = desk.plan.warmup + desk.plan.duration + MARGIN;
    match life {
        Some(life) if life < needed => Err(Failure::new(format!(
            "live tokens would expire within the run: they live for {} s, and the run may take {} s. Name another client with \
             --client, and the one with short lives with --expired-client",
            life.as_secs(),
            needed.as_secs_f64().ceil()
        ))),
        _ => Ok(()),
    }
}
