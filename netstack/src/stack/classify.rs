//! What a received frame is, found out by looking at a few fields in place.
//!
//! smoltcp parses and judges each packet; this only finds out whose it is. So it refuses what
//! it cannot read, and lets through what may still be wrong.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of an Ethernet header.
pub(super) const ETHERNET: usize = 14;

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const HOP_BY_HOP: u8 = 0;
const IGMP: u8 = 2;
const ICMPV6: u8 = 58;
const FRAGMENT_V6: u8 = 44;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A whole TCP segment.
    Tcp(Packet, Segment),
    /// A whole UDP datagram.
    Udp(Packet, Ports),
    /// An ICMP or ICMPv6 message.
    Icmp(Packet),
    /// A piece of an IPv4 or IPv6 packet.
    Fragment(Packet),
    /// An IGMP message.
    Igmp(Packet),
    /// Something of ARP.
    Arp,
    /// IP that is none of these.
    OtherIp,
    /// IPv6 with options for each hop, before something else.
    HopByHop(Packet),
    /// Not for this stack.
    Foreign,
    /// Cannot be read, or comes from where nobody can be.
    Malformed,
}

/// An IP packet in a frame. Offsets are from the frame's beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet {
    pub source: IpAddr,
    pub destination: IpAddr,
    /// The next protocol's number.
    pub protocol: u8,
    /// Where its IP header begins.
    pub ip: usize,
    /// Where what IP carries begins.
    pub payload: usize,
    /// Where the packet ends. The frame may have padding after that.
    pub end: usize,
}

/// TCP's or UDP's ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ports {
    pub source: u16,
    pub destination: u16,
}

/// What matters of a TCP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub ports: Ports,
    pub sequence: u32,
    pub acknowledged: u32,
    /// Sequence numbers it takes: payload, SYN and FIN.
    pub length: u32,
    pub flags: Flags,
    /// The window, not scaled.
    pub window: u16,
    /// Where its payload begins, from the frame's beginning on.
    pub payload: usize,
}

/// TCP's flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flags(u8);

impl Flags {
    const FIN: u8 = 1;
    const SYN: u8 = 2;
    const RST: u8 = 4;
    const ACK: u8 = 16;

    /// Whether it only says where its sender is: an acknowledgement, or an RST with one.
    pub fn is_position(self) -> bool {
        self.0 & (Self::SYN | Self::FIN | Self::ACK) == Self::ACK
    }

    /// Whether it says what has arrived at its sender.
    pub fn acknowledges(self) -> bool {
        self.0 & (Self::RST | Self::ACK) == Self::ACK
    }

    pub fn is_reset(self) -> bool {
        self.0 & Self::RST != 0
    }

    /// Whether it asks for a new connection.
    pub fn is_opening(self) -> bool {
        self.0 & (Self::SYN | Self::ACK | Self::RST | Self::FIN) == Self::SYN
    }
}

/// Classifies an Ethernet frame.
pub(super) fn ethernet(frame: &[u8]) -> Frame {
    match u16_at(frame, 12) {
        Some(0x0800 | 0x86dd) => ip(frame, ETHERNET),
        Some(0x0806) => Frame::Arp,
        Some(_) => Frame::Foreign,
        None => Frame::Malformed,
    }
}

/// Classifies a frame with an IP packet from byte `start` on.
pub(super) fn ip(frame: &[u8], start: usize) -> Frame {
    let version = frame.get(start).map(|byte| byte >> 4);
    let packet = match version {
        Some(4) => ipv4(frame, start),
        Some(6) => ipv6(frame, start),
        _ => None,
    };
    let Some((packet, piece)) = packet else {
        return Frame::Malformed;
    };
    if piece {
        return Frame::Fragment(packet);
    }
    let read = match packet.protocol {
        TCP => tcp(frame, &packet).map(|segment| Frame::Tcp(packet, segment)),
        UDP => udp(frame, &packet).map(|ports| Frame::Udp(packet, ports)),
        ICMP if packet.source.is_ipv4() => Some(Frame::Icmp(packet)),
        ICMPV6 if packet.source.is_ipv6() => Some(Frame::Icmp(packet)),
        IGMP if packet.source.is_ipv4() => Some(Frame::Igmp(packet)),
        HOP_BY_HOP if packet.source.is_ipv6() => Some(Frame::HopByHop(packet)),
        _ => Some(Frame::OtherIp),
    };
    read.unwrap_or(Frame::Malformed)
}

