//! Any store, with its batches counted: one place for all implementations.

use std::rc::Rc;

use tokio::time::Instant;

use super::observer::StoreObserver;
use super::{Claim, Count, Deletion, Lookup, NewRecord, StoreError, TokenStore};
use crate::oauth::replay::Claimed;
use crate::oauth::time::{Lifetime, Timestamp};
use crate::oauth::token::{Page, TokenAddress};
use crate::telemetry::labels::StoreOperation;

/// `S`, with an observer that hears of each batch.
#[derive(Debug)]
pub struct WatchedStore<S, O> {
    store: S,
    observer: Rc<O>,
}

impl<S: TokenStore, O: StoreObserver + 'static> WatchedStore<S, O> {
    /// Reports what `store` does to `observer`.
    pub fn new(store: S, observer: Rc<O>) -> Self {
        Self { store, observer }
    }

    fn report<T>(&self, operation: StoreOperation, asked_at: Instant, answers: &[Result<T, StoreError>]) {
        // A batch that was not sent is no trip: counted as one, an outage would look fast.
        if answers.iter().any(|answer| !matches!(answer, Err(StoreError::Unavailable))) {
            self.observer.operation(operation, answers.len(), asked_at.elapsed());
        }
        // Answers of a batch fail together as a rule: one report for each run of the same error.
        for run in answers.chunk_by(|one, next| one.as_ref().err() == next.as_ref().err()) {
            // What a client has of its own is no fault of the store.
            if let Err(error) = run[0]
                && error != StoreError::ClientFull
            {
                self.observer.failed(operation, error.into(), run.len() as u64);
            }
        }
    }
}

impl<S: TokenStore, O: StoreObserver + 'static> TokenStore for WatchedStore<S, O> {
    fn open_page(&self, issued_at: Timestamp, lifetime: Lifetime, bound: bool) -> Result<Page, StoreError> {
        self.store.open_page(issued_at, lifetime, bound)
    }

    async fn save(&self, batch: Vec<NewRecord>) -> Vec<Result<(), StoreError>> {
        let asked_at = Instant::now();
        let answers = self.store.save(batch).await;
        self.report(StoreOperation::Save, asked_at, &answers);
        answers
    }

    async fn find(&self, batch: Vec<TokenAddress>) -> Vec<Result<Lookup, StoreError>> {
        let asked_at = Instant::now();
        let answers = self.store.find(batch).await;
        self.report(StoreOperation::Find, asked_at, &answers);
        answers
    }

    async fn delete(&self, batch: Vec<Deletion>) -> Vec<Result<(), StoreError>> {
        let asked_at = Instant::now();
        let answers = self.store.delete(batch).await;
        self.report(StoreOperation::Delete, asked_at, &answers);
        answers
    }

    async fn claim(&self, batch: Vec<Claim>) -> Vec<Result<Claimed, StoreError>> {
        let asked_at = Instant::now();
        let answers = self.store.claim(batch).await;
        self.report(StoreOperation::Claim, asked_at, &answers);
        answers
    }

    async fn count(&self, batch: Vec<Count>) -> Vec<Result<u64, StoreError>> {
        let asked_at = Instant::now();
        let answers = self.store.count(batch).await;
        self.report(StoreOperation::Count, asked_at, &answers);
        answers
    }
}
