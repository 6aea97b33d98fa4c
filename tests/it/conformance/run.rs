//! Runs all rows on one bench and tells all that failed at once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

use super::bench::Bench;
use super::row::{self, Row, introspect_by};
use super::{rows, scenarios};
use crate::harness::{Answer, Http};

/// Runs every row and every scenario that this version of HTTP can carry.
pub(crate) async fn all(bench: &Bench) {
    let mut failures = Vec::new();
    for row in rows::all() {
        if let Err(why) = whole(judge(bench, &row)).await.unwrap_or_else(Err) {
            failures.push(format!("{} ({}): {why}", row.id, row.case));
        }
    }
    for scenario in scenarios::all() {
        if scenario.http1_only && bench.http != Http::One {
            continue;
        }
        if let Err(why) = whole((scenario.run)(bench)).await {
            failures.push(format!("{}: {why}", scenario.id));
        }
    }
    assert!(failures.is_empty(), "{} rows failed:\n{}", failures.len(), failures.join("\n"));
}

async fn judge(bench: &Bench, row: &Row) -> Result<(), String> {
    let answer = bench.send(&row.request).await;
    judge_answer(row, &answer).map_err(|why| format!("{why}\n{}", answer.told()))?;
    if row.grants.is_empty() {
        return Ok(());
    }
    let token = answer.expect_token();
    let introspection = bench.send(&introspect_by("auditor", format!("token={token}"))).await.expect_active();
    for (member, value) in &row.grants {
        if introspection[member] != *value {
            return Err(format!("it grants not {member} = {value}: {introspection}"));
        }
    }
    Ok(())
}

fn judge_answer(row: &Row, answer: &Answer) -> Result<(), String> {
    if answer.status != row.status {
        return Err(format!("not {}", row.status));
    }
    row::judge_any(&row.request.method, answer)?;
    row.checks.iter().try_for_each(|check| check.judge(answer))
}

/// Turns a panic of a row into what it said, so that the rows behind it are still run.
async fn whole<T>(step: impl Future<Output = T>) -> Result<T, String> {
    let mut step = pin!(step);
    std::future::poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| step.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(done)) => Poll::Ready(Ok(done)),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            Poll::Ready(Err(text.or_else(|| panic.downcast_ref::<&str>().map(|&s| s.to_owned())).unwrap_or_default()))
        }
    })
    .await
}
