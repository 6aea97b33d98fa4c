//! The first words on a new connection: who we are, what the server is, and whether it serves us.
//!
//! One round trip: `HELLO 3` with user and password, `SELECT`, `INFO` of the sections that matter, and a look-up like a batch's.
//! Where the password is refused and there is a previous one, the same once more with that. Where the breaker is open, further look-ups
//! follow one by one.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use redis::{ServerError, Value};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::breaker;
use super::commands::Commands;
use super::errors;
use super::options::{Access, RedisOptions};
use super::server_info::{ServerInfo, Unfit};
use super::trip::{Disbelief, Expected, Trip};
use super::wire::{Wire, WireBroken};
use crate::oauth::secret::Secret;
use crate::store::StoreError;
use crate::store::observer::StoreLost;

/// Why a connection did not come about.
#[derive(Debug)]
pub(super) enum NotConnected {
    /// It was not answered in time.
    TimedOut(&'static str),
    /// It failed or was refused.
    Failed(StoreLost),
    /// The password was refused, or is missing.
    NotLetIn(StoreLost),
}

/// What is known of a server once it was greeted, whether or not it is used.
#[derive(Debug, Default)]
pub(super) struct Greeted {
    pub(super) info: ServerInfo,
    /// It let us in by the previous password.
    pub(super) by_previous_password: bool,
}

/// Greets a server and judges it. What it says of itself stands in `greeted`, also where it is not used.
pub(super) async fn greet<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    commands: &mut Commands,
    options: &RedisOptions,
    wary: bool,
    greeted: &mut Greeted,
) -> Result<(), NotConnected> {
    let access = options.access.load_full();
    let greeting = greet_by(wire, commands, options, &access, access.password.as_ref(), greeted).await;
    match (greeting, &access.password_previous) {
        (Err(NotConnected::NotLetIn(lost)), Some(previous)) => {
            greeted.by_previous_password = true;
            // Where neither opens, it is the refusal of the new one that an operator must know of.
            match greet_by(wire, commands, options, &access, Some(previous), greeted).await {
                Err(NotConnected::NotLetIn(_)) => Err(NotConnected::NotLetIn(lost)),
                other => other,
            }?;
        }
        (greeting, _) => greeting?,
    }
    for _ in 0..if wary { breaker::PROBES } else { 0 } {
        let mut trip = commands.begin();
        commands.probe(&mut trip);
        commands.finish(&mut trip);
        let replies = ask(wire, &mut trip, options, "a look-up").await?;
        first_error(&replies).map_or(Ok(()), refused)?;
        commands.recycle(trip);
    }
    Ok(())
}

async fn greet_by<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    commands: &mut Commands,
    options: &RedisOptions,
    access: &Access,
    password: Option<&Secret>,
    greeted: &mut Greeted,
) -> Result<(), NotConnected> {
    let mut trip = commands.begin();
    write_greeting(commands, &mut trip, options.database, access, password);
    let replies = ask(wire, &mut trip, options, "its greeting").await?;
    judge_greeting(&replies, options, &mut greeted.info)?;
    commands.recycle(trip);
    Ok(())
}

/// Asks what the server is, so that the role is known to be the same as at the greeting.
pub(super) fn write_role_check(commands: &mut Commands, trip: &mut Trip) {
    commands.other(trip, &[b"INFO", b"replication"], Expected::Text);
    commands.finish(trip);
}

/// Judges the replies to [`write_role_check`], and returns what else they tell.
pub(super) fn judge_role_check(replies: &[Value]) -> Result<ServerInfo, StoreLost> {
    let mut info = ServerInfo::default();
    read_info(replies, &mut info);
    match first_error(replies) {
        Some(error) => Err(lost(errors::meaning(error), errors::text(error))),
        None => info.judge_role().map_err(unfit).map(|()| info),
    }
}

