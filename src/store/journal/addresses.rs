//! The revoked addresses that a process knows, until their pages are dead.
//!
//! Invariants: at most `max` addresses, one client at most an eighth of them; an address is kept until [`DEAD_FOR_SECONDS`] after the
//! second from which its page is dead, so that a clock put back a little revives nothing.
//!
//! Addresses lie by the second of their page's end: what dies together is taken out as a whole, and a look-up is one step down a tree of
//! few branches and one hash.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;

use foldhash::{HashMap, HashMapExt};

use super::entry::{Fingerprint, Place};
use crate::oauth::keys::KeyId;
use crate::oauth::token::Page;

/// How much longer than its page an address is kept, in seconds: as long as Redis keeps the page.
pub(super) const DEAD_FOR_SECONDS: u64 = 120;
/// The share of all addresses that one client may have.
const SHARE_OF_A_CLIENT: usize = 8;

/// All of them.
#[derive(Debug)]
pub(super) struct Addresses {
    by_end: BTreeMap<u64, HashMap<Name, Known>>,
    by_client: HashMap<Fingerprint, usize>,
    len: usize,
    max: usize,
}

/// An address among those whose pages end together: page number, key id, field.
type Name = [u8; 13];

#[derive(Clone, Copy, Debug)]
struct Known {
    client: Fingerprint,
    /// The last reading of the stream in which it was found there.
    listed: u32,
}

/// What became of an address that was put in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It is new.
    New,
    /// It was there.
    Known,
    /// There is no room for it.
    Full,
    /// Its client has as many as one may have.
    ClientFull,
}

impl Addresses {
    /// Room for so many.
    pub(super) fn new(max: usize) -> Self {
        Self { by_end: BTreeMap::new(), by_client: HashMap::new(), len: 0, max }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn contains(&self, place: &Place) -> bool {
        self.by_end.get(&place.page.dead_second).is_some_and(|names| names.contains_key(&name(place)))
    }

    /// Puts an address in. `listed`: the reading of the stream that found it there; 0: it comes from elsewhere.
    pub(super) fn put(&mut self, place: &Place, client: Fingerprint, listed: u32) -> Put {
        let of_client = self.by_client.get(&client).copied().unwrap_or(0);
        let names = self.by_end.entry(place.page.dead_second).or_default();
        if let Some(known) = names.get_mut(&name(place)) {
            known.listed = known.listed.max(listed);
            return Put::Known;
        }
        let refused = match () {
            () if self.len >= self.max => Some(Put::Full),
            () if of_client >= (self.max / SHARE_OF_A_CLIENT).max(1) => Some(Put::ClientFull),
            () => None,
        };
        if let Some(refused) = refused {
            if names.is_empty() {
                self.by_end.remove(&place.page.dead_second);
            }
            return refused;
        }
        names.insert(name(place), Known { client, listed });
        self.by_client.insert(client, of_client + 1);
        self.len += 1;
        Put::New
    }

    /// Takes out those whose pages have been dead for long enough; the caller drops them with no lock held.
    pub(super) fn take_dead(&mut self, now_seconds: u64) -> impl Sized + use<> {
        let first_kept = (now_seconds + 1).saturating_sub(DEAD_FOR_SECONDS);
        let kept = self.by_end.split_off(&first_kept);
        let dead = std::mem::replace(&mut self.by_end, kept);
        for known in dead.values().flat_map(HashMap::values) {
            self.len -= 1;
            if let Some(count) = self.by_client.get_mut(&known.client) {
                *count -= 1;
                if *count == 0 {
                    self.by_client.remove(&known.client);
                }
            }
        }
        dead
    }

    /// Those that end in the next second after this one in which any do, and that second; none after the last.
    pub(super) fn next_end(&self, after: Option<u64>) -> Option<(u64, Vec<Place>)> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let (&end, names) = self.by_end.range((from, Bound::Unbounded)).next()?;
        Some((end, names.keys().map(|name| place(end, name)).collect()))
    }

    /// At most `max` of those that the reading `listed` of the stream did not find there, but for these.
    pub(super) fn unlisted(&self, listed: u32, but: &HashSet<Place>, max: usize) -> Vec<(Place, Fingerprint)> {
        let all =
            self.by_end.iter().flat_map(|(&end, names)| names.iter().map(move |(name, known)| (end, name, known)));
        let missing = all
            .filter(|(_, _, known)| known.listed < listed)
            .map(|(end, name, known)| (place(end, name), known.client));
        missing.filter(|(place, _)| !but.contains(place)).take(max).collect()
    }
}

