//! Sizes of a service's batches to its store, from its Prometheus metrics: what was counted between two scrapes.
//!
//! The one thing here that knows jeton: the name of a metric. A service without it has no batches to tell of.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::failure::{Context, Failure};
use crate::http1::response::{self, Parsed};
use crate::target::{Paths, Target};

/// A histogram by `operation`.
const METRIC: &str = "jeton_store_batch_size";
const TIMEOUT: Duration = Duration::from_secs(5);
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Where metrics are to be had.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    address: SocketAddr,
    request: String,
}

/// Batches of one operation of the store.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct BatchSizes {
    pub(crate) batches: u64,
    /// Of all batches together.
    pub(crate) items: u64,
    /// How many batches were of at most the size at the left, and above the one before; `+Inf` is the last.
    pub(crate) buckets: Vec<(String, u64)>,
}

/// By operation.
pub(crate) type Batches = BTreeMap<String, BatchSizes>;

impl Metrics {
    /// `url` is `http://host[:port]/path`.
    pub(crate) fn new(url: &str) -> Result<Self, Failure> {
        let paths = Paths([String::new(), String::new(), String::new()]);
        let target = Target::new(url, paths)?;
        let path = target.path(crate::operation::Operation::Issue);
        let path = if path.is_empty() { "/metrics" } else { path };
        let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", target.authority);
        Ok(Self { address: target.address, request })
    }

    /// All batches since the service began.
    pub(crate) fn read(&self) -> Result<Batches, Failure> {
        let text = self.get().context(|| format!("reading metrics at {}", self.address))?;
        Ok(parse(&text))
    }

    fn get(&self) -> Result<String, Failure> {
        let mut stream = TcpStream::connect_timeout(&self.address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.write_all(self.request.as_bytes())?;
        let (mut answer, mut part) = (Vec::new(), vec![0; 64 * 1024]);
        while answer.len() < ANSWER_BYTES_MAX {
            let read = stream.read(&mut part)?;
            answer.extend_from_slice(&part[..read]);
            match response::parse(&answer) {
                Ok(Parsed::Whole(response)) if response.status == 200 => {
                    return Ok(String::from_utf8_lossy(&response.body).into_owned());
                }
                Ok(Parsed::Whole(response)) => return Err(Failure::new(format!("status {}", response.status))),
                Ok(Parsed::Incomplete) if read > 0 => {}
                _ => break,
            }
        }
        Err(Failure::new("the answer is not HTTP or too long"))
    }
}

/// What came between two readings; operations with nothing between are left out.
pub(crate) fn between(before: &Batches, after: &Batches) -> Batches {
    let none = BatchSizes::default();
    let mut between = Batches::new();
    for (operation, after) in after {
        let before = before.get(operation).unwrap_or(&none);
        let earlier =
            |bound: &str| before.buckets.iter().find(|(other, _)| other == bound).map_or(0, |(_, count)| *count);
        let buckets = after.buckets.iter().map(|(le, count)| (le.clone(), count.saturating_sub(earlier(le))));
        let sizes = BatchSizes {
            batches: after.batches.saturating_sub(before.batches),
            items: after.items.saturating_sub(before.items),
            buckets: buckets.collect(),
        };
        if sizes.batches > 0 {
            between.insert(operation.clone(), sizes);
        }
    }
    between
}

/// Prometheus counts a bucket's batches with those of all buckets below; here each stands alone.
fn parse(text: &str) -> Batches {
    let mut batches = Batches::new();
    for line in text.lines() {
        let Some((kind, labels, value)) = series(line) else { continue };
        let Some(operation) = label(labels, "operation") else { continue };
        let sizes = batches.entry(operation.to_owned()).or_default();
        match (kind, label(labels, "le")) {
            ("_bucket", Some(le)) => sizes.buckets.push((le.to_owned(), value)),
            ("_sum", None) => sizes.items = value,
            ("_count", None) => sizes.batches = value,
            _ => {}
        }
    }
    for sizes in batches.values_mut() {
        let mut below = 0;
        for (_, count) in &mut sizes.buckets {
            let up_to_here = *count;
            *count = up_to_here.saturating_sub(below);
            below = up_to_here;
        }
    }
    batches
}

/// What follows the metric's name, the labels, and the value: all of these are whole numbers.
fn series(line: &str) -> Option<(&str, &str, u64)> {
    let (kind, rest) = line.strip_prefix(METRIC)?.split_once('{')?;
    let (labels, value) = rest.rsplit_once('}')?;
    Some((kind, labels, value.split_ascii_whitespace().next()?.parse::<f64>().ok()? as u64))
}

fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    labels.split(',').find_map(|pair| pair.strip_prefix(name)?.strip_prefix("=\"")?.strip_suffix('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(sizes: [u64; 4]) -> String {
        let [one, two, all, sum] = sizes;
        format!(
            "# TYPE jeton_store_batch_size histogram\n\
             jeton_store_batch_size_bucket{{operation=\"save\",le=\"1\"}} {one}\n\
             jeton_store_batch_size_bucket{{operation=\"save\",le=\"2\"}} {two}\n\
             jeton_store_batch_size_bucket{{operation=\"save\",le=\"+Inf\"}} {all}\n\
             jeton_store_batch_size_sum{{operation=\"save\"}} {sum}\n\
             jeton_store_batch_size_count{{operation=\"save\"}} {all}\n\
             jeton_store_batch_size_count{{operation=\"find\"}} 0\n\
             jeton_store_errors_total{{operation=\"save\"}} 7\n"
        )
    }

    #[test]
    fn what_is_between_two_scrapes_is_told() {
        let (before, after) = (parse(&text([10, 15, 15, 20])), parse(&text([12, 27, 30, 70])));
        let between = between(&before, &after);
        assert_eq!(between.keys().collect::<Vec<_>>(), ["save"]);
        let buckets = [("1", 2), ("2", 10), ("+Inf", 3)].map(|(le, count)| (le.to_owned(), count)).to_vec();
        assert_eq!(between["save"], BatchSizes { batches: 15, items: 50, buckets });
    }

    #[test]
    fn other_texts_have_no_batches() {
        for text in ["", "jeton_store_batch_size", "jeton_store_batch_size_sum{operation=\"save\"} x", "<html>"] {
            assert!(parse(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn a_url_may_leave_out_the_path() {
        assert!(Metrics::new("http://127.0.0.1:1").unwrap().request.starts_with("GET /metrics "));
        assert!(Metrics::new("http://127.0.0.1:1/x/y").unwrap().request.starts_with("GET /x/y "));
        assert!(Metrics::new("127.0.0.1").is_err());
    }
}