fn write_greeting(commands: &mut Commands, trip: &mut Trip, database: u32, access: &Access, password: Option<&Secret>) {
    let user = access.username.as_deref().unwrap_or("default");
    let mut hello: Vec<&[u8]> = vec![b"HELLO", b"3"];
    if let Some(password) = password {
        hello.extend([b"AUTH", user.as_bytes(), password.expose()]);
    }
    hello.extend([b"SETNAME".as_slice(), b"jeton"]);
    commands.other(trip, &hello, Expected::Properties);
    if database != 0 {
        commands.other(trip, &[b"SELECT", database.to_string().as_bytes()], Expected::Okay);
    }
    for section in [b"server".as_slice(), b"replication", b"memory"] {
        commands.other(trip, &[b"INFO", section], Expected::Text);
    }
    commands.probe(trip);
    commands.finish(trip);
}

fn judge_greeting(replies: &[Value], options: &RedisOptions, info: &mut ServerInfo) -> Result<(), NotConnected> {
    read_info(replies, info);
    let refusal = first_error(replies);
    // An old server may know neither HELLO nor what follows: its version says it best.
    if refusal.is_none_or(|error| errors::meaning(error) == StoreError::Refused) {
        info.judge(options.require_noeviction, options.whereabouts.is_cluster())
            .map_err(|why| NotConnected::Failed(unfit(why)))?;
    }
    refusal.map_or(Ok(()), refused)
}

/// Sends a trip on a wire of which nobody else knows yet, and reads its replies.
async fn ask<S: AsyncRead + AsyncWrite + Unpin>(
    wire: &mut Wire<S>,
    trip: &mut Trip,
    options: &RedisOptions,
    what: &'static str,
) -> Result<Vec<Value>, NotConnected> {
    wire.send(&trip.request);
    let read = async {
        while !trip.is_complete() {
            let reply = poll_fn(|context| {
                if let Poll::Ready(Err(broken)) = wire.poll_send(context) {
                    return Poll::Ready(Err(broken));
                }
                wire.poll_reply(context)
            });
            trip.replies.push(reply.await?);
        }
        Ok::<(), WireBroken>(())
    };
    match timeout(options.operation_timeout, read).await {
        Err(_) => return Err(NotConnected::TimedOut(what)),
        Ok(Err(broken)) => return Err(NotConnected::Failed(wire_lost(&broken))),
        Ok(Ok(())) => {}
    }
    // Where the password was refused, so is all that follows: the first refusal says why.
    let refusal = first_error(&trip.replies).cloned();
    match trip.judge() {
        Ok(()) => Ok(std::mem::take(&mut trip.replies)),
        Err(Disbelief::EchoRefused(echo)) => refused(refusal.as_ref().unwrap_or(&echo)).map(|()| vec![]),
        Err(Disbelief::Garbled(what)) => Err(NotConnected::Failed(lost(StoreError::Unavailable, what.into()))),
    }
}

fn read_info(replies: &[Value], info: &mut ServerInfo) {
    for reply in replies {
        match reply {
            Value::VerbatimString { text, .. } => info.read(text),
            Value::BulkString(bytes) => info.read(&String::from_utf8_lossy(bytes)),
            _ => {}
        }
    }
}

/// A node of a cluster that sends a look-up elsewhere serves, and so does one that knows nobody who keeps its slot.
fn first_error(replies: &[Value]) -> Option<&ServerError> {
    replies.iter().find_map(|reply| match reply {
        Value::ServerError(error) if !errors::is_of_one_slot(error) => Some(error),
        _ => None,
    })
}

fn refused(error: &ServerError) -> Result<(), NotConnected> {
    let lost = lost(errors::meaning(error), errors::text(error));
    Err(if errors::asks_for_password(error) { NotConnected::NotLetIn(lost) } else { NotConnected::Failed(lost) })
}

fn unfit(why: Unfit) -> StoreLost {
    match why {
        Unfit::Wrong(detail) => lost(StoreError::Refused, detail),
        Unfit::NotPrimary(detail) => lost(StoreError::NotServing, detail),
    }
}

/// What a broken wire means for those who ask next.
pub(super) fn wire_lost(broken: &WireBroken) -> StoreLost {
    lost(StoreError::Unavailable, broken.to_string())
}

/// What a failed attempt to open a stream means.
pub(super) fn not_opened(error: &io::Error) -> StoreLost {
    lost(StoreError::Unavailable, error.to_string())
}

fn lost(error: StoreError, detail: String) -> StoreLost {
    StoreLost { error, detail }
}
