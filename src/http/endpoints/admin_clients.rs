//! `GET /admin/clients`: who is registered, which secrets they have, until when, and when each was last used. No secret, no hash.
//!
//! Invariant: a page holds at most [`PAGE_MAX`] clients, in the order of their ids, whatever is registered.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use serde::Serialize;

use super::operator;
use crate::http::error::Failure;
use crate::http::head::Head;
use crate::http::reply::{self, Reply};
use crate::http::{Reach, Services};
use crate::oauth::client::{Client, Clients};
use crate::oauth::error::ProtocolError;
use crate::oauth::form::Form;
use crate::oauth::time::Timestamp;

/// Clients in one answer.
const PAGE_MAX: usize = 1000;

const BAD_LIMIT: ProtocolError = ProtocolError::InvalidRequest("limit is no number from 1 to 1000");
const UNKNOWN: ProtocolError = ProtocolError::InvalidRequest("after and limit are the only parameters here");

/// One answer.
#[derive(Serialize)]
struct Page<'a> {
    clients: Vec<Listed<'a>>,
    /// What `after` is to be for those that follow; absent where none do.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<&'a str>,
    /// Since when this node has noted uses.
    since: String,
}

#[derive(Serialize)]
struct Listed<'a> {
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_name: Option<&'a str>,
    disabled: bool,
    client_secrets: Vec<ListedSecret<'a>>,
}

#[derive(Serialize)]
struct ListedSecret<'a> {
    id: &'a str,
    /// `null`: never.
    expires_at: Option<String>,
    expired: bool,
    /// `null`: not since this process began.
    last_used: Option<String>,
}

/// Which part is asked for.
struct Part {
    after: Option<String>,
    limit: usize,
}

/// `since`: when this process began.
pub(crate) fn serve(services: &Services, reach: Reach, since: Timestamp, head: &Head<'_>) -> Result<Reply, Failure> {
    operator::refuse_unguarded(services, reach)?;
    operator::authorise(services, reach, head, &Form::parse(b"")?)?;
    let part = Part::parse(head.query().unwrap_or_default())?;
    let clients = services.authenticator.clients();
    let mut chosen = part.choose(&clients);
    let next = (chosen.len() > part.limit).then(|| chosen.truncate(part.limit));
    let next = next.and_then(|()| chosen.last()).map(|last| last.id().as_str());
    let now = services.now();
    let clients = chosen.iter().map(|client| Listed::of(client, now)).collect();
    // Texts and numbers have no serialisation that fails.
    Ok(reply::ok(serde_json::to_vec(&Page { clients, next, since: rfc3339(since) }).unwrap_or_default()))
}

impl Part {
    fn parse(query: &str) -> Result<Self, ProtocolError> {
        let mut part = Self { after: None, limit: PAGE_MAX };
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "after" => part.after = Some(value.into_owned()),
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=PAGE_MAX).contains(limit));
                    part.limit = limit.ok_or(BAD_LIMIT)?;
                }
                _ => return Err(UNKNOWN),
            }
        }
        Ok(part)
    }

    /// The clients of this part and one more, where there is one.
    fn choose<'a>(&self, clients: &'a Clients) -> Vec<&'a Client> {
        let mut first: BTreeMap<&str, &Client> = BTreeMap::new();
        for client in clients.iter() {
            let id = client.id().as_str();
            let follows = self.after.as_deref().is_none_or(|after| id > after);
            let is_among = first.len() <= self.limit || first.last_key_value().is_some_and(|(last, _)| id < *last);
            if follows && is_among {
                first.insert(id, client);
                if first.len() > self.limit + 1 {
                    first.pop_last();
                }
            }
        }
        first.into_values().collect()
    }
}

impl<'a> Listed<'a> {
    fn of(client: &'a Client, now: Timestamp) -> Self {
        let registration = client.registration();
        let secrets = registration.secrets.iter().enumerate().map(|(place, secret)| ListedSecret {
            id: &secret.id,
            expires_at: secret.expires_at.map(rfc3339),
            expired: secret.has_expired(now),
            last_used: client.secret_uses().last(place).map(rfc3339),
        });
        Self {
            client_id: client.id().as_str(),
            client_name: registration.client_name.as_deref(),
            disabled: registration.disabled,
            client_secrets: secrets.collect(),
        }
    }
}

fn rfc3339(time: Timestamp) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(time.unix_seconds())).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oauth::client::{ClientId, Registration};

    #[test]
    fn pages_hold_all_clients_in_order_and_each_once() {
        let ids: Vec<String> = (0..25).map(|n| format!("client {n:02}")).collect();
        let clients = Clients::new(ids.iter().rev().map(|id| Client::new(Registration::new(ClientId::new(id)))));
        for limit in [1, 7, 24, 25, 26] {
            let (mut seen, mut after) = (Vec::new(), None);
            loop {
                let part = Part { after, limit };
                let chosen = part.choose(&clients);
                seen.extend(chosen.iter().take(limit).map(|client| client.id().as_str().to_owned()));
                after = (chosen.len() > limit).then(|| seen.last().unwrap().clone());
                if after.is_none() {
                    break;
                }
            }
            assert_eq!(seen, ids, "{limit}");
        }
    }

    #[test]
    fn what_is_asked_for_is_read_strictly() {
        let part = Part::parse("after=a%20b&limit=3").unwrap();
        assert_eq!((part.after.as_deref(), part.limit), (Some("a b"), 3));
        assert_eq!(Part::parse("").unwrap().limit, PAGE_MAX);
        for bad in ["limit=0", "limit=1001", "limit=x", "limit=", "offset=1"] {
            assert!(Part::parse(bad).is_err(), "{bad}");
        }
    }
}
