//! What is varied in each part.

use std::time::Duration;

use super::args::Part;
use super::clients::Wanted;
use super::gauge;
use super::goals::{Figure, Goal};
use super::rig::{Rig, USUAL, Variant, Wish};
use super::table::{Findings, Row};
use super::windows;
use crate::cpu::CpuMeter;
use crate::failure::Failure;
use crate::operation::Operation;
use crate::proxy::{Proxy, Shaping};

const BOTH: [Operation; 2] = [Operation::Issue, Operation::Introspect];
/// Live tokens where their number is not what grows.
const TOKENS: u64 = 10_000;
/// As many of the live tokens, evenly taken, are asked about: more than any cache holds pages of.
const ASKED_MAX: u64 = 500_000;
/// Requests under way at once, however many connections there are: all of them asking at once would be an overload.
const ASKING_MAX: usize = 64;
/// Files that a process has open beside its connections.
const FILES_BESIDE: u64 = 200;
/// Half a millisecond each way.
const FAR: Shaping = Shaping { delay: Duration::from_micros(500), upstream_bytes_per_second: None };

pub(super) fn measure(part: Part, rig: &mut Rig<'_>, findings: &mut Findings) -> Result<(), Failure> {
    match part {
        // Measured before this process kept to a core.
        Part::Start => Ok(()),
        Part::Clients => clients(part, rig, findings),
        Part::Memory => tokens_in_memory(part, rig, findings),
        Part::Redis => tokens_in_redis(part, rig, findings),
        Part::Connections => connections(part, rig, findings),
        Part::Scopes => {
            let wish = |scopes| Wish { registered: Wanted { scopes, ..USUAL.registered }, ..USUAL };
            compare(part, rig, findings, &[("1", wish(1)), ("20", wish(20))], &BOTH)
        }
        Part::Workers => {
            let wish = |workers| Wish { workers, ..USUAL };
            compare(part, rig, findings, &[("1", wish(1)), ("2", wish(2))], &BOTH)
        }
        Part::Way => ways_to_redis(part, rig, findings),
        Part::Batches => batches(part, rig, findings),
    }
}

/// Each on a Redis of its own that holds few tokens.
fn compare(
    part: Part,
    rig: &mut Rig<'_>,
    findings: &mut Findings,
    wishes: &[(&str, Wish)],
    operations: &[Operation],
) -> Result<(), Failure> {
    let mut variants = Vec::new();
    for (value, wish) in wishes {
        let mut variant = rig.start_on_redis(value, *wish)?;
        variant.fill(rig.args, TOKENS, TOKENS)?;
        variants.push(variant);
    }
    findings.rows.extend(windows::rows(part, rig.args, &mut variants, operations)?);
    Ok(())
}

fn clients(part: Part, rig: &mut Rig<'_>, findings: &mut Findings) -> Result<(), Failure> {
    let mut variants = Vec::new();
    for (value, clients) in [("10", 10), ("10^4", 10_000), ("10^6", 1_000_000)] {
        let wish = Wish { registered: Wanted { clients, ..USUAL.registered }, ..USUAL };
        let mut variant = rig.start_on_redis(value, wish)?;
        let resident = variant.resident()?;
        variant.notes.push(format!("start {:.2} s", variant.started_in.as_secs_f64()));
        variant.notes.push(format!(
            "then {:.0} MB, at most {:.0}",
            resident.now as f64 / 1e6,
            resident.peak as f64 / 1e6
        ));
        variant.fill(rig.args, TOKENS, TOKENS)?;
        variants.push(variant);
    }
    findings.rows.extend(windows::rows(part, rig.args, &mut variants, &BOTH)?);
    Ok(())
}

fn tokens_in_memory(part: Part, rig: &mut Rig<'_>, findings: &mut Findings) -> Result<(), Failure> {
    let wish = Wish { issues_short_lived: true, ..USUAL };
    let mut variants: Vec<Variant> = Vec::new();
    let mut few = (0, 0);
    for (value, tokens) in [("10^4", 10_000), ("10^6", 1_000_000), ("10^7", 10_000_000)] {
        let mut variant = rig.start(value, wish, "memory:", None, None)?;
        let issued = variant.fill(rig.args, tokens, tokens.min(ASKED_MAX))?;
        let resident = variant.resident()?.now;
        eprintln!("{issued} tokens, {:.1} MB", resident as f64 / 1e6);
        // Over the first, which has buffers of as many connections.
        match variants.is_empty() {
            true => few = (issued, resident),
            false => variant.bytes_a_token = Some(resident.saturating_sub(few.1) as f64 / (issued - few.0) as f64),
        }
        variants.push(variant);
    }
    let rows = windows::rows(part, rig.args, &mut variants, &BOTH)?;
    let bytes = rows.iter().filter_map(|row| row.bytes_a_token).max_by(f64::total_cmp);
    let ratios = rows.last().map(|row| row.costs.iter().map(|cost| cost.over_first));
    findings.goals.push(Goal::new(Figure::MemoryBytesAToken, bytes));
    findings.goals.push(Goal::new(Figure::ManyTokensOverFew, ratios.and_then(|ratios| ratios.max_by(f64::total_cmp))));
    findings.rows.extend(rows);
    Ok(())
}

