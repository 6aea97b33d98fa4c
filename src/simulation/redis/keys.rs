//! The commands on texts and hashes.

use super::keyspace::{Effect, Stored, Value};
use super::machine::{Machine, Now, number, wrong_arity};
use super::resp::Reply;

pub(super) fn run(machine: &mut Machine, name: &str, arguments: &[Vec<u8>], now: Now) -> Result<Reply, Reply> {
    let key = arguments.first().map_or(&[][..], Vec::as_slice);
    match name {
        "get" => match machine.live(key, now).map(|stored| &stored.value) {
            None => Ok(Reply::Nil),
            Some(Value::Text(text)) => Ok(Reply::bulk(text)),
            Some(Value::Hash(_) | Value::Stream { .. }) => Err(wrong_type()),
        },
        "set" => set(machine, arguments, now),
        "exists" => {
            let there = arguments.iter().filter(|key| machine.live(key, now).is_some()).count();
            Ok(count(there))
        }
        "del" => {
            let deleted = arguments.iter().filter(|key| delete(machine, key, now)).count();
            Ok(count(deleted))
        }
        "pttl" => Ok(Reply::Number(match machine.live(key, now) {
            None => -2,
            Some(Stored { expires_at: None, .. }) => -1,
            Some(Stored { expires_at: Some(end), .. }) => i64::try_from(end - now.clock).unwrap_or(i64::MAX),
        })),
        "pexpire" => pexpire(machine, arguments, now),
        "hset" => hset(machine, arguments, now),
        "hget" => Ok(field(machine, key, &arguments[1], now)?.map_or(Reply::Nil, Reply::Bulk)),
        "hexists" => Ok(count(usize::from(field(machine, key, &arguments[1], now)?.is_some()))),
        "hlen" => match machine.live(key, now).map(|stored| &stored.value) {
            None => Ok(count(0)),
            Some(Value::Hash(fields)) => Ok(count(fields.len())),
            Some(Value::Text(_) | Value::Stream { .. }) => Err(wrong_type()),
        },
        "hdel" => {
            let mut deleted = 0;
            for name in &arguments[1..] {
                if field(machine, key, name, now)?.is_some() {
                    machine.effect(Effect::DeleteField { key: key.to_vec(), field: name.clone() }, now);
                    deleted += 1;
                }
            }
            field(machine, key, &[], now)?;
            Ok(count(deleted))
        }
        "flushall" if !arguments.is_empty() => Err(syntax_error()),
        "flushall" => {
            machine.effect(Effect::Flush, now);
            Ok(Reply::OK)
        }
        other => Err(Reply::error(format!("ERR '{other}' is in the table of commands and nowhere else"))),
    }
}

fn set(machine: &mut Machine, arguments: &[Vec<u8>], now: Now) -> Result<Reply, Reply> {
    let [key, text, options @ ..] = arguments else { return Err(wrong_arity("set")) };
    let (mut only_new, mut only_old, mut ttl) = (false, false, None);
    let mut options = options.iter();
    while let Some(option) = options.next() {
        match option.to_ascii_uppercase().as_slice() {
            b"NX" if !only_old => only_new = true,
            b"XX" if !only_new => only_old = true,
            b"PX" if ttl.is_none() => ttl = Some(options.next().ok_or_else(syntax_error)?),
            _ => return Err(syntax_error()),
        }
    }
    let ttl = ttl.map(|ttl| number(ttl)).transpose()?;
    if ttl.is_some_and(|ttl| ttl <= 0) {
        return Err(Reply::error("ERR invalid expire time in 'set' command"));
    }
    let there = machine.live(key, now).is_some();
    if (only_new && there) || (only_old && !there) {
        return Ok(Reply::Nil);
    }
    let expires_at = ttl.map(|ttl| now.clock + ttl.unsigned_abs());
    machine.effect(Effect::SetText { key: key.clone(), text: text.clone(), expires_at }, now);
    Ok(Reply::OK)
}

fn pexpire(machine: &mut Machine, arguments: &[Vec<u8>], now: Now) -> Result<Reply, Reply> {
    let [key, ttl, options @ ..] = arguments else { return Err(wrong_arity("pexpire")) };
    let options: Vec<Vec<u8>> = options.iter().map(|option| option.to_ascii_uppercase()).collect();
    for (option, sent) in options.iter().zip(&arguments[2..]) {
        if ![&b"NX"[..], b"XX", b"GT", b"LT"].contains(&option.as_slice()) {
            return Err(Reply::error(format!("ERR Unsupported option {}", String::from_utf8_lossy(sent))));
        }
    }
    let asked = |option: &[u8]| options.iter().any(|asked| asked == option);
    if asked(b"NX") && options.iter().any(|option| option != b"NX") {
        return Err(Reply::error("ERR NX and XX, GT or LT options at the same time are not compatible"));
    }
    if asked(b"GT") && asked(b"LT") {
        return Err(Reply::error("ERR GT and LT options at the same time are not compatible"));
    }
    let ttl = number(ttl)?;
    let end = i64::try_from(now.clock).ok().and_then(|clock| clock.checked_add(ttl));
    let end = end.ok_or_else(|| Reply::error("ERR invalid expire time in 'pexpire' command"))?;
    let Some(stored) = machine.live(key, now) else { return Ok(count(0)) };
    let before = stored.expires_at.map(|before| i64::try_from(before).unwrap_or(i64::MAX));
    let kept = (asked(b"NX") && before.is_some())
        || (asked(b"XX") && before.is_none())
        || (asked(b"GT") && before.is_none_or(|before| end <= before))
        || (asked(b"LT") && before.is_some_and(|before| end >= before));
    if kept {
        return Ok(count(0));
    }
    match u64::try_from(end).ok().filter(|end| *end > now.clock) {
        Some(at) => machine.effect(Effect::ExpireAt { key: key.clone(), at }, now),
        None => machine.effect(Effect::Delete { key: key.clone() }, now),
    }
    Ok(count(1))
}

fn hset(machine: &mut Machine, arguments: &[Vec<u8>], now: Now) -> Result<Reply, Reply> {
    let [key, pairs @ ..] = arguments else { return Err(wrong_arity("hset")) };
    let (pairs, []) = pairs.as_chunks::<2>() else { return Err(wrong_arity("hset")) };
    let mut new = 0;
    for [name, value] in pairs {
        new += usize::from(field(machine, key, name, now)?.is_none());
        machine.effect(Effect::SetField { key: key.clone(), field: name.clone(), value: value.clone() }, now);
    }
    Ok(count(new))
}

fn delete(machine: &mut Machine, key: &[u8], now: Now) -> bool {
    let there = machine.live(key, now).is_some();
    if there {
        machine.effect(Effect::Delete { key: key.to_vec() }, now);
    }
    there
}

/// A field of a hash; an error where the key holds something else.
fn field(machine: &mut Machine, key: &[u8], name: &[u8], now: Now) -> Result<Option<Vec<u8>>, Reply> {
    match machine.live(key, now).map(|stored| &stored.value) {
        None => Ok(None),
        Some(Value::Hash(fields)) => Ok(fields.get(name).cloned()),
        Some(Value::Text(_) | Value::Stream { .. }) => Err(wrong_type()),
    }
}

pub(super) fn count(count: usize) -> Reply {
    Reply::Number(i64::try_from(count).unwrap_or(i64::MAX))
}

pub(super) fn wrong_type() -> Reply {
    Reply::error("WRONGTYPE Operation against a key holding the wrong kind of value")
}

pub(super) fn syntax_error() -> Reply {
    Reply::error("ERR syntax error")
}
