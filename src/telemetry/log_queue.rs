//! Where log lines wait for standard error: a bounded queue, and one thread that alone writes to it.
//!
//! Invariants: nobody but that thread ever waits for standard error, so a reader that has stopped, a pipe that was closed and a disk
//! that is full cost lines and never a request; each line is written whole or counted as dropped; what waits is bounded.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// Bytes that may wait: some thousand lines.
const WAITING_BYTES_MAX: usize = 1 << 20;

/// How long an ending process waits for its last lines to be written.
const FLUSH: Duration = Duration::from_secs(1);

/// The queue. Clones are the same queue.
#[derive(Clone, Debug, Default)]
pub struct LogQueue(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    came: Condvar,
    written: Condvar,
    dropped: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    /// The thread has taken a line and not yet written it.
    writing: bool,
}

impl LogQueue {
    /// A queue whose lines a thread of its own writes to `out`.
    ///
    /// # Errors
    /// Where the operating system gives no thread.
    pub fn to(out: impl Write + Send + 'static) -> io::Result<Self> {
        let queue = Self::default();
        let shared = Arc::clone(&queue.0);
        // It ends with the process: what it waits for may never come.
        let _ = thread::Builder::new().name("jeton-log".into()).spawn(move || shared.write_for_ever(out))?;
        Ok(queue)
    }

    /// Lines that were not written: there was no room, or standard error refused them.
    pub fn dropped(&self) -> u64 {
        self.0.dropped.load(Ordering::Relaxed)
    }

    /// Waits until every line is written, but not for long.
    pub fn flush(&self) {
        let waiting = self.0.lock();
        let busy = |waiting: &mut Waiting| waiting.writing || !waiting.lines.is_empty();
        drop(self.0.written.wait_timeout_while(waiting, FLUSH, busy));
    }

    fn push(&self, line: &[u8]) {
        let mut waiting = self.0.lock();
        if waiting.bytes + line.len() > WAITING_BYTES_MAX {
            self.0.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        waiting.bytes += line.len();
        waiting.lines.push_back(line.to_vec());
        drop(waiting);
        self.0.came.notify_one();
    }
}

impl Shared {
    /// A thread that panicked with the lock has left a queue that is as good as any.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_for_ever(&self, mut out: impl Write) {
        loop {
            let idle = |waiting: &mut Waiting| waiting.lines.is_empty();
            let mut waiting = self.came.wait_while(self.lock(), idle).unwrap_or_else(PoisonError::into_inner);
            let Some(line) = waiting.lines.pop_front() else { continue };
            waiting.writing = true;
            drop(waiting);

            if out.write_all(&line).and_then(|()| out.flush()).is_err() {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }

            let mut waiting = self.lock();
            waiting.bytes -= line.len();
            waiting.writing = false;
            drop(waiting);
            self.written.notify_all();
        }
    }
}

/// One line: the formatter writes each in one piece.
#[derive(Debug)]
pub struct Line<'a>(&'a LogQueue);

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for LogQueue {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    /// Takes a line when the test lets it, with the result that the test gives.
    struct Gate {
        arrived: SyncSender<Vec<u8>>,
        results: Receiver<io::Result<()>>,
    }

    impl Write for Gate {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.arrived.send(line.to_vec()).unwrap();
            self.results.recv().unwrap()?;
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn gated() -> (LogQueue, Receiver<Vec<u8>>, SyncSender<io::Result<()>>) {
        let (arrived, arrivals) = sync_channel(0);
        let (results, given) = sync_channel(100);
        (LogQueue::to(Gate { arrived, results: given }).unwrap(), arrivals, results)
    }

    #[test]
    fn lines_come_whole_and_in_order_and_a_refused_one_is_counted() {
        let (queue, arrivals, results) = gated();
        for line in [b"one\n", b"two\n", b"six\n"] {
            queue.make_writer().write_all(line).unwrap();
        }
        results.send(Ok(())).unwrap();
        results.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
        results.send(Ok(())).unwrap();
        for line in [b"one\n", b"two\n", b"six\n"] {
            assert_eq!(arrivals.recv().unwrap(), line);
        }
        queue.flush();
        assert_eq!(queue.dropped(), 1);
    }

    #[test]
    fn nobody_waits_for_a_reader_that_has_stopped() {
        let (queue, arrivals, results) = gated();
        let line = vec![b'x'; 1000];
        let lines = 2 * WAITING_BYTES_MAX as u64 / 1000;
        for _ in 0..lines {
            queue.make_writer().write_all(&line).unwrap();
        }
        let dropped = queue.dropped();
        assert!((lines / 2 - 1..=lines / 2 + 1).contains(&dropped), "{dropped} of {lines}");

        // It reads again: what waited comes, and there is room again.
        let kept = lines - dropped;
        for _ in 0..kept {
            assert_eq!(arrivals.recv().unwrap(), line);
            results.send(Ok(())).unwrap();
        }
        queue.flush();
        queue.make_writer().write_all(b"new\n").unwrap();
        assert_eq!(arrivals.recv().unwrap(), b"new\n");
        assert_eq!(queue.dropped(), dropped);
    }
}
