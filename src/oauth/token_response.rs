//! The successful token response: RFC 6749 section 5.1, rows K01 to K04, K10.

use super::grant::Grant;
use super::time::Lifetime;
use super::token::{Confirmation, Token};

/// The JSON body.
pub fn body(token: &Token, lifetime: Lifetime, grant: &Grant, confirmation: Option<&Confirmation>) -> Vec<u8> {
    todo!()
}
