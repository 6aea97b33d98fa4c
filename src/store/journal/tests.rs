//! The journal as a whole: in memory, in its file, and between nodes.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::Journal;
use super::entry::ENTRY_BYTES;
use super::file::{self, OpenError};
use crate::clock::Clock;
use crate::oauth::client_id::ClientId;
use crate::oauth::keys::{KeyId, ServiceKey, ServiceKeys};
use crate::oauth::time::{Lifetime, Timestamp};
use crate::oauth::token::{Page, Token, TokenAddress, TokenRecord};
use crate::random::Random;
use crate::store::contract;
use crate::store::{Deletion, Lookup, StoreError};
use crate::telemetry::labels::{JournalDrop, NotJournaled};
use crate::telemetry::metrics::JournalFigures;

const NOW: u64 = 2_000_000_000;
const TTL_MAX: u32 = 3600;
const PATIENCE: Duration = Duration::from_secs(30);

fn clock() -> Clock {
    Clock::simulated(NOW * 1000)
}

fn keys(ids: &[u8]) -> Arc<ServiceKeys> {
    let key = |&id| ServiceKey::new(KeyId(id), Timestamp::from_unix_seconds(1), &[id; 32]);
    Arc::new(ServiceKeys::new(ids.iter().map(key).collect()).unwrap())
}

fn in_memory(clock: &Clock) -> Journal {
    Journal::in_memory(&Random::system(), clock.clone(), TTL_MAX)
}

/// A file, and how its journal is opened.
struct Disk {
    folder: TempDir,
    clock: Clock,
}

impl Disk {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), clock: clock() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("revocations.journal")
    }

    fn open(&self) -> Result<Journal, OpenError> {
        Journal::with_file(&self.path(), &keys(&[1]), &Random::system(), self.clock.clone(), TTL_MAX)
    }

    /// The journal, once nobody has its file. A process that another test starts holds what is open in this one until it is a program
    /// of its own.
    fn take(&self) -> Journal {
        let begun = Instant::now();
        loop {
            match self.open() {
                Err(OpenError::Held(_)) if begun.elapsed() < Duration::from_secs(10) => std::thread::yield_now(),
                opened => return opened.unwrap(),
            }
        }
    }

    /// The journal that a process finds here, and what it counted.
    fn found(&self) -> (usize, JournalFigures) {
        let figures = self.take().figures();
        (figures.entries, figures)
    }
}

fn deletion(dead_second: u64, number: u32, client: &str) -> Deletion {
    let page = Page { dead_second, number };
    let key = keys(&[1]);
    let address = Token::make("jt", key.get(KeyId(1)).unwrap(), page, &Random::system().bytes().unwrap()).1;
    Deletion { address, client_id: ClientId::new(client) }
}

fn deletions(count: u32) -> Vec<Deletion> {
    (0..count).map(|number| deletion(NOW + 100, number, "billing")).collect()
}

async fn note(journal: &Journal, deleted: &[Deletion]) {
    journal.note(&keys(&[1]), &deleted.iter().collect::<Vec<_>>(), PATIENCE).await;
}

fn found() -> Result<Lookup, StoreError> {
    let (issued_at, lifetime) = (Timestamp::from_unix_seconds(NOW), Lifetime::from_seconds(60));
    Ok(Lookup::Found(TokenRecord { issued_at, lifetime, grant: contract::grant("billing"), confirmation: None }))
}

/// Whether the journal believes a record at this address.
fn believes(journal: &Journal, address: TokenAddress) -> bool {
    let mut answers = [found()];
    journal.overrule(&[address], &mut answers);
    answers == [found()]
}

fn dropped(figures: &JournalFigures, why: JournalDrop) -> u64 {
    figures.dropped.iter().find(|(reason, _)| *reason == why).unwrap().1
}

/// What waits to be sent to other nodes.
fn pending(journal: &Journal) -> Vec<u8> {
    journal.pending(usize::MAX).concat()
}

