//! The claims of a JSON Web Token that have a meaning of their own (RFC 7519 section 4.1), read by type.
//!
//! Invariant: a claim of the wrong type is no claim: the whole token is malformed, and nobody guesses.

use serde_json::{Map, Value};

use super::time::Timestamp;

/// Registered claims. Times are moments; a token says them in seconds, with fractions or without.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// `iss`.
    pub iss: Option<String>,
    /// `sub`.
    pub sub: Option<String>,
    /// `aud`, one or several; empty where there is none.
    pub aud: Vec<String>,
    /// `exp`.
    pub exp: Option<Timestamp>,
    /// `nbf`.
    pub nbf: Option<Timestamp>,
    /// `iat`.
    pub iat: Option<Timestamp>,
    /// `jti`.
    pub jti: Option<String>,
}

/// A registered claim is not of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongType;

impl Claims {
    /// Takes the registered claims out of a payload.
    ///
    /// # Errors
    /// [`WrongType`].
    pub fn read(payload: &Map<String, Value>) -> Result<Self, WrongType> {
        let text = |name: &str| match payload.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(WrongType),
        };
        let moment = |name: &str| match payload.get(name) {
            None => Ok(None),
            Some(Value::Number(seconds)) => seconds.as_f64().map(moment).map(Some).ok_or(WrongType),
            Some(_) => Err(WrongType),
        };
        Ok(Self {
            iss: text("iss")?,
            sub: text("sub")?,
            aud: audience(payload.get("aud"))?,
            exp: moment("exp")?,
            nbf: moment("nbf")?,
            iat: moment("iat")?,
            jti: text("jti")?,
        })
    }
}

/// "In the general case, the "aud" value is an array of case-sensitive strings […]. In the special case when the JWT has one audience,
/// the "aud" value MAY be a single case-sensitive string" (RFC 7519 section 4.1.3).
fn audience(aud: Option<&Value>) -> Result<Vec<String>, WrongType> {
    match aud {
        None => Ok(Vec::new()),
        Some(Value::String(one)) => Ok(vec![one.clone()]),
        Some(Value::Array(many)) => {
            many.iter().map(|one| one.as_str().map(ToOwned::to_owned).ok_or(WrongType)).collect()
        }
        Some(_) => Err(WrongType),
    }
}

/// Before the epoch and after any time that is told in milliseconds, the nearest that is.
fn moment(seconds: f64) -> Timestamp {
    // A cast from floating point saturates.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturating is meant")]
    Timestamp::from_unix_millis((seconds * 1000.0) as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(payload: &Value) -> Result<Claims, WrongType> {
        Claims::read(payload.as_object().unwrap())
    }

    #[test]
    fn claims_are_read_by_their_types() {
        let payload = json!({
            "iss": "i", "sub": "s", "aud": ["a", "b"], "exp": 1_800_000_000, "nbf": 1.5, "iat": -3, "jti": "j", "other": {},
        });
        let at = Timestamp::from_unix_millis;
        let expected = Claims {
            iss: Some("i".into()),
            sub: Some("s".into()),
            aud: vec!["a".into(), "b".into()],
            exp: Some(at(1_800_000_000_000)),
            nbf: Some(at(1500)),
            iat: Some(at(0)),
            jti: Some("j".into()),
        };
        assert_eq!(read(&payload), Ok(expected));
        assert_eq!(read(&json!({})), Ok(Claims::default()));
        assert_eq!(read(&json!({ "aud": "a" })).unwrap().aud, ["a"]);
        assert_eq!(read(&json!({ "exp": 1e300 })).unwrap().exp, Some(at(u64::MAX)));
        for name in ["iss", "sub", "jti", "aud", "exp", "nbf", "iat"] {
            let wrong = if ["exp", "nbf", "iat"].contains(&name) { json!("1") } else { json!(1) };
            for wrong in [wrong, Value::Null, json!([1]), json!({})] {
                assert_eq!(read(&json!({ name: wrong })), Err(WrongType), "{name}");
            }
        }
    }
}
