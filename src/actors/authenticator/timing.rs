//! Whether time tells an unknown client from a wrong secret (row A07): Welch's t over a million samples, by `make timing`.
//!
//! What is timed is the whole judgement, the count of wrong proofs included, each from a source of its own, so that no sample is refused for
//! those before it. Which of the two is asked is drawn anew each time: what the machine does meanwhile falls on both. Where an id lies in
//! the table is luck of some nanoseconds that tells nothing of it, so there are many tables. A second figure, which is told and not judged,
//! leaves out the slowest tenth, which interrupts make: it sees single nanoseconds.

use std::hint::black_box;
use std::time::Instant as Stopwatch;

use super::*;
use crate::oauth::client::Registration;
use crate::oauth::form::Form;
use crate::oauth::metadata::Issuer;
use crate::oauth::secret::{Secret, SecretHash};
use crate::random::Random;

const SAMPLES: usize = 1_000_000;
/// Registries, each with a table of its own, that the samples are taken from.
const TABLES: usize = 250;
/// Above that the two are taken to differ.
const T_MAX: f64 = 4.5;

#[test]
#[ignore = "a measurement: make timing"]
fn a07_time_tells_no_unknown_client_from_a_wrong_secret() {
    let registration = |id: &str| Registration {
        secrets: vec![SecretHash::of(&Secret::new(id.as_bytes())).into()],
        ..Registration::new(ClientId::new(id))
    };
    let options = AuthenticatorOptions {
        audiences: Audiences::of(&Issuer::parse("https://as.example", false).unwrap(), None, Profile::Default),
        clock: Clock::System,
        guesses: Arc::default(),
        memory: Arc::new(MemoryKey::new(&[7; 32])),
        profile: Profile::Default,
    };
    let used_at = Timestamp::from_unix_seconds(1_800_000_000);
    let presented = |id: &str| {
        let body = format!("client_id={id}&client_secret=another-secret-of-thirty-two-characters");
        let endpoint = crate::oauth::credentials::Endpoint::Token;
        PresentedCredentials::parse(endpoint, std::iter::empty(), &Form::parse(body.as_bytes()).unwrap()).unwrap()
    };
    let (known, unknown) = (presented("client-500"), presented("client-xyz"));

    let mut drawn = vec![0; SAMPLES / 8];
    Random::seeded(7).fill(&mut drawn).unwrap();
    let mut samples = Vec::with_capacity(SAMPLES);
    for table in 0..TABLES {
        let clients = Clients::new((0..1000).map(|number| Client::new(registration(&format!("client-{number:03}")))));
        let judge = Judge { clients: &clients, options: &options, taken: Instant::now(), used_at };
        for number in (table * SAMPLES / TABLES)..((table + 1) * SAMPLES / TABLES) {
            let is_known = drawn[number / 8] >> (number % 8) & 1 == 1;
            let asked = if is_known { &known } else { &unknown };
            let source = Some(Source::V6(number as u64));
            let begun = Stopwatch::now();
            drop(black_box(judge.judge(black_box(asked), source)));
            samples.push((is_known, begun.elapsed().as_nanos() as f64));
        }
    }
    let t = welch("all", &samples, f64::INFINITY);
    let mut sorted: Vec<f64> = samples.iter().map(|(_, nanos)| *nanos).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    welch("the fastest nine tenths", &samples, sorted[SAMPLES * 9 / 10]);
    assert!(t.abs() < T_MAX, "t = {t:.2}");
}

/// Welch's t of the samples that took no longer than that.
fn welch(name: &str, samples: &[(bool, f64)], nanos_max: f64) -> f64 {
    let of = |which: bool| {
        let kept = samples.iter().filter(|(is_known, nanos)| *is_known == which && *nanos <= nanos_max);
        Moments::of(kept.map(|(_, nanos)| *nanos))
    };
    let (known, unknown) = (of(true), of(false));
    let t = (known.mean - unknown.mean) / (known.variance / known.count + unknown.variance / unknown.count).sqrt();
    eprintln!("{name}: t = {t:.2}; a wrong secret {known:?}; an unknown client {unknown:?}");
    t
}

#[derive(Debug)]
struct Moments {
    count: f64,
    mean: f64,
    variance: f64,
}

impl Moments {
    fn of(samples: impl Iterator<Item = f64>) -> Self {
        let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
        for sample in samples {
            count += 1.0;
            let off = sample - mean;
            mean += off / count;
            squares += off * (sample - mean);
        }
        Self { count, mean, variance: squares / (count - 1.0) }
    }
}
