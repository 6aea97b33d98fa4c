//! `jeton token`: talks to a running service as a client, a resource server or an operator would.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::http_client::{Answer, Call, Endpoint};
use super::input::{self, DASH};
use super::output::{Failure, note, print};
use super::tls::Trust;
use crate::oauth::secret::Secret;

const PUBLIC_URL: &str = "http://127.0.0.1:4444";
pub(super) const ADMIN_URL: &str = "http://127.0.0.1:4445";
const TIMEOUT: Duration = Duration::from_secs(10);

/// Get, introspect and revoke tokens of a running service
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Ask for a token and print the answer
    Get {
        #[command(flatten)]
        service: Service,
        #[command(flatten)]
        client: Client,
        /// The scope to ask for, tokens separated by spaces [default: what is registered]
        #[arg(long)]
        scope: Option<String>,
        /// The URI of an API the token is for; may be given several times [default: what is registered]
        #[arg(long, value_name = "URI")]
        resource: Vec<String>,
        /// The name of an API the token is for; may be given several times
        #[arg(long, value_name = "NAME")]
        audience: Vec<String>,
        /// Print the token alone, for scripts
        #[arg(long)]
        only_token: bool,
    },
    /// Ask what a token is worth, as a resource server or, with --admin, as an operator, and print the answer
    Introspect {
        #[command(flatten)]
        service: Service,
        #[command(flatten)]
        client: OptionalClient,
        /// Ask the admin listener, which also says why a token is inactive
        #[arg(long, conflicts_with_all = ["client_id", "client_secret_file"])]
        admin: bool,
        #[command(flatten)]
        token: Token,
    },
    /// Revoke a token of the client
    Revoke {
        #[command(flatten)]
        service: Service,
        #[command(flatten)]
        client: Client,
        #[command(flatten)]
        token: Token,
    },
}

#[derive(Args, Debug)]
pub(super) struct Service {
    /// The service, http://HOST:PORT, https://HOST or unix:PATH [default: http://127.0.0.1:4444, with --admin port 4445]
    #[arg(long)]
    url: Option<String>,
    /// For https: PEM file of who signed the service's certificate [default: the usual roots]
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct Client {
    /// The client
    #[arg(long, value_name = "ID")]
    client_id: String,
    /// The file with its secret; `-` for a line of standard input
    #[arg(long, value_name = "FILE")]
    client_secret_file: PathBuf,
}

#[derive(Args, Debug)]
pub(super) struct OptionalClient {
    /// The resource server
    #[arg(long, value_name = "ID", required_unless_present = "admin")]
    client_id: Option<String>,
    /// The file with its secret; `-` for a line of standard input
    #[arg(long, value_name = "FILE", required_unless_present = "admin")]
    client_secret_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct Token {
    /// The file with the token in question, or with the answer of `token get`; `-` for a line of standard input, behind the secret's if both
    /// come that way [default: -]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// The same as FILE; with `introspect --admin` the file with the token that opens /admin/ (on a unix socket none is needed)
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

pub(super) fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Get { service, client, scope, resource, audience, only_token } => {
            let mut form = form_urlencoded::Serializer::new(String::new());
            form.append_pair("grant_type", "client_credentials");
            form.extend_pairs(scope.iter().map(|scope| ("scope", scope)));
            form.extend_pairs(resource.iter().map(|uri| ("resource", uri)));
            form.extend_pairs(audience.iter().map(|name| ("audience", name)));
            let endpoint = service.endpoint(PUBLIC_URL)?;
            let call = client.authenticate(Call::post("/oauth2/token", form.finish()))?;
            let answer = success(service.send(call, &endpoint)?)?;
            let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
            match json["access_token"].as_str() {
                Some(token) if only_token => print(token),
                Some(_) => print_body(&answer),
                None => Err(Failure::new(format!("{endpoint} answers with no access_token"))),
            }
        }
        Command::Introspect { service, client, admin, mut token } => {
            let endpoint = service.endpoint(if admin { ADMIN_URL } else { PUBLIC_URL })?;
            let path = if admin { "/admin/oauth2/introspect" } else { "/oauth2/introspect" };
            // The secret comes first: where both come on standard input it is the first line.
            let admin_token_file = if admin { token.token_file.take() } else { None };
            let who = client.read(admin_token_file.as_deref())?;
            let call = who.apply(Call::post(path, token.form()?))?;
            print_body(&success(service.send(call, &endpoint)?)?)
        }
        Command::Revoke { service, client, token } => {
            let endpoint = service.endpoint(PUBLIC_URL)?;
            let secret = input::secret(&client.client_secret_file, "client secret")?;
            let call = Call::post("/oauth2/revoke", token.form()?).basic(&client.client_id, &secret)?;
            success(service.send(call, &endpoint)?)?;
            note("done: there is no such live token any more");
            Ok(())
        }
    }
}

impl Service {
    pub(super) fn endpoint(&self, default: &str) -> Result<Endpoint, Failure> {
        let endpoint = Endpoint::parse(self.url.as_deref().unwrap_or(default))?;
        if endpoint.is_readable_by_others() {
            note("warning: without TLS the secret crosses the network readable");
        }
        Ok(endpoint)
    }

