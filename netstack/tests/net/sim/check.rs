//! Whether frames are as they have to be.

use darner_netstack::checksum::{Absent, Sum, Transport, verify};
use smoltcp::wire::{
    ArpPacket, ArpRepr, EthernetFrame, EthernetProtocol, Icmpv4Packet, Icmpv6Packet, IpProtocol,
    Ipv4Packet, Ipv6Packet, TcpPacket, UdpPacket,
};

use super::offload::ETHERNET;

/// Looks at a frame that a stack has sent.
///
/// # Panics
/// When it could not be received by others.
pub fn frame(bytes: &[u8], mtu: u16) {
    if let Err(problem) = examine(bytes, mtu) {
        panic!("a frame was sent {problem}: {bytes:02x?}");
    }
}

fn examine(bytes: &[u8], mtu: u16) -> Result<(), &'static str> {
    let ethernet = EthernetFrame::new_checked(bytes).map_err(|_| "without Ethernet header")?;
    ensure(
        bytes.len() <= ETHERNET + usize::from(mtu),
        "larger than the MTU",
    )?;
    ensure(ethernet.src_addr().is_unicast(), "from a group")?;
    match ethernet.ethertype() {
        EthernetProtocol::Arp => arp(ethernet.payload()),
        EthernetProtocol::Ipv4 => ipv4(bytes, ethernet.payload()),
        EthernetProtocol::Ipv6 => ipv6(bytes, ethernet.payload()),
        _ => Err("of an unknown kind"),
    }
}

fn arp(payload: &[u8]) -> Result<(), &'static str> {
    let packet = ArpPacket::new_checked(payload).map_err(|_| "with a short ARP packet")?;
    ArpRepr::parse(&packet).map_err(|_| "with a bad ARP packet")?;
    Ok(())
}

fn ipv4(frame: &[u8], payload: &[u8]) -> Result<(), &'static str> {
    let ip = Ipv4Packet::new_checked(payload).map_err(|_| "with a bad IPv4 header")?;
    ensure(ip.verify_checksum(), "with a wrong IPv4 checksum")?;
    ensure(ip.hop_limit() > 0, "that must not go anywhere")?;
    ensure(
        usize::from(ip.total_len()) == payload.len(),
        "with bytes after it",
    )?;
    if ip.more_frags() || ip.frag_offset() > 0 {
        return ensure(
            !ip.more_frags() || ip.payload().len().is_multiple_of(8),
            "in pieces of odd lengths",
        );
    }
    match ip.next_header() {
        IpProtocol::Icmp => {
            let icmp = Icmpv4Packet::new_checked(ip.payload()).map_err(|_| "with bad ICMP")?;
            ensure(icmp.verify_checksum(), "with a wrong ICMP checksum")
        }
        IpProtocol::Igmp => ensure(
            Sum::new().with(ip.payload()).fold() == 0xffff,
            "with a wrong IGMP checksum",
        ),
        _ => transport(frame),
    }
}

fn ipv6(frame: &[u8], payload: &[u8]) -> Result<(), &'static str> {
    let ip = Ipv6Packet::new_checked(payload).map_err(|_| "with a bad IPv6 header")?;
    ensure(ip.total_len() == payload.len(), "with bytes after it")?;
    match ip.next_header() {
        IpProtocol::Icmpv6 => {
            let icmp = Icmpv6Packet::new_checked(ip.payload()).map_err(|_| "with bad ICMPv6")?;
            ensure(
                icmp.verify_checksum(&ip.src_addr(), &ip.dst_addr()),
                "with a wrong ICMPv6 checksum",
            )
        }
        // Multicast listener reports come after a header of options; pieces after theirs.
        IpProtocol::HopByHop | IpProtocol::Ipv6Frag => Ok(()),
        _ => transport(frame),
    }
}

fn transport(frame: &[u8]) -> Result<(), &'static str> {
    let (_, transport, start) = pseudo_header(frame).ok_or("of an unknown transport")?;
    match transport {
        Transport::Tcp => TcpPacket::new_checked(&frame[start..])
            .map(drop)
            .map_err(|_| "with a bad TCP header")?,
        Transport::Udp => UdpPacket::new_checked(&frame[start..])
            .map(drop)
            .map_err(|_| "with a bad UDP header")?,
    }
    ensure(
        transport_is_right(frame),
        "with a wrong TCP or UDP checksum",
    )
}

/// Whether a frame has TCP or UDP in it whose checksum is right.
pub fn transport_is_right(frame: &[u8]) -> bool {
    let Some((pseudo, transport, start)) = pseudo_header(frame) else {
        return false;
    };
    let end = packet_end(frame);
    verify(pseudo, transport, Absent::Refused, &frame[start..end])
}

/// The sum of the pseudo header, whose it is, and where that begins; `None`: neither TCP
/// nor UDP, or in pieces, or too short.
pub fn pseudo_header(frame: &[u8]) -> Option<(Sum, Transport, usize)> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    match ethernet.ethertype() {
        EthernetProtocol::Ipv4 => {
            let ip = Ipv4Packet::new_checked(ethernet.payload()).ok()?;
            if ip.more_frags() || ip.frag_offset() > 0 {
                return None;
            }
            let transport = known(ip.next_header())?;
            let length = ip.payload().len() as u16;
            let sum = Sum::pseudo_v4(ip.src_addr(), ip.dst_addr(), transport, length);
            Some((sum, transport, ETHERNET + usize::from(ip.header_len())))
        }
        EthernetProtocol::Ipv6 => {
            let ip = Ipv6Packet::new_checked(ethernet.payload()).ok()?;
            let transport = known(ip.next_header())?;
            let length = u32::from(ip.payload_len());
            let sum = Sum::pseudo_v6(ip.src_addr(), ip.dst_addr(), transport, length);
            Some((sum, transport, ETHERNET + 40))
        }
        _ => None,
    }
}

/// Where the IP packet ends: small ones have padding behind them.
fn packet_end(frame: &[u8]) -> usize {
    let payload = &frame[ETHERNET..];
    ETHERNET
        + match payload[0] >> 4 {
            4 => usize::from(u16::from_be_bytes([payload[2], payload[3]])),
            _ => 40 + usize::from(u16::from_be_bytes([payload[4], payload[5]])),
        }
}

fn known(protocol: IpProtocol) -> Option<Transport> {
    match protocol {
        IpProtocol::Tcp => Some(Transport::Tcp),
        IpProtocol::Udp => Some(Transport::Udp),
        _ => None,
    }
}

fn ensure(holds: bool, otherwise: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(otherwise) }
}
