//! The simulated Redis beside a real one: the same random commands to both, in every condition that a service meets, and the same
//! replies: to the byte, but for the words of an error behind its code. What the simulation shows of the service is worth as much as this test shows of the simulation.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use super::machine::{Machine, Now, Outcome};
use super::resp::{self, Reply};
use super::session::Session;
use crate::clock::Clock;
use crate::simulation::dice::Dice;
use crate::store::redis::tests::PATIENCE;
use crate::store::redis::tests::server::Server;

const COMMANDS: usize = 3000;

/// Two connections to each of the two.
struct Pair {
    machine: Machine,
    sessions: [Session; 2],
    streams: [UnixStream; 2],
}

impl Pair {
    fn of(server: &Server, machine: Machine) -> Self {
        let open = || {
            let stream = UnixStream::connect(server.socket()).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream
        };
        let logged_in = machine.conditions.password.is_none();
        Self { machine, sessions: [Session::new(logged_in), Session::new(logged_in)], streams: [open(), open()] }
    }

    /// What the two say to a command.
    fn ask(&mut self, connection: usize, words: &[Vec<u8>]) -> (Vec<u8>, Vec<u8>) {
        let now = Now { at: 0, clock: Clock::System.unix_millis() };
        let session = &mut self.sessions[connection];
        let simulated = match self.machine.execute(session, words, now) {
            Outcome::Reply(reply) => reply,
            // Nothing is ever appended meanwhile, and there is no replica.
            Outcome::Wait { .. } => Reply::Number(0),
            Outcome::Block { .. } => Reply::NilArray,
        };
        let stream = &mut self.streams[connection];
        stream.write_all(&resp::request(words)).unwrap();
        let mut real = Vec::new();
        while resp::reply_end(&real) != Some(real.len()) || real.is_empty() {
            let mut more = [0; 4096];
            let count = stream.read(&mut more).unwrap();
            assert_ne!(count, 0, "the server hangs up on {words:?}");
            real.extend_from_slice(&more[..count]);
        }
        (simulated.bytes(session.version), real)
    }

    /// Asks both the same random commands.
    fn compare(&mut self, condition: &str, seed: u64, commands: usize) {
        let dice = Dice::new(seed, condition);
        let mut asked: Vec<String> = Vec::new();
        for _ in 0..commands {
            let connection = dice.below(2);
            let words = draw(&dice);
            if words[0] == b"HELLO" && self.sessions[connection].in_transaction() {
                // It changes how the replies behind it are written; nobody does that.
                continue;
            }
            asked.push(
                words.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect::<Vec<_>>().join(" "),
            );
            let (simulated, real) = self.ask(connection, &words);
            let (simulated, real) = (essence(&words, &simulated), essence(&words, &real));
            let before = &asked[asked.len().saturating_sub(12)..];
            assert_eq!(simulated, real, "{condition}, on connection {connection}, the last of: {before:#?}");
        }
    }
}

/// A reply without what differs from server to server: ids, versions, the words of an error behind its code, and how many milliseconds
/// have passed.
fn essence(words: &[Vec<u8>], reply: &[u8]) -> String {
    let text = String::from_utf8_lossy(reply).into_owned();
    let is = |name: &str| words[0].eq_ignore_ascii_case(name.as_bytes());
    if is("PTTL") && text.starts_with(':') && !text.starts_with(":-") {
        return "some time".into();
    }
    let lines: Vec<&str> = text.split("\r\n").collect();
    let line = |(at, line): (usize, &&str)| match (line.as_bytes(), at.checked_sub(2).map(|before| lines[before])) {
        ([b'-', ..], _) => error_essence(line),
        // Of HELLO.
        (_, Some("version")) => "…".into(),
        ([b'$', ..], _) if at > 0 && lines[at - 1] == "version" => "…".into(),
        ([b':', ..], _) if at > 0 && (lines[at - 1] == "id" || line.len() > 4) => "…".into(),
        _ => (*line).to_owned(),
    };
    lines.iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
}

/// Its code, and that of why a transaction was discarded.
fn error_essence(line: &str) -> String {
    let code = |text: &str| text.split(' ').next().unwrap_or_default().to_owned();
    let because = line.split_once(" because of: ").map_or(String::new(), |(_, why)| code(why));
    format!("{} {because}", code(line))
}

