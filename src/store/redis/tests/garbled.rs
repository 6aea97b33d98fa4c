//! Connections that lie: whatever is done to the replies on their way, the batch is an error and the connection is dropped.

use std::cell::Cell;
use std::io;
use std::path::PathBuf;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split};
use tokio::net::UnixStream;

use super::*;
use crate::store::redis::journal::RedisJournal;

type Lie = Rc<dyn Fn(&[u8]) -> Vec<u8>>;

/// Connects through a middleman, which on demand replaces one piece of what the server says, or says nothing at all.
#[derive(Clone)]
struct Middleman {
    socket: PathBuf,
    lie: Rc<RefCell<Option<Lie>>>,
    lies: Rc<Cell<usize>>,
    /// It lies until it is told to stop.
    lies_on: Rc<Cell<bool>>,
    /// So many connections from now on hear nothing.
    mute: Rc<Cell<u32>>,
    /// Look-ups asked for, by connection.
    looked_up: Rc<RefCell<Vec<usize>>>,
    /// So many bytes are on the way at most.
    piece: usize,
    /// Trips asked for, on all connections; what comes back passes only once there were so many.
    asked: Rc<Cell<usize>>,
    passes_after: Rc<Cell<usize>>,
}

impl Connector for Middleman {
    type Stream = DuplexStream;

    async fn connect(&self) -> io::Result<DuplexStream> {
        let (mut from_server, mut to_server) = UnixStream::connect(&self.socket).await?.into_split();
        let (ours, theirs) = duplex(self.piece);
        let (mut from_client, mut to_client) = split(theirs);
        let connection = self.looked_up.borrow().len();
        self.looked_up.borrow_mut().push(0);
        let looked_up = Rc::clone(&self.looked_up);
        let asked = Rc::clone(&self.asked);
        spawn_local(async move {
            let mut piece = vec![0; 64 * 1024];
            while let Ok(length @ 1..) = from_client.read(&mut piece).await {
                let count = piece[..length].windows(4).filter(|word| word == b"HGET").count();
                looked_up.borrow_mut()[connection] += count;
                asked.set(asked.get() + piece[..length].windows(4).filter(|word| word == b"ECHO").count());
                if to_server.write_all(&piece[..length]).await.is_err() {
                    return;
                }
            }
        });
        let (lie, lies, lies_on) = (Rc::clone(&self.lie), Rc::clone(&self.lies), Rc::clone(&self.lies_on));
        let (asked, passes_after) = (Rc::clone(&self.asked), Rc::clone(&self.passes_after));
        let mute = self.mute.get() > 0;
        self.mute.set(self.mute.get().saturating_sub(1));
        spawn_local(async move {
            let mut piece = vec![0; 256 * 1024];
            while let Ok(length @ 1..) = from_server.read(&mut piece).await {
                until(|| asked.get() >= passes_after.get()).await;
                let told = match mute {
                    true => None,
                    false if lies_on.get() => lie.borrow().clone(),
                    false => lie.borrow_mut().take(),
                };
                let told = told.map_or_else(
                    || piece[..length].to_vec(),
                    |lie| {
                        lies.set(lies.get() + 1);
                        lie(&piece[..length])
                    },
                );
                if !mute && to_client.write_all(&told).await.is_err() {
                    return;
                }
            }
        });
        Ok(ours)
    }
}

fn middleman(server: &Server) -> Middleman {
    Middleman {
        socket: server.socket(),
        lie: Rc::default(),
        lies: Rc::default(),
        lies_on: Rc::default(),
        mute: Rc::default(),
        looked_up: Rc::default(),
        piece: 1024 * 1024,
        asked: Rc::default(),
        passes_after: Rc::default(),
    }
}

fn open_through(middleman: &Middleman, server: &Server) -> Opened {
    let options = RedisOptions {
        operation_timeout: Duration::from_millis(300),
        journal: Arc::new(RedisJournal::quiet()),
        ..server.options()
    };
    open_with(middleman.clone(), options)
}

