//! Checksums of TCP and UDP: verified in what is received, filled into what is sent.

use core::net::IpAddr;

use smoltcp::wire::checksum;

use super::classify::{Packet, u16_at};

const TCP: u8 = 6;
const UDP: u8 = 17;

/// The ones'-complement sum of `data` added to `initial`, neither folded nor complemented.
pub(super) fn sum(data: &[u8], initial: u32) -> u32 {
    add(initial, u32::from(checksum::data(data)))
}

fn add(one: u32, two: u32) -> u32 {
    let (sum, carry) = one.overflowing_add(two);
    sum + u32::from(carry)
}

/// A sum in 16 bits.
pub(super) fn fold(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    ((once & 0xffff) + (once >> 16)) as u16
}

/// The sum of the pseudo header before `length` bytes of TCP, UDP or ICMPv6.
pub(super) fn pseudo_header(
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    length: usize,
) -> u32 {
    let address = |ip: IpAddr, initial| match ip {
        IpAddr::V4(v4) => sum(&v4.octets(), initial),
        IpAddr::V6(v6) => sum(&v6.octets(), initial),
    };
    let addresses = address(destination, address(source, 0));
    add(addresses, u32::from(protocol) + length as u32)
}

/// Where a protocol's checksum field is, in its header.
pub(super) fn field(protocol: u8) -> Option<usize> {
    match protocol {
        TCP => Some(16),
        UDP => Some(6),
        _ => None,
    }
}

/// Whether the checksum of a whole TCP or UDP packet is right.
pub(super) fn is_right(frame: &[u8], packet: &Packet) -> bool {
    let Some(data) = frame.get(packet.payload..packet.end) else {
        return false;
    };
    let data = match packet.protocol {
        // UDP has a length of its own, and none of its sum's in IPv4 means none.
        UDP => {
            if u16_at(data, 6) == Some(0) {
                return packet.source.is_ipv4();
            }
            let length = u16_at(data, 4).map_or(0, usize::from);
            let Some(data) = data.get(..length) else {
                return false;
            };
            data
        }
        _ => data,
    };
    let pseudo = pseudo_header(
        packet.source,
        packet.destination,
        packet.protocol,
        data.len(),
    );
    fold(sum(data, pseudo)) == 0xffff
}

/// What goes into a checksum's field.
pub(super) fn finished(protocol: u8, sum: u32) -> u16 {
    match !fold(sum) {
        0 if protocol == UDP => 0xffff,
        other => other,
    }
}
