//! The pages that one worker is filling: tokens that expire together go to one page until it is full.
//!
//! Invariant: a page is handed out at most [`PAGE_TOKENS_MAX`] times by one worker; two workers that drew one number share it.

use std::cell::RefCell;
use std::fmt;

use foldhash::{HashMap, HashMapExt};

use crate::oauth::time::{Lifetime, Timestamp};
use crate::oauth::token::Page;
use crate::random::Random;

use super::StoreError;

/// Tokens of one worker in a page: as many as fit Redis' flat encoding in one class of its allocator.
pub(crate) const PAGE_TOKENS_MAX: u32 = 34;

/// Below this many open pages nothing is forgotten: they are few and small.
const KEPT_MIN: usize = 64;

/// The open pages of one worker.
pub(crate) struct OpenPages {
    random: Random,
    pages: RefCell<Pages>,
}

struct Pages {
    by_end: HashMap<(u64, bool), OpenPage>,
    forget_at: usize,
}

struct OpenPage {
    number: u32,
    places_left: u32,
    /// The last second in which a token that asked for this page is issued: then its rounded end moves on.
    last_second: u64,
}

impl OpenPages {
    /// No page is open; numbers come from `random`.
    pub(crate) fn new(random: Random) -> Self {
        let pages = Pages { by_end: HashMap::new(), forget_at: KEPT_MIN };
        Self { random, pages: RefCell::new(pages) }
    }

    /// A place for one token: as [`super::TokenStore::open_page`].
    ///
    /// # Errors
    /// [`StoreError::Internal`] where no number can be drawn.
    pub(crate) fn place(&self, issued_at: Timestamp, lifetime: Lifetime, bound: bool) -> Result<Page, StoreError> {
        self.place_with(issued_at, lifetime, bound, |number| number)
    }

    /// As [`OpenPages::place`]; the numbers of new pages are what `choose` makes of random ones.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn place_with(
        &self,
        issued_at: Timestamp,
        lifetime: Lifetime,
        bound: bool,
        choose: impl FnOnce(u32) -> u32,
    ) -> Result<Page, StoreError> {
        let now_second = issued_at.unix_seconds();
        let dead_second = Page::dead_second_for(now_second + u64::from(lifetime.seconds()), lifetime);
        let mut pages = self.pages.borrow_mut();
        if let Some(open) = pages.by_end.get_mut(&(dead_second, bound)).filter(|open| open.places_left > 0) {
            open.places_left -= 1;
            return Ok(Page { dead_second, number: open.number });
        }
        let number = choose(u32::from_be_bytes(self.random.bytes().map_err(|_| StoreError::Internal)?));
        pages.forget_past(now_second);
        let last_second = dead_second - u64::from(lifetime.seconds());
        let places_left = PAGE_TOKENS_MAX - 1;
        pages.by_end.insert((dead_second, bound), OpenPage { number, places_left, last_second });
        Ok(Page { dead_second, number })
    }

    /// Goes on filling only pages whose number may be kept.
    pub(crate) fn keep_only(&self, kept: impl Fn(u32) -> bool) {
        self.pages.borrow_mut().by_end.retain(|_, open| kept(open.number));
    }
}

impl Pages {
    /// Looks at all pages only when they have doubled since the last look, so a place costs the same however many are open.
    fn forget_past(&mut self, now_second: u64) {
        if self.by_end.len() >= self.forget_at {
            self.by_end.retain(|_, open| open.last_second >= now_second && open.places_left > 0);
            self.forget_at = (2 * self.by_end.len()).max(KEPT_MIN);
        }
    }
}

impl fmt::Debug for OpenPages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenPages").field("open", &self.pages.borrow().by_end.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Lifetime = Lifetime::from_seconds(3600);

    fn place(pages: &OpenPages, second: u64, lifetime: Lifetime) -> Page {
        pages.place(Timestamp::from_unix_seconds(second), lifetime, false).unwrap()
    }

    #[test]
    fn a_page_is_the_same_until_it_is_full_or_the_rounded_second_moves_on() {
        let pages = OpenPages::new(Random::seeded(1));
        let first = place(&pages, 3200, HOUR);
        assert_eq!(first.dead_second, 6816);
        assert!((1..PAGE_TOKENS_MAX).all(|at| place(&pages, 3200 + u64::from(at % 16), HOUR) == first));
        let second = place(&pages, 3200, HOUR);
        assert!(second.dead_second == first.dead_second && second.number != first.number);
        assert_eq!(place(&pages, 3217, HOUR).dead_second, 6848);
        assert_eq!(place(&pages, 3200, HOUR), second);
    }

    #[test]
    fn pages_that_may_not_be_kept_are_filled_no_more() {
        let pages = OpenPages::new(Random::seeded(1));
        let place =
            || pages.place_with(Timestamp::from_unix_seconds(3200), HOUR, false, |number| number << 8 | 7).unwrap();
        let first = place();
        assert_eq!((first.number & 0xFF, place()), (7, first));
        pages.keep_only(|number| number == first.number);
        assert_eq!(place(), first);
        pages.keep_only(|number| number != first.number);
        assert_ne!(place(), first);
    }

    #[test]
    fn bound_tokens_have_pages_of_their_own() {
        let pages = OpenPages::new(Random::seeded(1));
        let bound = pages.place(Timestamp::from_unix_seconds(3200), HOUR, true).unwrap();
        assert_ne!(bound, place(&pages, 3200, HOUR));
    }

    #[test]
    fn pages_of_the_past_are_forgotten() {
        let pages = OpenPages::new(Random::seeded(1));
        for second in 0..100_000 {
            place(&pages, second, Lifetime::from_seconds(1));
        }
        assert!(pages.pages.borrow().by_end.len() <= KEPT_MIN);
    }
}