fn through(server: &Server) -> (Opened, Middleman) {
    let middleman = middleman(server);
    (open_through(&middleman, server), middleman)
}

/// Doubles what stands before the first end of line behind `from`, cuts it, or puts something else in its place.
fn lies() -> Vec<(&'static str, Lie)> {
    let line = |bytes: &[u8]| bytes.windows(2).position(|pair| pair == b"\r\n").map_or(bytes.len(), |at| at + 2);
    let lie = |name, lie: fn(&[u8], usize) -> Vec<u8>| {
        let lie: Lie = Rc::new(move |bytes: &[u8]| lie(bytes, line(bytes)));
        (name, lie)
    };
    vec![
        lie("all doubled", |bytes, _| [bytes, bytes].concat()),
        lie("first line doubled", |bytes, line| [&bytes[..line], bytes].concat()),
        lie("first line gone", |bytes, line| bytes[line..].to_vec()),
        lie("nil before", |bytes, _| [b"_\r\n", bytes].concat()),
        lie("zero before", |bytes, _| [b":0\r\n", bytes].concat()),
        lie("nil behind", |bytes, _| [bytes, b"_\r\n"].concat()),
        lie("half a reply behind", |bytes, _| [bytes, b"$100\r\nabc"].concat()),
        lie("cut short", |bytes, _| bytes[..bytes.len() - 1].to_vec()),
        lie("nothing", |_, _| vec![]),
        lie("endless array", |_, _| b"*2147483647\r\n".to_vec()),
        lie("another protocol", |_, _| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        lie("all nil", |bytes, _| {
            let echo = bytes.len() - bytes.iter().rev().skip(4).position(|byte| *byte == b'$').unwrap() - 5;
            [b"_\r\n", &bytes[echo..]].concat()
        }),
        lie("another number", |bytes, _| {
            let mut bytes = bytes.to_vec();
            let last = bytes.len() - 3;
            bytes[last] ^= 1;
            bytes
        }),
        lie("no number", |bytes, _| {
            let echo = bytes.len() - bytes.iter().rev().skip(4).position(|byte| *byte == b'$').unwrap() - 5;
            bytes[..echo].to_vec()
        }),
    ]
}

#[test]
fn whatever_is_done_to_replies_the_batch_is_an_error_and_the_connection_is_dropped() {
    on_a_worker(async {
        let server = Server::start();
        let (node, middleman) = through(&server);
        until(|| node.store.is_up()).await;
        for (name, lie) in lies() {
            let records = node.saved(3).await;
            let fresh = node.records(2, &contract::grant(name));
            let connection = node.store.0.ways.reads.state().connection();
            // A save is never sent again, so what it was told is the answer.
            *middleman.lie.borrow_mut() = Some(Rc::clone(&lie));
            let answer = node.save(&fresh).await;
            assert!(matches!(answer, Err(StoreError::Broken | StoreError::TimedOut)), "save, {name}: {answer:?}");
            until(|| node.store.is_up() && node.store.0.ways.reads.state().connection() > connection).await;
            // A question is asked again on a new connection, or is an error; it is never answered by the lie.
            let connection = node.store.0.ways.reads.state().connection();
            *middleman.lie.borrow_mut() = Some(Rc::clone(&lie));
            let answer = node.find(records[1].address).await;
            let all_nil = name == "all nil";
            if all_nil {
                // One nil for one question, with the right number behind it: nobody could tell it from the truth.
                assert_eq!(answer, Ok(Lookup::NotFound));
                continue;
            }
            assert!(answer == found(&records[1]) || answer.is_err(), "find, {name}: {answer:?}");
            until(|| node.store.is_up() && node.store.0.ways.reads.state().connection() > connection).await;
            let connection = node.store.0.ways.reads.state().connection();
            *middleman.lie.borrow_mut() = Some(Rc::clone(&lie));
            let answers = node.store.find(records.iter().map(|new| new.address).collect()).await;
            for (new, answer) in records.iter().zip(&answers) {
                assert!(*answer == found(new) || answer.is_err(), "find 3, {name}: {answer:?}");
            }
            until(|| node.store.is_up() && node.store.0.ways.reads.state().connection() > connection).await;
        }
        assert_eq!(middleman.lies.get(), lies().len() * 3 - 1);
    });
}

#[test]
fn where_every_reply_comes_twice_nobody_waits_for_the_next_connection_to_be_no_better() {
    on_a_worker(async {
        let server = Server::start();
        let (node, middleman) = through(&server);
        until(|| node.store.is_up()).await;
        let records = node.saved(1).await;
        let (_, doubled) = lies().swap_remove(0);
        *middleman.lie.borrow_mut() = Some(doubled);
        middleman.lies_on.set(true);
        // It greets well, and breaks with the first batch.
        while node.witness.saw("lost") == 0 {
            assert!(node.find(records[0].address).await.is_err());
        }
        let connections = middleman.looked_up.borrow().len();
        for _ in 0..100 {
            assert_eq!(node.find(records[0].address).await, Err(StoreError::Unavailable));
        }
        assert_eq!(middleman.looked_up.borrow().len(), connections, "nobody waited for another");
        middleman.lies_on.set(false);
        middleman.lie.borrow_mut().take();
        until(|| node.store.is_up()).await;
        assert_eq!(node.find(records[0].address).await, found(&records[0]));
        assert_eq!((node.witness.saw("lost"), node.witness.saw("back")), (1, 2));
    });
}

#[test]
fn replies_that_come_in_crumbs_are_read_whole() {
    on_a_worker(async {
        let server = Server::start();
        let middleman = Middleman { piece: 3, ..middleman(&server) };
        let node = open_through(&middleman, &server);
        until(|| node.store.is_up()).await;
        let records = node.saved(34).await;
        for new in &records {
            assert_eq!(node.find(new.address).await, found(new));
        }
        assert_eq!(node.witness.saw("lost"), 0);
    });
}

#[test]
fn on_a_far_server_trips_do_not_wait_for_each_other() {
    on_a_worker(async {
        let server = Server::start();
        let (node, middleman) = through(&server);
        until(|| node.store.is_up()).await;
        let records = node.saved(4).await;
        let more = node.records(2, &contract::grant("orders"));
        // Nothing comes back before all five were asked for.
        middleman.passes_after.set(middleman.asked.get() + 5);
        let find = |at: usize| node.find(records[at].address);
        let (a, b, saved, c, deleted) =
            tokio::join!(find(0), find(1), node.save(&more), find(2), node.delete(records[3].address));
        assert_eq!([a, b, c], [found(&records[0]), found(&records[1]), found(&records[2])]);
        assert_eq!((saved, deleted), (Ok(()), Ok(())));
        assert_eq!(node.witness.saw("lost"), 0);
    });
}

#[test]
fn after_three_timeouts_three_look_ups_must_be_answered_first() {
    on_a_worker(async {
        let server = Server::start();
        for (mute, asked) in [(0, 1), (2, 1), (3, 4), (4, 4)] {
            let middleman = middleman(&server);
            middleman.mute.set(mute);
            let node = open_through(&middleman, &server);
            until(|| node.store.is_up()).await;
            let looked_up = middleman.looked_up.borrow().clone();
            assert_eq!(looked_up.last(), Some(&asked), "{mute} {looked_up:?}");
            assert_eq!(looked_up.len(), 1 + mute as usize);
        }
    });
}

#[test]
fn an_old_server_is_refused_plainly() {
    on_a_worker(async {
        let server = Server::start();
        let (node, middleman) = through(&server);
        *middleman.lie.borrow_mut() = Some(Rc::new(|bytes: &[u8]| {
            String::from_utf8_lossy(bytes).replace("redis_version:7.0.1", "redis_version:6.2.1").into_bytes()
        }));
        until(|| node.witness.saw("lost") == 1).await;
        assert_eq!(node.witness.saw("Redis 6.2.15 is too old, it must be 7.0 or later"), 1);
        until(|| node.store.is_up()).await;
    });
}
