//! Registered clients as the load generator knows them: an identifier, a secret, and how the two are presented.
//!
//! Invariant: a secret comes from a file, never from an argument, and appears in no output.

use std::fs;
use std::path::Path;

use data_encoding::BASE64;

use crate::failure::{Context, Failure};

/// How a client proves itself: RFC 6749 section 2.3.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum AuthMethod {
    Basic,
    Body,
}

impl AuthMethod {
    /// As registered for RFC 7591.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Basic => "client_secret_basic",
            Self::Body => "client_secret_post",
        }
    }
}

/// What a client adds to each of its requests, encoded once. Of the two one is empty.
#[derive(Clone)]
pub(crate) struct Credential {
    /// The value of the `Authorization` header.
    pub(crate) authorization: Box<str>,
    /// Form members to append to a body, with the `&` before the first.
    pub(crate) form: Box<str>,
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credential(…)")
    }
}

impl Credential {
    pub(crate) fn new(method: AuthMethod, client_id: &str, client_secret: &str) -> Self {
        match method {
            AuthMethod::Basic => {
                let pair = format!("{}:{}", form_encoded(client_id), form_encoded(client_secret));
                let authorization = format!("Basic {}", BASE64.encode(pair.as_bytes()));
                Self { authorization: authorization.into(), form: "".into() }
            }
            AuthMethod::Body => {
                let (id, secret) = (form_encoded(client_id), form_encoded(client_secret));
                let form = format!("&client_id={id}&client_secret={secret}");
                Self { authorization: "".into(), form: form.into() }
            }
        }
    }

    /// From an argument `ID:SECRET_FILE`. The file's name is what follows the last colon, since an identifier may be a URL.
    pub(crate) fn from_argument(method: AuthMethod, argument: &str) -> Result<Self, Failure> {
        let (id, file) = argument
            .rsplit_once(':')
            .ok_or_else(|| Failure::new(format!("`{argument}` is not CLIENT_ID:SECRET_FILE")))?;
        let secret = fs::read_to_string(file).context(|| format!("reading the secret of `{id}` from {file}"))?;
        Ok(Self::new(method, id, without_line_end(&secret)))
    }

    /// From a file with a line for each client: the identifier, white space, the secret. Empty lines and `#` lines are skipped.
    pub(crate) fn from_clients_file(method: AuthMethod, file: &Path) -> Result<Vec<Self>, Failure> {
        let text = fs::read_to_string(file).context(|| format!("reading clients from {}", file.display()))?;
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
        lines
            .map(|(index, line)| {
                let (id, secret) = line.split_once(char::is_whitespace).ok_or_else(|| {
                    Failure::new(format!("{}:{}: not CLIENT_ID CLIENT_SECRET", file.display(), index + 1))
                })?;
                Ok(Self::new(method, id, secret.trim()))
            })
            .collect()
    }
}

/// One line end at a secret file's end is the editor's, not the secret's.
fn without_line_end(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

pub(crate) fn form_encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 6749 section 2.3.1.
    #[test]
    fn basic_is_as_the_rfc_shows() {
        let credential = Credential::new(AuthMethod::Basic, "s6BhdRkqt3", "7Fjfp0ZBr1KtDRbnfVdmIw");
        assert_eq!(&*credential.authorization, "Basic czZCaGRSa3F0Mzo3RmpmcDBaQnIxS3REUmJuZlZkbUl3");
        assert_eq!(&*credential.form, "");
    }

    #[test]
    fn body_members_are_form_encoded() {
        let credential = Credential::new(AuthMethod::Body, "https://a b", "x&y=z");
        assert_eq!(&*credential.form, "&client_id=https%3A%2F%2Fa+b&client_secret=x%26y%3Dz");
        assert_eq!(&*credential.authorization, "");
    }

    #[test]
    fn an_argument_names_its_secret_file_after_the_last_colon() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        fs::write(&file, "s\n").unwrap();
        let argument = format!("urn:x:{}", file.display());
        let credential = Credential::from_argument(AuthMethod::Body, &argument).unwrap();
        assert_eq!(&*credential.form, "&client_id=urn%3Ax&client_secret=s");
        assert!(Credential::from_argument(AuthMethod::Body, "no-file").is_err());
    }

    #[test]
    fn a_clients_file_has_a_line_for_each() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("clients");
        fs::write(&file, "# two\na\tb\n\nurn:c d\n").unwrap();
        let clients = Credential::from_clients_file(AuthMethod::Body, &file).unwrap();
        assert_eq!(clients.len(), 2);
        assert_eq!(&*clients[1].form, "&client_id=urn%3Ac&client_secret=d");
        fs::write(&file, "alone\n").unwrap();
        let failure = Credential::from_clients_file(AuthMethod::Body, &file).unwrap_err();
        assert!(failure.to_string().contains(":1:"), "{failure}");
    }

    #[test]
    fn debug_shows_no_secret() {
        let credential = Credential::new(AuthMethod::Body, "id", "hunter2");
        assert!(!format!("{credential:?}").contains("hunter2"));
    }
}
