//! The one suite that every store passes.
//!
//! A store under test is made with [`keys`], where it seals at all, and stands on the machine's clock. [`holds`] asks for a
//! fresh store for each check, as two handles on it: what two workers, or two nodes, have in their hands.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use futures_util::future::join;

use crate::clock::Clock;
use crate::oauth::client::ClientId;
use crate::oauth::grant::{Grant, GrantParts};
use crate::oauth::keys::{KeyId, ServiceKey, ServiceKeys};
use crate::oauth::replay::{Claimed, SingleUse, UseKind};
use crate::oauth::scope::Scope;
use crate::oauth::time::{Lifetime, Timestamp};
use crate::oauth::token::{Confirmation, Page, Token, TokenAddress, TokenRecord};
use crate::random::Random;

use super::open_pages::PAGE_TOKENS_MAX;
use super::{Claim, Count, Deletion, Lookup, NewRecord, StoreError, TRY_BYTES, TokenStore};

const HOUR: Lifetime = Lifetime::from_seconds(3600);

/// The keys of every store under test.
pub(crate) fn keys() -> ServiceKeys {
    let key = |id| ServiceKey::new(KeyId(id), Timestamp::from_unix_seconds(u64::from(id)), &[id; 32]);
    ServiceKeys::new(vec![key(1), key(2)]).unwrap()
}

/// Runs every check, each on a fresh store.
pub(crate) async fn holds<S: TokenStore>(pair: impl AsyncFn() -> (S, S)) {
    macro_rules! each {
        ($($check:ident)*) => {
            $(
                let (a, b) = pair().await;
                $check(&a, &b).await;
            )*
        };
    }
    each! {
        what_is_saved_is_found_by_every_handle
        what_was_never_saved_is_not_found
        what_is_deleted_is_not_found_and_its_neighbours_are
        deleting_twice_or_nothing_is_fine
        answers_stand_at_the_places_of_their_questions
        one_batch_may_ask_for_one_thing_twice
        empty_batches_have_empty_answers
        a_bound_record_keeps_its_confirmation
        every_record_keeps_its_own_grant
        records_of_every_key_are_found
        a_page_is_the_same_until_it_is_full
        a_page_that_was_emptied_can_be_filled_again
        handles_at_work_at_once_lose_nothing
        a_use_is_the_first_once_for_every_handle
        uses_of_two_kinds_never_meet
        of_one_batch_one_is_the_first
        what_was_made_too_early_is_judged_by_nobody
        of_many_at_once_one_is_the_first
        counts_add_up_whoever_adds
    }
}

