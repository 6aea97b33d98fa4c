//! One line a second on standard error while the window is open.
//!
//! Invariant: a second is printed when every thread has told it, and a thread that cannot tell one leaves it out rather than wait.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::Duration;

use super::asker::Desk;
use super::stage::Stage;
use crate::slices::Slice;

/// Seconds that may wait for the printing thread, for each load thread.
const SECONDS_WAITING_MAX: usize = 4;
const POLL: Duration = Duration::from_millis(2);

/// What ended in one second of the window in one thread.
#[derive(Debug)]
pub(super) struct Second {
    /// 1 is the first.
    number: u64,
    slice: Slice,
}

/// Tells each second of the window; ends with the run.
pub(super) async fn tell(desk: Rc<Desk>, seconds: SyncSender<Second>) {
    while desk.stage.is(Stage::WarmUp) {
        tokio::time::sleep(POLL).await;
    }
    let Some(started) = desk.stage.started() else { return };
    for number in 1.. {
        tokio::time::sleep_until((started + Duration::from_secs(number)).into()).await;
        let Ok(empty) = Slice::new() else { return };
        let Some(slice) = desk.second.replace(Some(empty)) else { return };
        // Full: nobody reads, and the load must not wait for whoever looks on.
        drop(seconds.try_send(Second { number, slice }));
    }
}

/// The side that prints.
#[derive(Debug)]
pub(super) struct Watch {
    threads: usize,
    sender: SyncSender<Second>,
    seconds: Receiver<Second>,
    /// Seconds that not every thread has told yet, and how many have.
    told: BTreeMap<u64, (usize, Slice)>,
}

impl Watch {
    pub(super) fn new(threads: usize) -> Self {
        let (sender, seconds) = mpsc::sync_channel(threads * SECONDS_WAITING_MAX);
        Self { threads, sender, seconds, told: BTreeMap::new() }
    }

    pub(super) fn sender(&self) -> SyncSender<Second> {
        self.sender.clone()
    }

    /// Prints the seconds that are whole.
    pub(super) fn print(&mut self) {
        while let Ok(second) = self.seconds.try_recv() {
            if let Some(line) = self.line(second) {
                eprintln!("{line}");
            }
        }
    }

    fn line(&mut self, second: Second) -> Option<String> {
        let number = second.number;
        let told = match self.told.remove(&number) {
            None => (1, second.slice),
            Some((threads, mut slice)) => {
                slice.add(&second.slice).ok()?;
                (threads + 1, slice)
            }
        };
        if told.0 < self.threads {
            self.told.insert(number, told);
            return None;
        }
        // What came before and is not whole by now never will be.
        self.told = self.told.split_off(&number);
        let slice = told.1;
        let (rate, p99) = (slice.right.len() + slice.failed, slice.latency_us(0.99) / 1000.0);
        Some(format!("{number:>5} s  {rate:>8}/s  p99 {p99:>8.2} ms  errors {}", slice.failed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(number: u64, micros: u64, failed: u64) -> Second {
        let mut slice = Slice::new().unwrap();
        (0..10).for_each(|_| slice.count(Some(Duration::from_micros(micros))));
        slice.failed = failed;
        Second { number, slice }
    }

    #[test]
    fn a_second_is_told_when_all_threads_have() {
        let mut watch = Watch::new(2);
        assert_eq!(watch.line(second(1, 1000, 0)), None);
        assert_eq!(watch.line(second(2, 1000, 1)), None);
        let line = watch.line(second(2, 5000, 2)).unwrap();
        assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["2", "s", "23/s", "p99", "5.01", "ms", "errors", "3"]);
        assert!(watch.told.is_empty(), "the first second will never be whole");
    }
}
