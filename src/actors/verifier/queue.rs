//! What waits for a thread that verifies, and who waits for what is being verified.
//!
//! Invariant: bounded, and fair to clients: of one client a few wait at most, so that whoever guesses the secret of one keeps no other from
//! being verified.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use super::UnverifiedSecret;
use crate::oauth::remembered_secrets::Mark;

/// Secrets that may wait. At 100 ms each, more would wait beyond their deadlines.
const WAITING_MAX: usize = 64;
/// Of these, of one client.
const WAITING_OF_CLIENT_MAX: usize = 4;
/// Who may wait for one secret.
const ASKERS_MAX: usize = 4096;

/// A queue of secrets; `A`: who asks.
pub(super) struct Queue<A> {
    waiting: VecDeque<Job<A>>,
    in_hand: Vec<(Mark, Vec<A>)>,
    threads: usize,
    threads_max: usize,
    closed: bool,
}

/// A secret, and who wants to know.
pub(super) struct Job<A> {
    pub(super) mark: Mark,
    pub(super) unverified: Arc<UnverifiedSecret>,
    askers: Vec<A>,
}

/// Where somebody who asks now stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// With those who asked the same before.
    Joined,
    /// At the end.
    New,
    /// Nowhere.
    Full,
}

impl<A> Job<A> {
    /// The same for those whom `admit` gives back; `None`: for nobody.
    pub(super) fn keep(self, admit: impl FnMut(A) -> Option<A>) -> Option<Self> {
        let askers: Vec<A> = self.askers.into_iter().filter_map(admit).collect();
        (!askers.is_empty()).then_some(Self { askers, ..self })
    }

    /// Who asked first of them.
    pub(super) fn oldest(&self) -> Option<&A> {
        self.askers.first()
    }
}

impl<A> Queue<A> {
    pub(super) fn new(threads_max: usize) -> Self {
        Self { waiting: VecDeque::new(), in_hand: Vec::new(), threads: 0, threads_max, closed: false }
    }

    /// Puts somebody in. Where there is no room, those whom nobody waits for any more make some.
    pub(super) fn push(
        &mut self,
        mark: Mark,
        unverified: Arc<UnverifiedSecret>,
        asker: A,
        waits: impl Fn(&A) -> bool,
    ) -> Place {
        let in_hand = self.in_hand.iter_mut().map(|(known, askers)| (*known, askers));
        let waiting = self.waiting.iter_mut().map(|job| (job.mark, &mut job.askers));
        if let Some((_, askers)) = in_hand.chain(waiting).find(|(known, _)| *known == mark) {
            if askers.len() >= ASKERS_MAX {
                return Place::Full;
            }
            askers.push(asker);
            return Place::Joined;
        }
        if !self.has_room(&unverified) {
            self.waiting.retain(|job| job.askers.iter().any(&waits));
            if !self.has_room(&unverified) {
                return Place::Full;
            }
        }
        self.waiting.push_back(Job { mark, unverified, askers: vec![asker] });
        Place::New
    }

    fn has_room(&self, unverified: &UnverifiedSecret) -> bool {
        let of_the_same = self.waiting.iter().filter(|job| job.unverified.named == unverified.named).count();
        self.waiting.len() < WAITING_MAX && of_the_same < WAITING_OF_CLIENT_MAX
    }

    /// How many secrets wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The one that waited longest.
    pub(super) fn pop(&mut self) -> Option<Job<A>> {
        self.waiting.pop_front()
    }

    /// It is in hand from now on.
    pub(super) fn begin(&mut self, job: Job<A>) {
        self.in_hand.push((job.mark, job.askers));
    }

    /// It was verified: all who wait for it.
    pub(super) fn finish(&mut self, mark: &Mark) -> Vec<A> {
        let place = self.in_hand.iter().position(|(known, _)| known == mark);
        place.map(|place| self.in_hand.swap_remove(place).1).unwrap_or_default()
    }

    /// Whether one more thread would have something to do, and may be.
    pub(super) fn wants_thread(&self) -> bool {
        self.threads < self.threads_max && self.threads < self.waiting.len() + self.in_hand.len()
    }

    pub(super) fn thread_began(&mut self) {
        self.threads += 1;
    }

    /// No more will come; whoever waits is told by the dropped reply.
    pub(super) fn close(&mut self) {
        self.closed = true;
        drop(mem::take(&mut self.waiting));
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }
}
