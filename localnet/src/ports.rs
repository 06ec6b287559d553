//! Finding free ports on 127.0.0.1 and saying which one is taken.

use std::{
    net::{Ipv4Addr, TcpListener, UdpSocket},
    process,
    sync::atomic::{AtomicU16, Ordering},
    time::SystemTime,
};

use crate::LocalnetError;

/// Below the range from which systems give out ports of their own (32768 and up on Linux), so that no outgoing
/// connection takes a port between its choice and its use.
const FIRST: u16 = 12_000;
const LAST: u16 = 31_000;

/// Checks that a TCP port is free now.
///
/// # Errors
/// [`LocalnetError::PortTaken`].
pub fn check(port: u16) -> Result<(), LocalnetError> {
    if tcp_free(port) { Ok(()) } else { Err(LocalnetError::PortTaken { port }) }
}

/// The first of `count` consecutive ports that are free for TCP and UDP now. Searches from a place that differs
/// between processes and calls, so that chains which start at the same time don't meet.
///
/// # Errors
/// [`LocalnetError::NoPorts`].
pub fn free_block(count: u16) -> Result<u16, LocalnetError> {
    static CALLS: AtomicU16 = AtomicU16::new(0);
    let call = u32::from(CALLS.fetch_add(1, Ordering::Relaxed));
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |age| age.subsec_micros());
    let blocks = u32::from(LAST.saturating_sub(FIRST)).checked_div(u32::from(count)).unwrap_or(0);
    let start = process::id().wrapping_mul(2_654_435_761).wrapping_add(clock).wrapping_add(call.wrapping_mul(7));
    for step in 0..blocks {
        let Some(index) = start.wrapping_add(step).checked_rem(blocks) else { break };
        let offset = index.saturating_mul(u32::from(count));
        let Ok(first) = u16::try_from(u32::from(FIRST).saturating_add(offset)) else { continue };
        if (first..first.saturating_add(count)).all(|port| tcp_free(port) && udp_free(port)) {
            return Ok(first);
        }
    }
    Err(LocalnetError::NoPorts)
}

fn tcp_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn udp_free(port: u16) -> bool {
    UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_block_holds_no_taken_port() {
        let first = free_block(4).unwrap();
        let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, first)).unwrap();
        assert!(matches!(check(first), Err(LocalnetError::PortTaken { port }) if port == first));
        for _ in 0..50 {
            let other = free_block(4).unwrap();
            assert!(!(other..other + 4).contains(&first));
        }
    }
}
