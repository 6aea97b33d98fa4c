//! Secrets with slow hashes: handed back unverified, and known once they were verified.

use super::*;

/// bcrypt at its lowest cost, of `p%41ss`.
const OF_RAW: &str = "$2b$04$ydJUUY10UG552mXuNeCzuut52s2j9M51TiAvc8F320AACQ6Q.Dqn6";
/// The same of `pAss`.
const OF_DECODED: &str = "$2b$04$ze0ITw1Rxod7YBE8w8/uXuDueh2Q1V0OT88VgiFt5V3IKkQzImIXi";
/// The same of `imported-secret`.
const EXPIRED: &str = "$2b$04$TKtGCm/nV7L6KTvZJPi5ken872zgp2TSwy5LmtZvUEDuT11HwBr8e";

fn imported(id: &str, change: fn(&mut Registration)) -> Client {
    let mut registration = Registration::new(ClientId::new(id));
    registration.secrets = vec![SecretHash::parse(OF_RAW).unwrap().into()];
    change(&mut registration);
    Client::new(registration)
}

fn door() -> Door {
    let door = Door::new();
    door.clients.store(Arc::new(Clients::new([
        imported("slow", |_| ()),
        imported("decoded", |registration| registration.secrets = vec![SecretHash::parse(OF_DECODED).unwrap().into()]),
        imported("off", |registration| registration.disabled = true),
        imported("strict", |registration| registration.strict_auth_method = true),
        imported("both", |registration| registration.secrets.push(SecretHash::of(&Secret::new(b"fast")).into())),
        imported("old", |registration| {
            let expires_at = Some(Timestamp::from_unix_seconds(NOW_SECONDS));
            registration.secrets = vec![ClientSecret { expires_at, ..SecretHash::parse(EXPIRED).unwrap().into() }];
        }),
    ])));
    door
}

/// Whom it names, where it is handed back unverified; and what is found when it is verified.
async fn hand_back(authenticator: &AuthenticatorHandle, presented: PresentedCredentials) -> (UnverifiedSecret, bool) {
    let answer = authenticator.authenticate(by(), presented, HERE).await.unwrap();
    let Authentication::SecretUnverified(unverified) = answer else { panic!("{answer:?}") };
    let key = MemoryKey::new(&[7; 32]);
    let is_right = unverified.claims.iter().any(|claim| claim.client.verify_slowly(&key, claim.reading.secret()));
    (*unverified, is_right)
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_handed_back_until_it_was_verified_and_then_known() {
    let door = door();
    door.within(async |authenticator| {
        let (unverified, is_right) = hand_back(&authenticator, by_post("slow", "p%41ss")).await;
        assert!(is_right && unverified.client().is_some_and(|client| client.id().as_str() == "slow"));
        assert_eq!(ask(&authenticator, unverified.presented()).await, Ok("slow".into()));
        assert_eq!(ask(&authenticator, by_post("slow", "other")).await, Err((RefusalReason::WrongSecret, true)));
        let used = door.clients.load().get("slow").unwrap().secret_uses().last(0);
        assert_eq!(used, Some(Timestamp::from_unix_seconds(NOW_SECONDS)));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a03_both_readings_are_handed_back_and_either_may_be_right() {
    let door = door();
    door.within(async |authenticator| {
        for id in ["slow", "decoded"] {
            let (unverified, is_right) = hand_back(&authenticator, by_basic(id, "p%41ss")).await;
            assert_eq!((unverified.claims.len(), is_right), (2, true), "{id}");
            assert_eq!(ask(&authenticator, unverified.presented()).await, Ok(id.into()));
            assert_eq!(ask(&authenticator, by_basic(id, "p%41ss")).await, Ok(id.into()));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_handed_back_that_would_prove_nothing_or_is_proven_already() {
    let door = door();
    door.within(async |authenticator| {
        assert_eq!(ask(&authenticator, by_post("both", "fast")).await, Ok("both".into()));
        assert_eq!(ask(&authenticator, by_post("off", "p%41ss")).await, Err((RefusalReason::WrongSecret, true)));
        assert_eq!(ask(&authenticator, by_post("nobody", "p%41ss")).await, Err((RefusalReason::UnknownClient, false)));
        let (unverified, is_right) = hand_back(&authenticator, by_post("strict", "p%41ss")).await;
        assert!(is_right);
        let answer = ask(&authenticator, unverified.presented()).await;
        assert_eq!(answer, Err((RefusalReason::MethodNotRegistered, true)));
        let (unverified, is_right) = hand_back(&authenticator, by_post("old", "imported-secret")).await;
        assert!(is_right);
        assert_eq!(ask(&authenticator, unverified.presented()).await, Err((RefusalReason::SecretExpired, true)));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a22_beyond_the_limit_only_what_is_known_is_let_in() {
    let door = door();
    door.within(async |authenticator| {
        hand_back(&authenticator, by_post("slow", "p%41ss")).await;
        for _ in 0..20 {
            assert_eq!(ask(&authenticator, by_post("slow", "other")).await, Err((RefusalReason::WrongSecret, true)));
            assert_eq!(door.guesses.count((b"decoded", HERE), Instant::now()), Ok(()));
        }
        let too_many = Err((RefusalReason::TooMany { retry_after_seconds: 60 }, true));
        assert_eq!(ask(&authenticator, by_post("slow", "other")).await, too_many);
        assert_eq!(ask(&authenticator, by_post("slow", "p%41ss")).await, Ok("slow".into()));
        assert_eq!(ask(&authenticator, by_post("decoded", "pAss")).await, too_many, "right, and nobody looks");
        let elsewhere = authenticator.authenticate(by(), by_post("decoded", "pAss"), Some(Source::V4(2))).await;
        assert!(matches!(elsewhere, Ok(Authentication::SecretUnverified(_))));
    })
    .await;
}
