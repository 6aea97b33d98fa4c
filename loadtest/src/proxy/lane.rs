//! One direction of a connection: a thread that reads and one that passes on what has waited long enough.
//!
//! Invariant: an end is passed on behind what came before it.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const READ_BYTES: usize = 16 * 1024;
/// Reads on their way with a delay: enough for what a fast sender has under way in a millisecond.
const READS_DELAYED_MAX: usize = 256;
/// Pieces in which a limited lane passes on: so long, so even.
const PIECE_SECONDS: f64 = 0.001;

#[derive(Debug)]
pub(super) struct Lane {
    pub(super) from: TcpStream,
    pub(super) to: TcpStream,
    pub(super) delay: Duration,
    pub(super) bottleneck: Option<Arc<Bottleneck>>,
}

/// What bytes of all connections pass one after the other.
#[derive(Debug)]
pub(super) struct Bottleneck {
    bytes_per_second: f64,
    free_at: Mutex<Instant>,
}

/// What was read, and when it may go on.
type Read = (Instant, Vec<u8>);

impl Lane {
    /// Starts its two threads, which end with the connection.
    pub(super) fn open(self) -> io::Result<()> {
        let (reads, passing) = mpsc::sync_channel(if self.delay.is_zero() { 1 } else { READS_DELAYED_MAX });
        let Self { from, to, delay, bottleneck } = self;
        let spawn = |name: &str| thread::Builder::new().name(name.to_owned());
        let ends = (from.try_clone()?, to.try_clone()?);
        spawn("proxy-read").spawn(move || read(&from, delay, &reads))?;
        spawn("proxy-pass").spawn(move || {
            let passed = pass(&to, &passing, bottleneck.as_deref());
            // Ended by the reading side: only this direction is over. Ended by the writing side: nobody takes anything any more.
            drop(ends.1.shutdown(Shutdown::Write));
            if passed.is_err() {
                drop(ends.0.shutdown(Shutdown::Both));
            }
        })?;
        Ok(())
    }
}

fn read(mut from: &TcpStream, delay: Duration, reads: &SyncSender<Read>) {
    let mut buffer = vec![0; READ_BYTES];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if reads.send((Instant::now() + delay, buffer[..count].to_vec())).is_err() {
            return;
        }
    }
}

fn pass(mut to: &TcpStream, passing: &Receiver<Read>, bottleneck: Option<&Bottleneck>) -> io::Result<()> {
    while let Ok((due, bytes)) = passing.recv() {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let Some(bottleneck) = bottleneck else {
            to.write_all(&bytes)?;
            continue;
        };
        for piece in bytes.chunks(bottleneck.piece_bytes()) {
            let passed_at = bottleneck.enter(piece.len(), Instant::now());
            thread::sleep(passed_at.saturating_duration_since(Instant::now()));
            to.write_all(piece)?;
        }
    }
    Ok(())
}

impl Bottleneck {
    pub(super) fn new(bytes_per_second: f64) -> Self {
        Self { bytes_per_second, free_at: Mutex::new(Instant::now()) }
    }

    fn piece_bytes(&self) -> usize {
        ((self.bytes_per_second * PIECE_SECONDS) as usize).clamp(1, READ_BYTES)
    }

    /// When so many bytes that come now will be through.
    fn enter(&self, bytes: usize, now: Instant) -> Instant {
        let mut free_at = self.free_at.lock().unwrap_or_else(PoisonError::into_inner);
        *free_at = now.max(*free_at) + Duration::from_secs_f64(bytes as f64 / self.bytes_per_second);
        *free_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_pass_one_after_the_other_and_idle_time_is_lost() {
        let bottleneck = Bottleneck::new(1000.0);
        let start = Instant::now() + Duration::from_secs(1);
        let at = |millis| start + Duration::from_millis(millis);
        assert_eq!(bottleneck.enter(100, start), at(100));
        assert_eq!(bottleneck.enter(50, at(20)), at(150), "whoever came first goes first");
        assert_eq!(bottleneck.enter(100, at(500)), at(600));
    }

    #[test]
    fn pieces_are_a_millisecond_each() {
        assert_eq!(Bottleneck::new(350_000.0).piece_bytes(), 350);
        assert_eq!(Bottleneck::new(1.0).piece_bytes(), 1);
        assert_eq!(Bottleneck::new(1e12).piece_bytes(), READ_BYTES);
    }
}
