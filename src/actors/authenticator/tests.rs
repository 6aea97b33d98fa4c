//! Who is proven, who is refused and why: through the mailbox, as an endpoint asks.

use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::actors::deadlines::Deadlines;
use crate::actors::mailbox::Capacity;
use crate::failpoint::on_this_thread;
use crate::oauth::client::Registration;
use crate::oauth::client_certificate::{CertificateSubject, PresentedCertificate};
use crate::oauth::client_secret::ClientSecret;
use crate::oauth::credentials::Endpoint;
use crate::oauth::form::Form;
use crate::oauth::metadata::Issuer;
use crate::oauth::profile::Profile;
use crate::oauth::remembered_secrets::MemoryKey;
use crate::oauth::secret::{Secret, SecretHash};
use crate::telemetry::exporter::Exporter;

const NOW_SECONDS: u64 = 1_800_000_000;
const HERE: Option<Source> = Some(Source::V4(1));
const SECRET: &[u8] = b"p%41ss";

/// An authenticator with a registry and a clock of its own.
struct Door {
    clients: Arc<ArcSwap<Clients>>,
    clock: Clock,
    guesses: Arc<Guesses>,
    around: Surroundings,
}

/// Who is let in, or why not and whether the name is known.
type Answer = Result<String, (RefusalReason, bool)>;

fn registry() -> Clients {
    let client = |id: &str, change: fn(&mut Registration)| {
        let mut registration = Registration::new(ClientId::new(id));
        registration.secrets = vec![SecretHash::of(&Secret::new(SECRET)).into()];
        change(&mut registration);
        Client::new(registration)
    };
    let secret = |text: &[u8], end: u64| ClientSecret {
        expires_at: Some(Timestamp::from_unix_seconds(end)),
        ..SecretHash::of(&Secret::new(text)).into()
    };
    let mut rotating = Registration::new(ClientId::new("rotating"));
    rotating.secrets = vec![secret(b"old", NOW_SECONDS + 60), secret(b"new", NOW_SECONDS + 3600)];
    Clients::new([
        client("good", |_| ()),
        client("off", |registration| registration.disabled = true),
        client("strict", |registration| registration.strict_auth_method = true),
        Client::new(rotating),
    ])
}

impl Door {
    fn new() -> Self {
        Self {
            clients: Arc::new(ArcSwap::from_pointee(registry())),
            clock: Clock::simulated(NOW_SECONDS * 1000 + 250),
            guesses: Arc::default(),
            around: Surroundings {
                deadlines: Deadlines::default(),
                metrics: Arc::new(Exporter::new("0", "0").register(1)),
                capacity: Capacity { messages_max: 100, reserved: 10, wait_max: Duration::from_secs(1) },
            },
        }
    }

    async fn within(&self, story: impl AsyncFnOnce(AuthenticatorHandle)) {
        let issuer = Issuer::parse("https://as.example", false).unwrap();
        let options = AuthenticatorOptions {
            audiences: Audiences::of(&issuer, None, Profile::Default),
            clock: self.clock.clone(),
            guesses: self.guesses.clone(),
            memory: Arc::new(MemoryKey::new(&[7; 32])),
            profile: Profile::Default,
        };
        let (authenticator, task) = AuthenticatorHandle::start(&self.around, self.clients.clone(), options);
        let ((), end) = tokio::join!(story(authenticator), task);
        assert_eq!(end, Ok(()));
    }
}

fn by() -> Deadline {
    Deadline::after(Instant::now(), Duration::from_secs(1))
}

fn by_basic(id: &str, secret: &str) -> PresentedCredentials {
    let header = format!("Basic {}", data_encoding::BASE64.encode(format!("{id}:{secret}").as_bytes()));
    let form = Form::parse(b"").unwrap();
    PresentedCredentials::parse(Endpoint::Token, std::iter::once(header.as_bytes()), &form).unwrap()
}