/// The packet, and whether it is a piece of one.
fn ipv4(frame: &[u8], start: usize) -> Option<(Packet, bool)> {
    let packet = ipv4_header(frame, start)?;
    let piece = u16_at(frame, start + 6)? & 0x3fff != 0;
    (packet.end <= frame.len()).then_some((packet, piece))
}

/// What an IPv4 header says. The packet may go on after the frame's end.
pub(super) fn ipv4_header(frame: &[u8], start: usize) -> Option<Packet> {
    let header = frame.get(start..start + 20)?;
    let words = usize::from(header[0] & 15);
    let length = usize::from(u16_at(header, 2)?);
    if words < 5 || length < 4 * words {
        return None;
    }
    let address = |at: usize| -> IpAddr {
        Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]).into()
    };
    Some(Packet {
        source: address(12),
        destination: address(16),
        protocol: header[9],
        ip: start,
        payload: start + 4 * words,
        end: start + length,
    })
}

fn ipv6(frame: &[u8], start: usize) -> Option<(Packet, bool)> {
    let packet = ipv6_header(frame, start)?;
    let piece = packet.protocol == FRAGMENT_V6;
    (packet.end <= frame.len()).then_some((packet, piece))
}

/// What an IPv6 header says. The packet may go on after the frame's end.
pub(super) fn ipv6_header(frame: &[u8], start: usize) -> Option<Packet> {
    let header: &[u8; 40] = frame.get(start..start + 40)?.try_into().ok()?;
    let address = |at: usize| -> Option<Ipv6Addr> {
        let octets: [u8; 16] = header[at..at + 16].try_into().ok()?;
        let address = Ipv6Addr::from(octets);
        // A mapped address on the wire pretends to be of IPv4.
        address.to_ipv4_mapped().is_none().then_some(address)
    };
    Some(Packet {
        source: address(8)?.into(),
        destination: address(24)?.into(),
        protocol: header[6],
        ip: start,
        payload: start + 40,
        end: start + 40 + usize::from(u16_at(header, 4)?),
    })
}

fn tcp(frame: &[u8], packet: &Packet) -> Option<Segment> {
    let header = frame.get(packet.payload..packet.end)?;
    if header.len() < 20 {
        return None;
    }
    let length = 4 * usize::from(header[12] >> 4);
    let flags = header[13];
    let payload = header.len().checked_sub(length)?;
    (length >= 20).then_some(Segment {
        ports: ports(header)?,
        sequence: u32_at(header, 4)?,
        acknowledged: u32_at(header, 8)?,
        length: payload as u32 + u32::from(flags & Flags::SYN != 0) + u32::from(flags & Flags::FIN),
        flags: Flags(flags),
        window: u16_at(header, 14)?,
        payload: packet.payload + length,
    })
}

fn udp(frame: &[u8], packet: &Packet) -> Option<Ports> {
    let header = frame.get(packet.payload..packet.end)?;
    let length = usize::from(u16_at(header, 4)?);
    if length < 8 || length > header.len() {
        return None;
    }
    ports(header)
}

/// The ports at the beginning of a TCP or UDP header.
pub(super) fn ports(header: &[u8]) -> Option<Ports> {
    Some(Ports {
        source: u16_at(header, 0)?,
        destination: u16_at(header, 2)?,
    })
}

/// The number of two bytes from `at` on.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}

/// The number of four bytes from `at` on.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    Some(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
}
