//! The commands on streams, as a journal uses them.

use std::collections::BTreeMap;

use super::keys::{count, syntax_error, wrong_type};
use super::keyspace::{Effect, StreamId, Value};
use super::machine::{Machine, Now, Outcome, number, wrong_arity};
use super::resp::Reply;

type Entries = BTreeMap<StreamId, Vec<Vec<u8>>>;

pub(super) fn run(machine: &mut Machine, name: &str, arguments: &[Vec<u8>], now: Now) -> Result<Reply, Reply> {
    match name {
        "xadd" => add(machine, arguments, now),
        "xlen" => Ok(count(stream(machine, &arguments[0], now)?.map_or(0, |(entries, _)| entries.len()))),
        "xtrim" => trim(machine, arguments, now),
        _ => range(machine, arguments, now),
    }
}

/// What is trimmed: all but so many entries, and those before one.
struct Trim {
    keep: usize,
    from: StreamId,
}

/// `XADD key [MAXLEN|MINID [=|~] threshold] id field value …`.
fn add(machine: &mut Machine, arguments: &[Vec<u8>], now: Now) -> Result<Reply, Reply> {
    let [key, rest @ ..] = arguments else { return Err(wrong_arity("xadd")) };
    let (rest, trim) = trimming(rest)?;
    let [id, words @ ..] = rest else { return Err(wrong_arity("xadd")) };
    if words.is_empty() || words.len() % 2 != 0 {
        return Err(wrong_arity("xadd"));
    }
    let given = if id == b"*" { None } else { Some(parse_id(id, 0)?) };
    if given == Some(StreamId::default()) {
        return Err(Reply::error("ERR The ID specified in XADD must be greater than 0-0"));
    }
    let last = stream(machine, key, now)?.map_or(StreamId::default(), |(_, last)| last);
    let next = if now.clock > last.0 { StreamId(now.clock, 0) } else { StreamId(last.0, last.1 + 1) };
    let id = given.unwrap_or(next);
    if id <= last {
        return Err(Reply::error("ERR The ID specified in XADD is equal or smaller than the target stream top item"));
    }
    machine.effect(Effect::Append { key: key.clone(), id, words: words.to_vec() }, now);
    if let Some(Trim { keep, from }) = trim {
        machine.effect(Effect::TrimStream { key: key.clone(), keep, from }, now);
    }
    Ok(text_of(id))
}

fn trim(machine: &mut Machine, arguments: &[Vec<u8>], now: Now) -> Result<Reply, Reply> {
    let (rest, trim) = trimming(&arguments[1..])?;
    if !rest.is_empty() {
        return Err(syntax_error());
    }
    let key = &arguments[0];
    let before = stream(machine, key, now)?.map_or(0, |(entries, _)| entries.len());
    if let Some(Trim { keep, from }) = trim.filter(|_| before > 0) {
        machine.effect(Effect::TrimStream { key: key.clone(), keep, from }, now);
    }
    let after = stream(machine, key, now)?.map_or(0, |(entries, _)| entries.len());
    Ok(count(before - after))
}

/// `XRANGE key start end [COUNT count]`.
fn range(machine: &mut Machine, arguments: &[Vec<u8>], now: Now) -> Result<Reply, Reply> {
    let [key, start, end, rest @ ..] = arguments else { return Err(wrong_arity("xrange")) };
    let most = match rest {
        [] => usize::MAX,
        [word, most] if word.eq_ignore_ascii_case(b"COUNT") => usize::try_from(number(most)?).unwrap_or(0),
        _ => return Err(syntax_error()),
    };
    let exclusive = start.first() == Some(&b'(');
    let start = match start.as_slice() {
        b"-" => StreamId::default(),
        [b'(', start @ ..] => parse_id(start, 0)?,
        start => parse_id(start, 0)?,
    };
    let end = if end == b"+" { StreamId(u64::MAX, u64::MAX) } else { parse_id(end, u64::MAX)? };
    let Some((entries, _)) = stream(machine, key, now)? else { return Ok(Reply::Array(vec![])) };
    let within = |id: StreamId| id >= start && id <= end && !(exclusive && id == start);
    Ok(Reply::Array(entries.iter().filter(|(id, _)| within(**id)).take(most).map(entry).collect()))
}