#[tokio::test]
async fn a_record_that_was_revoked_is_not_believed_until_its_page_is_long_dead() {
    let clock = clock();
    let journal = in_memory(&clock);
    let revoked = deletion(NOW + 100, 1, "billing");
    let other = deletion(NOW + 100, 1, "billing");
    assert!(journal.is_empty() && believes(&journal, revoked.address));
    note(&journal, std::slice::from_ref(&revoked)).await;
    assert!(!believes(&journal, revoked.address) && believes(&journal, other.address));
    assert_eq!((journal.len(), journal.figures().overruled), (1, 1));

    let mut answers = [Ok(Lookup::SealBroken), Ok(Lookup::NotFound), Err(StoreError::TimedOut)];
    let as_they_were = answers.clone();
    journal.overrule(&[revoked.address; 3], &mut answers);
    assert_eq!(answers, as_they_were, "only a record that was found is overruled");

    clock.advance(219_999);
    journal.sweep();
    assert!(!believes(&journal, revoked.address));
    clock.advance(1);
    journal.sweep();
    assert!(journal.is_empty());
}

#[tokio::test]
async fn what_finds_no_room_is_counted_and_what_is_known_is_noted_once() {
    let clock = clock();
    let journal = Journal::with_room(16, &Random::system(), clock.clone(), TTL_MAX);
    let of_one: Vec<Deletion> = (0..5).map(|number| deletion(NOW + 100, number, "billing")).collect();
    note(&journal, &of_one).await;
    // There is room for one that waits.
    assert_eq!((journal.len(), pending(&journal).len()), (2, ENTRY_BYTES));
    journal.sent(1);
    note(&journal, &of_one[..2]).await;
    assert_eq!((journal.len(), pending(&journal).len()), (2, 0));
    let of_many: Vec<Deletion> = (0..20).map(|number| deletion(NOW + 50, number, &number.to_string())).collect();
    note(&journal, &of_many).await;
    let figures = journal.figures();
    assert_eq!(figures.entries, 16);
    assert_eq!(figures.omitted, [(NotJournaled::Full, 6), (NotJournaled::Client, 3)]);
    clock.advance(170_000);
    journal.sweep();
    note(&journal, &of_many[19..]).await;
    assert_eq!(journal.len(), 3, "the room of the dead is free again");
}

#[tokio::test]
async fn another_node_learns_what_it_can_verify_and_counts_the_rest() {
    let clock = clock();
    let (a, b) = (in_memory(&clock), in_memory(&clock));
    let revoked = deletions(4);
    note(&a, &revoked).await;
    let told = pending(&a);
    b.learn(&keys(&[1]), &told, 1);
    assert!(revoked.iter().all(|deletion| !believes(&b, deletion.address)));
    assert!(b.pending(9).is_empty(), "what came from the stream does not go there again");
    b.learn(&keys(&[1]), &told, 2);
    assert_eq!((b.len(), b.figures().missing), (4, 0));

    let mut forged = told[..ENTRY_BYTES].to_vec();
    forged[15] ^= 1;
    b.learn(&keys(&[1]), &forged, 3);
    b.learn(&keys(&[1]), &[0; ENTRY_BYTES + 7], 3);
    b.learn(&keys(&[2]), &told, 3);
    let (late, far) = (deletion(NOW - 121, 1, "billing"), deletion(NOW + 10_000, 1, "billing"));
    a.sent(4);
    note(&a, &[late, far]).await;
    b.learn(&keys(&[1]), &pending(&a), 3);
    let figures = b.figures();
    let reasons =
        [JournalDrop::Forged, JournalDrop::Garbled, JournalDrop::KeyGone, JournalDrop::Dead, JournalDrop::Ahead];
    assert_eq!(reasons.map(|why| dropped(&figures, why)), [1, 2, 4, 1, 1]);
    assert_eq!((figures.entries, figures.missing), (4, 0));

    a.sent(2);
    note(&a, &deletions(3)).await;
    b.learn(&keys(&[1]), &pending(&a)[2 * ENTRY_BYTES..], 3);
    assert_eq!(b.figures().missing, 2, "the numbers of those that were skipped");
}

