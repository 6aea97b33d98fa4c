//! What the store takes for granted of the encoder, the parser and a real server.

use std::future::poll_fn;
use std::task::Poll;

use redis::Value;
use tokio::net::UnixStream;

use super::server::Server;
use super::{contract, on_a_worker};
use crate::oauth::token::{Page, Token, TokenAddress};
use crate::store::StoreError;
use crate::store::redis::commands::Commands;
use crate::store::redis::errors;
use crate::store::redis::grant_seal::GrantId;
use crate::store::redis::slot_map::Tag;
use crate::store::redis::trip::Trip;
use crate::store::redis::wire::Wire;

const PAGE: Page = Page { dead_second: 4_000_000_000, number: 7 };
const GRANT: GrantId = GrantId([9; 12]);

struct Client {
    wire: Wire<UnixStream>,
    commands: Commands,
}

impl Client {
    async fn connect(server: &Server) -> Self {
        let wire = Wire::new(UnixStream::connect(server.socket()).await.unwrap());
        Self { wire, commands: Commands::new("jeton:", std::rc::Rc::default()) }
    }

    async fn send(&mut self, write: impl FnOnce(&mut Commands, &mut Trip)) -> Vec<Value> {
        let mut trip = self.commands.begin();
        write(&mut self.commands, &mut trip);
        self.commands.finish(&mut trip);
        let replies = trip.expected.len() + 1;
        self.read(&mut trip, replies).await;
        trip.judge().unwrap();
        trip.replies
    }

    async fn read(&mut self, trip: &mut Trip, replies: usize) {
        self.wire.send(&trip.request);
        while trip.replies.len() < replies {
            let reply = poll_fn(|context| match self.wire.poll_send(context) {
                Poll::Ready(Err(broken)) => Poll::Ready(Err(broken)),
                _ => self.wire.poll_reply(context),
            });
            trip.replies.push(reply.await.unwrap());
        }
    }

    async fn mint(&mut self) -> Vec<Value> {
        self.send(|commands, trip| {
            commands.write_grant(trip, Tag::default(), GRANT, &[1; 200], 10_000);
            commands.begin_transaction(trip);
            let records: [(&[u8; 8], &[u8]); 2] = [(&[1; 8], &[1; 39]), (&[2; 8], b"\r\n$-1\r\n")];
            commands.write_page(trip, PAGE, records.into_iter(), 5000);
            commands.execute(trip, 1);
            commands.count_grants(trip, [GRANT, GrantId([0; 12])].into_iter());
        })
        .await
    }

    async fn look_and_delete(&mut self) -> Vec<Value> {
        let address = address();
        self.send(|commands, trip| {
            commands.find_record(trip, &address);
            commands.delete_record(trip, &address);
            commands.find_grant(trip, Tag::default(), GRANT);
        })
        .await
    }
}

fn address() -> TokenAddress {
    Token::make("jt", contract::keys().iter().next().unwrap(), PAGE, &[0; 20]).1
}

fn meaning(reply: &Value) -> Option<StoreError> {
    match reply {
        Value::ServerError(error) => Some(errors::meaning(error)),
        _ => None,
    }
}

fn queued() -> Value {
    Value::SimpleString("QUEUED".into())
}

#[test]
fn a_mint_is_answered_as_expected() {
    on_a_worker(async {
        let server = Server::start();
        let mut client = Client::connect(&server).await;
        let transaction = |new| [Value::Okay, queued(), queued(), Value::Array(vec![Value::Int(new), Value::Int(1)])];
        let replies = client.mint().await;
        // A millisecond may have passed since the SET: then PEXPIRE … GT lengthens by it.
        assert!(replies[0] == Value::Okay && matches!(replies[1], Value::Int(0 | 1)));
        assert_eq!(replies[2..6], transaction(2));
        assert_eq!(replies[6..], [Value::Int(1)]);
        let again = client.mint().await;
        assert_eq!((&again[0], &again[5]), (&Value::Nil, &transaction(0)[3]));
        let looked = client.look_and_delete().await;
        assert_eq!(looked, [Value::Nil, Value::Int(0), Value::BulkString(vec![1; 200])]);
        assert_eq!(server.keys().len(), 2);
    });
}

#[test]
fn a_grants_ttl_is_only_ever_lengthened() {
    on_a_worker(async {
        let server = Server::start();
        let mut client = Client::connect(&server).await;
        client.send(|commands, trip| commands.write_grant(trip, Tag::default(), GRANT, b"x", 50_000)).await;
        for (ttl_millis, lengthened) in [(90_000, 1), (20_000, 0)] {
            let replies =
                client.send(|commands, trip| commands.write_grant(trip, Tag::default(), GRANT, b"x", ttl_millis)).await;
            assert_eq!(replies, [Value::Nil, Value::Int(lengthened)]);
        }
        let Value::Int(left) = server.command(&["PTTL", &server.keys()[0]]) else { panic!("no TTL") };
        assert!((80_000..=90_000).contains(&left));
    });
}

#[test]
fn a_full_server_refuses_a_mint_whole_and_still_looks_and_deletes() {
    on_a_worker(async {
        let server = Server::start();
        let mut client = Client::connect(&server).await;
        server.command(&["CONFIG", "SET", "maxmemory", "1"]);
        let replies = client.mint().await;
        let meanings: Vec<_> = replies.iter().map(meaning).collect();
        let full = Some(StoreError::Full);
        // The reason stands at the queued command; EXEC only says that there was one. In a transaction even PEXPIRE is refused.
        assert_eq!(meanings, [full, None, None, full, full, Some(StoreError::Refused), None]);
        assert!(client.look_and_delete().await.iter().all(|reply| meaning(reply).is_none()));
        assert!(server.keys().is_empty());
    });
}

#[test]
fn a_server_that_turns_after_queueing_says_so_at_exec() {
    on_a_worker(async {
        for (command, expected) in [
            (["CONFIG", "SET", "maxmemory", "1"].as_slice(), StoreError::Full),
            (["REPLICAOF", "127.0.0.1", "1"].as_slice(), StoreError::NotServing),
        ] {
            let server = Server::start();
            let mut client = Client::connect(&server).await;
            let mut trip = client.commands.begin();
            client.commands.begin_transaction(&mut trip);
            let records: [(&[u8; 8], &[u8]); 1] = [(&[1; 8], &[1; 39])];
            client.commands.write_page(&mut trip, PAGE, records.into_iter(), 5000);
            client.read(&mut trip, 3).await;
            assert_eq!(trip.replies, [Value::Okay, queued(), queued()]);
            server.command(command);
            trip.clear();
            client.commands.execute(&mut trip, 1);
            client.read(&mut trip, 1).await;
            assert_eq!(meaning(&trip.replies[0]), Some(expected), "{:?}", trip.replies);
        }
    });
}

#[test]
fn a_replica_refuses_a_mint_whole() {
    on_a_worker(async {
        let server = Server::start();
        let mut client = Client::connect(&server).await;
        server.command(&["REPLICAOF", "127.0.0.1", "1"]);
        let replies = client.mint().await;
        assert_eq!(meaning(&replies[3]), Some(StoreError::NotServing));
        assert_eq!(meaning(&replies[4]), Some(StoreError::NotServing));
        assert_eq!(meaning(&replies[5]), Some(StoreError::Refused));
    });
}
