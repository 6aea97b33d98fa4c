//! One timer for all asks of a worker: a stuck actor hangs nobody, and no ask pays for a timer of its own.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// How late a deadline may be noticed.
const SWEEP_INTERVAL: Duration = Duration::from_millis(10);

/// Something that ends by itself once its time has passed.
pub(crate) trait Overdue {
    /// Ends it if `now` is past its deadline. Whether it needs no watching any more.
    fn expire(&self, now: Instant) -> bool;
}

/// The asks under way on a worker. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Deadlines(Rc<Watched>);

#[derive(Default)]
struct Watched {
    asks: RefCell<Vec<Rc<dyn Overdue>>>,
    first: Notify,
}

impl Deadlines {
    /// Watches an ask until it is over.
    pub(crate) fn watch(&self, ask: Rc<dyn Overdue>) {
        let mut asks = self.0.asks.borrow_mut();
        if asks.is_empty() {
            self.0.first.notify_one();
        }
        asks.push(ask);
    }

    /// Ends overdue asks, every 10 milliseconds while there are any; sleeps while there are none.
    pub(crate) async fn sweep_for_ever(&self) {
        loop {
            if self.0.asks.borrow().is_empty() {
                self.0.first.notified().await;
            }
            tokio::time::sleep(SWEEP_INTERVAL).await;
            self.sweep(Instant::now());
        }
    }

    fn sweep(&self, now: Instant) {
        // Ending an ask wakes a task but runs none, so nothing is added to the list meanwhile.
        self.0.asks.borrow_mut().retain(|ask| !ask.expire(now));
    }
}

impl fmt::Debug for Deadlines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadlines").field("asks", &self.0.asks.borrow().len()).finish()
    }
}
