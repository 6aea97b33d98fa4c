//! The same assertion on two nodes at the same moment, a thousand times a round: one is the first, whichever node it reaches.

use std::cell::Cell;

use futures_util::future::join_all;

use super::{Plan, Row};
use crate::assertions::until_it_remembers;
use crate::harness::config::generate_keys;
use crate::harness::http1::Wire;
use crate::harness::request::TOKEN;
use crate::harness::signer::{Assertion, SIGNER, asking};
use crate::harness::{RedisServer, Request, TestServer};

/// Assertions of a round, by so many who ask at once.
const EACH_ROUND: usize = 1000;
const LANES: usize = 25;

pub(super) async fn run(plan: Plan) -> Row {
    let redis = RedisServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("jeton.keys");
    generate_keys(&keys);
    let node = async || TestServer::builder().with_keys(&keys).with_redis(&redis).start().await;
    let nodes = [node().await, node().await];
    for node in &nodes {
        until_it_remembers(node).await;
    }
    // How many of an assertion's uses were accepted: none, one, two; and what else was answered.
    let accepted = [const { Cell::new(0) }; 3];
    let others = Cell::new(0);
    let lane = async |_| {
        let mut wires = [Wire::connect(nodes[0].public).await, Wire::connect(nodes[1].public).await];
        for _ in 0..plan.rounds * EACH_ROUND / LANES {
            let request = Request::form(TOKEN, asking(&Assertion::of(SIGNER).sign(), &[]));
            let [one, other] = &mut wires;
            let (one, other) = tokio::join!(one.ask(&request), other.ask(&request));
            let of_status = |status| [&one, &other].iter().filter(|answer| answer.status == status).count();
            let won = &accepted[of_status(200)];
            won.set(won.get() + 1);
            others.set(others.get() + 2 - of_status(200) - of_status(401));
        }
    };
    join_all((0..LANES).map(lane)).await;
    let [none, once, twice] = accepted.map(Cell::into_inner);
    assert_eq!(twice, 0, "assertions were accepted twice");
    assert_eq!((none, others.get()), (0, 0), "assertions of which no use was accepted, and other answers");
    Row {
        rounds: plan.rounds,
        answers: 2 * once,
        tokens: usize::try_from(once).unwrap(),
        note: format!("{once} assertions on two nodes at once, none accepted twice"),
        ..Row::default()
    }
}
