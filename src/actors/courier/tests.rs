//! Row W14 on a clock that a test moves: when is fetched, and who waits for what.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;

use serde_json::json;
use tokio::time::sleep;

use super::*;
use crate::oauth::client::{AuthMethod, Client, ClientId, Registration};
use crate::telemetry::exporter::Exporter;

const HOUR: Duration = Duration::from_secs(3600);

/// Servers that answer as they are told, or never.
#[derive(Clone, Default)]
struct Servers(Rc<Scene>);

#[derive(Default)]
struct Scene {
    answers: RefCell<HashMap<String, Result<FetchedKeys, FetchError>>>,
    asked: RefCell<Vec<(String, Instant)>>,
    open: Cell<usize>,
    open_most: Cell<usize>,
}

impl FetchKeys for Servers {
    async fn fetch(&self, place: &KeyPlace) -> Result<FetchedKeys, FetchError> {
        let scene = &self.0;
        scene.asked.borrow_mut().push((place.host().to_owned(), Instant::now()));
        scene.open.set(scene.open.get() + 1);
        scene.open_most.set(scene.open_most.get().max(scene.open.get()));
        // One that hangs is given up by who asked: then nothing behind this is reached.
        let answer = scene.answers.borrow().get(place.host()).cloned();
        let closes = Closes(scene.clone());
        sleep(Duration::from_millis(100)).await;
        let answer = match answer {
            Some(answer) => answer,
            None => std::future::pending().await,
        };
        drop(closes);
        answer
    }
}

struct Closes(Rc<Scene>);

impl Drop for Closes {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
    }
}

impl Servers {
    fn say(&self, host: &str, answer: Result<FetchedKeys, FetchError>) {
        self.0.answers.borrow_mut().insert(host.to_owned(), answer);
    }

    fn asked(&self, host: &str) -> usize {
        self.0.asked.borrow().iter().filter(|(asked, _)| asked == host).count()
    }
}

fn keys(max_age: Option<u64>) -> Result<FetchedKeys, FetchError> {
    let jwk =
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": "1", "x": data_encoding::BASE64URL_NOPAD.encode(&[9; 32]) });
    let keys = JwkSet::read(json!({ "keys": [jwk] }).as_object().unwrap()).unwrap().0;
    Ok(FetchedKeys { keys, max_age: max_age.map(Duration::from_secs) })
}

fn down() -> Result<FetchedKeys, FetchError> {
    Err(FetchError { outcome: FetchOutcome::Unreachable, what: "down".into() })
}

fn clients(hosts: &[&str]) -> Clients {
    Clients::new(hosts.iter().map(|host| {
        let jwks_uri = KeyPlace::parse(&format!("https://{host}/")).ok();
        let auth_method = AuthMethod::PrivateKeyJwt;
        Client::new(Registration { jwks_uri, auth_method, ..Registration::new(ClientId::new(host)) })
    }))
}

/// The story of a courier whose clients publish their keys at these hosts.
async fn story(
    servers: &Servers,
    hosts: &[&str],
    told: impl AsyncFnOnce(CourierHandle, Arc<ArcSwap<Clients>>),
) -> Arc<Exporter> {
    let exporter = Arc::new(Exporter::new("0", "0"));
    let metrics = Arc::new(exporter.register(1));
    let clients = Arc::new(ArcSwap::from_pointee(clients(hosts)));
    let clock = Clock::simulated(1_800_000_000_000);
    let (handle, mut courier) = courier(servers.clone(), clients.clone(), metrics, clock, Random::seeded(1));
    tokio::join!(told(handle, clients), courier.run());
    exporter
}

fn of(clients: &Arc<ArcSwap<Clients>>, host: &str) -> Arc<RemoteKeys> {
    let place = KeyPlace::parse(&format!("https://{host}/")).unwrap();
    clients.load().keys_at(&place).unwrap().clone()
}

fn in_a_second() -> Deadline {
    Deadline::after(Instant::now(), Duration::from_secs(1))
}

