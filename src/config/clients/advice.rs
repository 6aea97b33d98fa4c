//! What is allowed and can hardly be meant: told by `config check` and at every reload.

use std::collections::BTreeSet;

use super::ReadClient;
use crate::config::hint::closest;
use crate::config::mistake::Warning;
use crate::oauth::client::IntrospectionRight;
use crate::oauth::workload::{TrustedIssuer, Workload};

/// Everything doubtful about a set of clients.
pub(super) fn advise<'a>(
    clients: impl Iterator<Item = &'a ReadClient> + Clone,
    issuers: &[TrustedIssuer],
) -> Vec<Warning> {
    let audiences: BTreeSet<&str> =
        clients.clone().flat_map(|client| client.registration.audience.iter().map(String::as_str)).collect();
    let mut warnings = Vec::new();
    for client in clients {
        warnings.extend(client.warnings.iter().cloned());
        warnings.extend(without_audience(client));
        warnings.extend(unknown_audiences(client, &audiences));
        warnings.extend(without_secret(client));
        warnings.extend(untrusted_issuers(client, issuers));
    }
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

fn without_secret(client: &ReadClient) -> Option<Warning> {
    let registration = &client.registration;
    let what = format!("client `{}` has no secret and can never prove who it is", registration.client_id);
    let nothing = registration.secrets.is_empty()
        && registration.keys.is_empty()
        && registration.certificate_subject.is_none()
        && registration.certificates.is_empty()
        && registration.workloads.is_empty();
    (nothing && !registration.disabled).then(|| Warning::new(client.origin.clone(), what))
}
