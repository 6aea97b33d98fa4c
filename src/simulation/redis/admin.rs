//! The commands that are about the server and the connection.

use super::keyspace::Key;
use super::machine::{Machine, number, wrong_arity};
use super::resp::Reply;
use super::session::Session;

const VERSION: &str = "7.0.15";

pub(super) fn run(
    machine: &mut Machine,
    session: &mut Session,
    name: &str,
    arguments: &[Vec<u8>],
) -> Result<Reply, Reply> {
    match name {
        "echo" => Ok(Reply::bulk(&arguments[0])),
        "ping" => match arguments {
            [] => Ok(Reply::Simple("PONG")),
            [text] => Ok(Reply::bulk(text)),
            _ => Err(wrong_arity("ping")),
        },
        "select" => {
            match number(&arguments[0]).map_err(|_| Reply::error("ERR value is not an integer or out of range"))? {
                0 => Ok(Reply::OK),
                1..=15 => Err(Reply::error("ERR the simulation has one database")),
                _ => Err(Reply::error("ERR DB index is out of range")),
            }
        }
        "role" if machine.conditions.replica => Ok(Reply::Array(vec![
            Reply::bulk("slave"),
            Reply::bulk("127.0.0.1"),
            Reply::Number(1),
            Reply::bulk("connected"),
            Reply::Number(0),
        ])),
        "role" => Ok(Reply::Array(vec![Reply::bulk("master"), Reply::Number(0), Reply::Array(vec![])])),
        "auth" => auth(machine, session, arguments),
        "hello" => hello(machine, session, arguments),
        _ => Ok(Reply::Text(info(machine, arguments))),
    }
}

fn auth(machine: &Machine, session: &mut Session, arguments: &[Vec<u8>]) -> Result<Reply, Reply> {
    let (user, password) = match arguments {
        [_] if machine.conditions.password.is_none() => {
            return Err(Reply::error(
                "ERR AUTH <password> called without any password configured for the default user. Are you sure your \
                 configuration is correct?",
            ));
        }
        [password] => (&b"default"[..], password),
        [user, password] => (user.as_slice(), password),
        _ => return Err(Reply::error("ERR syntax error")),
    };
    log_in(machine, session, user, password)?;
    Ok(Reply::OK)
}

fn log_in(machine: &Machine, session: &mut Session, user: &[u8], password: &[u8]) -> Result<(), Reply> {
    let right = machine.conditions.password.as_ref().is_none_or(|right| right == password);
    if user != b"default" || !right {
        return Err(Reply::error("WRONGPASS invalid username-password pair or user is disabled."));
    }
    session.logged_in = true;
    Ok(())
}

fn hello(machine: &mut Machine, session: &mut Session, arguments: &[Vec<u8>]) -> Result<Reply, Reply> {
    let mut version = session.version;
    if let Some(asked) = arguments.first() {
        let asked =
            number(asked).map_err(|_| Reply::error("ERR Protocol version is not an integer or out of range"))?;
        version = u8::try_from(asked).ok().filter(|asked| [2, 3].contains(asked)).ok_or_else(no_such_version)?;
    }
    let mut credentials = None;
    let mut options = arguments.get(1..).unwrap_or_default();
    while let [option, rest @ ..] = options {
        options = match (option.to_ascii_uppercase().as_slice(), rest) {
            (b"AUTH", [user, password, rest @ ..]) => {
                credentials = Some((user, password));
                rest
            }
            (b"SETNAME", [_, rest @ ..]) => rest,
            _ => {
                let option = String::from_utf8_lossy(option);
                return Err(Reply::error(format!("ERR Syntax error in HELLO option '{option}'")));
            }
        };
    }
    if let Some((user, password)) = credentials {
        log_in(machine, session, user, password)?;
    }
    if machine.conditions.password.is_some() && !session.logged_in {
        return Err(Reply::error(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> \
             option can be used to authenticate the client and select the RESP protocol version at the same time",
        ));
    }
    session.version = version;
    machine.clients += 1;
    let role = if machine.conditions.replica { "replica" } else { "master" };
    let text = |name: &str, value: &str| (Reply::bulk(name), Reply::bulk(value));
    Ok(Reply::Map(vec![
        text("server", "redis"),
        text("version", VERSION),
        (Reply::bulk("proto"), Reply::Number(i64::from(version))),
        (Reply::bulk("id"), Reply::Number(machine.clients)),
        text("mode", "standalone"),
        text("role", role),
        (Reply::bulk("modules"), Reply::Array(vec![])),
    ]))
}

fn no_such_version() -> Reply {
    Reply::error("NOPROTO unsupported protocol version")
}

/// The sections that were asked for, in the order of a server; of each the lines that matter here.
fn info(machine: &Machine, sections: &[Key]) -> String {
    let role = if machine.conditions.replica {
        "role:slave\r\nmaster_host:127.0.0.1\r\nmaster_port:1\r\nmaster_link_status:up\r\n"
    } else {
        "role:master\r\nconnected_slaves:0\r\nmaster_failover_state:no-failover\r\n"
    };
    let (run_id, replication_id) = (&machine.run_id, &machine.replication_id);
    let all = [
        (
            &b"server"[..],
            format!("# Server\r\nredis_version:{VERSION}\r\nredis_mode:standalone\r\nrun_id:{run_id}\r\n"),
        ),
        (b"memory", "# Memory\r\nused_memory:1000000\r\nmaxmemory:0\r\nmaxmemory_policy:noeviction\r\n".to_owned()),
        (b"persistence", format!("# Persistence\r\nloading:{}\r\n", u8::from(machine.conditions.loading))),
        (b"replication", format!("# Replication\r\n{role}master_replid:{replication_id}\r\n")),
    ];
    let asked = |name: &[u8]| sections.is_empty() || sections.iter().any(|section| section.eq_ignore_ascii_case(name));
    let texts: Vec<String> = all.into_iter().filter(|(name, _)| asked(name)).map(|(_, text)| text).collect();
    texts.join("\r\n")
}