    pub(super) fn send(&self, call: Call, endpoint: &Endpoint) -> Result<Answer, Failure> {
        call.send(endpoint, Trust::Roots(self.ca_file.as_deref()), TIMEOUT)
    }
}

impl Client {
    fn authenticate(&self, call: Call) -> Result<Call, Failure> {
        call.basic(&self.client_id, &input::secret(&self.client_secret_file, "client secret")?)
    }
}

/// Who is asking.
enum Authentication {
    Client(String, Secret),
    Admin(Option<Secret>),
}

impl OptionalClient {
    fn read(&self, admin_token_file: Option<&Path>) -> Result<Authentication, Failure> {
        match (&self.client_id, &self.client_secret_file) {
            (Some(id), Some(file)) => Ok(Authentication::Client(id.clone(), input::secret(file, "client secret")?)),
            _ => {
                let token = admin_token_file.map(|file| input::secret(file, "admin token"));
                Ok(Authentication::Admin(token.transpose()?))
            }
        }
    }
}

impl Authentication {
    fn apply(&self, call: Call) -> Result<Call, Failure> {
        match self {
            Self::Client(id, secret) => call.basic(id, secret),
            Self::Admin(Some(token)) => call.bearer(token),
            Self::Admin(None) => Ok(call),
        }
    }
}

impl Token {
    /// The form that asks about the token.
    fn form(&self) -> Result<String, Failure> {
        let file = match (&self.file, &self.token_file) {
            (Some(_), Some(_)) => return Err(Failure::Usage("the token in question is named twice".into())),
            (Some(file), None) | (None, Some(file)) => file,
            (None, None) => Path::new(DASH),
        };
        let read = input::secret(file, "token")?;
        let text = std::str::from_utf8(read.expose()).map_err(|_| Failure::new("the token is no text"))?;
        // Whoever kept the whole answer of `token get` need not take it apart.
        let answer: Option<Value> = serde_json::from_str(text).ok();
        let token = answer.as_ref().and_then(|json| json["access_token"].as_str()).unwrap_or(text);
        Ok(form_urlencoded::Serializer::new(String::new()).append_pair("token", token).finish())
    }
}

/// The answer, if it is one of success; else what the service says, as RFC 6749 section 5.2 has it.
pub(super) fn success(answer: Answer) -> Result<Answer, Failure> {
    if answer.status == 200 {
        return Ok(answer);
    }
    let json: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let code = json["error"].as_str().unwrap_or("no error code");
    let description = json["error_description"].as_str().map(|text| format!(": {text}")).unwrap_or_default();
    let what = format!("the service answers {} {code}{description}", answer.status);
    Err(match answer.status {
        401 => Failure::with_hint(
            what,
            "the service's log tells once a minute why a client is refused (event authentication_failed)",
        ),
        429 | 503 => Failure::with_hint(what, "try again in a moment"),
        404 => Failure::with_hint(what, "is this the right listener? --url names another"),
        _ => Failure::new(what),
    })
}

fn print_body(answer: &Answer) -> Result<(), Failure> {
    print(String::from_utf8_lossy(&answer.body).trim_end())
}

#[cfg(test)]
mod tests;
