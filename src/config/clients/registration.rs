//! One client's registration: what each member may hold, and what they may hold together.

use super::client_certificates;
use super::client_keys;
use super::limits;
use super::members::{Members, Placed};
use super::secrets::{self, Secrets};
use super::workloads;
use super::{ReadClient, ReadFile};
use crate::config::mistake::Mistake;
use crate::oauth::client::{AuthMethod, ClientId, IntrospectionRight, Registration};
use crate::oauth::scope::Scope;

const CLIENT_ID_CHARS_MAX: usize = 255;
const TEXT_BYTES_MAX: usize = 1024;

/// Reads a client. None where it is mistaken; why stands in `file`.
pub(super) fn read(members: Members<'_>, ttl_seconds_max: u32, file: &mut ReadFile) -> Option<ReadClient> {
    let mut secrets = Secrets::default();
    let id = client_id(&members);
    let auth_method = auth_method(&members);
    let keys = client_keys::read(&members, auth_method);
    let workloads = workloads::of_client(&members);
    let certificate_subject = client_certificates::subject(&members, auth_method);
    match auth_method {
        // Whom others prove needs no secret, and may have one.
        AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost
            if members.has("workloads") && !secrets::has_any(&members) => {}
        AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost => secrets.read(&members),
        AuthMethod::PrivateKeyJwt | AuthMethod::TlsClientAuth | AuthMethod::SelfSignedTlsClientAuth => {
            secrets::refuse(&members, auth_method);
        }
    }
    let (scope, default_scope) = scopes(&members);
    let (audience, default_audience) = audiences(&members);
    let is_named = id.is_some();
    let (client_id, origin) = id.unwrap_or_else(|| (String::new(), members.origin.clone()));
    let (rate_limit, quotas) = limits::read(&members);
    let registration = Registration {
        client_id: ClientId::new(&client_id),
        client_name: members.text("client_name").map(|(name, _)| name),
        secrets: secrets.all,
        auth_method,
        keys: keys.keys,
        // One that is used for nothing is not fetched from.
        jwks_uri: keys.place.clone().map(|(place, _)| place).filter(|_| auth_method == AuthMethod::PrivateKeyJwt),
        certificate_subject,
        certificates: keys.certificates,
        certificate_bound_access_tokens: members.flag("tls_client_certificate_bound_access_tokens"),
        strict_auth_method: members.flag("strict_auth_method"),
        scope,
        default_scope,
        audience,
        default_audience,
        access_token_ttl_seconds: members.number(
            "access_token_ttl_seconds",
            1,
            ttl_seconds_max,
            " (tokens.ttl_seconds_max)",
        ),
        subject: subject(&members),
        claims: members.claims("claims"),
        not_before: members.moment("not_before"),
        disabled: members.flag("disabled"),
        client_credentials: grants_client_credentials(&members),
        introspection: introspection(&members),
        workloads,
        dpop_bound_access_tokens: members.flag("dpop_bound_access_tokens"),
        rate_limit,
        quotas,
    };
    let introspection_origin = members.place_of("introspection");
    file.secret_files.extend(secrets.files);
    file.secret_files.extend(keys.files);
    file.key_places.extend(keys.place);
    secrets.warnings.extend(keys.warnings);
    let mistakes = members.into_mistakes();
    let is_good = is_named && mistakes.is_empty();
    file.mistakes.extend(mistakes);
    is_good.then_some(ReadClient { registration, origin, introspection_origin, warnings: secrets.warnings })
}

/// RFC 6749 appendix A.1: `client-id = *VSCHAR`; an empty one names nobody.
fn client_id(members: &Members<'_>) -> Option<Placed> {
    if !members.has_or_nearly("client_id") {
        members.mistake(members.origin.clone(), "a client without `client_id`");
        return None;
    }
    let (id, origin) = members.text("client_id")?;
    let is_fit = (1..=CLIENT_ID_CHARS_MAX).contains(&id.len()) && id.bytes().all(|byte| (0x20..=0x7e).contains(&byte));
    if !is_fit {
        let what = format!("`client_id` must be 1 to {CLIENT_ID_CHARS_MAX} printable ASCII characters");
        members.mistake(origin, what);
        return None;
    }
    Some((id, origin))
}

const KNOWN: &str = "client_secret_basic, client_secret_post, private_key_jwt, tls_client_auth and self_signed_tls_client_auth are known";