/// `XREAD [COUNT count] [BLOCK milliseconds] STREAMS key id`, of one stream.
pub(super) fn read(machine: &mut Machine, arguments: &[Vec<u8>], now: Now) -> Result<Outcome, Reply> {
    let (mut most, mut block, mut rest) = (usize::MAX, None, arguments);
    let (key, after) = loop {
        match rest {
            [word, value, tail @ ..] if word.eq_ignore_ascii_case(b"COUNT") => {
                most = usize::try_from(number(value)?).unwrap_or(0);
                rest = tail;
            }
            [word, value, tail @ ..] if word.eq_ignore_ascii_case(b"BLOCK") => {
                block = Some(number(value)?.unsigned_abs());
                rest = tail;
            }
            [word, key, id] if word.eq_ignore_ascii_case(b"STREAMS") => break (key, id),
            _ => return Err(syntax_error()),
        }
    };
    let after = if after == b"$" { None } else { Some(parse_id(after, 0)?) };
    let new: Vec<Reply> = match (stream(machine, key, now)?, after) {
        (Some((entries, _)), Some(after)) => {
            entries.iter().filter(|(id, _)| **id > after).take(most).map(entry).collect()
        }
        _ => vec![],
    };
    Ok(match block {
        _ if !new.is_empty() => Outcome::Reply(Reply::Pairs(vec![(Reply::bulk(key), Reply::Array(new))])),
        Some(timeout_millis) => Outcome::Block { timeout_millis },
        None => Outcome::Reply(Reply::NilArray),
    })
}

/// Takes `MAXLEN [=|~] count` or `MINID [=|~] id` off, if it stands there. What may be trimmed roughly, as Redis sees
/// fit, is not trimmed at all.
fn trimming(words: &[Vec<u8>]) -> Result<(&[Vec<u8>], Option<Trim>), Reply> {
    let by = |word: &[u8], name: &[u8]| word.eq_ignore_ascii_case(name);
    let [word, rest @ ..] = words else { return Ok((words, None)) };
    if !by(word, b"MAXLEN") && !by(word, b"MINID") {
        return Ok((words, None));
    }
    let (roughly, rest) = match rest {
        [mark, rest @ ..] if mark == b"~" || mark == b"=" => (mark == b"~", rest),
        rest => (false, rest),
    };
    let [threshold, rest @ ..] = rest else { return Err(syntax_error()) };
    let trim = if by(word, b"MINID") {
        Trim { keep: usize::MAX, from: parse_id(threshold, 0)? }
    } else {
        let keep = usize::try_from(number(threshold)?);
        let keep = keep.map_err(|_| Reply::error("ERR The MAXLEN argument must be >= 0."))?;
        Trim { keep, from: StreamId::default() }
    };
    Ok((rest, Some(trim).filter(|_| !roughly)))
}

fn stream<'a>(machine: &'a mut Machine, key: &[u8], now: Now) -> Result<Option<(&'a Entries, StreamId)>, Reply> {
    match machine.live(key, now).map(|stored| &stored.value) {
        None => Ok(None),
        Some(Value::Stream { entries, last }) => Ok(Some((entries, *last))),
        Some(Value::Text(_) | Value::Hash(_)) => Err(wrong_type()),
    }
}

fn parse_id(word: &[u8], without: u64) -> Result<StreamId, Reply> {
    let invalid = || Reply::error("ERR Invalid stream ID specified as stream command argument");
    let text = std::str::from_utf8(word).map_err(|_| invalid())?;
    let (millis, sequence) = match text.split_once('-') {
        Some((millis, sequence)) => (millis, sequence.parse().map_err(|_| invalid())?),
        None => (text, without),
    };
    Ok(StreamId(millis.parse().map_err(|_| invalid())?, sequence))
}

fn text_of(StreamId(millis, sequence): StreamId) -> Reply {
    Reply::bulk(format!("{millis}-{sequence}"))
}

fn entry((id, words): (&StreamId, &Vec<Vec<u8>>)) -> Reply {
    Reply::Array(vec![text_of(*id), Reply::Array(words.iter().map(Reply::bulk).collect())])
}