/// A grant that tells itself from others by `client`.
pub(crate) fn grant(client: &str) -> Arc<Grant> {
    Grant::new(GrantParts {
        audience: vec!["https://api.example".into(), "urn:b".into()],
        claims: serde_json::from_str(r#"{"tenant":"acmé","n":[1,{"a":null}]}"#).unwrap(),
        client_id: ClientId::new(client),
        scope: Scope::parse("read write").unwrap(),
        subject: format!("svc:{client}"),
    })
}

/// A record with an address that no one else has, ready to save.
pub(crate) fn new_record<S: TokenStore>(store: &S, lifetime: Lifetime, grant: &Arc<Grant>) -> NewRecord {
    bound_record(store, lifetime, grant, None)
}

fn bound_record<S: TokenStore>(
    store: &S,
    lifetime: Lifetime,
    grant: &Arc<Grant>,
    confirmation: Option<Confirmation>,
) -> NewRecord {
    let issued_at = Timestamp::from_unix_millis(Clock::System.unix_millis());
    let page = store.open_page(issued_at, lifetime, confirmation.is_some()).unwrap();
    let record = TokenRecord { issued_at, lifetime, grant: Arc::clone(grant), confirmation };
    NewRecord { address: address(page, KeyId(2)), record }
}

/// An address in this page that no one else has.
pub(crate) fn address_in(page: Page) -> TokenAddress {
    address(page, KeyId(2))
}

fn address(page: Page, key: KeyId) -> TokenAddress {
    Token::make("jt", keys().get(key).unwrap(), page, &Random::system().bytes().unwrap()).1
}

fn new_records<S: TokenStore>(store: &S, count: usize, lifetime: Lifetime) -> Vec<NewRecord> {
    let grant = grant("billing");
    (0..count).map(|_| new_record(store, lifetime, &grant)).collect()
}

async fn save<S: TokenStore>(store: &S, records: &[NewRecord]) {
    let saved = store.save(records.to_vec()).await;
    assert_eq!(saved, vec![Ok(()); records.len()]);
}

async fn find<S: TokenStore>(store: &S, addresses: impl IntoIterator<Item = TokenAddress>) -> Vec<Lookup> {
    let addresses: Vec<_> = addresses.into_iter().collect();
    let count = addresses.len();
    let found: Vec<_> = store.find(addresses).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(found.len(), count);
    found
}

async fn delete<S: TokenStore>(store: &S, addresses: &[TokenAddress]) {
    let deleted = store.delete(deletions(addresses)).await;
    assert_eq!(deleted, vec![Ok(()); addresses.len()]);
}

/// Deletions for one client.
pub(crate) fn deletions(addresses: &[TokenAddress]) -> Vec<Deletion> {
    addresses.iter().map(|&address| Deletion { address, client_id: ClientId::new("billing") }).collect()
}

fn addresses(of: &[NewRecord]) -> Vec<TokenAddress> {
    of.iter().map(|new| new.address).collect()
}

fn found(new: &NewRecord) -> Lookup {
    Lookup::Found(new.record.clone())
}

async fn what_is_saved_is_found_by_every_handle<S: TokenStore>(a: &S, b: &S) {
    let records = new_records(a, 1, HOUR);
    save(a, &records).await;
    for store in [a, b, a] {
        assert_eq!(find(store, addresses(&records)).await, [found(&records[0])]);
    }
    let by_b = new_records(b, 3, HOUR);
    save(b, &by_b).await;
    assert_eq!(find(a, addresses(&by_b)).await, by_b.iter().map(found).collect::<Vec<_>>());
}

async fn what_was_never_saved_is_not_found<S: TokenStore>(a: &S, b: &S) {
    let records = new_records(a, 2, HOUR);
    let (saved, never) = (&records[0], &records[1]);
    assert_eq!(find(a, [saved.address]).await, [Lookup::NotFound], "no page at all");
    save(a, std::slice::from_ref(saved)).await;
    for store in [a, b] {
        assert_eq!(find(store, [never.address]).await, [Lookup::NotFound], "a page without it");
    }
}

async fn what_is_deleted_is_not_found_and_its_neighbours_are<S: TokenStore>(a: &S, b: &S) {
    let records = new_records(a, 9, HOUR);
    save(a, &records).await;
    for gone in [4, 0, 8] {
        delete(b, &[records[gone].address]).await;
    }
    for store in [a, b] {
        for (place, lookup) in find(store, addresses(&records)).await.into_iter().enumerate() {
            let expected = if [4, 0, 8].contains(&place) { Lookup::NotFound } else { found(&records[place]) };
            assert_eq!(lookup, expected, "{place}");
        }
    }
}

async fn deleting_twice_or_nothing_is_fine<S: TokenStore>(a: &S, b: &S) {
    let records = new_records(a, 2, HOUR);
    delete(a, &[records[1].address]).await;
    save(a, &records[..1]).await;
    delete(a, &[records[1].address]).await;
    for store in [a, b, a] {
        delete(store, &[records[0].address]).await;
        assert_eq!(find(store, [records[0].address]).await, [Lookup::NotFound]);
    }
}

async fn answers_stand_at_the_places_of_their_questions<S: TokenStore>(a: &S, b: &S) {
    let lifetimes = [60, 3600, 86_400].map(Lifetime::from_seconds);
    let grants = [grant("billing"), grant("orders"), grant("reports")];
    let records: Vec<_> = (0..200).map(|at| new_record(a, lifetimes[at % 3], &grants[at / 3 % 3])).collect();
    // Every third is never saved, every fifth of the saved is deleted.
    let saved: Vec<_> = records.iter().enumerate().filter(|(at, _)| at % 3 != 0).map(|(_, new)| new.clone()).collect();
    save(a, &saved).await;
    let deleted: Vec<_> = saved.iter().step_by(5).map(|new| new.address).collect();
    delete(b, &deleted).await;
    for (place, lookup) in find(b, addresses(&records)).await.into_iter().enumerate() {
        let new = &records[place];
        let gone = place % 3 == 0 || deleted.contains(&new.address);
        assert_eq!(lookup, if gone { Lookup::NotFound } else { found(new) }, "{place}");
    }
}

async fn one_batch_may_ask_for_one_thing_twice<S: TokenStore>(a: &S, _: &S) {
    let records = new_records(a, 3, HOUR);
    save(a, &records[..2]).await;
    let asked = [1, 0, 2, 0, 2, 1].map(|at| records[at].address);
    let (first, second) = (found(&records[0]), found(&records[1]));
    let expected = [second.clone(), first.clone(), Lookup::NotFound, first, Lookup::NotFound, second.clone()];
    assert_eq!(find(a, asked).await, expected);
    delete(a, &[0, 2, 0].map(|at| records[at].address)).await;
    assert_eq!(find(a, [0, 1].map(|at| records[at].address)).await, [Lookup::NotFound, second]);
}

async fn empty_batches_have_empty_answers<S: TokenStore>(a: &S, _: &S) {
    assert_eq!(a.save(vec![]).await, []);
    assert_eq!(a.find(vec![]).await, []);
    assert_eq!(a.delete(vec![]).await, []);
}

async fn a_bound_record_keeps_its_confirmation<S: TokenStore>(a: &S, b: &S) {
    let (grant, certificate, key) = (grant("billing"), Some([7; 32]), Some([9; 32]));
    let confirmations = [(certificate, None), (None, key), (certificate, key)];
    let bound =
        confirmations.map(|(x5t_s256, jkt)| bound_record(a, HOUR, &grant, Some(Confirmation { x5t_s256, jkt })));
    let plain = new_record(a, HOUR, &grant);
    assert!(bound.iter().all(|new| new.address.page != plain.address.page), "bound tokens have pages of their own");
    save(a, &[bound[0].clone(), plain.clone(), bound[1].clone(), bound[2].clone()]).await;
    assert_eq!(find(b, addresses(&bound)).await, bound.each_ref().map(found));
    assert_eq!(find(b, [plain.address]).await, [found(&plain)]);
}

async fn every_record_keeps_its_own_grant<S: TokenStore>(a: &S, b: &S) {
    // Equal grants of two makers, and others in the same batch and pages.
    let grants: Vec<_> = (0..40).map(|at| grant(&format!("client-{}", at % 20))).collect();
    let records: Vec<_> = grants.iter().map(|grant| new_record(a, HOUR, grant)).collect();
    save(a, &records).await;
    for store in [b, a] {
        assert_eq!(find(store, addresses(&records)).await, records.iter().map(found).collect::<Vec<_>>());
    }
    let again: Vec<_> = grants.iter().rev().map(|grant| new_record(b, HOUR, grant)).collect();
    save(b, &again).await;
    assert_eq!(find(a, addresses(&again)).await, again.iter().map(found).collect::<Vec<_>>());
}

async fn records_of_every_key_are_found<S: TokenStore>(a: &S, b: &S) {
    let mut records = new_records(a, 2, HOUR);
    records[0].address = address(records[0].address.page, KeyId(1));
    save(a, &records).await;
    assert_eq!(find(b, addresses(&records)).await, records.iter().map(found).collect::<Vec<_>>());
    delete(b, &[records[0].address]).await;
    assert_eq!(find(a, addresses(&records)).await, [Lookup::NotFound, found(&records[1])]);
}

async fn a_page_is_the_same_until_it_is_full<S: TokenStore>(a: &S, b: &S) {
    let issued_at = Timestamp::from_unix_millis(Clock::System.unix_millis());
    let open = |store: &S| store.open_page(issued_at, HOUR, false).unwrap();
    let pages: Vec<_> = (0..PAGE_TOKENS_MAX * 2 + 1).map(|_| open(a)).collect();
    let distinct: HashSet<_> = pages.iter().collect();
    let runs = pages.chunk_by(|one, next| one == next).count();
    assert_eq!((distinct.len(), runs), (3, 3));
    let dead_second = Page::dead_second_for(issued_at.unix_seconds() + 3600, HOUR);
    assert!(pages.iter().all(|page| page.dead_second == dead_second));
    assert_ne!(open(b), open(a), "each worker fills its own");
    assert_ne!(a.open_page(issued_at, HOUR, true), Ok(open(a)), "bound tokens have pages of their own");
    assert_ne!(a.open_page(issued_at, Lifetime::from_seconds(60), false), Ok(open(a)));
}

async fn a_page_that_was_emptied_can_be_filled_again<S: TokenStore>(a: &S, b: &S) {
    let records = new_records(a, 4, HOUR);
    save(a, &records[..2]).await;
    delete(b, &addresses(&records[..2])).await;
    save(a, &records[2..]).await;
    let expected = [Lookup::NotFound, Lookup::NotFound, found(&records[2]), found(&records[3])];
    assert_eq!(find(b, addresses(&records)).await, expected);
}

async fn handles_at_work_at_once_lose_nothing<S: TokenStore>(a: &S, b: &S) {
    let grant = grant("billing");
    for _ in 0..20 {
        let by_a: Vec<_> = (0..30).map(|_| new_record(a, HOUR, &grant)).collect();
        // The second worker happens on the first one's page.
        let mut by_b = new_records(b, 30, HOUR);
        by_b.iter_mut().for_each(|new| new.address = address(by_a[0].address.page, KeyId(2)));
        join(save(a, &by_a), save(b, &by_b)).await;
        let expected = |of: &[NewRecord]| of.iter().map(found).collect::<Vec<_>>();
        let (of_b, of_a) = join(find(a, addresses(&by_b)), find(b, addresses(&by_a))).await;
        assert_eq!((of_a, of_b), (expected(&by_a), expected(&by_b)));
    }
}

/// A use of what was made so late that every store remembers all of its uses.
pub(crate) fn claim(jti: &str) -> Claim {
    let made_at = Timestamp::from_unix_millis(Clock::System.unix_millis() + 3_600_000);
    let by: [u8; TRY_BYTES] = Random::system().bytes().unwrap();
    // What is kept of other tests has other names.
    Claim { single_use: SingleUse::of_assertion("billing", &format!("{jti} {by:?}"), made_at), by }
}

/// The same by another try.
pub(crate) fn again(claim: &Claim) -> Claim {
    Claim { by: Random::system().bytes().unwrap(), ..*claim }
}

/// What the store says, once it knows that it has not forgotten anything.
pub(crate) async fn claimed<S: TokenStore>(store: &S, claims: &[Claim]) -> Vec<Claimed> {
    loop {
        let answers = store.claim(claims.to_vec()).await;
        assert_eq!(answers.len(), claims.len());
        if !answers.contains(&Err(StoreError::ReplayFloor)) {
            return answers.into_iter().map(Result::unwrap).collect();
        }
        tokio::task::yield_now().await;
    }
}

async fn a_use_is_the_first_once_for_every_handle<S: TokenStore>(a: &S, b: &S) {
    let (one, other) = (claim("one"), claim("other"));
    assert_eq!(claimed(a, &[one]).await, [Claimed::First]);
    for store in [a, b, a] {
        assert_eq!(claimed(store, &[again(&one)]).await, [Claimed::Used]);
        assert_eq!(claimed(store, &[one]).await, [Claimed::First], "what was sent twice is one try");
    }
    assert_eq!(claimed(b, &[again(&one), other]).await, [Claimed::Used, Claimed::First]);
    assert_eq!(a.claim(vec![]).await, []);
}

async fn uses_of_two_kinds_never_meet<S: TokenStore>(a: &S, b: &S) {
    let assertion = claim("one");
    let proof = Claim { single_use: SingleUse { kind: UseKind::Proof, ..assertion.single_use }, ..again(&assertion) };
    assert_eq!(claimed(a, &[assertion, proof]).await, [Claimed::First, Claimed::First]);
    assert_eq!(claimed(b, &[again(&proof)]).await, [Claimed::Used]);
    let early = Claim {
        single_use: SingleUse { made_at: Timestamp::from_unix_seconds(1), ..proof.single_use },
        ..again(&proof)
    };
    assert_eq!(b.claim(vec![early]).await, [Err(StoreError::ReplayFloor)]);
}

async fn of_one_batch_one_is_the_first<S: TokenStore>(a: &S, _: &S) {
    claimed(a, &[claim("before")]).await;
    let (one, other) = (claim("one"), claim("other"));
    let batch = [one, other, again(&one), again(&other), again(&one)];
    let (first, used) = (Claimed::First, Claimed::Used);
    assert_eq!(claimed(a, &batch).await, [first, first, used, used, used]);
    let many: Vec<Claim> = (0..300).map(|n| claim(&n.to_string())).collect();
    assert!(claimed(a, &many).await.into_iter().all(|claimed| claimed == first));
    let many: Vec<Claim> = many.iter().map(again).collect();
    assert!(claimed(a, &many).await.into_iter().all(|claimed| claimed == used));
}

async fn what_was_made_too_early_is_judged_by_nobody<S: TokenStore>(a: &S, b: &S) {
    let early = |jti| {
        let made_at = Timestamp::from_unix_millis(Clock::System.unix_millis() - 60_000);
        Claim { single_use: SingleUse::of_assertion("billing", jti, made_at), ..claim(jti) }
    };
    let late = claim("late");
    claimed(a, &[late]).await;
    let batch = vec![early("early"), again(&late), claim("later")];
    assert_eq!(b.claim(batch).await, [Err(StoreError::ReplayFloor), Ok(Claimed::Used), Ok(Claimed::First)]);
}

async fn of_many_at_once_one_is_the_first<S: TokenStore>(a: &S, b: &S) {
    claimed(a, &[claim("before")]).await;
    for round in 0..50 {
        let one = claim(&format!("round {round}"));
        let tries = |_| [again(&one), again(&one)];
        let (by_a, by_b): (Vec<_>, Vec<_>) = ((0..4).flat_map(tries).collect(), (0..4).flat_map(tries).collect());
        let (of_a, of_b) = join(claimed(a, &by_a), claimed(b, &by_b)).await;
        let first = of_a.iter().chain(&of_b).filter(|claimed| **claimed == Claimed::First).count();
        assert_eq!(first, 1, "{of_a:?} {of_b:?}");
    }
}

async fn counts_add_up_whoever_adds<S: TokenStore>(a: &S, b: &S) {
    let count = |name, add| Count { name: [name; 32], add, ttl_seconds: 60 };
    claimed(a, &[claim("before")]).await;
    claimed(b, &[claim("before, too")]).await;
    assert_eq!(a.count(vec![count(1, 5), count(2, 1), count(1, 2)]).await, [Ok(5), Ok(1), Ok(7)]);
    assert_eq!(b.count(vec![count(3, 4), count(1, 3)]).await, [Ok(4), Ok(10)]);
    let (of_a, of_b) = join(a.count(vec![count(4, 1); 50]), b.count(vec![count(4, 1); 50])).await;
    let totals: BTreeSet<u64> = of_a.into_iter().chain(of_b).map(Result::unwrap).collect();
    assert_eq!(totals, (1..=100).collect());
    assert_eq!(a.count(vec![]).await, []);
}
