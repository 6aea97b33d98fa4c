//! One round trip: the bytes of a batch of commands, what must come back, and what did.
//!
//! Each trip ends with an `ECHO` of its running number. Replies can be doubled, cut or replaced on the way, so none of a trip is
//! believed before that number has come at its place and every reply is of the kind that its command can have.

use redis::{ServerError, Value};

#[cfg(test)]
use super::sabotage::{self, Sabotage};

/// Commands under way together, and their replies.
#[derive(Debug, Default)]
pub(super) struct Trip {
    /// RESP, ready to send.
    pub(super) request: Vec<u8>,
    /// What may come back, a reply each; the closing `ECHO` is not among them.
    pub(super) expected: Vec<Expected>,
    /// What came back: once [`Trip::judge`] has passed, as many as are expected.
    pub(super) replies: Vec<Value>,
    /// Stands in the closing `ECHO`.
    pub(super) number: u64,
}

/// The kinds of replies that a command can have. An error reply fits everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// `OK`.
    Okay,
    /// `OK` or nil: `SET … NX`.
    OkayOrNil,
    /// A number from 0 to this one.
    Number(u32),
    /// `QUEUED`.
    Queued,
    /// `EXEC` of so many commands whose replies are numbers.
    Transaction(u32),
    /// `EXEC` of a grant's `SET … NX` and `PEXPIRE`.
    GrantWritten,
    /// `EXEC` of a question for server and epoch, and of so many notes of uses.
    Claims(u32),
    /// `EXEC` of so many appends to a stream, a trim and a TTL.
    Appended(u32),
    /// The elements of a stream.
    Elements,
    /// Bytes or nil.
    BytesOrNil,
    /// Bytes or text: `INFO`.
    Text,
    /// The server's properties: `HELLO`.
    Properties,
}

/// Why the replies of a trip are not believed.
#[derive(Debug)]
pub(super) enum Disbelief {
    /// They are not the replies to its commands.
    Garbled(&'static str),
    /// The server refused even the closing `ECHO`.
    EchoRefused(ServerError),
}

impl Trip {
    /// Whether as many replies have come as were asked for, the closing `ECHO` among them.
    pub(super) fn is_complete(&self) -> bool {
        self.replies.len() > self.expected.len()
    }

