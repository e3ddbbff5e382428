//! Frames of all kinds, as an attacker makes them from what it has heard.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use fastrand::Rng;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::time::Duration;
use smoltcp::wire::{
    ArpOperation, DhcpMessageType, DhcpPacket, DhcpRepr, EthernetAddress, EthernetProtocol,
    Icmpv4DstUnreachable, Icmpv4Repr, Icmpv4TimeExceeded, Icmpv6DstUnreachable, Icmpv6ParamProblem,
    Icmpv6Repr, Icmpv6TimeExceeded, IpProtocol, Ipv4Packet, Ipv4Repr, Ipv6Packet, Ipv6Repr,
    NdiscNeighborFlags, NdiscPrefixInfoFlags, NdiscPrefixInformation, NdiscRepr, NdiscRouterFlags,
    TcpPacket, TcpSeqNumber, UdpPacket,
};

use super::{ATTACKER, Heard, TARGET, mutate};
use crate::sim::card::CardOptions;
use crate::sim::frames::{self, BROADCAST, Mac};
use crate::sim::offload::ETHERNET;
use crate::sim::pair::{v4, v6};

/// Makes one frame.
pub struct Builder<'a> {
    pub rng: &'a mut Rng,
    pub heard: &'a Heard,
    /// Which of the host's cards it is for.
    pub card: usize,
}

