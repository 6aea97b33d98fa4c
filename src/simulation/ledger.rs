//! What clients did and what they were told, as the judges read it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use super::node::Node;
use super::proofs;
use super::redis::truth::Place;
use super::registry;
use super::stage::{Micros, Stage};
use crate::http::testing::Answer;
use crate::oauth::time::Timestamp;
use crate::oauth::token::{Token, TokenAddress};

/// A token that somebody was given.
#[derive(Clone, Debug)]
pub(super) struct Issued {
    pub(super) text: String,
    pub(super) client: &'static str,
    pub(super) lifetime_seconds: u32,
    pub(super) scope: &'static str,
    /// Where the store keeps its record.
    pub(super) place: Place,
}

/// Which client sends proofs.
const PROVER: usize = 2;

/// Which of the tokens that were given.
pub(super) type TokenNumber = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Issue {
        client: usize,
        scope: usize,
    },
    /// Ask for a token with this proof.
    Prove(usize),
    Introspect(TokenNumber),
    Revoke(TokenNumber),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Issued(TokenNumber),
    Active {
        expires_at_seconds: u64,
    },
    Inactive,
    Revoked,
    /// The proof was used, or is too old.
    Refused,
    /// 503: nothing is known.
    Unavailable,
    /// The node did not run, or died with the request.
    Nothing,
}

/// One request, from the moment before it was sent to that of its answer.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) node: usize,
    pub(super) what: What,
    pub(super) told: Told,
    pub(super) begun: Micros,
    pub(super) ended: Micros,
    /// The least and the most that the node's clock showed meanwhile.
    pub(super) shown: (u64, u64),
    /// Whether that clock was right all the while.
    pub(super) on_time: bool,
}

pub(super) struct Ledger {
    stage: Rc<Stage>,
    pub(super) tokens: RefCell<Vec<Issued>>,
    proofs: RefCell<Vec<String>>,
    pub(super) events: RefCell<Vec<Event>>,
    /// What no order of events could excuse.
    pub(super) breaches: RefCell<Vec<String>>,
}

impl Ledger {
    pub(super) fn new(stage: Rc<Stage>) -> Rc<Self> {
        Rc::new(Self {
            stage,
            tokens: RefCell::default(),
            proofs: RefCell::default(),
            events: RefCell::default(),
            breaches: RefCell::default(),
        })
    }

    /// Asks a node and writes down what it said.
    pub(super) async fn ask(&self, node: &Node, what: What) -> Told {
        let (path, client, form) = self.request(what);
        let (begun, shown_at_first, was_on_time) = (self.stage.now(), node.unix_millis(), node.is_on_time());
        let proof = match what {
            What::Prove(proof) => Some(self.proofs.borrow()[proof].clone()),
            What::Issue { .. } | What::Introspect(_) | What::Revoke(_) => None,
        };
        let answer = node.ask(path, &registry::authorization(client), proof.as_deref(), &form).await;
        let ended = self.stage.now();
        let told = match answer.map(|answer| self.read(what, &answer)) {
            None => Told::Nothing,
            Some(Ok(told)) => told,
            Some(Err(wrong)) => {
                self.breach(format_args!("node {}: {what:?} was answered {wrong}", node.number));
                Told::Unavailable
            }
        };
        let on_time = was_on_time && node.is_on_time();
        let shown = node.shown_since(begun, shown_at_first);
        let event = Event { node: node.number, what, told: told.clone(), begun, ended, shown, on_time };
        self.stage.say(&event);
        self.events.borrow_mut().push(event);
        told
    }

    pub(super) fn breach(&self, what: impl fmt::Display) {
        self.stage.say(format_args!("BREACH: {what}"));
        self.breaches.borrow_mut().push(what.to_string());
    }

    pub(super) fn token_count(&self) -> usize {
        self.tokens.borrow().len()
    }

    pub(super) fn proof_count(&self) -> usize {
        self.proofs.borrow().len()
    }

    /// A proof that is made now.
    pub(super) fn make_proof(&self) -> usize {
        let number = self.proof_count();
        self.proofs.borrow_mut().push(proofs::make(number, self.stage.unix_millis()));
        number
    }

