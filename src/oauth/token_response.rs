//! The successful token response: RFC 6749 section 5.1, rows K01 to K04, K10.

use super::grant::Grant;
use super::time::Lifetime;
use super::token::{Confirmation, Token};

/// The JSON body. `scope` is always told where there is one: "OPTIONAL, if identical to the scope requested by the client;
/// otherwise, REQUIRED."
pub fn body(token: &Token, lifetime: Lifetime, grant: &Grant, confirmation: Option<&Confirmation>) -> Vec<u8> {
    // Tokens and scopes hold no character that JSON escapes: their grammars leave out quote, backslash and controls.
    let scope = match grant.scope().as_str() {
        "" => ["", "", ""],
        scope => [",\"scope\":\"", scope, "\""],
    };
    let mut seconds = itoa::Buffer::new();
    let pieces = [
        "{\"access_token\":\"",
        token.expose(),
        "\",\"token_type\":\"",
        Confirmation::token_type(confirmation),
        "\",\"expires_in\":",
        seconds.format(lifetime.seconds()),
        scope[0],
        scope[1],
        scope[2],
        "}",
    ];
    // As long as it needs to be: what has room left costs an allocation more on its way to the socket.
    pieces.concat().into_bytes()
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
