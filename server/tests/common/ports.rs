//! Free ports of the loopback interface.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range from which systems take the ports of outgoing connections, so that a client of another test cannot
/// sit on a port between its choice and its use.
const FIRST: u16 = 11_000;
const LAST: u16 = 31_000;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port that nobody listens on. Test programs that run at the same time begin at different places; a server whose
/// port is taken nevertheless is started again with another.
pub(crate) fn free() -> u16 {
    let span = u32::from(LAST - FIRST);
    let begin = (std::process::id().wrapping_mul(7919)) % span;
    for _ in 0..span {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = FIRST + ((begin + step) % span) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between {FIRST} and {LAST}");
}