impl Builder<'_> {
    pub fn frame(mut self) -> Vec<u8> {
        let mut frame = self.right();
        if self.rng.u8(..4) > 0 {
            let other = self.remembered().unwrap_or_else(|| frame.clone());
            for _ in 0..self.rng.usize(1..4) {
                mutate::once(&mut frame, &other, self.rng);
            }
            if self.rng.u8(..3) > 0 {
                mutate::mend(&mut frame);
            }
        }
        // What arrives at a card has a header.
        if frame.len() < ETHERNET && self.rng.u8(..16) > 0 {
            frame.resize(ETHERNET, 0);
        }
        frame
    }

    fn right(&mut self) -> Vec<u8> {
        match self.rng.u8(..20) {
            0..5 => self.remembered(),
            5 => Some(self.arp()),
            6 => Some(self.udp()),
            7..10 => Some(self.tcp()),
            10 => self.icmpv4(),
            11 => self.icmpv6(),
            12 => Some(self.neighbour()),
            13 => Some(self.fragment_v4()),
            14 => Some(self.fragment_v6()),
            15 => Some(self.options_v4()),
            16 => Some(self.extensions_v6()),
            17 => self.dhcp(),
            18 => self.dns(),
            _ => Some(self.noise()),
        }
        .unwrap_or_else(|| self.tcp())
    }

    fn own_mac(&self) -> Mac {
        CardOptions::plain(ATTACKER).mac
    }

    fn mac(&self) -> Mac {
        CardOptions::plain(if self.card == 0 { TARGET } else { TARGET + 100 }).mac
    }

    fn destination(&mut self) -> Mac {
        match self.rng.u8(..12) {
            0 => BROADCAST,
            1 => [0x33, 0x33, 0, 0, 0, 1],
            2 => [1, 0, 0x5e, 0, 0, 251],
            _ => self.mac(),
        }
    }

    fn in_frame(&mut self, packet: &[u8]) -> Vec<u8> {
        let destination = self.destination();
        frames::ip_frame(self.own_mac(), destination, packet)
    }

    /// Mostly the attacker's address and the host's.
    fn ends(&mut self, v6_wanted: bool) -> (IpAddr, IpAddr) {
        let number = if self.rng.u8(..16) == 0 {
            self.rng.u8(4..)
        } else {
            ATTACKER
        };
        let (source, own) = match v6_wanted {
            true => (v6(number, 0).ip(), v6(TARGET, 0).ip()),
            false => (v4(number, 0).ip(), v4(TARGET, 0).ip()),
        };
        let destination = match (v6_wanted, self.rng.u8(..16)) {
            (true, 0) => Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1).into(),
            (false, 0) => Ipv4Addr::BROADCAST.into(),
            (false, 1) => Ipv4Addr::new(224, 0, 0, 251).into(),
            (false, 2) => Ipv4Addr::new(10, 0, 0, 255).into(),
            _ => own,
        };
        (source, destination)
    }

    fn port(&mut self) -> u16 {
        match self.rng.u8(..8) {
            0 => self.rng.u16(..),
            at => [7, 80, 9, 5353, 1900, 68, 53][usize::from(at) - 1],
        }
    }

    fn bytes(&mut self, most: usize) -> Vec<u8> {
        let count = if self.rng.bool() {
            self.rng.usize(..=most)
        } else {
            self.rng.usize(..8)
        };
        (0..count.min(most)).map(|_| self.rng.u8(..)).collect()
    }

    /// Something that was on the wire, in either direction.
    fn remembered(&mut self) -> Option<Vec<u8>> {
        let of = if self.rng.u8(..4) > 0 {
            &self.heard.to
        } else {
            &self.heard.from
        };
        if of.is_empty() {
            return None;
        }
        Some(of[self.rng.usize(..of.len())].clone())
    }

    /// An IP packet that the host has sent.
    fn sent_packet(&mut self, kind: [u8; 2]) -> Option<Vec<u8>> {
        let fitting = self.heard.from.iter().filter(|frame| frame[12..14] == kind);
        let fitting: Vec<_> = fitting.collect();
        if fitting.is_empty() {
            return None;
        }
        Some(fitting[self.rng.usize(..fitting.len())][ETHERNET..].to_vec())
    }

    fn arp(&mut self) -> Vec<u8> {
        let operation = match self.rng.bool() {
            true => ArpOperation::Request,
            false => ArpOperation::Reply,
        };
        let number = self.rng.u8(..);
        let mac = [2, 0, 0, 0, 7, number];
        let target = (self.mac(), Ipv4Addr::new(10, 0, 0, TARGET));
        frames::arp(operation, (mac, Ipv4Addr::new(10, 0, 0, number)), target)
    }

    fn udp(&mut self) -> Vec<u8> {
        let of_v6 = self.rng.bool();
        let (source, destination) = self.ends(of_v6);
        let (from, to) = (self.port(), self.port());
        let payload = self.bytes(1400);
        let (from, to) = (
            SocketAddr::new(source, from),
            SocketAddr::new(destination, to),
        );
        self.in_frame(&frames::udp(from, to, &payload))
    }

    /// A segment of a connection that there is, or of none.
    fn tcp(&mut self) -> Vec<u8> {
        let of_v6 = self.rng.bool();
        let (source, destination) = self.ends(of_v6);
        let options = self.tcp_options();
        let payload = self.bytes(1400);
        let header = 20 + options.len();
        let mut bytes = vec![0; header + payload.len()];
        let live = self.sent_packet(if of_v6 { [0x86, 0xdd] } else { [8, 0] });
        let live = live.as_deref().and_then(tcp_of);
        let mut tcp = TcpPacket::new_unchecked(&mut bytes);
        let mut near = |value: i32| TcpSeqNumber(value.wrapping_add(self.rng.i32(-3000..3000)));
        match live {
            Some((ours, theirs, sequence, acknowledged)) => {
                tcp.set_src_port(theirs);
                tcp.set_dst_port(ours);
                tcp.set_seq_number(near(acknowledged));
                tcp.set_ack_number(near(sequence));
            }
            None => {
                tcp.set_src_port(self.rng.u16(1..));
                tcp.set_dst_port([7, 80][self.rng.usize(..2)]);
                tcp.set_seq_number(TcpSeqNumber(self.rng.i32(..)));
                tcp.set_ack_number(TcpSeqNumber(self.rng.i32(..)));
            }
        }
        tcp.set_header_len(header as u8);
        tcp.set_window_len([0, 1, 100, 1000, u16::MAX][self.rng.usize(..5)]);
        tcp.set_syn(self.rng.u8(..3) == 0);
        tcp.set_ack(self.rng.u8(..4) > 0);
        tcp.set_fin(self.rng.u8(..8) == 0);
        tcp.set_rst(self.rng.u8(..8) == 0);
        tcp.set_psh(self.rng.bool());
        tcp.set_urg(self.rng.u8(..16) == 0);
        bytes[20..header].copy_from_slice(&options);
        bytes[header..].copy_from_slice(&payload);
        let packet = frames::ip(source, destination, IpProtocol::Tcp, 64, &bytes);
        let mut frame = self.in_frame(&packet);
        mutate::mend(&mut frame);
        frame
    }

    fn tcp_options(&mut self) -> Vec<u8> {
        let mut options = Vec::new();
        for _ in 0..self.rng.usize(..4) {
            match self.rng.u8(..6) {
                0 => options.extend([2, 4, self.rng.u8(..8), self.rng.u8(..)]),
                1 => options.extend([3, 3, self.rng.u8(..)]),
                2 => options.extend([4, 2]),
                3 => options.extend([1]),
                4 => {
                    options.extend([8, 10]);
                    options.extend(self.rng.u64(..).to_be_bytes());
                }
                _ => {
                    options.extend([5, 10]);
                    options.extend(self.rng.u64(..).to_be_bytes());
                }
            }
        }
        options.resize(options.len().next_multiple_of(4).min(40), 0);
        options
    }

    fn icmpv4(&mut self) -> Option<Vec<u8>> {
        let (IpAddr::V4(source), IpAddr::V4(destination)) = self.ends(false) else {
            return None;
        };
        let data = self.bytes(600);
        let packet = self.sent_packet([8, 0]);
        let about = packet.as_deref().and_then(|packet| {
            let ip = Ipv4Packet::new_checked(packet).ok()?;
            let header = Ipv4Repr::parse(&ip, &ChecksumCapabilities::default()).ok()?;
            Some((header, &packet[20..]))
        });
        let (ident, seq_no) = (self.rng.u16(..), self.rng.u16(..));
        let repr = match (self.rng.u8(..4), about) {
            (0, Some((header, sent))) => Icmpv4Repr::DstUnreachable {
                reason: Icmpv4DstUnreachable::from(self.rng.u8(..16)),
                header,
                data: &sent[..sent.len().min(self.rng.usize(..64))],
            },
            (1, Some((header, sent))) => Icmpv4Repr::TimeExceeded {
                reason: Icmpv4TimeExceeded::from(self.rng.u8(..3)),
                header,
                data: &sent[..sent.len().min(8)],
            },
            (2, _) => Icmpv4Repr::EchoReply {
                ident,
                seq_no,
                data: &data,
            },
            _ => Icmpv4Repr::EchoRequest {
                ident,
                seq_no,
                data: &data,
            },
        };
        let packet = frames::icmpv4(source, destination, &repr);
        Some(self.in_frame(&packet))
    }

    fn icmpv6(&mut self) -> Option<Vec<u8>> {
        let (IpAddr::V6(source), IpAddr::V6(destination)) = self.ends(true) else {
            return None;
        };
        let data = self.bytes(600);
        let packet = self.sent_packet([0x86, 0xdd]);
        let about = packet.as_deref().and_then(|packet| {
            let header = Ipv6Repr::parse(&Ipv6Packet::new_checked(packet).ok()?).ok()?;
            Some((header, &packet[40..]))
        });
        let (ident, seq_no) = (self.rng.u16(..), self.rng.u16(..));
        let repr = match (self.rng.u8(..6), about) {
            (0, Some((header, sent))) => Icmpv6Repr::DstUnreachable {
                reason: Icmpv6DstUnreachable::from(self.rng.u8(..7)),
                header,
                data: &sent[..sent.len().min(self.rng.usize(..100))],
            },
            (1, Some((header, sent))) => Icmpv6Repr::PktTooBig {
                mtu: self.rng.u32(..3000),
                header,
                data: &sent[..sent.len().min(100)],
            },
            (2, Some((header, sent))) => Icmpv6Repr::TimeExceeded {
                reason: Icmpv6TimeExceeded::from(self.rng.u8(..2)),
                header,
                data: &sent[..sent.len().min(100)],
            },
            (3, Some((header, sent))) => Icmpv6Repr::ParamProblem {
                reason: Icmpv6ParamProblem::from(self.rng.u8(..3)),
                pointer: self.rng.u32(..100),
                header,
                data: &sent[..sent.len().min(100)],
            },
            (4, _) => Icmpv6Repr::EchoReply {
                ident,
                seq_no,
                data: &data,
            },
            _ => Icmpv6Repr::EchoRequest {
                ident,
                seq_no,
                data: &data,
            },
        };
        let packet = frames::icmpv6(source, destination, &repr);
        Some(self.in_frame(&packet))
    }

    /// What neighbours and routers say to each other.
    fn neighbour(&mut self) -> Vec<u8> {
        let lladdr = Some(EthernetAddress([2, 0, 0, 0, 7, self.rng.u8(..)]).into());
        let number = self.rng.u8(..);
        let IpAddr::V6(target_addr) = v6(number, 0).ip() else {
            unreachable!("an IPv6 address");
        };
        let repr = match self.rng.u8(..5) {
            0 => NdiscRepr::NeighborSolicit {
                target_addr,
                lladdr,
            },
            1 => NdiscRepr::NeighborAdvert {
                flags: NdiscNeighborFlags::from_bits_truncate(self.rng.u8(..)),
                target_addr,
                lladdr,
            },
            2 => NdiscRepr::RouterSolicit { lladdr },
            3 => NdiscRepr::Redirect {
                target_addr,
                dest_addr: Ipv6Addr::from_bits(self.rng.u128(..)),
                lladdr,
                redirected_hdr: None,
            },
            _ => self.advertisement(),
        };
        let router = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, number.into());
        let IpAddr::V6(own) = v6(TARGET, 0).ip() else {
            unreachable!("an IPv6 address");
        };
        let all = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
        let to = if self.rng.bool() { own } else { all };
        let packet = frames::icmpv6(router, to, &Icmpv6Repr::Ndisc(repr));
        self.in_frame(&packet)
    }

    fn advertisement(&mut self) -> NdiscRepr<'static> {
        let mut seconds = || match self.rng.u8(..4) {
            0 => Duration::ZERO,
            1 => Duration::from_secs(0xffff_ffff),
            _ => Duration::from_secs(self.rng.u64(..10_000)),
        };
        let (router_lifetime, valid_lifetime, preferred_lifetime) =
            (seconds(), seconds(), seconds());
        NdiscRepr::RouterAdvert {
            hop_limit: self.rng.u8(..),
            flags: NdiscRouterFlags::from_bits_truncate(self.rng.u8(..)),
            router_lifetime: router_lifetime.min(Duration::from_secs(0xffff)),
            reachable_time: Duration::ZERO,
            retrans_time: Duration::ZERO,
            lladdr: Some(EthernetAddress(self.own_mac()).into()),
            mtu: self.rng.bool().then(|| self.rng.u32(..10_000)),
            prefix_info: self.rng.bool().then(|| NdiscPrefixInformation {
                prefix_len: if self.rng.u8(..4) > 0 {
                    64
                } else {
                    self.rng.u8(..)
                },
                flags: NdiscPrefixInfoFlags::from_bits_truncate(self.rng.u8(..)),
                valid_lifetime,
                preferred_lifetime,
                prefix: Ipv6Addr::new(0x2001, 0xdb8, 0, self.rng.u16(..), 0, 0, 0, 0),
            }),
        }
    }

    /// A piece of a datagram: a few of few datagrams, so that some fit each other.
    fn fragment_v4(&mut self) -> Vec<u8> {
        let (source, destination) = self.ends(false);
        let data = vec![self.rng.u8(..); 8 * self.rng.usize(1..40)];
        let mut packet = frames::ip(source, destination, IpProtocol::Udp, 64, &data);
        let mut ip = Ipv4Packet::new_unchecked(&mut packet);
        ip.set_ident(self.rng.u16(..8));
        ip.set_dont_frag(false);
        ip.set_more_frags(self.rng.u8(..4) > 0);
        let most = if self.rng.u8(..8) == 0 { 8191 } else { 80 };
        ip.set_frag_offset(8 * self.rng.u16(..=most));
        ip.fill_checksum();
        self.in_frame(&packet)
    }

    fn fragment_v6(&mut self) -> Vec<u8> {
        let (source, destination) = self.ends(true);
        let place = match self.rng.u8(..8) {
            0 => self.rng.u16(..),
            _ => self.rng.u16(..80) << 3 | u16::from(self.rng.u8(..4) > 0),
        };
        let mut data = vec![17, 0];
        data.extend(place.to_be_bytes());
        data.extend(u32::from(self.rng.u8(..8)).to_be_bytes());
        data.resize(8 + 8 * self.rng.usize(1..40), self.rng.u8(..));
        let packet = frames::ip(source, destination, IpProtocol::Ipv6Frag, 64, &data);
        self.in_frame(&packet)
    }

    fn options_v4(&mut self) -> Vec<u8> {
        let mut frame = self.udp_v4();
        let words = self.rng.usize(1..=10);
        let mut options: Vec<u8> = (0..words * 4).map(|_| self.rng.u8(..16)).collect();
        if self.rng.bool() {
            // Record route: as routers write it.
            let length = (words * 4).min(39) as u8;
            options[..3].copy_from_slice(&[7, length, 4]);
        }
        frame[ETHERNET] = 0x40 | (5 + words as u8);
        let length = (frame.len() - ETHERNET + options.len()) as u16;
        frame[ETHERNET + 2..ETHERNET + 4].copy_from_slice(&length.to_be_bytes());
        let at = ETHERNET + 20;
        frame.splice(at..at, options);
        mutate::mend(&mut frame);
        frame
    }

    fn udp_v4(&mut self) -> Vec<u8> {
        let (source, destination) = self.ends(false);
        let to = SocketAddr::new(destination, self.port());
        let payload = self.bytes(1000);
        let packet = frames::udp(SocketAddr::new(source, 4000), to, &payload);
        self.in_frame(&packet)
    }

    fn extensions_v6(&mut self) -> Vec<u8> {
        let (source, destination) = self.ends(true);
        let kinds = [0, 43, 44, 51, 60, 135, 59];
        let mut kind = kinds[self.rng.usize(..kinds.len())];
        let first = IpProtocol::from(kind);
        let mut bytes = Vec::new();
        for _ in 0..self.rng.usize(..6) {
            let next = kinds[self.rng.usize(..kinds.len())];
            let units = self.rng.u8(..4);
            bytes.extend([next, units]);
            bytes.extend((0..6 + 8 * usize::from(units)).map(|_| self.rng.u8(..8)));
            kind = next;
        }
        let last = [6, 17, 58, 59][self.rng.usize(..4)];
        bytes.extend([last, 0, 1, 4, 0, 0, 0, 0]);
        bytes.extend(self.bytes(200));
        let _ = kind;
        let packet = frames::ip(source, destination, first, 64, &bytes);
        self.in_frame(&packet)
    }

    /// An answer to the last question of the host's client.
    fn dhcp(&mut self) -> Option<Vec<u8>> {
        let asked = self.heard.from.iter().rev().find_map(|frame| {
            let ip = Ipv4Packet::new_checked(frame.get(ETHERNET..)?).ok()?;
            let udp = UdpPacket::new_checked(ip.payload()).ok()?;
            let packet = DhcpPacket::new_checked(udp.payload()).ok()?;
            Some(packet.transaction_id())
        });
        let network = [10, 9, self.rng.u8(..), self.rng.u8(..)];
        let server = Ipv4Addr::new(10, 9, 0, 1);
        let mut repr = DhcpRepr {
            message_type: DhcpMessageType::from(self.rng.u8(1..9)),
            transaction_id: asked.unwrap_or_else(|| self.rng.u32(..)),
            secs: 0,
            client_hardware_address: EthernetAddress(self.mac()),
            client_ip: Ipv4Addr::UNSPECIFIED,
            your_ip: Ipv4Addr::from(network),
            server_ip: server,
            router: self.rng.bool().then_some(server),
            subnet_mask: Some(Ipv4Addr::from_bits(u32::MAX << self.rng.u32(..32))),
            relay_agent_ip: Ipv4Addr::UNSPECIFIED,
            broadcast: false,
            requested_ip: None,
            client_identifier: None,
            server_identifier: (self.rng.u8(..8) > 0).then_some(server),
            parameter_request_list: None,
            dns_servers: Some([server].into_iter().collect()),
            max_size: None,
            lease_duration: Some(self.rng.u32(..100)),
            renew_duration: None,
            rebind_duration: None,
            additional_options: &[],
        };
        if self.rng.bool() {
            repr.message_type = DhcpMessageType::Offer;
        }
        let mut bytes = vec![0; repr.buffer_len()];
        repr.emit(&mut DhcpPacket::new_unchecked(&mut bytes)).ok()?;
        let to = SocketAddr::new(Ipv4Addr::BROADCAST.into(), 68);
        let packet = frames::udp(SocketAddr::new(server.into(), 67), to, &bytes);
        Some(self.in_frame(&packet))
    }

    /// An answer to the last question for a name.
    fn dns(&mut self) -> Option<Vec<u8>> {
        let (port, question) = self.heard.from.iter().rev().find_map(|frame| {
            let ip = Ipv4Packet::new_checked(frame.get(ETHERNET..)?).ok()?;
            let udp = UdpPacket::new_checked(ip.payload()).ok()?;
            let asked = ip.next_header() == IpProtocol::Udp && udp.dst_port() == 53;
            asked.then(|| (udp.src_port(), udp.payload().to_vec()))
        })?;
        let mut answer = question;
        let answers = self.rng.u8(..6);
        answer.get(11)?;
        answer[2] = 0x81;
        answer[3] = 0x80 | self.rng.u8(..6) & self.rng.u8(..6);
        answer[7] = answers;
        for _ in 0..answers {
            // Names that point to the question, to themselves, to nowhere, or are there.
            match self.rng.u8(..5) {
                0 => answer.extend([0xc0, answer.len() as u8]),
                1 => answer.extend([0xc0, self.rng.u8(..)]),
                2 => answer.extend([1, b'a', 7, b'e', b'x', b'a', b'm', b'p', b'l', b'e', 0]),
                _ => answer.extend([0xc0, 12]),
            }
            let (kind, data): (u8, Vec<u8>) = match self.rng.u8(..4) {
                0 => (5, vec![0xc0, self.rng.u8(..40)]),
                1 => (28, (0..16).map(|_| self.rng.u8(..)).collect()),
                2 => (self.rng.u8(..), self.bytes(40)),
                _ => (1, vec![192, 0, 2, self.rng.u8(..)]),
            };
            answer.extend([0, kind, 0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
            answer.extend(data);
        }
        let to = SocketAddr::new(v4(TARGET, 0).ip(), port);
        let packet = frames::udp(v4(ATTACKER, 53), to, &answer);
        Some(self.in_frame(&packet))
    }

    fn noise(&mut self) -> Vec<u8> {
        let kinds = [0x0800, 0x86dd, 0x0806, 0x8100, 0x88cc, 46];
        let kind = EthernetProtocol::from(kinds[self.rng.usize(..kinds.len())]);
        let mut payload = self.bytes(1500);
        if let Some(first) = payload.first_mut() {
            *first = [0x45, 0x46, 0x60, 0x6f, 0x4f][self.rng.usize(..5)];
        }
        let (from, to) = (self.own_mac(), self.destination());
        frames::ethernet(from, to, kind, &payload)
    }
}

/// Ports, sequence and acknowledgement numbers of a packet with TCP in it.
fn tcp_of(packet: &[u8]) -> Option<(u16, u16, i32, i32)> {
    let payload = match packet[0] >> 4 {
        4 => packet.get(20..).filter(|_| packet[9] == 6)?,
        _ => packet.get(40..).filter(|_| packet[6] == 6)?,
    };
    let tcp = TcpPacket::new_checked(payload).ok()?;
    let (TcpSeqNumber(sequence), TcpSeqNumber(acknowledged)) = (tcp.seq_number(), tcp.ack_number());
    Some((tcp.src_port(), tcp.dst_port(), sequence, acknowledged))
}
