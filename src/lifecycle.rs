//! Tracked tasks, the order of closing, the grace period.