fn tokens_in_redis(part: Part, rig: &mut Rig<'_>, findings: &mut Findings) -> Result<(), Failure> {
    let wish = Wish { issues_short_lived: true, ..USUAL };
    let mut variants = Vec::new();
    let all = [("10^4", 10_000), ("10^6", 1_000_000), ("10^7", 10_000_000)];
    for (value, tokens) in all.into_iter().take(if rig.args.large { 3 } else { 2 }) {
        let redis = rig.redis()?;
        let (address, cpu) = (redis.address, CpuMeter::new(redis.process.pid())?);
        let mut variant = rig.start(value, wish, &redis.url(), Some(redis.process), Some(cpu))?;
        let before = gauge::redis_used(address)?;
        let issued = variant.fill(rig.args, tokens, tokens.min(ASKED_MAX))?;
        let grown = gauge::redis_used(address)?.saturating_sub(before);
        variant.bytes_a_token = Some(grown as f64 / issued as f64);
        variants.push(variant);
    }
    let rows = windows::rows(part, rig.args, &mut variants, &[Operation::Introspect, Operation::Issue])?;
    let bytes = rows.get(1).and_then(|row| row.bytes_a_token);
    findings.goals.push(Goal::new(Figure::RedisBytesAToken, bytes));
    findings.rows.extend(rows);
    Ok(())
}

fn connections(part: Part, rig: &mut Rig<'_>, findings: &mut Findings) -> Result<(), Failure> {
    let all = [("10", 10), ("1,000", 1_000), ("10,000", 10_000)];
    let (possible, not): (Vec<_>, Vec<_>) =
        all.into_iter().partition(|(_, count)| *count as u64 + FILES_BESIDE <= rig.open_files);
    for (value, _) in not {
        eprintln!("{value} connections are left out: this process may have {} files open", rig.open_files);
    }
    let wishes: Vec<_> = possible
        .into_iter()
        .map(|(value, connections)| (value, Wish { connections, asking_max: Some(ASKING_MAX), ..USUAL }))
        .collect();
    compare(part, rig, findings, &wishes, &[Operation::Issue])
}

/// One Redis, reached by three ways.
fn ways_to_redis(part: Part, rig: &mut Rig<'_>, findings: &mut Findings) -> Result<(), Failure> {
    let redis = rig.redis()?;
    let proxy = Proxy::start(redis.address, FAR)?;
    let ways = [
        ("loopback", redis.url()),
        ("unix socket", format!("redis+unix://{}", redis.socket.display())),
        ("1 ms away", format!("redis://{}", proxy.address())),
    ];
    let mut variants = Vec::new();
    for (value, url) in ways {
        let cpu = CpuMeter::new(redis.process.pid())?;
        let mut variant = rig.start(value, USUAL, &url, None, Some(cpu))?;
        variant.fill(rig.args, TOKENS, TOKENS)?;
        variants.push(variant);
    }
    findings.rows.extend(windows::rows(part, rig.args, &mut variants, &BOTH)?);
    // Ended in this order: who uses it, the way, what it leads to.
    drop((variants, proxy, redis));
    Ok(())
}

fn batches(part: Part, rig: &mut Rig<'_>, findings: &mut Findings) -> Result<(), Failure> {
    let wish = |connections| Wish { connections, ..USUAL };
    let before = findings.rows.len();
    compare(part, rig, findings, &[("64", wish(64)), ("256", wish(256))], &[Operation::Issue])?;
    let redis_us = |row: Option<&Row>| row?.cost(Operation::Issue)?.redis_us;
    let rows = &findings.rows[before..];
    findings.goals.push(Goal::new(Figure::RedisMicrosecondsAt64, redis_us(rows.first())));
    findings.goals.push(Goal::new(Figure::RedisMicrosecondsAt256, redis_us(rows.get(1))));
    Ok(())
}
