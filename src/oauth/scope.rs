//! Scopes (RFC 6749 section 3.3): a set of case-sensitive tokens, kept sorted so that their order in a request means nothing.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A set of scope tokens as one string: sorted, without duplicates, one space between two. May be empty.
#[derive(Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Scope(Box<str>);

/// A string is no `scope` by the grammar of RFC 6749 section 3.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScopeSyntaxError;

impl Scope {
    /// Reads `scope-token *( SP scope-token )`; the empty string is the empty set.
    ///
    /// # Errors
    /// [`ScopeSyntaxError`] for a character outside `%x21 / %x23-5B / %x5D-7E`, and for a space that separates nothing.
    pub fn parse(text: &str) -> Result<Self, ScopeSyntaxError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let mut tokens: Vec<&str> = text.split(' ').collect();
        let well_formed = |token: &&str| !token.is_empty() && token.bytes().all(is_scope_byte);
        if !tokens.iter().all(well_formed) {
            return Err(ScopeSyntaxError);
        }
        if !tokens.is_sorted_by(|a, b| a < b) {
            tokens.sort_unstable();
            tokens.dedup();
        }
        Ok(Self(tokens.join(" ").into_boxed_str()))
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The set as it stands in a response.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its tokens, sorted.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.split(' ').filter(|token| !token.is_empty())
    }

    /// Whether every token of it is in `allowed`.
    pub fn is_within(&self, allowed: &Self) -> bool {
        let mut rest = allowed.iter();
        self.iter().all(|token| rest.any(|other| other == token))
    }
}

fn is_scope_byte(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E)
}

impl TryFrom<String> for Scope {
    type Error = ScopeSyntaxError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text)
    }
}

impl From<Scope> for String {
    fn from(scope: Scope) -> Self {
        scope.0.into_string()
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

impl fmt::Display for ScopeSyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a scope: tokens of printable ASCII without quote and backslash, one space between two")
    }
}

impl std::error::Error for ScopeSyntaxError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn order_and_repetition_mean_nothing() {
        assert_eq!(Scope::parse("write read write").unwrap().as_str(), "read write");
        assert!(Scope::parse("").unwrap().is_empty());
    }

    #[test]
    fn what_the_grammar_forbids_is_refused() {
        for text in [" ", " a", "a ", "a  b", "a\"", "a\\", "a\tb", "ä", "a\u{7f}"] {
            assert_eq!(Scope::parse(text), Err(ScopeSyntaxError), "{text:?}");
        }
    }

    #[test]
    fn within_is_subset() {
        let scope = |text| Scope::parse(text).unwrap();
        assert!(scope("a c").is_within(&scope("a b c")) && scope("").is_within(&scope("")));
        assert!(!scope("A").is_within(&scope("a")) && !scope("a").is_within(&scope("")));
    }

    proptest! {
        #[test]
        fn parsing_is_idempotent(tokens in proptest::collection::vec("[!#-\\[\\]-~]{1,8}", 0..8)) {
            let once = Scope::parse(&tokens.join(" ")).unwrap();
            prop_assert_eq!(&Scope::parse(once.as_str()).unwrap(), &once);
            prop_assert!(tokens.iter().all(|t| once.iter().any(|o| o == t)));
            prop_assert!(once.is_within(&once));
        }
    }
}