fn known(keys: &RemoteKeys) -> bool {
    keys.are_known(Instant::now().into_std())
}

#[tokio::test(start_paused = true)]
async fn w14_keys_are_there_soon_and_are_fetched_anew_before_they_are_stale() {
    for (max_age, seconds) in [(None, 3600), (Some(1800), 1800), (Some(0), 300), (Some(1 << 40), 86_400)] {
        let servers = Servers::default();
        servers.say("a", keys(max_age));
        story(&servers, &["a"], async |handle, clients| {
            let keys = of(&clients, "a");
            let wanted = WantedKeys { keys: keys.clone(), fetches: 0 };
            assert_eq!(handle.fetched(in_a_second(), &wanted).await, Ok(()));
            assert!(known(&keys));
            sleep(Duration::from_secs(seconds * 9 / 10 - 1)).await;
            assert_eq!(servers.asked("a"), 1, "{max_age:?}");
            sleep(Duration::from_secs(seconds / 10 + 2)).await;
            assert_eq!(servers.asked("a"), 2, "{max_age:?}");
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn w14_who_wants_another_key_waits_for_one_fetch_with_all_others_and_then_not_for_thirty_seconds() {
    let servers = Servers::default();
    servers.say("a", keys(None));
    story(&servers, &["a"], async |handle, clients| {
        let keys = of(&clients, "a");
        let wanted = |fetches| WantedKeys { keys: keys.clone(), fetches };
        handle.fetched(in_a_second(), &wanted(0)).await.unwrap();
        let error = handle.fetched(in_a_second(), &wanted(1)).await;
        assert_eq!(error, Err(ActorError::KeysUnknown { retry_after_seconds: 30 }));
        for round in 1..=3 {
            sleep(FLOOR).await;
            let wanted = wanted(round);
            let all: Vec<_> = (0..100).map(|_| handle.fetched(in_a_second(), &wanted)).collect();
            assert!(futures_util::future::join_all(all).await.iter().all(Result::is_ok));
            assert_eq!(servers.asked("a"), usize::try_from(round).unwrap() + 1);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn w14_what_was_never_fetched_is_tried_soon_and_then_ever_less_often() {
    let servers = Servers::default();
    servers.say("a", down());
    let exporter = story(&servers, &["a"], async |handle, clients| {
        let keys = of(&clients, "a");
        let first = handle.fetched(in_a_second(), &WantedKeys { keys: keys.clone(), fetches: 0 }).await;
        assert_eq!(first, Ok(()), "it has ended, though badly");
        let error = handle.fetched(in_a_second(), &WantedKeys { keys: keys.clone(), fetches: 1 }).await;
        assert!(matches!(error, Err(ActorError::KeysUnknown { retry_after_seconds: 2..=3 })), "{error:?}");
        sleep(HOUR).await;
        assert!((14..=24).contains(&servers.asked("a")), "{}", servers.asked("a"));
        servers.say("a", self::keys(None));
        sleep(RETRY_MAX * 3 / 2).await;
        assert!(known(&keys));
    })
    .await;
    let metrics = exporter.render();
    assert!(metrics.contains("jeton_jwks_fetches_total{outcome=\"success\"} 1"), "{metrics}");
    assert!(metrics.contains("jeton_reload_last_successful{subject=\"jwks\"} 1"), "{metrics}");
}

#[tokio::test(start_paused = true)]
async fn w14_keys_stay_while_their_server_is_down_and_end_a_day_after_they_were_stale() {
    let servers = Servers::default();
    servers.say("a", keys(None));
    let exporter = story(&servers, &["a"], async |_, clients| {
        let keys = of(&clients, "a");
        sleep(Duration::from_secs(1)).await;
        servers.say("a", down());
        sleep(25 * HOUR - Duration::from_secs(10)).await;
        assert!(known(&keys));
        sleep(Duration::from_secs(10)).await;
        assert!(!known(&keys));
    })
    .await;
    assert!(exporter.render().contains("jeton_reload_last_successful{subject=\"jwks\"} 0"));
    let asked = servers.0.asked.borrow();
    assert!(asked.windows(2).all(|two| two[1].1 - two[0].1 >= FLOOR), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn w14_servers_that_hang_are_given_up_and_few_at_once_are_waited_for() {
    let servers = Servers::default();
    let hosts: Vec<String> = (0..20).map(|number| format!("hangs-{number}")).collect();
    let mut hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    hosts.push("works");
    servers.say("works", keys(None));
    story(&servers, &hosts, async |handle, clients| {
        let wanted = WantedKeys { keys: of(&clients, "hangs-0"), fetches: 0 };
        let by = Deadline::after(Instant::now(), Duration::from_millis(50));
        assert_eq!(handle.fetched(by, &wanted).await, Err(ActorError::TimedOut));
        sleep(Duration::from_secs(60)).await;
        assert!(known(&of(&clients, "works")));
        assert!(hosts.iter().all(|host| servers.asked(host) > 0));
    })
    .await;
    assert_eq!(servers.0.open_most.get(), FETCHES_MAX);
}

#[tokio::test(start_paused = true)]
async fn w14_a_reload_keeps_what_was_fetched_fetches_what_is_new_and_forgets_what_is_gone() {
    let servers = Servers::default();
    ["a", "b", "c"].into_iter().for_each(|host| servers.say(host, keys(None)));
    story(&servers, &["a", "b"], async |handle, all| {
        sleep(Duration::from_secs(1)).await;
        let before = of(&all, "a");
        all.store(Arc::new(clients(&["a", "c"]).with_keys_of(&all.load())));
        handle.reloaded();
        assert!(Arc::ptr_eq(&before, &of(&all, "a")) && known(&before));
        handle.fetched(in_a_second(), &WantedKeys { keys: of(&all, "c"), fetches: 0 }).await.unwrap();
        sleep(2 * HOUR).await;
        assert_eq!(["a", "b", "c"].map(|host| servers.asked(host) > 1), [true, false, true]);
        let asked = servers.asked("a");
        sleep(FLOOR).await;
        handle.fetch_all();
        sleep(FLOOR).await;
        handle.fetch_all();
        handle.fetch_all();
        sleep(Duration::from_secs(2)).await;
        assert!((asked + 1..=asked + 2).contains(&servers.asked("a")), "an operator is bound by the floor too");
    })
    .await;
}

#[tokio::test]
async fn nobodys_courier_brings_nothing_and_says_so() {
    let keys = Arc::new(RemoteKeys::new(KeyPlace::parse("https://a/").unwrap()));
    let wanted = WantedKeys { keys: keys.clone(), fetches: 0 };
    assert_eq!(CourierHandle::nobodys().fetched(in_a_second(), &wanted).await, Err(ActorError::Lost));
    keys.failed(Instant::now().into_std());
    let wanted = WantedKeys { keys, fetches: 1 };
    assert_eq!(CourierHandle::nobodys().fetched(in_a_second(), &wanted).await, Err(ActorError::Overloaded));
}

#[tokio::test(start_paused = true)]
async fn w14_whoever_needs_keys_after_a_long_outage_waits_for_the_floor_alone() {
    let servers = Servers::default();
    servers.say("a", down());
    story(&servers, &["a"], async |handle, clients| {
        let keys = of(&clients, "a");
        sleep(HOUR).await;
        let asked = servers.asked("a");
        assert!(asked < 30, "{asked}");
        // The next try is minutes away, whenever the last one was.
        while servers.asked("a") == asked {
            sleep(Duration::from_millis(100)).await;
        }
        servers.say("a", self::keys(None));
        sleep(FLOOR).await;
        let fetches = u64::try_from(asked).unwrap() + 1;
        assert_eq!(handle.fetched(in_a_second(), &WantedKeys { keys: keys.clone(), fetches }).await, Ok(()));
        assert!(known(&keys));
    })
    .await;
}