fn name(place: &Place) -> Name {
    let mut name = [0; 13];
    name[..4].copy_from_slice(&place.page.number.to_be_bytes());
    name[4] = place.key_id.0;
    name[5..].copy_from_slice(&place.field);
    name
}

fn place(dead_second: u64, name: &Name) -> Place {
    let number = u32::from_be_bytes(std::array::from_fn(|i| name[i]));
    Place { page: Page { dead_second, number }, field: std::array::from_fn(|i| name[5 + i]), key_id: KeyId(name[4]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(dead_second: u64, number: u32) -> Place {
        Place { page: Page { dead_second, number }, field: u64::from(number).to_be_bytes(), key_id: KeyId(3) }
    }

    const A: Fingerprint = Fingerprint([1; 8]);
    const B: Fingerprint = Fingerprint([2; 8]);

    #[test]
    fn an_address_is_known_until_its_page_has_been_dead_for_two_minutes() {
        let mut addresses = Addresses::new(800);
        assert_eq!(addresses.put(&at(1000, 1), A, 0), Put::New);
        assert_eq!(addresses.put(&at(1000, 1), A, 0), Put::Known);
        assert_eq!(addresses.put(&at(1001, 1), A, 0), Put::New);
        let mut other = at(1000, 1);
        other.key_id = KeyId(4);
        assert!(addresses.contains(&at(1000, 1)) && !addresses.contains(&other) && !addresses.contains(&at(1000, 2)));
        drop(addresses.take_dead(1119));
        assert!(addresses.contains(&at(1000, 1)));
        drop(addresses.take_dead(1120));
        assert!(!addresses.contains(&at(1000, 1)) && addresses.contains(&at(1001, 1)));
        drop(addresses.take_dead(1121));
        assert_eq!((addresses.len(), addresses.by_client.len()), (0, 0));
    }

    #[test]
    fn one_client_has_an_eighth_at_most_and_all_together_no_more_than_there_is_room_for() {
        let mut addresses = Addresses::new(80);
        let put = |addresses: &mut Addresses, client, from: u32, count: u32| -> Vec<Put> {
            (from..from + count).map(|number| addresses.put(&at(1000, number), client, 0)).collect()
        };
        assert_eq!(put(&mut addresses, A, 0, 10), [Put::New; 10]);
        assert_eq!(put(&mut addresses, A, 10, 2), [Put::ClientFull; 2]);
        assert_eq!(put(&mut addresses, A, 0, 1), [Put::Known], "what is known is known");
        assert_eq!(put(&mut addresses, B, 10, 1), [Put::New], "another client has room");
        for client in 3..10 {
            put(&mut addresses, Fingerprint([client; 8]), u32::from(client) * 100, 10);
        }
        assert_eq!((addresses.len(), put(&mut addresses, B, 11, 1)), (80, vec![Put::Full]));
        assert_eq!(addresses.put(&at(5000, 1), B, 0), Put::Full);
        assert_eq!(addresses.by_end.len(), 1, "a refused one leaves nothing behind");
        drop(addresses.take_dead(2000));
        assert_eq!(put(&mut addresses, A, 0, 10), [Put::New; 10], "there is room again");
    }

    #[test]
    fn what_a_reading_did_not_find_is_told_and_all_are_walked_by_their_ends() {
        let mut addresses = Addresses::new(800);
        for (end, number, listed) in [(1000, 1, 7), (1000, 2, 6), (1001, 3, 0), (1002, 4, 7), (1002, 5, 0)] {
            addresses.put(&at(end, number), A, listed);
        }
        addresses.put(&at(1001, 3), A, 7);
        let but = HashSet::from([at(1002, 5)]);
        assert_eq!(addresses.unlisted(7, &HashSet::new(), 10).len(), 2);
        assert_eq!(addresses.unlisted(7, &but, 10), [(at(1000, 2), A)]);
        assert_eq!(addresses.unlisted(8, &but, 3).len(), 3);
        let (mut walked, mut after) = (Vec::new(), None);
        while let Some((end, places)) = addresses.next_end(after) {
            walked.extend(places);
            after = Some(end);
        }
        walked.sort_unstable();
        assert_eq!(walked, [at(1000, 1), at(1000, 2), at(1001, 3), at(1002, 4), at(1002, 5)]);
    }
}