#[tokio::test]
async fn what_a_stream_lost_is_signed_anew() {
    let clock = clock();
    let (a, b) = (in_memory(&clock), in_memory(&clock));
    let revoked = deletions(3);
    note(&a, &revoked).await;
    b.learn(&keys(&[1]), &pending(&a), 1);
    // The second reading finds one of them alone.
    b.learn(&keys(&[1]), &pending(&a)[..ENTRY_BYTES], 2);
    b.send_unlisted(&keys(&[1]), 2);
    b.send_unlisted(&keys(&[1]), 2);
    assert_eq!(b.pending(9).len(), 2, "each once");
    let c = in_memory(&clock);
    c.learn(&keys(&[1]), &pending(&b), 1);
    assert_eq!(revoked.iter().map(|deletion| believes(&c, deletion.address)).collect::<Vec<_>>(), [true, false, false]);
}

#[tokio::test]
async fn what_had_no_room_is_signed_once_the_rest_is_sent() {
    let clock = clock();
    // Room for three that wait.
    let (a, b) = (in_memory(&clock), Journal::with_room(48, &Random::system(), clock.clone(), 3600));
    note(&a, &deletions(5)).await;
    b.learn(&keys(&[1]), &pending(&a), 1);
    b.send_unlisted(&keys(&[1]), 2);
    let mut sent = Vec::new();
    for waiting in [3, 2, 0] {
        b.send_more_unlisted(&keys(&[1]), 2);
        assert_eq!(b.pending(9).len(), waiting);
        sent.extend(pending(&b));
        b.sent(waiting);
        b.learn(&keys(&[1]), &sent, 2);
    }
    assert_eq!(sent.len(), 5 * ENTRY_BYTES);
}

#[tokio::test]
async fn what_was_revoked_while_nothing_could_be_sent_is_sent_to_the_last() {
    let clock = clock();
    // Room for three that wait.
    let journal = Journal::with_room(48, &Random::system(), clock.clone(), 3600);
    note(&journal, &deletions(5)).await;
    let mut sent = Vec::new();
    for waiting in [3, 2, 0] {
        journal.send_more_unlisted(&keys(&[1]), 1);
        assert_eq!(journal.pending(9).len(), waiting);
        sent.extend(pending(&journal));
        journal.sent(waiting);
        journal.learn(&keys(&[1]), &sent, 1);
    }
    let other = in_memory(&clock);
    other.learn(&keys(&[1]), &sent, 1);
    assert_eq!(other.len(), 5);
}

#[tokio::test]
async fn a_restart_forgets_nothing() {
    let disk = Disk::new();
    let revoked = deletions(3);
    for deletion in &revoked {
        let journal = disk.take();
        note(&journal, std::slice::from_ref(deletion)).await;
        // Learnt from another node, and on the disk once somebody waited behind it.
        let other = in_memory(&disk.clock);
        note(&other, &[self::deletion(NOW + 100, 1, "other")]).await;
        journal.learn(&keys(&[1]), &pending(&other), 1);
    }
    let journal = disk.take();
    assert_eq!(journal.len(), 6);
    assert!(revoked.iter().all(|deletion| !believes(&journal, deletion.address)));
    assert!(journal.figures().dropped.iter().all(|(_, count)| *count == 0));
}

#[tokio::test]
async fn an_end_torn_anywhere_costs_the_torn_entry_alone() {
    let disk = Disk::new();
    note(&disk.take(), &deletions(3)).await;
    let whole = fs::read(disk.path()).unwrap();
    assert_eq!(whole.len(), 16 + 3 * ENTRY_BYTES);
    for length in 0..=whole.len() {
        fs::write(disk.path(), &whole[..length]).unwrap();
        let (entries, figures) = disk.found();
        assert_eq!(entries, length.saturating_sub(16) / ENTRY_BYTES, "cut to {length}");
        assert!(figures.dropped.iter().all(|(_, count)| *count == 0), "cut to {length}");
        // What is written next is found, and what was whole too.
        note(&disk.take(), &deletions(1)).await;
        assert_eq!(disk.found().0, entries + 1, "cut to {length}");
    }
}

#[tokio::test]
async fn damage_is_counted_and_hides_nothing_behind_it() {
    let disk = Disk::new();
    note(&disk.take(), &deletions(5)).await;
    let mut bytes = fs::read(disk.path()).unwrap();
    bytes[16 + ENTRY_BYTES + 30] ^= 0x40;
    bytes[16 + 3 * ENTRY_BYTES..16 + 4 * ENTRY_BYTES].fill(0);
    fs::write(disk.path(), &bytes).unwrap();
    let (entries, figures) = disk.found();
    assert_eq!((entries, dropped(&figures, JournalDrop::Forged), dropped(&figures, JournalDrop::Garbled)), (3, 1, 1));
}