    /// Judges a complete trip and takes the closing `ECHO` off.
    pub(super) fn judge(&mut self) -> Result<(), Disbelief> {
        match self.replies.pop() {
            Some(Value::BulkString(echo)) if echo == self.number.to_string().as_bytes() => {}
            #[cfg(test)]
            Some(Value::BulkString(_)) if sabotage::is(Sabotage::NumberNotChecked) => {}
            Some(Value::ServerError(error)) => return Err(Disbelief::EchoRefused(error)),
            _ => return Err(Disbelief::Garbled("another trip's number, or none, at the end of the replies")),
        }
        let mut refused_to_queue = false;
        for (expected, reply) in self.expected.iter().zip(&self.replies) {
            if !expected.fits(reply) {
                return Err(Disbelief::Garbled("a reply of another kind than its command has"));
            }
            match (expected, reply) {
                (Expected::Queued, Value::ServerError(_)) => refused_to_queue = true,
                (Expected::Transaction(_) | Expected::GrantWritten | Expected::Claims(_), Value::Array(_))
                    if refused_to_queue =>
                {
                    return Err(Disbelief::Garbled("a transaction executed without all of its commands"));
                }
                (Expected::Transaction(_) | Expected::GrantWritten | Expected::Claims(_), _) => {
                    refused_to_queue = false
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Empties it for the next batch, keeping its memory.
    pub(super) fn clear(&mut self) {
        self.request.clear();
        self.expected.clear();
        self.replies.clear();
    }
}

impl Expected {
    fn fits(self, reply: &Value) -> bool {
        match (self, reply) {
            (_, Value::ServerError(_)) | (Self::Okay | Self::OkayOrNil, Value::Okay) => true,
            (Self::OkayOrNil | Self::BytesOrNil, Value::Nil) | (Self::BytesOrNil, Value::BulkString(_)) => true,
            (Self::Number(max), Value::Int(number)) => (0..=i64::from(max)).contains(number),
            (Self::Queued, Value::SimpleString(text)) => text == "QUEUED",
            (Self::Transaction(commands), Value::Array(replies)) => {
                let numbers = |reply: &Value| matches!(reply, Value::Int(0..) | Value::ServerError(_));
                u32::try_from(replies.len()) == Ok(commands) && replies.iter().all(numbers)
            }
            (Self::GrantWritten, Value::Array(replies)) => {
                matches!(replies.as_slice(), [set, lengthened]
                    if Self::OkayOrNil.fits(set) && Self::Number(1).fits(lengthened))
            }
            (Self::Claims(uses), Value::Array(replies)) => match replies.as_slice() {
                [info, epoch, uses_noted @ ..] => {
                    let noted = |one: &[Value; 2]| Self::OkayOrNil.fits(&one[0]) && Self::BytesOrNil.fits(&one[1]);
                    let (notes, rest) = uses_noted.as_chunks::<2>();
                    let as_many = rest.is_empty() && u32::try_from(notes.len()) == Ok(uses);
                    as_many && Self::Text.fits(info) && Self::BytesOrNil.fits(epoch) && notes.iter().all(noted)
                }
                _ => false,
            },
            (Self::Appended(elements), Value::Array(replies)) => {
                let appended =
                    |reply: &Value| matches!(reply, Value::BulkString(_) | Value::Int(0..) | Value::ServerError(_));
                u32::try_from(replies.len()) == Ok(elements + 2) && replies.iter().all(appended)
            }
            (Self::Elements, Value::Array(elements)) => {
                elements.iter().all(|element| matches!(element, Value::Array(_)))
            }
            (Self::Text, Value::BulkString(_) | Value::VerbatimString { .. }) => true,
            (Self::Properties, Value::Map(_)) => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use redis::parse_redis_value;

    use super::*;

    fn judge(expected: &[Expected], replies: &[&str]) -> Result<Vec<Value>, Disbelief> {
        let parse = |reply: &&str| parse_redis_value(reply.as_bytes()).unwrap();
        let mut trip = Trip {
            expected: expected.to_vec(),
            replies: replies.iter().map(parse).collect(),
            number: 7,
            ..Trip::default()
        };
        assert!(trip.is_complete());
        trip.judge().map(|()| trip.replies)
    }

    #[test]
    fn only_replies_of_their_kind_before_the_right_number_are_believed() {
        use Expected::{BytesOrNil, Number, Okay, Queued, Transaction};
        let good = ["+OK\r\n", "+QUEUED\r\n", "*1\r\n:2\r\n", ":1\r\n", "$-1\r\n", "$1\r\n7\r\n"];
        let expected = [Okay, Queued, Transaction(1), Number(1), BytesOrNil];
        assert_eq!(judge(&expected, &good).unwrap().len(), 5);
        for at in 0..good.len() {
            for other in [
                "+OK\r\n",
                "+QUEUED\r\n",
                "*1\r\n:2\r\n",
                ":1\r\n",
                ":2\r\n",
                "$-1\r\n",
                "$1\r\n8\r\n",
                "*0\r\n",
                "#t\r\n",
            ] {
                let mut replies = good;
                replies[at] = other;
                let fits = replies == good || (at == 4 && other.starts_with("$1"));
                assert_eq!(judge(&expected, &replies).is_ok(), fits, "{at} {other:?}");
            }
        }
        let mut refused = good;
        refused[1] = "-OOM full\r\n";
        assert!(judge(&expected, &refused).is_err(), "not executed, yet it says so");
        refused[2] = "-EXECABORT because\r\n";
        assert!(judge(&expected, &refused).is_ok());
        let two = [Queued, Transaction(1), Queued, Transaction(1)];
        let moved = ["-MOVED 1 h:1\r\n", "-EXECABORT x\r\n"];
        assert!(judge(&two, &[moved[0], moved[1], "+QUEUED\r\n", "*1\r\n:1\r\n", "$1\r\n7\r\n"]).is_ok());
        assert!(judge(&two, &["+QUEUED\r\n", "*1\r\n:1\r\n", moved[0], "*1\r\n:1\r\n", "$1\r\n7\r\n"]).is_err());
        refused[5] = "-NOAUTH x\r\n";
        assert!(matches!(judge(&expected, &refused), Err(Disbelief::EchoRefused(_))));
    }
}
