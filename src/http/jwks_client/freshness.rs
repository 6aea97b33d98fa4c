//! For how long a server says that its answer is fresh (RFC 9111 section 5.2.2).

use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::{AGE, CACHE_CONTROL};

/// `max-age`, less what the answer has already spent in a cache; nothing where it is not to be kept. `None`: it says nothing that can be
/// read.
pub(super) fn of(headers: &HeaderMap) -> Option<Duration> {
    let fields = headers.get_all(CACHE_CONTROL).into_iter().filter_map(|value| value.to_str().ok());
    let mut max_age = None;
    for directive in fields.flat_map(|field| field.split(',')).map(str::trim) {
        let (name, value) = directive.split_once('=').map_or((directive, ""), |(name, value)| (name, value));
        if name.eq_ignore_ascii_case("no-store") || name.eq_ignore_ascii_case("no-cache") {
            return Some(Duration::ZERO);
        }
        if name.eq_ignore_ascii_case("max-age") && max_age.is_none() {
            max_age = value.trim_matches('"').parse().ok();
        }
    }
    let age = headers.get(AGE).and_then(|age| age.to_str().ok()?.trim().parse().ok()).unwrap_or(0);
    max_age.map(|seconds: u64| Duration::from_secs(seconds.saturating_sub(age)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_the_server_says() {
        for (fields, expected) in [
            (&[][..], None),
            (&[("cache-control", "public")][..], None),
            (&[("cache-control", "public, max-age=600, must-revalidate")][..], Some(600)),
            (&[("cache-control", "public"), ("cache-control", "Max-Age=\"600\"")][..], Some(600)),
            (&[("cache-control", "max-age=600, max-age=1")][..], Some(600)),
            (&[("cache-control", "max-age=600"), ("age", "100")][..], Some(500)),
            (&[("cache-control", "max-age=600"), ("age", "1000")][..], Some(0)),
            (&[("cache-control", "max-age=600"), ("age", "x")][..], Some(600)),
            (&[("cache-control", "max-age=600, no-store")][..], Some(0)),
            (&[("cache-control", "no-cache")][..], Some(0)),
            (&[("cache-control", "max-age=-1")][..], None),
            (&[("cache-control", "s-maxage=600")][..], None),
            (&[("age", "100")][..], None),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, value.parse().unwrap());
            }
            assert_eq!(of(&headers), expected.map(Duration::from_secs), "{fields:?}");
        }
    }
}
