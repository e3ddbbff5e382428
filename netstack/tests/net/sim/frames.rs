//! Frames from their parts.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use darner_netstack::checksum::{Sum, Transport, fill};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    Icmpv4Packet, Icmpv4Repr, Icmpv6Packet, Icmpv6Repr, IpProtocol, Ipv4Packet, Ipv4Repr,
    Ipv6Packet, Ipv6Repr,
};

pub type Mac = [u8; 6];

/// All cards.
pub const BROADCAST: Mac = [0xff; 6];

pub fn ethernet(source: Mac, destination: Mac, kind: EthernetProtocol, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; EthernetFrame::<&[u8]>::buffer_len(payload.len())];
    let mut frame = EthernetFrame::new_unchecked(&mut bytes);
    frame.set_src_addr(EthernetAddress(source));
    frame.set_dst_addr(EthernetAddress(destination));
    frame.set_ethertype(kind);
    frame.payload_mut().copy_from_slice(payload);
    bytes
}

/// An IP packet in a frame.
pub fn ip_frame(source: Mac, destination: Mac, packet: &[u8]) -> Vec<u8> {
    let kind = match packet[0] >> 4 {
        4 => EthernetProtocol::Ipv4,
        _ => EthernetProtocol::Ipv6,
    };
    ethernet(source, destination, kind, packet)
}

/// An IP packet. Both addresses are of one family.
pub fn ip(
    source: IpAddr,
    destination: IpAddr,
    protocol: IpProtocol,
    hops: u8,
    payload: &[u8],
) -> Vec<u8> {
    match (source, destination) {
        (IpAddr::V4(src_addr), IpAddr::V4(dst_addr)) => {
            let repr = Ipv4Repr {
                src_addr,
                dst_addr,
                next_header: protocol,
                payload_len: payload.len(),
                hop_limit: hops,
            };
            let mut bytes = vec![0; repr.buffer_len() + payload.len()];
            let mut packet = Ipv4Packet::new_unchecked(&mut bytes);
            repr.emit(&mut packet, &ChecksumCapabilities::default());
            packet.payload_mut().copy_from_slice(payload);
            bytes
        }
        (IpAddr::V6(src_addr), IpAddr::V6(dst_addr)) => {
            let repr = Ipv6Repr {
                src_addr,
                dst_addr,
                next_header: protocol,
                payload_len: payload.len(),
                hop_limit: hops,
            };
            let mut bytes = vec![0; repr.buffer_len() + payload.len()];
            let mut packet = Ipv6Packet::new_unchecked(&mut bytes);
            repr.emit(&mut packet);
            packet.payload_mut().copy_from_slice(payload);
            bytes
        }
        _ => panic!("{source} and {destination} are of two families"),
    }
}

/// The pseudo header's sum.
pub fn pseudo(source: IpAddr, destination: IpAddr, transport: Transport, length: usize) -> Sum {
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            Sum::pseudo_v4(source, destination, transport, length as u16)
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            Sum::pseudo_v6(source, destination, transport, length as u32)
        }
        _ => panic!("{source} and {destination} are of two families"),
    }
}

/// A UDP datagram in an IP packet.
pub fn udp(source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + payload.len());
    bytes.extend(source.port().to_be_bytes());
    bytes.extend(destination.port().to_be_bytes());
    bytes.extend(((8 + payload.len()) as u16).to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(payload);
    let sum = pseudo(source.ip(), destination.ip(), Transport::Udp, bytes.len());
    fill(sum, Transport::Udp, &mut bytes);
    ip(source.ip(), destination.ip(), IpProtocol::Udp, 64, &bytes)
}

/// An ICMP message in an IPv4 packet.
pub fn icmpv4(source: Ipv4Addr, destination: Ipv4Addr, repr: &Icmpv4Repr<'_>) -> Vec<u8> {
    let mut bytes = vec![0; repr.buffer_len()];
    let mut packet = Icmpv4Packet::new_unchecked(&mut bytes);
    repr.emit(&mut packet, &ChecksumCapabilities::default());
    ip(
        source.into(),
        destination.into(),
        IpProtocol::Icmp,
        64,
        &bytes,
    )
}

/// An ICMPv6 message in an IPv6 packet.
pub fn icmpv6(source: Ipv6Addr, destination: Ipv6Addr, repr: &Icmpv6Repr<'_>) -> Vec<u8> {
    let mut bytes = vec![0; repr.buffer_len()];
    let mut packet = Icmpv6Packet::new_unchecked(&mut bytes);
    let checksums = ChecksumCapabilities::default();
    repr.emit(&source, &destination, &mut packet, &checksums);
    // Of neighbours' messages, others are not believed.
    ip(
        source.into(),
        destination.into(),
        IpProtocol::Icmpv6,
        255,
        &bytes,
    )
}

/// Who `source` is, told to `destination`.
pub fn arp(
    operation: ArpOperation,
    (source, source_ip): (Mac, Ipv4Addr),
    (destination, destination_ip): (Mac, Ipv4Addr),
) -> Vec<u8> {
    let repr = ArpRepr::EthernetIpv4 {
        operation,
        source_hardware_addr: EthernetAddress(source),
        source_protocol_addr: source_ip,
        target_hardware_addr: EthernetAddress(destination),
        target_protocol_addr: destination_ip,
    };
    let mut bytes = vec![0; repr.buffer_len()];
    repr.emit(&mut ArpPacket::new_unchecked(&mut bytes));
    ethernet(source, destination, EthernetProtocol::Arp, &bytes)
}
