//! Waiting for conditions, never for times.

use std::time::{Duration, Instant};

/// Far beyond what anything here takes, also on a machine that is busy with something else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks again and again until `look` finds something, and returns it; fails the test, saying `what` never came, after
/// [`PATIENCE`].
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "never came: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Bounds a step that should take no time at all; fails the test, saying `what` hung, after [`PATIENCE`].
pub(crate) async fn within_patience<T>(what: &str, step: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, step).await {
        Ok(done) => done,
        Err(_) => panic!("hung: {what}"),
    }
}
