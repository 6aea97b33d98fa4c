//! Rolling restarts of two nodes behind strict clients: no request fails.

use super::table::Row;
use super::{Plan, row_of};
use crate::faults::rolling::{roll, two_nodes};
use crate::harness::{Http, RedisServer};

pub(super) async fn http1(plan: Plan) -> Row {
    run(plan, Http::One).await
}

pub(super) async fn http2(plan: Plan) -> Row {
    run(plan, Http::Two).await
}

async fn run(plan: Plan, http: Http) -> Row {
    let redis = RedisServer::start().await;
    let mut nodes = two_nodes(&redis).await;
    let tally = roll(&mut nodes, http, plan.rounds).await;
    tally.expect_no_failure();
    Row { late: tally.late, ..row_of(plan.rounds, &tally.journal) }
}
