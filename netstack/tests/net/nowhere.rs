//! Packets from nowhere, which nobody can answer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use darner_netstack::checksum::{Transport, fill};
use smoltcp::wire::{Icmpv4Repr, Icmpv6Repr, IpProtocol, TcpPacket};

use crate::sim::SECOND;
use crate::sim::frames::{self, ip_frame};
use crate::sim::pair::{Pair, any_v6, v4, v6};
use crate::sim::program::connect;
use crate::sim::wire::Faults;

/// A SYN.
fn opening(source: IpAddr, destination: SocketAddr) -> Vec<u8> {
    let mut bytes = vec![0; 20];
    let mut tcp = TcpPacket::new_unchecked(&mut bytes);
    tcp.set_src_port(4000);
    tcp.set_dst_port(destination.port());
    tcp.set_header_len(20);
    tcp.set_syn(true);
    tcp.set_window_len(1000);
    let sum = frames::pseudo(source, destination.ip(), Transport::Tcp, bytes.len());
    fill(sum, Transport::Tcp, &mut bytes);
    frames::ip(source, destination.ip(), IpProtocol::Tcp, 64, &bytes)
}

#[test]
fn packets_from_nowhere_are_for_nobody() {
    let mut pair = Pair::new(1, Faults::NONE);
    let world = &mut pair.world;
    let listener = world.host_mut(pair.b).listen(any_v6(7), 8);
    let socket = world.host_mut(pair.b).datagrams(any_v6(9)).unwrap();
    let v4_nowhere = [
        Ipv4Addr::UNSPECIFIED,
        Ipv4Addr::BROADCAST,
        Ipv4Addr::LOCALHOST,
    ];
    let v6_nowhere = [Ipv6Addr::UNSPECIFIED, Ipv6Addr::LOCALHOST];
    let mut packets = Vec::new();
    let echo = |data| Icmpv4Repr::EchoRequest {
        ident: 1,
        seq_no: 1,
        data,
    };
    let echo_v6 = |data| Icmpv6Repr::EchoRequest {
        ident: 1,
        seq_no: 1,
        data,
    };
    for source in v4_nowhere {
        for port in [7, 8] {
            packets.push(opening(source.into(), v4(2, port)));
        }
        for port in [9, 10, 68] {
            // As those who ask DHCP servers do.
            if port == 9 && source.is_unspecified() {
                continue;
            }
            let from = SocketAddr::new(source.into(), 4000);
            packets.push(frames::udp(from, v4(2, port), b"anybody?"));
        }
        packets.push(frames::icmpv4(
            source,
            [10, 0, 0, 2].into(),
            &echo(b"anybody?"),
        ));
    }
    for source in v6_nowhere {
        for port in [7, 8] {
            packets.push(opening(source.into(), v6(2, port)));
        }
        for port in [9, 10] {
            let from = SocketAddr::new(source.into(), 4000);
            packets.push(frames::udp(from, v6(2, port), b"anybody?"));
        }
        let IpAddr::V6(own) = v6(2, 0).ip() else {
            unreachable!("an IPv6 address");
        };
        packets.push(frames::icmpv6(source, own, &echo_v6(b"anybody?")));
    }
    // What hosts say unasked when they begin.
    world.pass(100 * SECOND);
    let before = world.wire_mut(pair.wire).counters.frames;
    for packet in packets {
        let frame = ip_frame([2, 0, 0, 0, 0, 9], [2, 0, 0, 0, 0, 2], &packet);
        world.inject(pair.b, 0, frame);
        world.pass(SECOND);
        assert!(!socket.state.can_receive());
        assert!(listener.state.accepted.is_empty());
    }
    let after = world.wire_mut(pair.wire).counters.frames;
    assert_eq!(before, after, "an answer was sent");
    connect(world, (pair.a, pair.b), &listener, v4(2, 7));
}