fn by_post(id: &str, secret: &str) -> PresentedCredentials {
    let body = format!("client_id={id}&client_secret={}", secret.replace('%', "%25"));
    let form = Form::parse(body.as_bytes()).unwrap();
    PresentedCredentials::parse(Endpoint::Token, std::iter::empty(), &form).unwrap()
}

async fn ask(authenticator: &AuthenticatorHandle, presented: PresentedCredentials) -> Answer {
    match authenticator.authenticate(by(), presented, HERE).await.unwrap() {
        Authentication::Proven(client) | Authentication::ProvenOnce(client, _) => Ok(client.id().as_str().to_string()),
        Authentication::Refused(refusal) => Err((refusal.reason, refusal.client_id().is_some())),
        Authentication::KeysWanted(wanted) => panic!("{wanted:?}"),
        Authentication::SecretUnverified(unverified) => panic!("{unverified:?}"),
        Authentication::SignatureUnverified(unverified) => panic!("{unverified:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_is_proven_by_either_reading_and_refused_for_a_reason() {
    let door = Door::new();
    door.within(async |authenticator| {
        let ask = async |presented| ask(&authenticator, presented).await;
        let proven = |id: &str| Ok(id.to_string());
        // Raw, form-encoded, and in the body.
        assert_eq!(ask(by_basic("good", "p%41ss")).await, proven("good"));
        assert_eq!(ask(by_basic("good", "p%2541ss")).await, proven("good"));
        assert_eq!(ask(by_post("good", "p%41ss")).await, proven("good"));
        assert_eq!(ask(by_basic("good", "other")).await, Err((RefusalReason::WrongSecret, true)));
        assert_eq!(ask(by_basic("nobody", "p%41ss")).await, Err((RefusalReason::UnknownClient, false)));
        assert_eq!(ask(by_basic("off", "p%41ss")).await, Err((RefusalReason::ClientDisabled, true)));
        assert_eq!(ask(by_post("strict", "p%41ss")).await, Err((RefusalReason::MethodNotRegistered, true)));
        assert_eq!(ask(by_basic("strict", "p%41ss")).await, proven("strict"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a17_a18_each_secret_has_its_end_and_its_last_use() {
    let door = Door::new();
    door.within(async |authenticator| {
        let ask = async |secret| ask(&authenticator, by_basic("rotating", secret)).await;
        let uses = || {
            let clients = door.clients.load();
            let uses = clients.get("rotating").unwrap().secret_uses();
            [0, 1].map(|place| uses.last(place).map(Timestamp::unix_seconds))
        };
        assert_eq!(uses(), [None, None]);
        ask("old").await.unwrap();
        assert_eq!(uses(), [Some(NOW_SECONDS), None]);
        door.clock.advance(59_000);
        tokio::time::advance(Duration::from_secs(59)).await;
        ask("old").await.unwrap();
        ask("new").await.unwrap();
        assert_eq!(uses(), [Some(NOW_SECONDS + 59); 2]);
        door.clock.advance(1000);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(ask("old").await, Err((RefusalReason::SecretExpired, true)));
        ask("new").await.unwrap();
        assert_eq!(
            uses(),
            [Some(NOW_SECONDS + 59), Some(NOW_SECONDS + 60)],
            "a secret that proves nothing is not used"
        );

        // A reload keeps what is known.
        let fresh = registry();
        fresh.inherit(&door.clients.load());
        door.clients.store(Arc::new(fresh));
        assert_eq!(uses(), [Some(NOW_SECONDS + 59), Some(NOW_SECONDS + 60)]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a22_who_is_wrong_too_often_is_told_to_wait_whether_registered_or_not_and_what_is_right_is_never_refused() {
    let door = Door::new();
    door.within(async |authenticator| {
        let from = async |source, id, secret| match authenticator
            .authenticate(by(), by_basic(id, secret), source)
            .await
            .unwrap()
        {
            Authentication::Refused(refusal) => Some(refusal.reason),
            Authentication::KeysWanted(_)
            | Authentication::SecretUnverified(_)
            | Authentication::SignatureUnverified(_) => unreachable!(),
            Authentication::Proven(_) | Authentication::ProvenOnce(..) => None,
        };
        for (id, reason) in [("good", RefusalReason::WrongSecret), ("nobody", RefusalReason::UnknownClient)] {
            // Two readings of one request are one mistake.
            for _ in 0..20 {
                assert_eq!(from(HERE, id, "a%41").await, Some(reason));
            }
            let wait = RefusalReason::TooMany { retry_after_seconds: 60 };
            assert_eq!(from(HERE, id, "other").await, Some(wait));
            assert_eq!(from(None, id, "other").await, Some(reason));
        }
        assert_eq!(from(HERE, "good", "p%41ss").await, None);
        assert_eq!(from(HERE, "strict", "other").await, Some(RefusalReason::WrongSecret));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(from(HERE, "good", "other").await, Some(RefusalReason::WrongSecret));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn x03_who_signed_a_certificate_is_looked_for_last_and_a_chain_that_nobody_signed_counts_as_a_guess() {
    let door = Door::new();
    let der: Arc<[u8]> = {
        let parameters = rcgen::CertificateParams::new(["by-tls.example".to_owned()]).unwrap();
        parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec().into()
    };
    let by_tls = |id: &str, san: &str, disabled| {
        let mut registration = Registration::new(ClientId::new(id));
        registration.auth_method = AuthMethod::TlsClientAuth;
        registration.certificate_subject = Some(CertificateSubject::Dns(san.into()));
        registration.disabled = disabled;
        Client::new(registration)
    };
    let its = "by-tls.example";
    let [good, off, other] = [by_tls("good", its, false), by_tls("off", its, true), by_tls("other", "other", false)];
    let mut by_secret = Registration::new(ClientId::new("by-secret"));
    by_secret.secrets = vec![SecretHash::of(&Secret::new(SECRET)).into()];
    door.clients.store(Arc::new(Clients::new([good, off, other, Client::new(by_secret)])));
    door.within(async |authenticator| {
        let show = async |id: &str, is_trusted: fn(Timestamp) -> bool| {
            let presented =
                PresentedCertificate { client_id: id.into(), der: der.clone(), is_trusted: Box::new(is_trusted) };
            ask(&authenticator, PresentedCredentials::Certificate(Box::new(presented))).await
        };
        let unasked: fn(Timestamp) -> bool = |_| unreachable!("its signatures are verified for nothing");
        for (id, reason) in [
            ("nobody", RefusalReason::UnknownClient),
            ("off", RefusalReason::ClientDisabled),
            ("other", RefusalReason::Certificate(CertificateFault::Subject)),
            ("by-secret", RefusalReason::MethodNotRegistered),
        ] {
            assert_eq!(show(id, unasked).await.unwrap_err().0, reason);
        }
        for _ in 0..20 {
            let untrusted = RefusalReason::Certificate(CertificateFault::Untrusted);
            assert_eq!(show("good", |_| false).await, Err((untrusted, true)));
        }
        assert_eq!(show("good", |_| false).await, Err((RefusalReason::TooMany { retry_after_seconds: 60 }, true)));
        assert_eq!(show("good", |_| true).await, Ok("good".into()), "what is right is never refused");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn f23_nobody_is_called_unproven_by_an_authenticator_that_died() {
    let door = Door::new();
    door.within(async |authenticator| {
        let ask = || authenticator.authenticate(by(), by_basic("good", "p%41ss"), HERE);
        on_this_thread::arm(FailPoint::Authenticator);
        let (a, b) = tokio::join!(ask(), ask());
        assert_eq!((a.unwrap_err(), b.unwrap_err()), (ActorError::Lost, ActorError::Lost));
        assert!(matches!(ask().await, Ok(Authentication::Proven(_))));
    })
    .await;
}

mod slow_secrets;
mod slow_signatures;
