//! What is verified, how often, and for whom not: on threads that a test starts when all have asked.

use std::time::Duration;

use futures_util::future::join_all;

use super::*;
use crate::failpoint::on_this_thread;
use crate::oauth::client::{ClientId, Registration};
use crate::oauth::credentials::Endpoint;
use crate::oauth::form::Form;
use crate::oauth::secret::SecretHash;
use crate::telemetry::exporter::Exporter;

/// bcrypt at its lowest cost, of `imported-secret`.
const OF_IMPORTED: &str = "$2b$04$TKtGCm/nV7L6KTvZJPi5ken872zgp2TSwy5LmtZvUEDuT11HwBr8e";
const RIGHT: &str = "imported-secret";
const HERE: Option<Source> = Some(Source::V4(1));
const THERE: Option<Source> = Some(Source::V4(2));
/// Nothing waits for it: where a test ends by it, it has failed.
const LONG: Duration = Duration::from_secs(60);

struct Bench {
    verifier: VerifierHandle,
    exporter: Exporter,
    threads: Vec<thread::JoinHandle<()>>,
}

fn client(id: &str) -> Arc<Client> {
    let secrets = vec![SecretHash::parse(OF_IMPORTED).unwrap().into()];
    Arc::new(Client::new(Registration { secrets, ..Registration::new(ClientId::new(id)) }))
}

fn unverified(client: &Arc<Client>, secret: &str) -> Arc<UnverifiedSecret> {
    let body = format!("client_id={}&client_secret={secret}", client.id().as_str());
    let form = Form::parse(body.as_bytes()).unwrap();
    let presented = PresentedCredentials::parse(Endpoint::Token, std::iter::empty(), &form).unwrap();
    let PresentedCredentials::Secret { method, first: reading, .. } = presented else { panic!("{presented:?}") };
    let claims = vec![Claim { client: client.clone(), reading }];
    Arc::new(UnverifiedSecret { named: client.id().as_str().into(), method, claims })
}

impl Bench {
    /// With no thread that begins by itself.
    fn new() -> Self {
        let exporter = Exporter::new("0", "0");
        let (memory, metrics) = (MemoryKey::new(&[7; 32]), Arc::new(exporter.register(1)));
        let verifier = VerifierHandle::with_threads(0, memory, Arc::default(), metrics);
        Self { verifier, exporter, threads: Vec::new() }
    }

    fn begin(&mut self, before: impl FnOnce() + Send + 'static) {
        let pool = self.verifier.0.0.clone();
        let body = move || {
            before();
            pool.work();
        };
        self.threads.push(thread::spawn(body));
    }

    async fn ask(&self, client: &Arc<Client>, secret: &str, source: Option<Source>) -> Result<Verdict, ActorError> {
        let by = Deadline::after(Instant::now(), LONG);
        self.verifier.verify(by, unverified(client, secret), source).await
    }

    /// How many secrets were begun.
    fn begun(&self) -> u64 {
        let name = "jeton_mailbox_wait_seconds_count{actor=\"verifier\"} ";
        let text = self.exporter.render();
        text.lines().find_map(|line| line.strip_prefix(name)).map_or(0, |count| count.parse().unwrap())
    }

