//! Reads files again while the service runs: on SIGHUP all of them, else each within two seconds of its change.
//!
//! Invariant: what is bad is told, with its line and column, and changes nothing; what is good replaces the old as a whole; a panic on
//! the way is told too, and ends no later reading.
//!
//! A thread of its own, since reading is slow where a file is large, and the listeners must not wait for it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use super::workers::Materials;
use crate::config::clients::ClientsSource;
use crate::config::keys_file::disk;
use crate::config::options::LogRequests as Requests;
use crate::config::{Effective, Loaded, Mistake, Sources, Warning, WatchedFiles};
use crate::failpoint::{self, FailPoint};
use crate::http::LogRequests;
use crate::http::client_certificates::Authorities;
use crate::oauth::client::ClientId;
use crate::oauth::keys::ServiceKeys;
use crate::oauth::time::Timestamp;
use crate::telemetry::labels::{Label, ReloadSubject};
use crate::telemetry::logging::LogLevel;

/// Twice a second: a change counts once two looks saw the same, and must be in force within two seconds.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Names of clients in one line of the log.
const NAMES_MAX: usize = 100;

/// Everything that can be read again.
pub(super) struct Reload {
    materials: Materials,
    sources: Sources,
    clients_source: ClientsSource,
    keys_file: Option<PathBuf>,
    watched: WatchedFiles,
    log_level: LogLevel,
    /// As they last had no mistake.
    options: Effective,
    /// When a certificate begins that is not valid yet: nothing changes in its file then.
    certificate_begins: Option<Timestamp>,
}

impl Reload {
    /// Watches what `loaded` was read from.
    pub(super) fn new(loaded: Loaded, materials: Materials, log_level: LogLevel) -> Self {
        Self {
            keys_file: loaded.config.keys.file,
            watched: loaded.watched,
            clients_source: loaded.clients_source,
            materials,
            log_level,
            options: loaded.sources.read_all().0,
            certificate_begins: None,
            sources: loaded.sources,
        }
    }

