//! Who proves itself by a key of its own, or by the token of somebody whom the service trusts: certificates, assertions, workloads.

use std::sync::Arc;

use super::{Authentication, Judge, RefusalReason, UnverifiedSignature, WantedKeys, refused};
use crate::oauth::client::{AuthMethod, Client};
use crate::oauth::client_assertion::{AssertionFault, ClientAssertion};
use crate::oauth::client_certificate::{CertificateFault, PresentedCertificate};
use crate::oauth::credentials::PresentedAssertion;
use crate::oauth::jws::jwk::Jwk;
use crate::oauth::jws::jwk_set::JwkSet;
use crate::oauth::key_place::KeyPlace;
use crate::oauth::remote_keys::Doubt;
use crate::oauth::time::Timestamp;
use crate::oauth::workload::Rules;

impl Judge<'_> {
    /// Row W15.
    fn judge_workload(
        &self,
        presented: &Arc<PresentedAssertion>,
        assertion: &ClientAssertion,
        rules: &Rules<'_, Arc<Client>>,
    ) -> Authentication {
        let now = Timestamp::from_unix_millis(self.options.clock.unix_millis());
        let client = match assertion.check_of_workload(rules, &self.options.audiences, now) {
            Ok(Some(client)) => client,
            Ok(None) => return refused(RefusalReason::UnknownClient, None),
            Err(fault) => return refused(RefusalReason::Assertion(fault), None),
        };
        let id = || Some(client.id().clone());
        // First the signature: who has no token of the issuer's learns of no rule.
        let issuer = rules.issuer();
        match self.verify(assertion, &issuer.keys, issuer.jwks_uri.as_ref()) {
            Err(Unproven::KeysWanted(wanted)) => Authentication::KeysWanted(wanted),
            Err(Unproven::Slow(keys)) => slow(presented, client, keys),
            Err(Unproven::Refused(reason)) => refused(reason, id()),
            Ok(()) if presented.client_id.as_deref().is_some_and(|claimed| claimed != client.id().as_str()) => {
                refused(RefusalReason::OtherClient, None)
            }
            Ok(()) if client.registration().disabled => refused(RefusalReason::ClientDisabled, id()),
            Ok(()) => Authentication::Proven(client.clone()),
        }
    }

    /// Rows X01 to X04 and A14. Whoever signed it is looked for last: anybody may show a chain that costs signatures.
    pub(super) fn judge_certificate(&self, presented: &PresentedCertificate) -> Authentication {
        let Some(client) = self.clients.get(&presented.client_id) else {
            return refused(RefusalReason::UnknownClient, None);
        };
        let registration = client.registration();
        let refused = |reason| refused(reason, Some(client.id().clone()));
        let fault = match registration.auth_method {
            _ if registration.disabled => return refused(RefusalReason::ClientDisabled),
            AuthMethod::TlsClientAuth => {
                let subject = registration.certificate_subject.as_ref();
                if !subject.is_some_and(|subject| subject.is_of(&presented.der)) {
                    Some(CertificateFault::Subject)
                } else {
                    let now = Timestamp::from_unix_millis(self.options.clock.unix_millis());
                    (!(presented.is_trusted)(now)).then_some(CertificateFault::Untrusted)
                }
            }
            // "the certificate chain of the client's certificate is not validated by the server" (RFC 8705 section 2.2).
            AuthMethod::SelfSignedTlsClientAuth => {
                let is_its = registration.certificates.iter().any(|known| known.as_slice() == presented.der.as_ref());
                (!is_its).then_some(CertificateFault::Unknown)
            }
            AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost | AuthMethod::PrivateKeyJwt => {
                return refused(RefusalReason::MethodNotRegistered);
            }
        };
        match fault {
            Some(fault) => refused(RefusalReason::Certificate(fault)),
            None => Authentication::Proven(client.clone()),
        }
    }

    /// Rows W03 to W12 and A14. The signature comes after all that is cheap.
    pub(super) fn judge_assertion(&self, presented: &Arc<PresentedAssertion>) -> Authentication {
        let assertion = match &presented.assertion {
            Ok(assertion) => assertion,
            Err(fault) => return refused(RefusalReason::Assertion(*fault), None),
        };
        if let Some(rules) = assertion.issuer().and_then(|iss| self.clients.workloads().of(iss)) {
            return self.judge_workload(presented, assertion, &rules);
        }
        let Some(subject) = assertion.subject() else {
            return refused(RefusalReason::Assertion(AssertionFault::Claims), None);
        };
        if presented.client_id.as_deref().is_some_and(|client_id| client_id != subject) {
            return refused(RefusalReason::OtherClient, None);
        }
        let Some(client) = self.clients.get(subject) else {
            return refused(RefusalReason::UnknownClient, None);
        };
        let registration = client.registration();
        let judge = || {
            let fault = |fault| Unproven::Refused(RefusalReason::Assertion(fault));
            let now = Timestamp::from_unix_millis(self.options.clock.unix_millis());
            let single_use =
                assertion.check(subject, &self.options.audiences, presented.sent_to, now).map_err(fault)?;
            if registration.auth_method != AuthMethod::PrivateKeyJwt {
                return Err(Unproven::Refused(RefusalReason::MethodNotRegistered));
            }
            self.verify(assertion, &registration.keys, registration.jwks_uri.as_ref())?;
            if registration.disabled { Err(Unproven::Refused(RefusalReason::ClientDisabled)) } else { Ok(single_use) }
        };
        match judge() {
            Ok(single_use) => Authentication::ProvenOnce(client.clone(), single_use),
            Err(Unproven::KeysWanted(wanted)) => Authentication::KeysWanted(wanted),
            Err(Unproven::Slow(keys)) => slow(presented, client, keys),
            Err(Unproven::Refused(reason)) => refused(reason, Some(client.id().clone())),
        }
    }

    /// The signature, by keys that are registered, or were fetched from where they are published.
    fn verify(&self, assertion: &ClientAssertion, keys: &JwkSet, place: Option<&KeyPlace>) -> Result<(), Unproven> {
        let fault = |fault| Unproven::Refused(RefusalReason::Assertion(fault));
        let fetched = place.and_then(|place| self.clients.keys_at(place));
        let slow = match fetched {
            Some(fetched) => fetched.slow_keys(assertion, self.taken.into_std()),
            None => assertion.slow_keys(keys),
        };
        if let Some(keys) = slow {
            return Err(Unproven::Slow(keys));
        }
        let Some(fetched) = fetched else { return assertion.verify(keys).map_err(fault) };
        fetched.verify(assertion, self.taken.into_std()).map_err(|doubt| match doubt {
            Doubt::Fault(found) => fault(found),
            Doubt::Unknown { fetches } => Unproven::KeysWanted(WantedKeys { keys: fetched.clone(), fetches }),
        })
    }
}

/// Nobody knows yet whether this assertion proves this client.
fn slow(presented: &Arc<PresentedAssertion>, client: &Arc<Client>, keys: Vec<Jwk>) -> Authentication {
    Authentication::SignatureUnverified(Box::new(UnverifiedSignature {
        presented: presented.clone(),
        client: client.clone(),
        keys,
    }))
}

/// Why an assertion proves nobody, or not yet.
enum Unproven {
    Refused(RefusalReason),
    KeysWanted(WantedKeys),
    /// It takes long to find out by these.
    Slow(Vec<Jwk>),
}
