//! The clients of a simulation: they ask for tokens, with proofs and without, introspect and revoke, on any node, alone and many at once.

use std::rc::Rc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep;

use super::dice::Dice;
use super::ledger::{Ledger, What};
use super::node::Node;
use super::registry;

/// Requests of one client at once, at most: enough for batches.
const AT_ONCE_MAX: usize = 5;

/// One client until it has asked so often.
pub(super) async fn work(dice: Dice, nodes: Vec<Rc<Node>>, ledger: Rc<Ledger>, requests: usize) {
    let mut left = requests;
    while left > 0 {
        if !dice.one_in(4) {
            sleep(dice.millis(0, 160)).await;
        }
        let at_once = if dice.one_in(5) { 1 + dice.below(AT_ONCE_MAX.min(left)) } else { 1 };
        let node = dice.pick(&nodes);
        if !node.runs() {
            // A balancer would see it.
            sleep(Duration::from_millis(5)).await;
            left -= 1;
            continue;
        }
        let errands: Vec<What> = (0..at_once).map(|_| draw(&dice, &ledger)).collect();
        left -= errands.len();
        join_all(errands.into_iter().map(|what| ledger.ask(node, what))).await;
    }
}

fn draw(dice: &Dice, ledger: &Ledger) -> What {
    if dice.one_in(8) {
        // A new proof, or one of the last once more.
        let proofs = ledger.proof_count();
        let again = proofs > 0 && !dice.one_in(4);
        return What::Prove(if again { proofs - 1 - dice.below(proofs.min(3)) } else { ledger.make_proof() });
    }
    let (chance, tokens) = (dice.below(100), ledger.token_count());
    if tokens == 0 || chance < 35 {
        return What::Issue { client: dice.below(registry::CLIENTS.len()), scope: dice.below(registry::SCOPES.len()) };
    }
    // Mostly one of the last: what is in doubt is young.
    let token = if dice.one_in(4) { dice.below(tokens) } else { tokens - 1 - dice.below(tokens.min(8)) };
    if chance < 85 { What::Introspect(token) } else { What::Revoke(token) }
}