    /// Looks and reads until the sender of hang-ups is gone.
    pub(super) fn run(mut self, hang_ups: &Receiver<()>) {
        // Of what is fetched the courier tells.
        for &subject in ReloadSubject::ALL.iter().filter(|subject| **subject != ReloadSubject::Jwks) {
            self.count(subject, true);
        }
        loop {
            let all = match hang_ups.recv_timeout(LOOK_INTERVAL) {
                Ok(()) => true,
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            // Each is looked at, so that after a hang-up no look finds the same change again.
            self.unless_it_panics(ReloadSubject::Secrets, |this| {
                if this.watched.options.changed() | this.a_certificate_begins() | all {
                    this.read_options();
                }
            });
            self.unless_it_panics(ReloadSubject::Clients, |this| {
                if this.watched.clients.changed() | all {
                    this.read_clients();
                }
            });
            if all {
                self.materials.shared.courier.fetch_all();
            }
            self.unless_it_panics(ReloadSubject::Keys, |this| {
                if this.watched.keys.changed() | all {
                    this.read_keys();
                }
            });
        }
    }

    /// A panic is told as any other failure is: what was in force stays in force, since it is replaced as a whole, and the next change
    /// is read as ever.
    fn unless_it_panics(&mut self, subject: ReloadSubject, look: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| look(self))).is_err() {
            self.count(subject, false);
            tracing::error!(event = "reload_failed", subject = subject.as_str(), "reading it panicked");
        }
    }

    /// Of the options those that may change while the service runs: secrets, certificates, and what is logged.
    fn read_options(&mut self) {
        let (effective, mistakes) = self.sources.read_all();
        if !mistakes.is_empty() {
            // A file that is named before it is there mends them by coming, one that went away by coming back.
            self.watched.options.watch_also(effective.files());
            // The same file says what is logged.
            self.count(ReloadSubject::Log, false);
            self.failed(ReloadSubject::Secrets, &mistakes);
            // What the good ones named is followed all the same: a certificate ends, whatever is written in another file.
            self.follow_certificates();
            return;
        }
        self.watched.options.watch(effective.files());
        warn(&effective.warnings);
        self.options = effective;
        self.follow_log();
        if self.follow_certificates() {
            self.materials.shared.admin_token.store(Arc::new(self.options.config.admin.token.clone()));
            self.count(ReloadSubject::Secrets, true);
            tracing::info!(
                event = "reloaded",
                subject = ReloadSubject::Secrets.as_str(),
                "secrets of the configuration"
            );
        }
    }

    /// Takes what the files hold that the options name, and counts it. Whether the store could be opened anew.
    fn follow_certificates(&mut self) -> bool {
        let certified = self.show_certificates();
        if let Err(error) = self.materials.stores.reload(&self.options.config.store) {
            // Of what the store is opened with only the files of [store.tls] are read here.
            self.count(ReloadSubject::Certificates, false);
            tracing::error!(event = "reload_failed", subject = ReloadSubject::Certificates.as_str(), "{error}");
            return false;
        }
        self.count(ReloadSubject::Certificates, certified);
        true
    }

    fn a_certificate_begins(&self) -> bool {
        self.certificate_begins.is_some_and(|begins| begins <= self.now())
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.materials.shared.clock.unix_millis())
    }

    /// Whether each listener shows what its files hold now. A bad one keeps what it showed.
    fn show_certificates(&mut self) -> bool {
        let now = self.now();
        let (mut certificates, mistakes) = self.options.certificates();
        if !mistakes.is_empty() {
            self.failed(ReloadSubject::Certificates, &mistakes);
        }
        match (&self.materials.shared.authorities, certificates.authorities.take()) {
            (Some(known), Some(fresh)) => known.store(Arc::new(fresh)),
            // Nothing asks for certificates any more, but for a listener that stays until the next start.
            (Some(known), None) if mistakes.is_empty() => known.store(Arc::new(Authorities::nobody())),
            (Some(_) | None, _) => {}
        }
        if let Some(fresh) = certificates.roots_of_jwks.take() {
            self.materials.roots_of_jwks.store(Arc::new(fresh));
        }
        self.certificate_begins = certificates.begins_after(now);
        let shown = self.materials.tls.show(certificates, now);
        self.materials.tls.tell(&self.materials.shared.metrics);
        shown & mistakes.is_empty()
    }

    fn follow_log(&self) {
        let log = &self.options.config.log;
        let subject = ReloadSubject::Log;
        let level = log.level.as_str();
        if let Err(error) = self.log_level.set(level) {
            self.count(subject, false);
            tracing::error!(event = "reload_failed", subject = subject.as_str(), "{error}");
            return;
        }
        self.materials.shared.log_requests.store(Arc::new(log_requests(log.requests)));
        let requests = log.requests.as_str();
        self.count(subject, true);
        tracing::info!(event = "reloaded", subject = subject.as_str(), level, requests, "what is logged");
    }

    fn read_clients(&mut self) {
        failpoint::reach(FailPoint::Reload);
        let read = self.clients_source.reload();
        self.watched.clients.watch(self.clients_source.watched_paths());
        let read = match read {
            Ok(read) => read,
            Err(mistakes) => return self.failed(ReloadSubject::Clients, &mistakes),
        };
        // What was fetched stays, and is there before the first request that needs it.
        let clients = Arc::new(read.clients.with_keys_of(&self.materials.clients.load()));
        let before = self.materials.clients.swap(clients.clone());
        self.materials.shared.courier.reloaded();
        // After the swap: what was used until then is known, whoever is still judged by the registry of before.
        clients.inherit(&before);
        warn(&read.warnings);
        let names = |ids: &[ClientId]| {
            let shown: Vec<&str> = ids.iter().take(NAMES_MAX).map(|id| id.as_str()).collect();
            shown.join(" ")
        };
        let diff = &read.diff;
        self.count(ReloadSubject::Clients, read.mistakes.is_empty());
        // A file that was mended says so, though nothing differs from before the mistake.
        if !diff.is_empty() || read.mistakes.is_empty() {
            tracing::info!(
                event = "reloaded",
                subject = ReloadSubject::Clients.as_str(),
                added = names(&diff.added),
                changed = names(&diff.changed),
                removed = names(&diff.removed),
                issuers = diff.issuers.join(" "),
                "clients: {} added, {} changed, {} removed; {} trusted issuers changed",
                diff.added.len(),
                diff.changed.len(),
                diff.removed.len(),
                diff.issuers.len(),
            );
        }
        if !read.mistakes.is_empty() {
            self.failed(ReloadSubject::Clients, &read.mistakes);
        }
    }

    fn read_keys(&mut self) {
        let Some(path) = &self.keys_file else { return };
        match disk::load(path) {
            Ok((keys, warnings)) => {
                warn(&warnings);
                let ids = |keys: &ServiceKeys| keys.iter().map(|key| key.id().0).collect::<Vec<_>>();
                let (before, now) = (ids(&self.materials.shared.keys.load()), ids(&keys));
                let list = |ids: &[u8], but: &[u8]| {
                    let other = ids.iter().filter(|id| !but.contains(id)).map(u8::to_string);
                    other.collect::<Vec<_>>().join(" ")
                };
                let (added, removed) = (list(&now, &before), list(&before, &now));
                self.materials.shared.keys.store(Arc::new(keys));
                let subject = ReloadSubject::Keys;
                self.count(subject, true);
                tracing::info!(event = "reloaded", subject = subject.as_str(), added, removed, "service keys");
            }
            Err(mistakes) => self.failed(ReloadSubject::Keys, &mistakes),
        }
    }

    fn failed(&self, subject: ReloadSubject, mistakes: &[Mistake]) {
        // Counted first, here and above: whoever reads the line finds the metric true.
        self.count(subject, false);
        for mistake in mistakes {
            tracing::error!(event = "reload_failed", subject = subject.as_str(), "{mistake}");
        }
    }

    fn count(&self, subject: ReloadSubject, successful: bool) {
        self.materials.shared.metrics.reloaded(subject, successful, self.materials.shared.clock.unix_millis() / 1000);
    }
}

/// Which requests get a log line, in the words of `http`.
pub(super) fn log_requests(configured: Requests) -> LogRequests {
    match configured {
        Requests::None => LogRequests::None,
        Requests::Failures => LogRequests::Failures,
        Requests::All => LogRequests::All,
    }
}

/// Tells an operator what can hardly be meant.
pub(super) fn warn(warnings: &[Warning]) {
    for warning in warnings {
        tracing::warn!(event = "warning", "{warning}");
    }
}