#[tokio::test]
async fn only_one_process_holds_it_and_only_a_journal_is_taken_for_one() {
    let disk = Disk::new();
    let journal = disk.take();
    assert!(matches!(disk.open(), Err(OpenError::Held(path)) if path == disk.path()));
    drop(journal);
    disk.take();
    fs::write(disk.path(), "# notes of somebody\n").unwrap();
    assert!(matches!(disk.open(), Err(OpenError::NoJournal(_))));
    assert_eq!(fs::read(disk.path()).unwrap(), b"# notes of somebody\n", "and is left as it was");
    let nowhere = disk.folder.path().join("missing/journal");
    let opened = Journal::with_file(&nowhere, &keys(&[1]), &Random::system(), clock(), TTL_MAX);
    assert!(opened.unwrap_err().to_string().contains("missing/journal: No such file"));
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_told_and_undoes_nothing() {
    let disk = Disk::new();
    let (path, horizon) = (disk.path(), super::Horizon::new(disk.clock.clone(), TTL_MAX));
    drop(file::open(&path).unwrap());
    // Opened for reading alone: each write fails.
    let read_only = File::open(&path).unwrap();
    let writer = super::Writer {
        path: path.clone(),
        file: read_only,
        end: file::START,
        lives: super::Lives::default(),
        horizon,
    };
    let mut journal = in_memory(&disk.clock);
    journal.file = Some(super::JournalFile::start(writer).unwrap());
    let revoked = deletions(2);
    note(&journal, &revoked).await;
    assert!(journal.figures().file_failures >= 1 && journal.file_failing().unwrap().contains("Bad file descriptor"));
    assert!(!believes(&journal, revoked[0].address), "in memory it is known all the same");
}

#[tokio::test]
async fn the_dead_are_cleared_away_while_it_is_written() {
    let disk = Disk::new();
    let journal = disk.take();
    let all = deletions(40_000);
    let (short, long): (Vec<_>, Vec<_>) = all.into_iter().enumerate().partition(|(place, _)| place % 10 != 0);
    let long: Vec<Deletion> = long.into_iter().map(|(place, _)| deletion(NOW + 3000, place as u32, "other")).collect();
    let short: Vec<Deletion> = short.into_iter().map(|(_, deletion)| deletion).collect();
    note(&journal, &short).await;
    note(&journal, &long).await;
    let full = fs::metadata(disk.path()).unwrap().len();
    disk.clock.advance(300_000);
    journal.sweep();
    let began = Instant::now();
    let mut late = Vec::new();
    // Each write is a chance for a step; what is written meanwhile is not lost.
    while journal.file.as_ref().unwrap().state().compactions() == 0 {
        late.push(deletion(NOW + 3000, 1_000_000 + late.len() as u32, "late"));
        note(&journal, &late[late.len() - 1..]).await;
        assert!(began.elapsed() < PATIENCE, "no compaction");
    }
    let after = deletion(NOW + 3000, 7, "after");
    note(&journal, std::slice::from_ref(&after)).await;
    assert!(fs::metadata(disk.path()).unwrap().len() < full / 5);
    assert!(!Path::new(&format!("{}.new", disk.path().display())).exists());
    assert!(matches!(disk.open(), Err(OpenError::Held(_))), "the new file is locked as the old one was");
    drop(journal);
    let journal = disk.take();
    assert_eq!(journal.len(), long.len() + late.len() + 1);
    for deletion in long.iter().chain(&late).chain([&after]) {
        assert!(!believes(&journal, deletion.address));
    }
}

#[tokio::test]
async fn what_a_crashed_compaction_left_is_no_hindrance() {
    let disk = Disk::new();
    note(&disk.take(), &deletions(2)).await;
    let mut left = OpenOptions::new().create(true).append(true).open(format!("{}.new", disk.path().display())).unwrap();
    left.write_all(b"half").unwrap();
    assert_eq!(disk.found().0, 2);
    super::compaction::Compaction::begin(&disk.path()).unwrap();
}
