//! One simulated `redis-server`, without its network: commands in, replies and effects out, in the order in which Redis judges them.
//!
//! What it knows is what the service sends, and enough beside to be compared with a real server. Invariant: a command that is refused
//! changes nothing; all that changes is in the log.

use std::collections::BTreeSet;

use super::keyspace::{Effect, Field, Key, Keyspace, Stored, Value};
use super::resp::Reply;
use super::session::{Queued, Session};
use super::{admin, keys, streams};

/// The two times at which a command is executed, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Now {
    /// Of the simulation, which no fault moves.
    pub(super) at: u64,
    /// Of the server's own clock, by which keys end.
    pub(super) clock: u64,
}

/// What may be wrong with a server that answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::simulation) struct Conditions {
    /// At `maxmemory`, with noeviction.
    pub(in crate::simulation) full: bool,
    /// A replica of another.
    pub(in crate::simulation) replica: bool,
    /// Reading its data from disk.
    pub(in crate::simulation) loading: bool,
    /// It could not save and stops writes.
    pub(in crate::simulation) misconfigured: bool,
    /// Fewer replicas than `min-replicas-to-write`.
    pub(in crate::simulation) too_few_replicas: bool,
    pub(in crate::simulation) password: Option<Vec<u8>>,
}

#[derive(Clone, Debug)]
pub(super) struct Machine {
    keyspace: Keyspace,
    /// Every effect since the beginning, and when.
    log: Vec<(u64, Effect)>,
    pub(super) conditions: Conditions,
    pub(super) run_id: String,
    pub(super) replication_id: String,
    pub(super) clients: i64,
}

/// What becomes of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Reply(Reply),
    /// `WAIT`: answered once so many replicas have what this connection wrote, or in time.
    Wait {
        replicas: u64,
        timeout_millis: u64,
    },
    /// `XREAD` with `BLOCK`: asked again once something has been appended, or answered nil in time.
    Block {
        timeout_millis: u64,
    },
}

#[derive(Clone, Copy, Debug)]
struct Command {
    arity: i64,
    writes: bool,
    grows: bool,
    while_loading: bool,
    before_login: bool,
}

const fn command(arity: i64) -> Command {
    Command { arity, writes: false, grows: false, while_loading: false, before_login: false }
}

fn lookup(name: &str) -> Option<Command> {
    let write = |arity| Command { writes: true, ..command(arity) };
    let grow = |arity| Command { grows: true, ..write(arity) };
    let always = |arity| Command { while_loading: true, ..command(arity) };
    Some(match name {
        "hello" => Command { before_login: true, ..always(-1) },
        "auth" => Command { before_login: true, ..always(-2) },
        "select" => always(2),
        "info" => always(-1),
        "multi" | "exec" | "discard" | "role" => always(1),
        "ping" => command(-1),
        "echo" | "get" | "hlen" | "xlen" | "pttl" => command(2),
        "exists" => command(-2),
        "hget" | "hexists" | "wait" => command(3),
        "xread" | "xrange" => command(-4),
        "set" => grow(-3),
        "hset" => grow(-4),
        "xadd" => grow(-5),
        "del" => write(-2),
        "hdel" | "pexpire" => write(-3),
        "xtrim" => write(-4),
        "flushall" => write(-1),
        _ => return None,
    })
}

impl Machine {
    /// With nothing in it.
    pub(super) fn new(run_id: String, replication_id: String) -> Self {
        let (keyspace, conditions) = (Keyspace::default(), Conditions::default());
        Self { keyspace, log: Vec::new(), conditions, run_id, replication_id, clients: 0 }
    }

    /// As it comes back with the first `written` effects of its log.
    pub(super) fn restarted(&self, written: usize, run_id: String, replication_id: String) -> Self {
        let log = self.log[..written.min(self.log.len())].to_vec();
        let keyspace = Keyspace::replay(log.iter().map(|(_, effect)| effect));
        let conditions = Conditions { password: self.conditions.password.clone(), ..Conditions::default() };
        Self { keyspace, log, conditions, run_id, replication_id, clients: 0 }
    }