fn auth_method(members: &Members<'_>) -> AuthMethod {
    let name = "token_endpoint_auth_method";
    let Some((method, origin)) = members.text(name) else { return AuthMethod::default() };
    let (what, hint) = match method.as_str() {
        "client_secret_basic" => return AuthMethod::ClientSecretBasic,
        "client_secret_post" => return AuthMethod::ClientSecretPost,
        "private_key_jwt" => return AuthMethod::PrivateKeyJwt,
        "tls_client_auth" => return AuthMethod::TlsClientAuth,
        "self_signed_tls_client_auth" => return AuthMethod::SelfSignedTlsClientAuth,
        // RFC 6749 section 4.4: the client credentials grant MUST only be used by confidential clients.
        "none" => (
            "a client with the method `none` is public, and the client credentials grant is for confidential ones alone",
            "give it a secret and leave the method out",
        ),
        "client_secret_jwt" => ("this method is not in this release yet", KNOWN),
        _ => ("there is no such method", KNOWN),
    };
    members.push(Mistake::new(origin, format!("`{name}`: {what}")).hint(hint));
    AuthMethod::default()
}

fn scopes(members: &Members<'_>) -> (Scope, Option<Scope>) {
    let read = |name| {
        let (text, origin) = members.text(name)?;
        let scope =
            Scope::parse(&text).map_err(|error| members.mistake(origin.clone(), format!("`{name}` is {error}")));
        Some((scope.ok()?, origin))
    };
    let scope = read("scope");
    let default = read("default_scope");
    let is_known = scope.is_some() || !members.has("scope");
    let scope = scope.map(|(scope, _)| scope).unwrap_or_default();
    if let Some((default, origin)) = &default
        && is_known
    {
        let outside: Vec<&str> = default.iter().filter(|token| scope.iter().all(|other| other != *token)).collect();
        if !outside.is_empty() {
            members.mistake(
                origin.clone(),
                format!("`default_scope` holds `{}`, which `scope` does not", outside.join(" ")),
            );
        }
    }
    (scope, default.map(|(default, _)| default))
}

fn audiences(members: &Members<'_>) -> (Vec<String>, Option<Vec<String>>) {
    let audience = checked_audiences(members, "audience");
    let default = members.has("default_audience").then(|| checked_audiences(members, "default_audience"));
    for (text, origin) in default.iter().flatten() {
        if audience.iter().all(|(known, _)| known != text) {
            members.mistake(origin.clone(), format!("`default_audience` holds `{text}`, which `audience` does not"));
        }
    }
    let texts = |placed: Vec<Placed>| placed.into_iter().map(|(text, _)| text).collect();
    (texts(audience), default.map(texts))
}

/// The audiences of a member, each once, in their order.
fn checked_audiences(members: &Members<'_>, name: &str) -> Vec<Placed> {
    let mut good: Vec<Placed> = Vec::new();
    for (text, origin) in members.texts(name).unwrap_or_default() {
        if text == "*" {
            members.mistake(origin, format!("`*` is no audience; in `{name}` each is named"));
        } else if !is_plain_text(&text) {
            members.mistake(
                origin,
                format!("an audience is 1 to {TEXT_BYTES_MAX} bytes of text without control characters"),
            );
        } else if good.iter().all(|(known, _)| *known != text) {
            good.push((text, origin));
        }
    }
    good
}

fn is_plain_text(text: &str) -> bool {
    (1..=TEXT_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

fn subject(members: &Members<'_>) -> Option<String> {
    let (subject, origin) = members.text("subject")?;
    if is_plain_text(&subject) {
        return Some(subject);
    }
    members.mistake(origin, format!("`subject` is 1 to {TEXT_BYTES_MAX} bytes of text without control characters"));
    None
}

fn grants_client_credentials(members: &Members<'_>) -> bool {
    let Some(types) = members.texts("grant_types") else { return true };
    for (other, origin) in types.iter().filter(|(name, _)| name != "client_credentials") {
        let what = format!("there is no grant type `{other}` here: `client_credentials` is the only one");
        members.push(Mistake::new(origin.clone(), what).hint("write [] for a resource server that gets no tokens"));
    }
    !types.is_empty()
}

fn introspection(members: &Members<'_>) -> IntrospectionRight {
    let named = members.texts("introspection").unwrap_or_default();
    if named.is_empty() {
        return IntrospectionRight::OwnOnly;
    }
    if let Some((_, origin)) = named.iter().find(|(text, _)| text == "*") {
        if named.len() > 1 {
            members.mistake(origin.clone(), "`*` stands for all audiences: in `introspection` it stands alone");
        }
        return IntrospectionRight::All;
    }
    let mut audiences: Vec<String> =
        checked_audiences(members, "introspection").into_iter().map(|(text, _)| text).collect();
    audiences.sort();
    IntrospectionRight::Audiences(audiences)
}
