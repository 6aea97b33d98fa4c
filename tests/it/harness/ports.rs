//! Free ports for servers that must be told theirs (redis-server) or must come back on it.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the ports that the kernel gives to outgoing connections (32768 on), so that nobody takes one between its reservation and
/// its use, or while its server is down.
const FIRST: u16 = 15_000;
const COUNT: u16 = 17_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port on loopback that nobody listens on, and that this process gives to nobody else.
pub(crate) fn free() -> u16 {
    // Two runs of the suite on one machine begin at different places.
    let offset = u16::try_from(std::process::id().wrapping_mul(977) % u32::from(COUNT)).unwrap();
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + offset.wrapping_add(step) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}