    /// Nobody asks any more: the threads end.
    fn end(self) {
        drop(self.verifier);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
}

#[tokio::test]
async fn what_many_ask_at_once_is_verified_once_and_known_from_then_on() {
    let mut bench = Bench::new();
    let client = client("a");
    let asks = join_all((0..100).map(|_| bench.ask(&client, RIGHT, HERE)));
    let pool = bench.verifier.0.0.clone();
    let begin = async {
        // Polled last: all have asked.
        assert_eq!(pool.lock().len(), 1);
        let pool = pool.clone();
        thread::spawn(move || pool.work())
    };
    let (answers, thread) = tokio::join!(asks, begin);
    bench.threads.push(thread);
    assert!(answers.iter().all(|answer| *answer == Ok(Verdict::Right)), "{answers:?}");
    assert_eq!(bench.begun(), 1);
    let recollection = client.recall(bench.verifier.memory(), RIGHT.as_bytes());
    assert!(matches!(recollection, Recollection::Known(matches) if matches.any()));
    bench.end();
}

#[tokio::test]
async fn a22_a_pair_that_was_wrong_too_often_is_not_verified_and_no_other_is_harmed() {
    let mut bench = Bench::new();
    bench.begin(|| ());
    let (a, b) = (client("a"), client("b"));
    for guess in 0..20 {
        assert_eq!(bench.ask(&a, &format!("wrong{guess}"), HERE).await, Ok(Verdict::Wrong));
    }
    for secret in ["wrong", RIGHT] {
        let answer = bench.ask(&a, secret, HERE).await;
        assert!(matches!(answer, Ok(Verdict::TooMany { retry_after_seconds: 1..=60 })), "{answer:?}");
    }
    assert_eq!(bench.begun(), 20);
    assert_eq!(bench.ask(&b, RIGHT, HERE).await, Ok(Verdict::Right));
    assert_eq!(bench.ask(&a, RIGHT, THERE).await, Ok(Verdict::Right));
    bench.end();
}

#[tokio::test]
async fn a22_guesses_that_wait_together_are_counted_before_the_next_begins() {
    let mut bench = Bench::new();
    let (a, b) = (client("a"), client("b"));
    for guess in 0..18 {
        let _ = bench.verifier.0.0.guesses.count((b"a", HERE), Instant::now()).map_err(|_| panic!("{guess}"));
    }
    let guesses = join_all((0..4).map(|guess| {
        let (bench, a) = (&bench, &a);
        async move { bench.ask(a, &format!("wrong{guess}"), HERE).await }
    }));
    let others = bench.ask(&b, RIGHT, HERE);
    let pool = bench.verifier.0.0.clone();
    let begin = async { thread::spawn(move || pool.work()) };
    let (answers, other, thread) = tokio::join!(guesses, others, begin);
    bench.threads.push(thread);
    assert_eq!(answers[..2], [Ok(Verdict::Wrong), Ok(Verdict::Wrong)]);
    assert!(answers[2..].iter().all(|answer| matches!(answer, Ok(Verdict::TooMany { .. }))), "{answers:?}");
    assert_eq!((other, bench.begun()), (Ok(Verdict::Right), 3));
    bench.end();
}

#[tokio::test]
async fn whoever_guesses_at_one_client_leaves_room_for_others_and_what_nobody_awaits_makes_room() {
    let mut bench = Bench::new();
    let (a, b) = (client("a"), client("b"));
    let waits = |client: &Arc<Client>, secret: &str| {
        let (answer, answered) = oneshot::channel();
        let asker = Asker { source: HERE, asked: Instant::now(), answer };
        bench.verifier.0.0.take(unverified(client, secret), asker).map(|()| answered)
    };
    let mut of_a: Vec<_> = (0..4).map(|guess| waits(&a, &format!("wrong{guess}")).unwrap()).collect();
    assert_eq!(waits(&a, RIGHT).unwrap_err(), ActorError::Overloaded);
    let of_b = waits(&b, RIGHT).unwrap();
    // The first of them gives up.
    drop(of_a.remove(0));
    let of_a_too = waits(&a, RIGHT).unwrap();
    let refusals = "jeton_mailbox_refusals_total{actor=\"verifier\"} 1";
    assert!(bench.exporter.render().contains(refusals));
    assert!(bench.exporter.render().contains("jeton_mailbox_depth{actor=\"verifier\"} 5"));
    let mut many = Vec::new();
    for number in 0..59 {
        many.push(waits(&client(&format!("c{number}")), "wrong").unwrap());
    }
    assert_eq!(waits(&client("d"), RIGHT).unwrap_err(), ActorError::Overloaded);
    drop(many);
    bench.begin(|| ());
    assert_eq!((of_b.await, of_a_too.await), (Ok(Verdict::Right), Ok(Verdict::Right)));
    // Three wrong ones, and two right ones: what nobody waits for was not begun.
    assert_eq!(bench.ask(&a, "wrong", HERE).await, Ok(Verdict::Wrong));
    assert_eq!(bench.begun(), 6);
    assert!(bench.exporter.render().contains("jeton_mailbox_depth{actor=\"verifier\"} 0"));
    bench.end();
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_is_told_that_nobody_knows() {
    let bench = Bench::new();
    let by = Deadline::after(Instant::now(), Duration::from_secs(1));
    let answer = bench.verifier.verify(by, unverified(&client("a"), RIGHT), HERE).await;
    assert_eq!(answer, Err(ActorError::TimedOut));
    bench.end();
}

#[tokio::test]
async fn a_panic_costs_the_secret_in_hand_and_no_thread() {
    let mut bench = Bench::new();
    bench.begin(|| on_this_thread::arm(FailPoint::Verifier));
    let client = client("a");
    assert_eq!(bench.ask(&client, RIGHT, HERE).await, Err(ActorError::Lost));
    assert_eq!(bench.ask(&client, RIGHT, HERE).await, Ok(Verdict::Right));
    assert!(bench.exporter.render().contains("jeton_actor_restarts_total{actor=\"verifier\"} 1"));
    bench.end();
}

#[tokio::test]
async fn the_threads_begin_by_themselves_and_are_no_more_than_allowed() {
    let exporter = Exporter::new("0", "0");
    let (memory, metrics) = (MemoryKey::new(&[7; 32]), Arc::new(exporter.register(1)));
    let verifier = VerifierHandle::with_threads(2, memory, Arc::default(), metrics);
    let bench = Bench { verifier, exporter, threads: Vec::new() };
    let clients: Vec<_> = (0..10).map(|number| client(&format!("c{number}"))).collect();
    let answers = join_all(clients.iter().map(|client| bench.ask(client, RIGHT, HERE))).await;
    assert!(answers.iter().all(|answer| *answer == Ok(Verdict::Right)), "{answers:?}");
    assert!(!bench.verifier.0.0.lock().wants_thread());
    assert_eq!(bench.begun(), 10);
    bench.end();
}
