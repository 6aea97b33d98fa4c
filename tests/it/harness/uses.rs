//! What is good once, as the clients of a load send it: assertions and proofs of possession, each once and again, to any node and by
//! several at the same moment.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use super::client::TestClient;
use super::expect::Answer;
use super::history::{Moment, SECOND, What};
use super::request::{Request, TOKEN};
use super::signer::{Assertion, SIGNER, asking, possession};

/// Those that are sent again.
const AT_HAND_MAX: usize = 8;
/// So long a use is sent again, well before it is too old.
const YOUNG: Moment = 20 * SECOND;

/// The uses that the clients of a load share. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Uses(Arc<Mutex<VecDeque<Use>>>);

/// An assertion or a proof.
#[derive(Clone, Debug)]
pub(crate) struct Use {
    pub(crate) text: String,
    kind: Kind,
    made: Moment,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Assertion,
    Possession,
}

impl Uses {
    /// One of the last, or a new one, as `chance` has it.
    pub(crate) fn draw(&self, chance: u64, now: Moment) -> Use {
        let mut uses = self.0.lock().unwrap();
        uses.retain(|one| now < one.made + YOUNG);
        let chance = usize::try_from(chance % 1_000_000).unwrap();
        if chance % 4 != 0 && !uses.is_empty() {
            return uses[chance / 4 % uses.len()].clone();
        }
        let (kind, signed) = match chance / 4 % 2 {
            0 => (Kind::Assertion, Assertion::of(SIGNER)),
            _ => (Kind::Possession, possession("EdDSA")),
        };
        let one = Use { text: signed.sign(), kind, made: now };
        uses.push_back(one.clone());
        if uses.len() > AT_HAND_MAX {
            uses.pop_front();
        }
        one
    }
}

impl Use {
    /// A token request with it; a proof is sent by `client`, an assertion is its own client's.
    pub(crate) fn request(&self, client: &TestClient) -> Request {
        match self.kind {
            Kind::Assertion => Request::form(TOKEN, asking(&self.text, &[])),
            Kind::Possession => client.token_request("invoices:read").header("dpop", &self.text),
        }
    }

    /// What became of it.
    pub(crate) fn judge(&self, answer: Option<&Answer>) -> What {
        match answer {
            Some(answer) if answer.status == 200 => What::Won,
            Some(answer) if self.is_called_used(answer) => What::TurnedAway,
            _ => What::MayHaveWon,
        }
    }

    /// Whether it may be answered so although it is right: as used, or as one of too many that were.
    pub(crate) fn may_be_refused(&self, answer: &Answer) -> bool {
        self.is_called_used(answer) || answer.status == 429
    }

    fn is_called_used(&self, answer: &Answer) -> bool {
        let (status, error) = match self.kind {
            Kind::Assertion => (401, "invalid_client"),
            Kind::Possession => (400, "invalid_dpop_proof"),
        };
        answer.status == status && answer.try_json().is_ok_and(|body| body["error"] == error)
    }
}
