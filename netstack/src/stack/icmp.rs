//! What routers and hosts say of packets that did not arrive.

use core::net::{IpAddr, SocketAddr};

use super::classify::{self, Packet, u32_at};
use crate::error::Error;

const TCP: u8 = 6;
const UDP: u8 = 17;
/// Bytes before the packet that a message is about.
const HEADER: usize = 8;

/// A packet of this node's did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub what: What,
    pub error: Error,
}

/// What the packet was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A TCP segment with that sequence number.
    Segment(u32),
    Datagram,
}

/// What a message says, if it is one of destinations that cannot be reached.
pub(super) fn refusal(frame: &[u8], packet: &Packet) -> Option<Refusal> {
    let message = frame.get(packet.payload..packet.end)?;
    let v6 = packet.source.is_ipv6();
    let error = reason(v6, *message.first()?, *message.get(1)?)?;
    let (source, destination, protocol, header) = original(message.get(HEADER..)?)?;
    if source.is_ipv6() != v6 || source != packet.destination {
        return None;
    }
    let ports = classify::ports(header)?;
    Some(Refusal {
        local: SocketAddr::new(source, ports.source),
        remote: SocketAddr::new(destination, ports.destination),
        what: match protocol {
            TCP => What::Segment(u32_at(header, 4)?),
            UDP => What::Datagram,
            _ => return None,
        },
        error,
    })
}

/// RFC 792 and RFC 4443. What a path's MTU is too small for is not lost for good.
fn reason(v6: bool, kind: u8, code: u8) -> Option<Error> {
    Some(match (v6, kind, code) {
        (false, 3, 4) => return None,
        (false, 3, 0 | 6 | 9 | 11) | (true, 1, 0) => Error::NetworkUnreachable,
        (false, 3, 2 | 3) | (true, 1, 4) => Error::ConnectionRefused,
        (false, 3, _) | (true, 1, _) => Error::HostUnreachable,
        _ => return None,
    })
}

/// The beginning of a packet that a message is about: its addresses, protocol, and at least
/// eight bytes of what it carried. More may have been cut off.
fn original(bytes: &[u8]) -> Option<(IpAddr, IpAddr, u8, &[u8])> {
    let packet = match bytes.first()? >> 4 {
        4 => classify::ipv4_header(bytes, 0)?,
        6 => classify::ipv6_header(bytes, 0)?,
        _ => return None,
    };
    let carried = bytes.get(packet.payload..)?;
    (carried.len() >= 8).then_some((packet.source, packet.destination, packet.protocol, carried))
}
