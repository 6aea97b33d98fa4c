//! What is allowed and can hardly be meant: told by `config check` and at every reload.

use std::collections::{BTreeMap, BTreeSet};

use super::ReadClient;
use crate::config::hint::closest;
use crate::config::mistake::Warning;
use crate::oauth::client::{AuthMethod, IntrospectionRight};
use crate::oauth::workload::{TrustedIssuer, Workload};

/// Rules for one subject that each is compared with: of thousands alike one warning tells.
const COMPARED_MAX: usize = 100;

/// Certificates that prove a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificatesTaken {
    /// None: no listener asks for one, and no proxy tells of one.
    None,
    /// Those that are registered: nobody is believed who signs others.
    Registered,
    /// Those that are registered, and those signed by `mtls.client_ca_file`.
    All,
}

/// Everything doubtful about a set of clients.
pub(super) fn advise<'a>(
    clients: impl Iterator<Item = &'a ReadClient> + Clone,
    issuers: &[TrustedIssuer],
    certificates: CertificatesTaken,
) -> Vec<Warning> {
    let audiences: BTreeSet<&str> =
        clients.clone().flat_map(|client| client.registration.audience.iter().map(String::as_str)).collect();
    let mut warnings = Vec::new();
    let clients_again = clients.clone();
    for client in clients {
        warnings.extend(client.warnings.iter().cloned());
        warnings.extend(without_audience(client));
        warnings.extend(unknown_audiences(client, &audiences));
        warnings.extend(without_secret(client));
        warnings.extend(untrusted_issuers(client, issuers));
        warnings.extend(certificate_not_taken(client, certificates));
    }
    warnings.extend(shared_workloads(clients_again));
    warnings.sort();
    warnings
}

/// A token without an audience is seen by its own client and by who may see all (I09).
fn without_audience(client: &ReadClient) -> Option<Warning> {
    let registration = &client.registration;
    let by_default = registration.default_audience.as_ref().unwrap_or(&registration.audience);
    // Tokens of a resource server may be meant for this service's own introspection endpoint alone.
    let is_resource_server = registration.introspection != IntrospectionRight::OwnOnly;
    if !by_default.is_empty() || !registration.client_credentials || is_resource_server {
        return None;
    }
    let what = format!(
        "tokens of client `{}` have no audience unless it asks for one: only resource servers with introspection [\"*\"] will see them as active",
        registration.client_id
    );
    Some(Warning::new(client.origin.clone(), what))
}

fn unknown_audiences(client: &ReadClient, known: &BTreeSet<&str>) -> Vec<Warning> {
    let IntrospectionRight::Audiences(named) = &client.registration.introspection else { return Vec::new() };
    let origin = client.introspection_origin.as_ref().unwrap_or(&client.origin);
    let strangers = named.iter().filter(|audience| !known.contains(audience.as_str()));
    let warning = |audience: &String| {
        let mut what = format!("no client has the audience `{audience}`, so there are no such tokens to see");
        if let Some(meant) = closest(audience, known.iter().copied()) {
            what.push_str(&format!("; did you mean `{meant}`?"));
        }
        Warning::new(origin.clone(), what)
    };
    strangers.map(warning).collect()
}

fn untrusted_issuers(client: &ReadClient, issuers: &[TrustedIssuer]) -> Vec<Warning> {
    let names = || issuers.iter().map(|issuer| issuer.issuer.as_str());
    let workloads = client.registration.workloads.iter();
    let strangers = workloads.filter(|workload| names().all(|name| name != workload.issuer));
    let warning = |workload: &Workload| {
        let mut what = format!(
            "client `{}` is proven by tokens of `{}`, which is no [[trusted_issuer]]",
            client.registration.client_id, workload.issuer
        );
        if let Some(meant) = closest(&workload.issuer, names()) {
            what.push_str(&format!("; did you mean `{meant}`?"));
        }
        Warning::new(client.origin.clone(), what)
    };
    strangers.map(warning).collect()
}

/// Of two clients whom one token may prove, it is always the one whose id comes first.
fn shared_workloads<'a>(clients: impl Iterator<Item = &'a ReadClient>) -> Vec<Warning> {
    let mut of_subject: BTreeMap<(&str, &str), Vec<(&Workload, &ReadClient)>> = BTreeMap::new();
    for client in clients {
        for workload in &client.registration.workloads {
            of_subject.entry((&workload.issuer, &workload.subject)).or_default().push((workload, client));
        }
    }
    let mut warnings = Vec::new();
    for rules in of_subject.values() {
        for (place, (workload, client)) in rules.iter().enumerate() {
            let id = &client.registration.client_id;
            let other = rules[..place]
                .iter()
                .rev()
                .take(COMPARED_MAX)
                .find(|(known, other)| other.registration.client_id != *id && known.may_fit_with(workload));
            let Some((_, other)) = other else { continue };
            let other = &other.registration.client_id;
            let (first, second) = if id < other { (id, other) } else { (other, id) };
            let what = format!(
                "a token of `{}` with the sub `{}` may prove client `{first}` and client `{second}`: then it proves `{first}`; tell them apart by `claims`",
                workload.issuer, workload.subject
            );
            warnings.push(Warning::new(client.origin.clone(), what));
        }
    }
    warnings
}

fn certificate_not_taken(client: &ReadClient, taken: CertificatesTaken) -> Option<Warning> {
    let registration = &client.registration;
    let why = match (registration.auth_method, taken) {
        (AuthMethod::TlsClientAuth, CertificatesTaken::Registered) => {
            "nobody is believed who signs one (mtls.client_ca_file)"
        }
        (AuthMethod::TlsClientAuth | AuthMethod::SelfSignedTlsClientAuth, CertificatesTaken::None) => {
            "none is asked for (mtls.listen, public.client_certificate_header)"
        }
        _ => return None,
    };
    let what = format!("client `{}` proves by a certificate who it is, and {why}", registration.client_id);
    (!registration.disabled).then(|| Warning::new(client.origin.clone(), what))
}

fn without_secret(client: &ReadClient) -> Option<Warning> {
    let registration = &client.registration;
    let what = format!("client `{}` has no secret and can never prove who it is", registration.client_id);
    let nothing = registration.secrets.is_empty()
        && registration.keys.is_empty()
        && registration.jwks_uri.is_none()
        && registration.certificate_subject.is_none()
        && registration.certificates.is_empty()
        && registration.workloads.is_empty();
    (nothing && !registration.disabled).then(|| Warning::new(client.origin.clone(), what))
}
