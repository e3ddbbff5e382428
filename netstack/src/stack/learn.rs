//! What smoltcp learns from a received frame, and does not tell.
//!
//! A neighbour's hardware address is learnt under the conditions under which smoltcp keeps it.

use core::net::{IpAddr, Ipv4Addr};

use super::classify::{ETHERNET, Packet, u16_at};

/// From an ARP frame: the sender, and whom it is aimed at.
pub(super) fn from_arp(frame: &[u8]) -> Option<(IpAddr, IpAddr)> {
    let address = |at: usize| -> Option<IpAddr> {
        let octets: [u8; 4] = frame
            .get(ETHERNET + at..ETHERNET + at + 4)?
            .try_into()
            .ok()?;
        Some(Ipv4Addr::from(octets).into())
    };
    matches!(u16_at(frame, ETHERNET + 6)?, 1 | 2).then_some(())?;
    Some((address(14)?, address(24)?))
}

/// From an ICMPv6 message that is a neighbour solicitation or advertisement.
pub(super) fn from_ndp(frame: &[u8], packet: &Packet) -> Option<IpAddr> {
    let hop_limit = *frame.get(packet.ip + 7)?;
    let message = frame.get(packet.payload..packet.end)?;
    let tells = packet.source.is_ipv6()
        && hop_limit == 255
        && matches!(message.first()?, 135 | 136)
        // The hardware address is an option after the target.
        && message.len() >= 32;
    tells.then_some(packet.source)
}

/// What is after IPv6's options for each hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Optioned {
    /// Somebody asks which groups the node is in.
    GroupQuery,
    /// Another ICMPv6 message.
    Message,
    /// Anything else.
    Other,
}

pub(super) fn after_options(frame: &[u8], packet: &Packet) -> Optioned {
    let options = frame.get(packet.payload..packet.end).unwrap_or_default();
    match *options {
        [58, eights, ..] => match options.get(8 * (1 + usize::from(eights))) {
            Some(130) => Optioned::GroupQuery,
            _ => Optioned::Message,
        },
        _ => Optioned::Other,
    }
}

/// Whether an IGMP message asks which groups the node is in.
pub(super) fn is_group_query(frame: &[u8], packet: &Packet) -> bool {
    frame.get(packet.payload) == Some(&0x11)
}