    pub(super) fn log(&self) -> &[(u64, Effect)] {
        &self.log
    }

    /// Effects that had happened by then.
    pub(super) fn log_at(&self, at: u64) -> usize {
        self.log.partition_point(|(written, _)| *written <= at)
    }

    /// Every field of every hash.
    pub(super) fn fields(&self) -> BTreeSet<(Key, Field)> {
        let hashes = self.keyspace.iter().filter_map(|(key, stored)| match &stored.value {
            Value::Hash(fields) => Some(fields.keys().map(|field| (key.clone(), field.clone()))),
            Value::Text(_) | Value::Stream { .. } => None,
        });
        hashes.flatten().collect()
    }

    /// Executes one command of a connection, or queues it.
    pub(super) fn execute(&mut self, session: &mut Session, words: &[Vec<u8>], now: Now) -> Outcome {
        let Some(name) = words.first() else { return Outcome::Reply(Reply::error("ERR empty command")) };
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        if let Err(refusal) = self.admit(session, &name, words) {
            return Outcome::Reply(session.refused(&name, refusal));
        }
        match name.as_str() {
            "multi" => Outcome::Reply(session.begin()),
            "discard" => Outcome::Reply(session.discard()),
            "exec" => Outcome::Reply(self.exec(session, now)),
            _ if session.in_transaction() => {
                let known = lookup(&name);
                let (writes, grows) = known.map_or((false, false), |command| (command.writes, command.grows));
                Outcome::Reply(session.queue(Queued { words: words.to_vec(), writes, grows }))
            }
            _ => self.run(session, &name, words, now),
        }
    }

    /// In the order of Redis' own `processCommand`.
    fn admit(&self, session: &Session, name: &str, words: &[Vec<u8>]) -> Result<(), Reply> {
        let command = lookup(name).ok_or_else(|| unknown(words))?;
        let count = i64::try_from(words.len()).unwrap_or(i64::MAX);
        if (command.arity > 0 && count != command.arity) || count < -command.arity {
            return Err(wrong_arity(name));
        }
        let on = &self.conditions;
        if on.password.is_some() && !session.logged_in && !command.before_login {
            return Err(Reply::error("NOAUTH Authentication required."));
        }
        let exec = name == "exec";
        let writes = command.writes || (exec && session.queued().any(|queued| queued.writes));
        let grows = command.grows || (exec && session.queued().any(|queued| queued.grows));
        let queues = session.in_transaction() && !matches!(name, "exec" | "discard");
        if on.full && (grows || queues) {
            return Err(Reply::error("OOM command not allowed when used memory > 'maxmemory'."));
        }
        if on.misconfigured && !on.replica && (writes || name == "ping") {
            return Err(Reply::error(
                "MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk. Commands that \
                 may modify the data set are disabled, because this instance is configured to report errors during writes if RDB \
                 snapshotting fails (stop-writes-on-bgsave-error option). Please check the Redis logs for details about the RDB \
                 error.",
            ));
        }
        if on.too_few_replicas && !on.replica && writes {
            return Err(Reply::error("NOREPLICAS Not enough good replicas to write."));
        }
        if on.replica && writes {
            return Err(Reply::error("READONLY You can't write against a read only replica."));
        }
        if on.loading && !command.while_loading {
            return Err(Reply::error("LOADING Redis is loading the dataset in memory"));
        }
        Ok(())
    }

    fn exec(&mut self, session: &mut Session, now: Now) -> Reply {
        let queued = match session.take_transaction() {
            Ok(queued) => queued,
            Err(refusal) => return refusal,
        };
        let execute = |Queued { words, .. }| {
            let name = String::from_utf8_lossy(&words[0]).to_ascii_lowercase();
            match self.run(session, &name, &words, now) {
                Outcome::Reply(reply) => reply,
                // Nothing waits inside a transaction.
                Outcome::Wait { .. } => Reply::Number(0),
                Outcome::Block { .. } => Reply::NilArray,
            }
        };
        Reply::Array(queued.into_iter().map(execute).collect())
    }

