//! A machine that serves: it has addresses, and answers who asks for them.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use darner_netstack::Nanos;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    Icmpv4DstUnreachable, Icmpv4Repr, Icmpv6Packet, Icmpv6Repr, IpProtocol, Ipv4Packet, Ipv4Repr,
    Ipv6Packet, NdiscNeighborFlags, NdiscRepr, UdpPacket,
};

use super::dhcp::DhcpServer;
use super::names::NameServer;
use super::router::Router;
use crate::sim::Peer;
use crate::sim::frames::{self, BROADCAST, Mac};

/// A machine, and what it does for others.
pub struct Machine {
    pub mac: Mac,
    pub v4: Ipv4Addr,
    /// Link-local.
    pub v6: Ipv6Addr,
    pub dhcp: Option<DhcpServer>,
    pub names: Option<NameServer>,
    pub router: Option<Router>,
    /// What it says of packets that are for elsewhere; `None`: nothing.
    pub unreachable: Option<Icmpv4DstUnreachable>,
}

impl Machine {
    /// The `number`th, which does nothing but say who it is.
    pub fn new(number: u8, v4: Ipv4Addr) -> Self {
        Self {
            mac: [2, 0, 0, 0, 1, number],
            v4,
            v6: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, number.into()),
            dhcp: None,
            names: None,
            router: None,
            unreachable: None,
        }
    }

    fn arp(&self, payload: &[u8], out: &mut Vec<Vec<u8>>) -> Option<()> {
        let ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Request,
            source_hardware_addr,
            source_protocol_addr,
            target_protocol_addr,
            ..
        } = ArpRepr::parse(&ArpPacket::new_checked(payload).ok()?).ok()?
        else {
            return None;
        };
        if target_protocol_addr == self.v4 {
            let asker = (source_hardware_addr.0, source_protocol_addr);
            out.push(frames::arp(ArpOperation::Reply, (self.mac, self.v4), asker));
        }
        Some(())
    }

    fn ipv4(&mut self, from: Mac, packet: &[u8], now: Nanos, out: &mut Vec<Vec<u8>>) -> Option<()> {
        let ip = Ipv4Packet::new_checked(packet).ok()?;
        let (source, destination) = (ip.src_addr(), ip.dst_addr());
        if destination != self.v4 && !destination.is_broadcast() {
            self.elsewhere(from, &ip, out);
            return None;
        }
        if ip.next_header() != IpProtocol::Udp || ip.more_frags() || ip.frag_offset() > 0 {
            return None;
        }
        let udp = UdpPacket::new_checked(ip.payload()).ok()?;
        match udp.dst_port() {
            67 => {
                let server = (self.mac, self.v4);
                out.extend(self.dhcp.as_mut()?.answer(server, udp.payload(), now));
            }
            53 => {
                let payload = self.names.as_mut()?.answer(udp.payload())?;
                let here = SocketAddr::new(self.v4.into(), 53);
                let there = SocketAddr::new(source.into(), udp.src_port());
                let packet = frames::udp(here, there, &payload);
                out.push(frames::ip_frame(self.mac, from, &packet));
            }
            _ => {}
        }
        Some(())
    }

    fn elsewhere(&self, from: Mac, ip: &Ipv4Packet<&[u8]>, out: &mut Vec<Vec<u8>>) {
        let Some(reason) = self.unreachable else {
            return;
        };
        let Ok(header) = Ipv4Repr::parse(ip, &ChecksumCapabilities::default()) else {
            return;
        };
        let repr = Icmpv4Repr::DstUnreachable {
            reason,
            header,
            data: &ip.payload()[..ip.payload().len().min(8)],
        };
        let packet = frames::icmpv4(self.v4, ip.src_addr(), &repr);
        out.push(frames::ip_frame(self.mac, from, &packet));
    }

    fn ipv6(&mut self, from: Mac, packet: &[u8], now: Nanos, out: &mut Vec<Vec<u8>>) -> Option<()> {
        let ip = Ipv6Packet::new_checked(packet).ok()?;
        let (source, destination) = (ip.src_addr(), ip.dst_addr());
        if ip.next_header() != IpProtocol::Icmpv6 {
            return None;
        }
        let icmp = Icmpv6Packet::new_checked(ip.payload()).ok()?;
        let checksums = ChecksumCapabilities::default();
        let Icmpv6Repr::Ndisc(message) =
            Icmpv6Repr::parse(&source, &destination, &icmp, &checksums).ok()?
        else {
            return None;
        };
        match message {
            NdiscRepr::NeighborSolicit { target_addr, .. } if target_addr == self.v6 => {
                if source.is_unspecified() {
                    return None;
                }
                let answer = Icmpv6Repr::Ndisc(NdiscRepr::NeighborAdvert {
                    flags: NdiscNeighborFlags::SOLICITED | NdiscNeighborFlags::OVERRIDE,
                    target_addr,
                    lladdr: Some(EthernetAddress(self.mac).into()),
                });
                let packet = frames::icmpv6(self.v6, source, &answer);
                out.push(frames::ip_frame(self.mac, from, &packet));
            }
            NdiscRepr::RouterSolicit { .. } => {
                out.extend(self.router.as_mut()?.asked((self.mac, self.v6), now));
            }
            _ => {}
        }
        Some(())
    }
}

impl Peer for Machine {
    fn receive(&mut self, frame: &[u8], now: Nanos, out: &mut Vec<Vec<u8>>) {
        let Ok(ethernet) = EthernetFrame::new_checked(frame) else {
            return;
        };
        let destination = ethernet.dst_addr();
        if destination.0 != self.mac && destination.0 != BROADCAST && !destination.is_multicast() {
            return;
        }
        let from = ethernet.src_addr().0;
        let payload = ethernet.payload();
        let _ = match ethernet.ethertype() {
            EthernetProtocol::Arp => self.arp(payload, out),
            EthernetProtocol::Ipv4 => self.ipv4(from, payload, now, out),
            EthernetProtocol::Ipv6 => self.ipv6(from, payload, now, out),
            _ => None,
        };
    }

    fn deadline(&self) -> Option<Nanos> {
        self.router.as_ref().and_then(Router::deadline)
    }

    fn wake(&mut self, now: Nanos, out: &mut Vec<Vec<u8>>) {
        if let Some(router) = &mut self.router {
            out.extend(router.due((self.mac, self.v6), now));
        }
    }
}
