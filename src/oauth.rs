//! The protocol as pure values: no I/O, no async, no HTTP types, nothing that waits.
//!
//! Everything here can be tested with a string and a time. The rooms above turn its errors into responses; the rooms beside it
//! keep what it makes.

pub mod client;
pub mod client_assertion;
pub mod client_certificate;
pub mod client_id;
pub mod client_secret;
pub mod credentials;
pub mod distinguished_name;
pub mod dpop;
pub mod endpoint;
pub mod error;
pub mod form;
pub mod generated_secret;
pub mod grant;
mod grants_seen;
pub mod imported_hash;
pub mod introspection;
pub mod jws;
pub mod jwt;
pub mod key_place;
pub mod keys;
pub mod metadata;
pub mod network;
pub mod profile;
pub mod quota;
pub mod rate_limit;
pub mod reachable;
pub mod remembered_secrets;
pub mod remote_keys;
pub mod replay;
pub mod scope;
pub mod secret;
pub mod source;
pub mod standing;
pub mod time;
pub mod token;
pub mod token_request;
pub mod token_response;
pub mod workload;