    fn run(&mut self, session: &mut Session, name: &str, words: &[Vec<u8>], now: Now) -> Outcome {
        let arguments = &words[1..];
        let logged = self.log.len();
        let reply = match name {
            "hello" | "auth" | "select" | "info" | "role" | "ping" | "echo" => {
                admin::run(self, session, name, arguments)
            }
            "wait" if self.conditions.replica => Err(Reply::error("ERR WAIT cannot be used with replica instances.")),
            "wait" => match (number(&arguments[0]), number(&arguments[1])) {
                (Ok(replicas), Ok(timeout_millis)) if timeout_millis >= 0 => {
                    let (replicas, timeout_millis) = (replicas.max(0).unsigned_abs(), timeout_millis.unsigned_abs());
                    return Outcome::Wait { replicas, timeout_millis };
                }
                (Ok(_), Ok(_)) => Err(Reply::error("ERR timeout is negative")),
                (Err(refusal), _) => Err(refusal),
                (_, Err(_)) => Err(Reply::error("ERR timeout is not an integer or out of range")),
            },
            "xread" => match streams::read(self, arguments, now) {
                Ok(outcome) => return outcome,
                Err(refusal) => Err(refusal),
            },
            "xadd" | "xlen" | "xrange" | "xtrim" => streams::run(self, name, arguments, now),
            _ => keys::run(self, name, arguments, now),
        };
        if self.log.len() > logged {
            session.wrote = self.log.len();
        }
        Outcome::Reply(reply.unwrap_or_else(|refusal| refusal))
    }

    /// What is stored under a key, unless its time has come: then it goes now.
    pub(super) fn live(&mut self, key: &[u8], now: Now) -> Option<&Stored> {
        let over = self.keyspace.get(key).and_then(|stored| stored.expires_at).is_some_and(|end| end <= now.clock);
        if over && self.conditions.replica {
            // A replica hides what is over and waits for its primary to delete it.
            return None;
        }
        if over {
            self.effect(Effect::Expired { key: key.to_vec() }, now);
        }
        self.keyspace.get(key)
    }

    /// Deletes every key whose time has come, as Redis does a few of ten times a second.
    pub(super) fn expire(&mut self, now: Now) {
        if self.conditions.replica || self.conditions.loading {
            return;
        }
        let over = |stored: &Stored| stored.expires_at.is_some_and(|end| end <= now.clock);
        let keys: Vec<Key> =
            self.keyspace.iter().filter(|(_, stored)| over(stored)).map(|(key, _)| key.clone()).collect();
        keys.into_iter().for_each(|key| self.effect(Effect::Expired { key }, now));
    }

    pub(super) fn effect(&mut self, effect: Effect, now: Now) {
        self.keyspace.apply(&effect);
        self.log.push((now.at, effect));
    }
}

/// A number as Redis reads one.
pub(super) fn number(word: &[u8]) -> Result<i64, Reply> {
    let parsed = std::str::from_utf8(word).ok().and_then(|text| text.parse::<i64>().ok());
    // What is written otherwise than Redis would write it is none: `+1`, `01`.
    let number = parsed.filter(|number| number.to_string().as_bytes() == word);
    number.ok_or_else(|| Reply::error("ERR value is not an integer or out of range"))
}

pub(super) fn wrong_arity(name: &str) -> Reply {
    Reply::error(format!("ERR wrong number of arguments for '{name}' command"))
}

fn unknown(words: &[Vec<u8>]) -> Reply {
    let text = |word: &Vec<u8>| String::from_utf8_lossy(word).into_owned();
    let arguments: String = words[1..].iter().map(|word| format!("'{}' ", text(word))).collect();
    Reply::error(format!("ERR unknown command '{}', with args beginning with: {arguments}", text(&words[0])))
}