fn draw(dice: &Dice) -> Vec<Vec<u8>> {
    let key = || (*dice.pick(&["k1", "k2", "k3", "k4"])).to_owned();
    let name = || (*dice.pick(&["f1", "f2", "", "f\r\n"])).to_owned();
    // So far apart that no time that passes makes one end where another did.
    let number = || match dice.below(8) {
        0 => (*dice.pick(&["0", "-1", "x", "01"])).to_owned(),
        _ => (100_000 * dice.between(1, 1_000_000)).to_string(),
    };
    let option = || (*dice.pick(&["NX", "XX", "gt", "LT", "PX", "YY"])).to_owned();
    let id = || format!("{}-{}", dice.below(40), dice.below(3));
    let mut words: Vec<String> = match dice.below(34) {
        0..=2 => vec!["HSET".into(), key(), name(), "v".into()],
        3 => vec!["hset".into(), key(), name(), "v".into(), name(), "w".into()],
        4..=6 => vec!["HGET".into(), key(), name()],
        7..=8 => vec!["HDEL".into(), key(), name(), name()],
        9 => vec!["PEXPIRE".into(), key(), number()],
        10..=11 => vec!["PEXPIRE".into(), key(), number(), option()],
        12 => vec!["SET".into(), key(), "v".into()],
        13..=14 => vec!["SET".into(), key(), "v".into(), option(), "PX".into(), number()],
        15 => vec!["GET".into(), key()],
        16 => vec!["EXISTS".into(), key(), key(), key()],
        17 => vec!["DEL".into(), key()],
        18 => vec!["PTTL".into(), key()],
        19 => vec!["ECHO".into(), name()],
        20 => vec!["PING".into()],
        21..=22 => vec!["MULTI".into()],
        23..=25 => vec!["EXEC".into()],
        26 => vec![(*dice.pick(&["DISCARD", "HLEN", "NOSUCH", "FLUSHALL"])).to_owned(), key()],
        27 => vec!["HELLO".into(), (*dice.pick(&["2", "3", "4", "x"])).to_owned()],
        28 => vec!["WAIT".into(), "0".into(), "1".into()],
        29 => {
            let (by, threshold) = dice.pick(&[("MAXLEN", "5"), ("MINID", "7")]);
            // Not `~`: what a server trims roughly is its own affair.
            ["XADD", &key(), by, "=", threshold, &id(), "f", "v"].map(str::to_owned).to_vec()
        }
        30 => vec![
            "XRANGE".into(),
            key(),
            (*dice.pick(&["-", "3", "(1-1"])).to_owned(),
            "+".into(),
            "COUNT".into(),
            "2".into(),
        ],
        31 => vec!["XREAD".into(), "COUNT".into(), "3".into(), "STREAMS".into(), key(), id()],
        32 => vec!["XTRIM".into(), key(), "MAXLEN".into(), "3".into()],
        _ => vec![(*dice.pick(&["HEXISTS", "XLEN", "SELECT", "DISCARD", "HLEN", "FLUSHALL"])).to_owned()],
    };
    // Sometimes a word too few, or too many.
    match dice.below(25) {
        0 if words.len() > 1 => drop(words.pop()),
        1 => words.push("0".into()),
        _ => {}
    }
    words.into_iter().map(String::into_bytes).collect()
}

fn machine() -> Machine {
    Machine::new("a".repeat(40), "b".repeat(40))
}

#[test]
fn the_simulated_redis_says_what_a_real_one_says() {
    let server = Server::start();
    let mut pair = Pair::of(&server, machine());
    for seed in 0..3 {
        pair.compare("in peace", seed, COMMANDS);
    }
    for (condition, on, off) in [
        ("full", &["CONFIG", "SET", "maxmemory", "1"], &["CONFIG", "SET", "maxmemory", "0"]),
        (
            "without its replicas",
            &["CONFIG", "SET", "min-replicas-to-write", "1"],
            &["CONFIG", "SET", "min-replicas-to-write", "0"],
        ),
    ] {
        // A transaction that was queued before, and one that is executed after.
        for at_once in [1, 2, 3, COMMANDS / 4] {
            pair.compare("between", at_once as u64, COMMANDS / 20);
            server.command(on);
            pair.machine.conditions.full = condition == "full";
            pair.machine.conditions.too_few_replicas = condition != "full";
            pair.compare(condition, at_once as u64, at_once);
            server.command(off);
            pair.machine.conditions.full = false;
            pair.machine.conditions.too_few_replicas = false;
        }
    }
    for at_once in [1, 2, 3, COMMANDS / 4] {
        pair.compare("between", at_once as u64, COMMANDS / 20);
        server.command(&["REPLICAOF", "127.0.0.1", "1"]);
        pair.machine.conditions.replica = true;
        pair.compare("as a replica", at_once as u64, at_once);
        server.command(&["REPLICAOF", "NO", "ONE"]);
        pair.machine.conditions.replica = false;
    }
}

#[test]
fn and_to_who_has_not_logged_in() {
    let server = Server::start_with(&["--requirepass", "right"]);
    let mut machine = machine();
    machine.conditions.password = Some(b"right".to_vec());
    let mut pair = Pair::of(&server, machine);
    pair.compare("not logged in", 1, COMMANDS / 4);
    for words in [
        &["AUTH", "wrong"][..],
        &["AUTH", "someone", "right"],
        &["HELLO", "3", "AUTH", "default", "wrong"],
        &["HELLO", "3", "SETNAME", "jeton"],
        &["AUTH", "a", "b", "c"],
        &["HELLO", "3", "NOSUCH"],
        &["HELLO", "3", "AUTH", "default", "right", "SETNAME", "jeton"],
        &["ROLE"],
        &["SELECT", "16"],
        &["SELECT", "0"],
        &["PING", "a"],
        &["PING", "a", "b"],
    ] {
        let words: Vec<Vec<u8>> = words.iter().map(|word| word.as_bytes().to_vec()).collect();
        let (simulated, real) = pair.ask(0, &words);
        assert_eq!(essence(&words, &simulated), essence(&words, &real), "{words:?}");
    }
    pair.compare("one of them logged in", 2, COMMANDS / 4);
    for words in [&["DISCARD"][..], &["HELLO", "3"]] {
        pair.ask(0, &words.iter().map(|word| word.as_bytes().to_vec()).collect::<Vec<_>>());
    }
    // Of INFO, the lines that are there are there at a real one too, and say the same where it matters.
    let words = ["INFO", "server", "replication", "memory"].map(|word| word.as_bytes().to_vec());
    let (simulated, real) = pair.ask(0, &words);
    let (simulated, real) = (String::from_utf8(simulated).unwrap(), String::from_utf8(real).unwrap());
    assert!(simulated.starts_with('=') && real.starts_with('='));
    for line in simulated.lines().skip(1).filter(|line| line.contains(':')) {
        let name = line.split_once(':').unwrap().0;
        let exact = ["role", "redis_mode", "maxmemory_policy"].contains(&name);
        let fits = |other: &str| if exact { other == line } else { other.split(':').next() == Some(name) };
        assert!(real.lines().any(fits), "{line} is not in {real}");
    }
}