    fn request(&self, what: What) -> (&'static str, &'static str, String) {
        let tokens = self.tokens.borrow();
        let issue = |client: usize, scope: usize| {
            let form = format!("grant_type=client_credentials&scope={}", registry::SCOPES[scope].replace(' ', "+"));
            ("/oauth2/token", registry::CLIENTS[client].0, form)
        };
        match what {
            What::Issue { client, scope } => issue(client, scope),
            What::Prove(_) => issue(PROVER, 0),
            What::Introspect(token) => {
                ("/oauth2/introspect", registry::AUDITOR, format!("token={}", tokens[token].text))
            }
            What::Revoke(token) => ("/oauth2/revoke", tokens[token].client, format!("token={}", tokens[token].text)),
        }
    }

    fn read(&self, what: What, answer: &Answer) -> Result<Told, String> {
        let wrong = || format!("{} {}", answer.status, answer.body);
        match answer.status {
            503 if answer.header("retry-after").is_some() => Ok(Told::Unavailable),
            400 if matches!(what, What::Prove(_)) && answer.error() == "invalid_dpop_proof" => Ok(Told::Refused),
            200 => match what {
                What::Issue { client, scope } => self.note_token((client, scope), "Bearer", answer),
                What::Prove(_) => self.note_token((PROVER, 0), "DPoP", answer),
                What::Introspect(token) => self.read_introspection(token, answer),
                What::Revoke(_) => Ok(Told::Revoked),
            },
            _ => Err(wrong()),
        }
    }

    fn note_token(&self, (client, scope): (usize, usize), kind: &str, answer: &Answer) -> Result<Told, String> {
        let body = answer.json();
        let (client, lifetime_seconds) = registry::CLIENTS[client];
        let text = body["access_token"].as_str().unwrap_or_default().to_owned();
        // Long before the end of any page: only form and tag are looked at.
        let address = Token::check(&text, "jt", &registry::keys(), Timestamp::from_unix_seconds(1));
        let address = address.map_err(|refusal| format!("a token that is none: {refusal:?}"))?;
        if body["expires_in"] != lifetime_seconds
            || body["scope"] != registry::SCOPES[scope]
            || body["token_type"] != kind
        {
            return Err(format!("another token than was asked for: {body}"));
        }
        let mut tokens = self.tokens.borrow_mut();
        if tokens.iter().any(|token| token.text == text) {
            return Err("a token that was given before".into());
        }
        let scope = registry::SCOPES[scope];
        tokens.push(Issued { text, client, lifetime_seconds, scope, place: place(&address) });
        Ok(Told::Issued(tokens.len() - 1))
    }

    fn read_introspection(&self, token: TokenNumber, answer: &Answer) -> Result<Told, String> {
        if answer.body == r#"{"active":false}"# {
            return Ok(Told::Inactive);
        }
        let (body, token) = (answer.json(), &self.tokens.borrow()[token]);
        let seconds = |name: &str| body[name].as_u64().unwrap_or_default();
        let right = body["active"] == true
            && body["client_id"] == token.client
            && body["scope"] == token.scope
            && seconds("exp") == seconds("iat") + u64::from(token.lifetime_seconds);
        if right {
            Ok(Told::Active { expires_at_seconds: seconds("exp") })
        } else {
            Err(format!("another token's data: {body}"))
        }
    }

    /// The events of each token, in the order in which they ended.
    pub(super) fn by_token(&self) -> BTreeMap<TokenNumber, Vec<Event>> {
        let mut by_token: BTreeMap<TokenNumber, Vec<Event>> = BTreeMap::new();
        for event in self.events.borrow().iter() {
            let token = match (event.what, &event.told) {
                (What::Issue { .. } | What::Prove(_), Told::Issued(token)) => *token,
                (What::Introspect(token) | What::Revoke(token), _) => token,
                (What::Issue { .. } | What::Prove(_), _) => continue,
            };
            by_token.entry(token).or_default().push(event.clone());
        }
        by_token
    }
}

/// Where the store keeps a token's record.
fn place(address: &TokenAddress) -> Place {
    let page = data_encoding::BASE64URL_NOPAD.encode(&address.page.to_bytes());
    (format!("jeton:p:{page}").into_bytes(), address.field().to_vec())
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { node, what, told, begun, ended, .. } = self;
        write!(f, "node {node}: {what:?} after {} us: {told:?}", ended - begun)
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("tokens", &self.token_count()).finish_non_exhaustive()
    }
}
