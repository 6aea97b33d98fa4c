//! What lies in Redis: nothing that could be read, nothing that lives for ever, nothing that is believed where it does not belong.

mod lifetimes;
mod secrecy;
mod tampering;

use redis::Connection;

use crate::harness::RedisServer;

/// All pages: keys of hashes.
fn pages(redis: &RedisServer) -> Vec<Vec<u8>> {
    redis.keys().into_iter().filter(|key| type_of(redis, key) == "hash").collect()
}

/// All grants.
fn grants(redis: &RedisServer) -> Vec<Vec<u8>> {
    redis.keys().into_iter().filter(|key| key.starts_with(b"jeton:g:")).collect()
}

fn type_of(redis: &RedisServer, key: &[u8]) -> String {
    redis::cmd("TYPE").arg(key).query(&mut redis.connect()).unwrap()
}

/// The fields of a page and their values.
fn records(connection: &mut Connection, page: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    redis::cmd("HGETALL").arg(page).query(connection).unwrap()
}

fn write_record(connection: &mut Connection, page: &[u8], field: &[u8], value: &[u8]) {
    redis::cmd("HSET").arg(page).arg(field).arg(value).exec(connection).unwrap();
}
