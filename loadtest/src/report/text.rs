//! A window in a few lines, for people at a terminal.

use std::fmt::{self, Write as _};

use super::summary::{Latencies, Summary};

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pace = self.rate.map_or("closed loop".to_owned(), |rate| format!("open loop at {rate}/s"));
        writeln!(
            f,
            "{} over HTTP/{}, {} {}connections, {} threads, {pace}, {:.1} s",
            self.workload,
            self.http_version,
            self.connections,
            if self.new_connections { "new " } else { "" },
            self.threads,
            self.elapsed_seconds
        )?;
        writeln!(f, "  {:<12} {} ({:.0}/s)", "requests", self.requests, self.requests_per_second)?;
        for (name, operation) in &self.operations {
            writeln!(f, "  {name:<12} {}", operation.latency_us)?;
            if let Some(other) = &operation.other_latency_us {
                writeln!(f, "  {:<12} {other}", "  refused")?;
            }
            let statuses = operation.statuses.iter().fold(String::new(), |mut list, (status, count)| {
                let _ = write!(list, "{status}: {count}  ");
                list
            });
            writeln!(f, "  {:<12} {}", "", statuses.trim_end())?;
            if operation.wrong > 0 {
                writeln!(f, "  {:<12} {} answers did not say what they should", "WRONG", operation.wrong)?;
            }
        }
        for (error, count) in &self.errors {
            writeln!(f, "  {:<12} {error}: {count}", "error")?;
        }
        if self.unanswered > 0 || self.backlog > 0 {
            writeln!(f, "  {:<12} unanswered {}, not sent in time {}", "at the end", self.unanswered, self.backlog)?;
        }
        for (operation, sizes) in &self.batches {
            let mean = sizes.items as f64 / sizes.batches.max(1) as f64;
            writeln!(f, "  {:<12} {operation}: {} of {mean:.1} in the mean", "batches", sizes.batches)?;
        }
        let figure = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.2}"));
        let cpu = &self.cpu_us_per_request;
        write!(
            f,
            "  {:<12} server {}, redis {}, load generator {} (us a request)",
            "CPU",
            figure(cpu.server),
            figure(cpu.redis),
            figure(cpu.load)
        )
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "us: mean {:.0}  p50 {:.0}  p90 {:.0}  p99 {:.0}  p99.9 {:.0}  max {:.0}",
            self.mean, self.p50, self.p90, self.p99, self.p999, self.max
        )
    }
}
