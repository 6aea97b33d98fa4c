//! The suite that every store passes, on every way to a server.

use super::*;

fn holds_over(options: impl Fn(&Server) -> RedisOptions) {
    on_a_worker(async {
        let server = Server::start();
        contract::holds(async || {
            server.command(&["FLUSHALL"]);
            let pair = (open(options(&server)).store, open(options(&server)).store);
            until(|| pair.0.is_up() && pair.1.is_up()).await;
            pair
        })
        .await;
    });
}

#[test]
fn the_contract_holds_over_a_unix_socket() {
    holds_over(Server::options);
}

#[test]
fn the_contract_holds_over_tcp_in_another_database() {
    holds_over(|server| RedisOptions {
        operation_timeout: server.options().operation_timeout,
        ..RedisOptions::parse_url(&format!("redis://127.0.0.1:{}/5", server.port)).unwrap()
    });
}
