//! Asking for a neighbour's hardware address: ARP requests and neighbour solicitations.

use core::net::IpAddr;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    Icmpv6Packet, Icmpv6Repr, IpProtocol, Ipv6Address, Ipv6Packet, Ipv6Repr, NdiscRepr,
};

use super::classify::ETHERNET;
use crate::nic::{Transmit, TxOffload};

/// Sends one question. There has to be room.
pub(super) fn send(
    transmit: &mut dyn Transmit,
    mac: EthernetAddress,
    source: IpAddr,
    target: IpAddr,
) {
    match (source, target) {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            let question = ArpRepr::EthernetIpv4 {
                operation: ArpOperation::Request,
                source_hardware_addr: mac,
                source_protocol_addr: source,
                target_hardware_addr: EthernetAddress::BROADCAST,
                target_protocol_addr: target,
            };
            transmit.send(ETHERNET + question.buffer_len(), &mut |bytes| {
                let mut frame = EthernetFrame::new_unchecked(bytes);
                frame.set_src_addr(mac);
                frame.set_dst_addr(EthernetAddress::BROADCAST);
                frame.set_ethertype(EthernetProtocol::Arp);
                question.emit(&mut ArpPacket::new_unchecked(frame.payload_mut()));
                TxOffload::default()
            });
        }
        (IpAddr::V6(source), IpAddr::V6(target)) => {
            let question = Icmpv6Repr::Ndisc(NdiscRepr::NeighborSolicit {
                target_addr: target,
                lladdr: Some(mac.into()),
            });
            send_icmpv6(transmit, mac, source, solicited_node(target), &question);
        }
        _ => {}
    }
}

/// Sends an ICMPv6 message to a group on the link. There has to be room.
pub(super) fn send_icmpv6(
    transmit: &mut dyn Transmit,
    mac: EthernetAddress,
    source: Ipv6Address,
    group: Ipv6Address,
    message: &Icmpv6Repr<'_>,
) {
    let header = Ipv6Repr {
        src_addr: source,
        dst_addr: group,
        next_header: IpProtocol::Icmpv6,
        payload_len: message.buffer_len(),
        hop_limit: 255,
    };
    let length = ETHERNET + header.buffer_len() + message.buffer_len();
    transmit.send(length, &mut |bytes| {
        let octets = group.octets();
        let mut frame = EthernetFrame::new_unchecked(bytes);
        frame.set_src_addr(mac);
        frame.set_dst_addr(EthernetAddress([
            0x33, 0x33, octets[12], octets[13], octets[14], octets[15],
        ]));
        frame.set_ethertype(EthernetProtocol::Ipv6);
        let mut packet = Ipv6Packet::new_unchecked(frame.payload_mut());
        header.emit(&mut packet);
        message.emit(
            &header.src_addr,
            &header.dst_addr,
            &mut Icmpv6Packet::new_unchecked(packet.payload_mut()),
            &ChecksumCapabilities::default(),
        );
        TxOffload::default()
    });
}

/// The group in which a node with that address is.
fn solicited_node(target: Ipv6Address) -> Ipv6Address {
    let [.., high, low] = target.segments();
    Ipv6Address::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | (high & 0xff), low)
}
