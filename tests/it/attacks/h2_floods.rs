//! Floods of HTTP/2 frames (RFC 9113 section 10.5): each is cut, whether the attacker reads the answers or not, and costs nearly nothing.

use std::net::SocketAddr;
use std::time::Duration;

use super::h2::{self, Ended};
use super::{GROWTH_MAX, beside_good_clients, hpack, until_connections};
use crate::harness::TestServer;
use crate::harness::wait::within_patience;

const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const COMPRESSION_ERROR: u32 = 9;
const ENHANCE_YOUR_CALM: u32 = 11;

/// A flood: what comes first, then a unit again and again.
#[derive(Clone, Copy)]
pub(super) struct Flood {
    pub(super) name: &'static str,
    opening: fn() -> Vec<u8>,
    /// The nth of them.
    unit: fn(u32) -> Vec<u8>,
    /// Far more than an honest client would send.
    units: u32,
    /// What the server may call it. Nothing at all where it was cut with bytes unread, whose reset overtakes the word.
    reasons: &'static [u32],
}

fn nothing() -> Vec<u8> {
    Vec::new()
}

fn nth_stream(n: u32) -> u32 {
    2 * n + 1
}

fn open_post() -> Vec<u8> {
    h2::frame(h2::HEADERS, h2::END_HEADERS, 1, &hpack::post_token())
}

pub(super) const FLOODS: &[Flood] = &[
    // CVE-2023-44487.
    Flood {
        name: "rapid reset",
        opening: nothing,
        unit: |n| {
            let stream = nth_stream(n);
            let request = h2::frame(h2::HEADERS, h2::END_HEADERS | h2::END_STREAM, stream, &hpack::get());
            [request, h2::frame(h2::RST_STREAM, 0, stream, &[0, 0, 0, 8])].concat()
        },
        units: 100_000,
        reasons: &[ENHANCE_YOUR_CALM],
    },
    // CVE-2024-27316.
    Flood {
        name: "CONTINUATION",
        opening: || h2::frame(h2::HEADERS, 0, 1, &hpack::get()),
        unit: |n| h2::frame(h2::CONTINUATION, 0, 1, &hpack::field(&format!("x-{n}"), b"a")),
        units: 100_000,
        reasons: &[ENHANCE_YOUR_CALM, COMPRESSION_ERROR, PROTOCOL_ERROR],
    },
    Flood {
        name: "empty CONTINUATION",
        opening: || h2::frame(h2::HEADERS, 0, 1, &hpack::get()),
        unit: |_| h2::frame(h2::CONTINUATION, 0, 1, b""),
        units: 100_000,
        reasons: &[ENHANCE_YOUR_CALM, COMPRESSION_ERROR, PROTOCOL_ERROR],
    },
    // CVE-2019-9515.
    Flood {
        name: "SETTINGS",
        opening: nothing,
        unit: |_| h2::frame(h2::SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]),
        units: 100_000,
        reasons: &[ENHANCE_YOUR_CALM],
    },
    // CVE-2019-9512.
    Flood {
        name: "PING",
        opening: nothing,
        unit: |n| h2::frame(h2::PING, 0, 0, &[n.to_be_bytes(), n.to_be_bytes()].concat()),
        units: 100_000,
        reasons: &[ENHANCE_YOUR_CALM],
    },
    // CVE-2019-9513.
    Flood {
        name: "PRIORITY",
        opening: nothing,
        unit: |n| h2::frame(h2::PRIORITY, 0, nth_stream(n), &[0, 0, 0, 0, 1]),
        units: 100_000,
        reasons: &[ENHANCE_YOUR_CALM],
    },
    Flood {
        name: "frames nobody knows",
        opening: nothing,
        unit: |_| h2::frame(0xEE, 0, 0, b"?"),
        units: 100_000,
        reasons: &[ENHANCE_YOUR_CALM],
    },
    Flood {
        name: "WINDOW_UPDATE",
        opening: nothing,
        unit: |_| h2::frame(h2::WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1]),
        units: 100_000,
        reasons: &[ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR],
    },
    Flood {
        name: "one-byte DATA",
        opening: open_post,
        unit: |_| h2::frame(h2::DATA, 0, 1, b"a"),
        units: 100_000,
        reasons: &[ENHANCE_YOUR_CALM],
    },
    // CVE-2019-9518.
    Flood {
        name: "empty DATA",
        opening: open_post,
        unit: |_| h2::frame(h2::DATA, 0, 1, b""),
        units: 100_000,
        reasons: &[ENHANCE_YOUR_CALM],
    },
    // One field of 4 KiB, then a block that names it fifteen thousand times: 60 MiB, were they believed.
    Flood {
        name: "HPACK bomb",
        opening: || {
            let block = [hpack::get(), hpack::remembered("x-bomb", &[b'a'; 3_900])].concat();
            h2::frame(h2::HEADERS, h2::END_HEADERS | h2::END_STREAM, 1, &block)
        },
        unit: |n| {
            let block = [hpack::get(), vec![hpack::NEWEST; 15_000]].concat();
            h2::frame(h2::HEADERS, h2::END_HEADERS | h2::END_STREAM, nth_stream(n + 1), &block)
        },
        units: 5_000,
        reasons: &[ENHANCE_YOUR_CALM, COMPRESSION_ERROR, PROTOCOL_ERROR],
    },
];

