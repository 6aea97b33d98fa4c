//! One timer for all asks of a worker: a stuck actor hangs nobody, and no ask pays for a timer of its own.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::failpoint::{self, FailPoint};

/// How late a deadline may be noticed.
const SWEEP_INTERVAL: Duration = Duration::from_millis(10);

/// Something that is looked at while asks are under way.
pub(crate) trait Overdue {
    /// Ends what is overdue at `now`. Whether there is something that a later sweep must look at.
    fn sweep(&self, now: Instant) -> bool;
}

/// What is swept on a worker. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Deadlines(Rc<Watched>);

#[derive(Default)]
struct Watched {
    all: RefCell<Vec<Rc<dyn Overdue>>>,
    /// A sweep is due; else the sweeper sleeps until an ask begins.
    sweeping: Cell<bool>,
    begun: Notify,
}

impl Deadlines {
    /// Sweeps `watched` too from now on.
    pub(crate) fn watch(&self, watched: Rc<dyn Overdue>) {
        self.0.all.borrow_mut().push(watched);
    }

    /// An ask has begun.
    pub(crate) fn begun(&self) {
        if !self.0.sweeping.replace(true) {
            self.0.begun.notify_one();
        }
    }

    /// Ends overdue asks, every 10 milliseconds while there are any; sleeps while there are none.
    pub(crate) async fn sweep_for_ever(&self) {
        loop {
            if !self.0.sweeping.get() {
                self.0.begun.notified().await;
            }
            tokio::time::sleep(SWEEP_INTERVAL).await;
            failpoint::reach(FailPoint::Deadlines);
            let now = Instant::now();
            // Ending an ask wakes a task but runs none, so nothing is added to the list meanwhile.
            let left = self.0.all.borrow().iter().fold(false, |left, one| one.sweep(now) | left);
            self.0.sweeping.set(left);
        }
    }
}

impl fmt::Debug for Deadlines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadlines").field("sweeping", &self.0.sweeping.get()).finish_non_exhaustive()
    }
}
