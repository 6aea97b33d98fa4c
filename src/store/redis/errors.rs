//! What an error reply of Redis means: the one table of its codes.

use redis::ServerError;

use crate::store::StoreError;

/// What an error reply says of the command that it answers. In each case the command was not executed.
pub(super) fn meaning(reply: &ServerError) -> StoreError {
    code_meaning(reply.code(), reply.details().unwrap_or_default())
}

/// Whether the connection on which this came is of no more use: another server must be looked for, or the door is shut.
pub(super) fn ends_connection(reply: &ServerError) -> bool {
    matches!(reply.code(), "NOAUTH") || meaning(reply) == StoreError::NotServing && !is_of_one_slot(reply)
}

/// Whether it concerns the slot of one key alone, which is no reason to leave a node of a cluster: the slot is kept elsewhere, or by nobody.
pub(super) fn is_of_one_slot(reply: &ServerError) -> bool {
    match reply.code() {
        "MOVED" | "ASK" | "TRYAGAIN" => true,
        "CLUSTERDOWN" => reply.details().is_some_and(|text| text.starts_with("Hash slot")),
        _ => false,
    }
}

/// Whether another password may open what stayed shut.
pub(super) fn asks_for_password(reply: &ServerError) -> bool {
    matches!(reply.code(), "NOAUTH" | "WRONGPASS")
}

/// An error reply as the log may show it.
pub(super) fn text(reply: &ServerError) -> String {
    const CHARS_MAX: usize = 200;
    let details = reply.details().unwrap_or_default();
    reply.code().chars().chain([' ']).chain(details.chars()).filter(|c| !c.is_control()).take(CHARS_MAX).collect()
}

fn code_meaning(code: &str, details: &str) -> StoreError {
    match code {
        "OOM" => StoreError::Full,
        "MISCONF" | "NOREPLICAS" => StoreError::WritesStopped,
        // What a node of a cluster does not keep: who can ask elsewhere does.
        "MOVED" | "ASK" | "TRYAGAIN" => StoreError::NotServing,
        "LOADING" | "READONLY" | "MASTERDOWN" | "CLUSTERDOWN" | "BUSY" => StoreError::NotServing,
        "NOAUTH" | "WRONGPASS" | "NOPERM" => StoreError::Denied,
        "EXECABORT" => discarded_meaning(details),
        // WRONGTYPE, ERR and what may come: nobody knows anything about a token from it.
        _ => StoreError::Refused,
    }
}

/// A transaction that was queued whole and then discarded says why in its own text: `Transaction discarded because of: READONLY …`.
fn discarded_meaning(details: &str) -> StoreError {
    let inner = details.split_once("because of: ").map_or("", |(_, inner)| inner);
    match inner.split_once(' ').unwrap_or((inner, "")) {
        ("" | "EXECABORT", _) => StoreError::Refused,
        (code, rest) => code_meaning(code, rest),
    }
}

#[cfg(test)]
mod tests {
    use redis::{Value, parse_redis_value};

    use super::*;

    fn reply(line: &str) -> ServerError {
        match parse_redis_value(format!("-{line}\r\n").as_bytes()) {
            Ok(Value::ServerError(error)) => error,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_code_has_its_meaning() {
        let table = [
            ("OOM command not allowed when used memory > 'maxmemory'.", StoreError::Full, false),
            ("MISCONF Redis is configured to save RDB snapshots", StoreError::WritesStopped, false),
            ("NOREPLICAS Not enough good replicas to write.", StoreError::WritesStopped, false),
            ("LOADING Redis is loading the dataset in memory", StoreError::NotServing, true),
            ("READONLY You can't write against a read only replica.", StoreError::NotServing, true),
            ("MASTERDOWN Link with MASTER is down", StoreError::NotServing, true),
            ("CLUSTERDOWN The cluster is down", StoreError::NotServing, true),
            ("CLUSTERDOWN Hash slot not served", StoreError::NotServing, false),
            ("MOVED 3999 127.0.0.1:6381", StoreError::NotServing, false),
            ("ASK 3999 127.0.0.1:6381", StoreError::NotServing, false),
            ("TRYAGAIN Multiple keys request during rehashing of slot", StoreError::NotServing, false),
            ("NOAUTH Authentication required.", StoreError::Denied, true),
            ("WRONGPASS invalid username-password pair", StoreError::Denied, false),
            ("NOPERM this user has no permissions to run the 'hget' command", StoreError::Denied, false),
            ("EXECABORT Transaction discarded because of previous errors.", StoreError::Refused, false),
            ("EXECABORT Transaction discarded because of: READONLY You can't", StoreError::NotServing, true),
            ("EXECABORT Transaction discarded because of: OOM command not", StoreError::Full, false),
            ("EXECABORT Transaction discarded because of: MISCONF x", StoreError::WritesStopped, false),
            ("EXECABORT Transaction discarded because of: EXECABORT because of: OOM x", StoreError::Refused, false),
            ("WRONGTYPE Operation against a key holding the wrong kind of value", StoreError::Refused, false),
            ("ERR unknown command", StoreError::Refused, false),
            ("BUSY Redis is busy running a script.", StoreError::NotServing, true),
            ("EXECABORT Transaction discarded because of: BUSY Redis", StoreError::NotServing, true),
            ("EXECABORT Transaction discarded because of: NOREPLICAS x", StoreError::WritesStopped, false),
            ("EXECABORT Transaction discarded because of: NOAUTH x", StoreError::Denied, false),
            ("", StoreError::Refused, false),
        ];
        for (line, expected, ends) in table {
            assert_eq!(meaning(&reply(line)), expected, "{line}");
            assert_eq!(ends_connection(&reply(line)), ends, "{line}");
        }
    }

    #[test]
    fn a_text_for_the_log_is_short_and_printable() {
        let text = text(&reply(&format!("ERR a\tb{}", "x".repeat(1000))));
        assert!(text.starts_with("ERR ab") && text.len() == 200);
    }
}
