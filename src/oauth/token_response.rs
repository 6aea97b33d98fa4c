//! The successful token response: RFC 6749 section 5.1, rows K01 to K04, K10.

use super::grant::Grant;
use super::time::Lifetime;
use super::token::{Confirmation, Token};

const START: &[u8] = b"{\"access_token\":\"";
const TYPE: &[u8] = b"\",\"token_type\":\"";
const EXPIRES: &[u8] = b"\",\"expires_in\":";
const SCOPE: &[u8] = b",\"scope\":\"";

/// The JSON body. `scope` is always told where there is one: "OPTIONAL, if identical to the scope requested by the client;
/// otherwise, REQUIRED."
pub fn body(token: &Token, lifetime: Lifetime, grant: &Grant, confirmation: Option<&Confirmation>) -> Vec<u8> {
    let (token, scope) = (token.expose(), grant.scope().as_str());
    let token_type = Confirmation::token_type(confirmation);
    let mut seconds = itoa::Buffer::new();
    let seconds = seconds.format(lifetime.seconds());
    let scope_length = if scope.is_empty() { 0 } else { SCOPE.len() + scope.len() + 1 };
    // As long as it will be: a body with room left costs an allocation more on its way to the socket.
    let length =
        START.len() + token.len() + TYPE.len() + token_type.len() + EXPIRES.len() + seconds.len() + scope_length + 1;
    let mut out = Vec::with_capacity(length);
    // Tokens and scopes hold no character that JSON escapes: their grammars leave out quote, backslash and controls.
    out.extend_from_slice(START);
    out.extend_from_slice(token.as_bytes());
    out.extend_from_slice(TYPE);
    out.extend_from_slice(token_type.as_bytes());
    out.extend_from_slice(EXPIRES);
    out.extend_from_slice(seconds.as_bytes());
    if !scope.is_empty() {
        out.extend_from_slice(SCOPE);
        out.extend_from_slice(scope.as_bytes());
        out.push(b'"');
    }
    out.push(b'}');
    out
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Map, Value, json};

    use super::super::client::ClientId;
    use super::super::grant::GrantParts;
    use super::super::keys::{KeyId, ServiceKey};
    use super::super::scope::Scope;
    use super::super::time::Timestamp;
    use super::super::token::Page;
    use super::*;

    fn token() -> Token {
        let key = ServiceKey::new(KeyId(1), Timestamp::from_unix_seconds(0), &[1; 32]);
        Token::make("jt", &key, Page { dead_second: 9, number: 1 }, &[7; 20]).0
    }

    fn grant(scope: &str) -> Arc<Grant> {
        let (client_id, scope) = (ClientId::new("billing"), Scope::parse(scope).unwrap());
        Grant::new(GrantParts { audience: vec![], claims: Map::new(), client_id, scope, subject: "billing".into() })
    }

    fn value(scope: &str, confirmation: Option<&Confirmation>) -> Value {
        serde_json::from_slice(&body(&token(), Lifetime::from_seconds(3600), &grant(scope), confirmation)).unwrap()
    }

    #[test]
    fn k01_k02_k03_k10_the_body_holds_these_members_and_no_other() {
        let access_token = token().expose().to_string();
        let plain = json!({"access_token": access_token, "token_type": "Bearer", "expires_in": 3600});
        assert_eq!(value("", None), plain);
        for scope in ["", "a", "~ a !#["] {
            let body = body(&token(), Lifetime::from_seconds(3600), &grant(scope), None);
            assert_eq!(body.len(), body.capacity(), "{scope}");
        }
        let by_certificate = Confirmation { x5t_s256: Some([1; 32]), jkt: None };
        assert_eq!(value("", Some(&by_certificate)), plain);
        let by_key = Confirmation { x5t_s256: None, jkt: Some([1; 32]) };
        let scoped =
            json!({"access_token": access_token, "token_type": "DPoP", "expires_in": 3600, "scope": "!#[ a ~"});
        assert_eq!(value("~ a !#[", Some(&by_key)), scoped);
    }

    #[test]
    fn k04_the_token_is_a_b64token() {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
        assert!(token().expose().bytes().all(allowed));
    }
}