/// Floods the server until it ends the connection. `None` where it never did.
pub(super) async fn flood(to: SocketAddr, flood: Flood, reads: bool) -> Option<Ended> {
    let (read, mut write) = h2::connect(to).await;
    let writing = async {
        let mut out = (flood.opening)();
        for n in 0..flood.units {
            out.extend((flood.unit)(n));
            if out.len() >= 16_384 {
                // Who does not read is cut when the server's answers have had no room for ten seconds.
                if !h2::write(&mut write, &out, Duration::from_secs(25)).await {
                    return true;
                }
                out.clear();
            }
        }
        // All of it went out; what is in the kernel may still be too much.
        !h2::write(&mut write, &out, Duration::from_secs(25)).await
    };
    if reads {
        let reading = tokio::spawn(h2::read_to_end(read));
        let cut = writing.await;
        let ended = tokio::time::timeout(Duration::from_secs(15), reading).await;
        return ended.ok().map(Result::unwrap).filter(|ended| cut || ended.reason.is_some());
    }
    let cut = writing.await;
    let ended = tokio::time::timeout(Duration::from_secs(15), h2::read_to_end(read)).await.ok()?;
    (cut || ended.reason.is_some()).then_some(ended)
}

#[tokio::test]
async fn each_flood_is_cut_and_harms_nobody() {
    for &one in FLOODS {
        let server = TestServer::builder().start().await;
        let growth = beside_good_clients(&server, async {
            let mut told = 0;
            for reads in [true, true, false] {
                let ended = within_patience(one.name, flood(server.public, one, reads)).await;
                let ended = ended.unwrap_or_else(|| panic!("{}: nobody ended it", one.name));
                let reason = ended.reason.is_none_or(|reason| one.reasons.contains(&reason));
                assert!(reason, "{}: {ended:?}", one.name);
                told += u32::from(ended.reason.is_some());
            }
            assert!(told >= 1, "{}: it was never said why", one.name);
        })
        .await;
        assert!(growth < GROWTH_MAX, "{}: {growth} bytes", one.name);
        until_connections(&server, 0.0).await;
    }
}

/// Who asks much, and sends what goes with it, stays within the budget.
#[tokio::test]
async fn a_busy_client_is_no_flood() {
    let server = TestServer::builder().start().await;
    let (read, mut write) = h2::connect(server.public).await;
    let reading = tokio::spawn(h2::read_to_end(read));
    let mut out = Vec::new();
    for n in 0..2_000 {
        // A request with what a talkative client puts around it; a hundred at a time, as many as may be under way.
        let stream = nth_stream(n);
        out.extend(h2::frame(h2::HEADERS, h2::END_HEADERS | h2::END_STREAM, stream, &hpack::get()));
        out.extend(h2::frame(h2::PRIORITY, 0, stream, &[0, 0, 0, 0, 1]));
        out.extend(h2::frame(h2::WINDOW_UPDATE, 0, 0, &[0, 0, 1, 0]));
        out.extend(h2::frame(h2::WINDOW_UPDATE, 0, stream, &[0, 0, 1, 0]));
        out.extend(h2::frame(h2::PING, 0, 0, &[1; 8]));
        if n % 100 == 99 {
            assert!(h2::write(&mut write, &out, Duration::from_secs(30)).await, "cut at request {n}");
            out.clear();
            let answered = f64::from(n + 1);
            crate::harness::until("answers", async || {
                let answers = server.metric("jeton_http_requests_total", &["endpoint=\"alive\""]).await;
                (answers >= answered).then_some(())
            })
            .await;
        }
    }
    // It says goodbye, and is let go in peace.
    h2::write(&mut write, &h2::frame(h2::GOAWAY, 0, 0, &[0; 8]), Duration::from_secs(30)).await;
    drop(write);
    let ended = within_patience("the end", reading).await.unwrap();
    assert!(ended.answers >= 2_000 && ended.reason.is_none_or(|reason| reason == 0), "{ended:?}");
}
