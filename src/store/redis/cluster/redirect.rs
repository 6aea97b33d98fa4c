//! What a node says of a key that it does not keep: `MOVED`, for good, or `ASK`, for this one command while its slot is on the move.
//!
//! Either way the command was not executed.

use redis::ServerError;

use crate::store::redis::endpoint::Address;

/// Where to ask instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Redirect {
    pub(super) slot: u16,
    pub(super) to: Address,
    /// Only this once, behind an `ASKING`.
    pub(super) once: bool,
}

impl Redirect {
    /// What a reply of a node at `asked` says, if it is a redirect: `MOVED 3999 host:6381`, `ASK 3999 host:6381`. Without a host it is
    /// the same one.
    pub(super) fn read(error: &ServerError, asked: &Address) -> Option<Self> {
        let once = match error.code() {
            "MOVED" => false,
            "ASK" => true,
            _ => return None,
        };
        let (slot, place) = error.details()?.trim().split_once(' ')?;
        let (host, port) = place.rsplit_once(':')?;
        let host = if host.is_empty() || host == "?" { &asked.host } else { host };
        let to = Address { host: host.into(), port: port.parse().ok()? };
        Some(Self { slot: slot.parse().ok()?, to, once })
    }
}

#[cfg(test)]
mod tests {
    use redis::{Value, parse_redis_value};

    use super::*;

    fn read(line: &str) -> Option<Redirect> {
        let asked = Address { host: "here".into(), port: 7000 };
        match parse_redis_value(format!("-{line}\r\n").as_bytes()) {
            Ok(Value::ServerError(error)) => Redirect::read(&error, &asked),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn redirects_are_told_from_other_errors() {
        let to = |slot, host: &str, port, once| Some(Redirect { slot, to: Address { host: host.into(), port }, once });
        assert_eq!(read("MOVED 3999 127.0.0.1:6381"), to(3999, "127.0.0.1", 6381, false));
        assert_eq!(read("ASK 3999 node-1.example:6381"), to(3999, "node-1.example", 6381, true));
        assert_eq!(read("MOVED 1 ::1:6381"), to(1, "::1", 6381, false));
        assert_eq!(read("MOVED 1 :6381"), to(1, "here", 6381, false));
        for other in ["TRYAGAIN x", "CLUSTERDOWN Hash slot not served", "MOVED", "MOVED 1", "MOVED x h:1", "ASK 1 h:x"]
        {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
