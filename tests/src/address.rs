//! A loopback address of one's own, so that parallel tests never meet on a port.

use std::{
    net::Ipv4Addr,
    process,
    sync::atomic::{AtomicU8, Ordering},
};

/// A loopback address that no other test uses: all of 127.0.0.0/8 is this machine's. The last two octets are the process's,
/// the second counts within it.
pub fn own_address() -> Ipv4Addr {
    static NEXT: AtomicU8 = AtomicU8::new(1);
    let second = NEXT.fetch_add(1, Ordering::Relaxed).max(1);
    let [_, _, high, low] = process::id().to_be_bytes();
    Ipv4Addr::new(127, second, high, low.clamp(1, 254))
}
