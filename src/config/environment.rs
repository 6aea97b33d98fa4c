//! Environment variables as a layer of settings: `JETON_<SECTION>__<KEY>`.

use std::path::Path;

use super::file;
use super::hint::closest;
use super::mistake::{Mistake, Origin};
use super::settings::{self, Settings, Value};
use super::table::{self, Key, Named};

/// The process's own variables that begin with `JETON_`. The one place that reads the environment.
#[allow(clippy::disallowed_methods)] // here alone
pub fn from_process() -> Vec<(String, String)> {
    let ours = std::env::vars_os().map(|(name, value)| (name.to_string_lossy().into_owned(), value));
    let ours = ours.filter(|(name, _)| name.starts_with("JETON_"));
    ours.map(|(name, value)| (name, value.to_string_lossy().into_owned())).collect()
}

/// The folder by which a test arms fail points. No variable of the service: its name begins otherwise, and a release build has none.
#[cfg(debug_assertions)]
#[allow(clippy::disallowed_methods)] // as above
pub(crate) fn fail_points() -> Option<std::path::PathBuf> {
    std::env::var_os("FAILPOINTS_OF_JETON").map(Into::into)
}

/// Reads variables as settings; others than ours are left aside.
pub(crate) fn read(variables: &[(String, String)], folder: &Path, mistakes: &mut Vec<Mistake>) -> Settings {
    let mut settings = Settings::default();
    let ours = variables.iter().filter(|(name, _)| name.starts_with("JETON_") && !is_of_kubernetes(name));
    for (name, text) in ours {
        let origin = Origin::Variable(name.clone());
        match find(name) {
            Some(Named::Value(key)) => match settings::from_text(key, text) {
                Ok(value) => set(&mut settings, key, value, origin, folder, mistakes),
                Err(what) => {
                    settings.spoil(key);
                    mistakes.push(Mistake::new(origin, what));
                }
            },
            Some(Named::FileOf(key)) if text.is_empty() => {
                settings.spoil(key);
                mistakes.push(Mistake::new(origin, "is empty"));
            }
            Some(Named::FileOf(key)) => {
                set(&mut settings, key, Value::FileOf(folder.join(text)), origin, folder, mistakes);
            }
            Some(Named::Section) | None => mistakes.push(unknown(name, origin)),
        }
    }
    settings
}

fn set(s: &mut Settings, key: &'static Key, value: Value, origin: Origin, folder: &Path, mistakes: &mut Vec<Mistake>) {
    if s.get(key.path).is_some() {
        mistakes.push(file::given_twice(key, origin));
    } else {
        s.put(key, value, origin, folder);
    }
}

/// The path that a variable names. Upper case is part of the name: `jeton_issuer` is nobody's.
fn find(name: &str) -> Option<Named> {
    let path = table::names().find(|path| table::variable(path) == name)?;
    table::find(&path)
}

fn unknown(name: &str, origin: Origin) -> Mistake {
    let known: Vec<String> = table::names().map(|path| table::variable(&path)).collect();
    let what = "is no variable of this service";
    // One underscore for two is what most who mistype write.
    let folded = |name: &str| name.replace("__", "_");
    let meant = known.iter().find(|candidate| folded(candidate) == folded(name)).map(String::as_str);
    let meant = meant.or_else(|| closest(name, known.iter().map(String::as_str)));
    Mistake::new(origin, what).did_you_mean(meant)
}

/// Whether Kubernetes makes such a variable for a service whose name begins with `jeton`: those are nobody's configuration.
fn is_of_kubernetes(name: &str) -> bool {
    if name.contains("__") {
        return false;
    }
    let has_numbered_port = || {
        name.match_indices("_PORT_").any(|(at, found)| {
            let rest = &name[at + found.len()..];
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let protocol = &rest[digits..];
            digits > 0 && ["_TCP", "_UDP", "_SCTP"].iter().any(|known| protocol.starts_with(known))
        })
    };
    name.ends_with("SERVICE_HOST") || name.contains("SERVICE_PORT") || name.ends_with("PORT") || has_numbered_port()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(variables: &[(&str, &str)]) -> (Settings, Vec<String>) {
        let variables: Vec<_> = variables.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let mut mistakes = Vec::new();
        let settings = read(&variables, Path::new("here"), &mut mistakes);
        (settings, mistakes.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn variables_set_keys_and_files_of_keys() {
        let (settings, mistakes) = read_all(&[
            ("JETON_ISSUER", "https://a.example"),
            ("JETON_STORE__TLS__CA_FILE", "ca.crt"),
            ("JETON_STORE__PASSWORD_FILE", "pw"),
            ("JETON_LIMITS__BODY_BYTES", "2048"),
            ("JETON_STORE__REQUIRE_NOEVICTION", "true"),
            ("PATH", "/bin"),
        ]);
        assert!(mistakes.is_empty(), "{mistakes:?}");
        assert!(
            matches!(&settings.get("store.password").unwrap().value, Value::FileOf(p) if p == Path::new("here/pw"))
        );
        assert!(matches!(settings.get("limits.body_bytes").unwrap().value, Value::Number(2048)));
        assert_eq!(settings.get("issuer").unwrap().origin.to_string(), "JETON_ISSUER");
    }

    #[test]
    fn mistakes_are_told_by_variable_and_secrets_are_not_repeated() {
        let (_, mistakes) = read_all(&[
            ("JETON_STORE_URL", "redis://hunter2@x"),
            ("JETON_LIMITS__BODY_BITES", "1"),
            ("JETON_LIMITS__CONNECTIONS", "many"),
            ("JETON_STORE__PASSWORD", ""),
            ("JETON_ADMIN__TOKEN", "hunter2"),
            ("JETON_ADMIN__TOKEN_FILE", "x"),
            ("JETON_COLOUR", "red"),
        ]);
        assert_eq!(
            mistakes,
            [
                "JETON_STORE_URL: is no variable of this service; did you mean `JETON_STORE__URL`?",
                "JETON_LIMITS__BODY_BITES: is no variable of this service; did you mean `JETON_LIMITS__BODY_BYTES`?",
                "JETON_LIMITS__CONNECTIONS: `many` is not a whole number from 1 to 10000000",
                "JETON_STORE__PASSWORD: is empty",
                "JETON_ADMIN__TOKEN_FILE: `admin.token` and `admin.token_file` are both given; keep one of them",
                "JETON_COLOUR: is no variable of this service",
            ]
        );
    }

    #[test]
    fn what_kubernetes_makes_of_a_service_is_ignored() {
        let made = [
            "JETON_SERVICE_HOST",
            "JETON_ADMIN_SERVICE_HOST",
            "JETON_SERVICE_PORT",
            "JETON_SERVICE_PORT_HTTP",
            "JETON_PORT",
            "JETON_PORT_4444_TCP",
            "JETON_PORT_4444_TCP_PROTO",
            "JETON_ADMIN_PORT_4445_UDP_ADDR",
            "JETON_PORT_1_SCTP_PORT",
        ];
        assert!(made.iter().all(|name| is_of_kubernetes(name)));
        let others =
            ["JETON_PORT_X_TCP", "JETON_STORE__SERVICE_HOST", "JETON_PORTS", "JETON_PORT_1_HTTP", "JETON_HOST"];
        assert!(others.iter().all(|name| !is_of_kubernetes(name)));
        assert_eq!(read_all(&[("JETON_PORT", "tcp://10.0.0.1:4444")]).1, [""; 0]);
    }
}
