//! Row K12 in process: many tokens, drawn as a minter draws them, no two equal, their bytes even.

use std::collections::HashSet;

use jeton::oauth::keys::{KeyId, ServiceKey};
use jeton::oauth::time::Timestamp;
use jeton::oauth::token::{Page, RANDOM_BYTES, Token};
use jeton::random::Random;

/// Tokens, and those of one batch. The odds that one pair of so many is equal by chance are 2^-120.
const TOKENS: usize = 1_000_000;
const BATCH: usize = 64;

#[test]
fn a_million_tokens_are_all_different() {
    let random = Random::system();
    let key = ServiceKey::new(KeyId(1), Timestamp::from_unix_seconds(1), &[7; 32]);
    let page = Page { dead_second: 2_000_000_000, number: 1 };
    let mut seen = HashSet::with_capacity(TOKENS);
    let mut counts = [0_u32; 256];
    for _ in 0..TOKENS / BATCH {
        let mut batch = [0; RANDOM_BYTES * BATCH];
        random.fill(&mut batch).unwrap();
        for bits in batch.chunks_exact(RANDOM_BYTES) {
            let (token, address) = Token::make("jt", &key, page, bits.try_into().unwrap());
            assert!(seen.insert(*address.mac()), "two tokens with one address");
            assert_eq!(token.expose().len(), 59);
            bits.iter().for_each(|&byte| counts[usize::from(byte)] += 1);
        }
    }
    let squares = chi_square(&counts);
    assert!((140.0..410.0).contains(&squares), "the bytes of tokens are not even: {squares}");
}

/// How far the counts of 256 values are from even: about 255, and outside of 140 to 410 once in millions of runs.
pub(crate) fn chi_square(counts: &[u32; 256]) -> f64 {
    let expected = f64::from(counts.iter().sum::<u32>()) / 256.0;
    counts.iter().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum()
}
