//! `private_key_jwt` over real sockets: rows W01 to W13, and what becomes of used assertions when the store fails.

mod replay;
mod rows;

use crate::harness::request::TOKEN;
use crate::harness::signer::{Assertion, SIGNER, asking};
use crate::harness::{Answer, Request, TestServer, until};

/// Asks for a token with this assertion.
async fn ask(server: &TestServer, assertion: &Assertion) -> Answer {
    server.send(&Request::form(TOKEN, asking(&assertion.sign(), &[]))).await
}

/// Waits until the store knows all uses of an assertion that is made now.
pub(crate) async fn until_it_remembers(server: &TestServer) {
    until("the end of what the store may have forgotten", async || {
        let answer = ask(server, &Assertion::of(SIGNER)).await;
        (answer.status != 503).then(|| answer.expect_token())
    })
    .await;
}
