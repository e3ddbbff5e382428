//! UDP.

use std::net::SocketAddr;

use darner_netstack::request::DatagramOptions;
use darner_netstack::{Datagram, Datagrams, Error, Reply, Request};
use smoltcp::wire::Icmpv4DstUnreachable;

use crate::servers::machine::Machine;
use crate::sim::card::CardOptions;
use crate::sim::host::Flag;
use crate::sim::pair::{Pair, any_v4, any_v6, fixed, v4, v6};
use crate::sim::wire::Faults;
use crate::sim::{HostId, MILLISECOND, SECOND, World};

const DATAGRAMS: u32 = 100_000;

fn send(
    world: &mut World,
    host: HostId,
    socket: &Datagrams<Flag>,
    peer: SocketAddr,
    data: &[u8],
) -> bool {
    let data = data.into();
    let sent = socket.state.send(Datagram { peer, data }).is_ok();
    if sent && socket.state.wants_attention() {
        world.host_mut(host).attend(socket.state.id);
    }
    sent
}

fn expect(world: &mut World, socket: &Datagrams<Flag>) -> Datagram {
    let mut received = None;
    world.run_until("a datagram", 10 * SECOND, |_| {
        received = socket.state.receive();
        received.is_some()
    });
    received.unwrap()
}

/// Numbered datagrams of different lengths; how many arrived, and how many were not taken by
/// the socket that they were for.
fn stream(mut pair: Pair, source: SocketAddr, to: SocketAddr, all: u32) -> (u32, u64, Pair) {
    let world = &mut pair.world;
    let sender = world.host_mut(pair.a).datagrams(source).unwrap();
    let receiver = world.host_mut(pair.b).datagrams(any_v6(9)).unwrap();
    let (mut sent, mut received) = (0_u32, 0_u32);
    let mut blocked = None;
    let mut last = None;
    let mut receive = |received: &mut u32| {
        while let Some(datagram) = receiver.state.receive() {
            let number = u32::from_be_bytes(*datagram.data.first_chunk().unwrap());
            assert_eq!(datagram.data.len(), 4 + (number % 1000) as usize);
            assert!(last < Some(number), "{number} after {last:?}");
            assert_eq!(datagram.peer.port(), sender.state.local.port());
            last = Some(number);
            *received += 1;
        }
    };
    world.run_until("all datagrams to be sent", 1000 * SECOND, |world| {
        receive(&mut received);
        let woken = sender.state.writers.count();
        while sent < all && blocked != Some(woken) {
            let mut data = vec![0; 4 + (sent % 1000) as usize];
            data[..4].copy_from_slice(&sent.to_be_bytes());
            if send(world, pair.a, &sender, to, &data) {
                sent += 1;
            } else {
                blocked = Some(woken);
            }
        }
        sent == all
    });
    for _ in 0..10_000 {
        world.pass(MILLISECOND / 10);
        receive(&mut received);
    }
    let dropped = world.host_mut(pair.b).snapshot().counters.datagrams_dropped;
    for (host, socket) in [(pair.a, sender), (pair.b, receiver)] {
        world.host_mut(host).close(socket.state.id);
        assert!(world.host_mut(host).snapshot().sockets.is_empty());
    }
    (received, dropped, pair)
}

#[test]
fn all_arrive_in_their_order() {
    let pair = Pair::new(1, Faults::NONE);
    let (received, dropped, _) = stream(pair, any_v4(0), v4(2, 9), DATAGRAMS);
    assert_eq!((received, dropped), (DATAGRAMS, 0));
}

#[test]
fn all_arrive_over_ipv6_with_cards_that_do_checksums() {
    let (a, b) = (CardOptions::offloading(1), CardOptions::offloading(2));
    let pair = Pair::with_cards(2, Faults::NONE, a, b);
    let (received, dropped, _) = stream(pair, any_v6(0), v6(2, 9), DATAGRAMS / 4);
    assert_eq!((received, dropped), (DATAGRAMS / 4, 0));
}

#[test]
fn those_that_are_lost_are_counted() {
    let faults = Faults {
        loss: 0.1,
        ..Faults::NONE
    };
    let (received, dropped, mut pair) =
        stream(Pair::new(3, faults), any_v4(0), v4(2, 9), DATAGRAMS / 4);
    let lost = pair.world.wire_mut(pair.wire).counters.lost;
    let all = u64::from(received) + dropped + lost;
    // Questions for hardware addresses may be among the lost.
    let missing = all.abs_diff(u64::from(DATAGRAMS / 4));
    assert!(
        missing < 10,
        "{received} received, {dropped} dropped, {lost} lost"
    );
    assert!(lost > 1000);
}

#[test]
fn those_that_nobody_takes_are_counted() {
    let mut pair = Pair::new(4, Faults::NONE);
    let world = &mut pair.world;
    let sender = world.host_mut(pair.a).datagrams(any_v4(0)).unwrap();
    let receiver = world.host_mut(pair.b).datagrams(any_v4(9)).unwrap();
    for _ in 0..2000 {
        assert!(send(world, pair.a, &sender, v4(2, 9), &[1; 100]));
        world.pass(MILLISECOND);
    }
    let dropped = world.host_mut(pair.b).snapshot().counters.datagrams_dropped;
    let mut received = 0;
    while receiver.state.receive().is_some() {
        received += 1;
    }
    assert_eq!(received + dropped, 2000);
    assert!(dropped > 1000 && received >= 512, "{received} {dropped}");
}

#[test]
fn large_ones_go_in_pieces() {
    let mut pair = Pair::new(5, Faults::NONE);
    let world = &mut pair.world;
    let sender = world.host_mut(pair.a).datagrams(any_v6(9)).unwrap();
    let receiver = world.host_mut(pair.b).datagrams(any_v6(9)).unwrap();
    let sizes_v4 = [0, 1, 1472, 1473, 3000, 20_000, 60_000, 65_507];
    let sizes_v6 = [0, 1, 1452];
    let all = sizes_v4.map(|size| (size, v4(2, 9))).into_iter();
    for (size, to) in all.chain(sizes_v6.map(|size| (size, v6(2, 9)))) {
        let data: Vec<u8> = (0..size).map(|at| ((at * 31) >> 3) as u8).collect();
        assert!(send(world, pair.a, &sender, to, &data));
        let datagram = expect(world, &receiver);
        assert!(*datagram.data == *data, "{size} bytes to {to}");
    }
    assert!(!sender.state.has_error());
    // smoltcp cuts up IPv4 only, so these cannot be sent.
    for (size, to) in [(1453, v6(2, 9)), (65_508, v4(2, 9))] {
        assert!(send(world, pair.a, &sender, to, &vec![1; size]));
        let error = expect_error(world, &sender);
        assert_eq!(error, Error::MessageTooLong, "{size} bytes to {to}");
    }
}

#[test]
fn pieces_of_which_some_are_lost_leave_nothing_behind() {
    let faults = Faults {
        loss: 0.2,
        reordering: 0.2,
        lateness: MILLISECOND,
        ..Faults::NONE
    };
    let mut pair = Pair::new(7, faults);
    let world = &mut pair.world;
    let sender = world.host_mut(pair.a).datagrams(any_v4(0)).unwrap();
    let receiver = world.host_mut(pair.b).datagrams(any_v4(9)).unwrap();
    let mut received = 0;
    for round in 0..400_u32 {
        let data = vec![round as u8; 4000];
        send(world, pair.a, &sender, v4(2, 9), &data);
        world.pass(10 * MILLISECOND);
        while let Some(datagram) = receiver.state.receive() {
            assert_eq!(datagram.data.len(), 4000);
            assert!(datagram.data.iter().all(|&byte| byte == datagram.data[0]));
            received += 1;
        }
    }
    // Three pieces each, of which four in five arrive.
    assert!((100..300).contains(&received), "{received}");
    world.wire_mut(pair.wire).faults = Faults::NONE;
    world.pass(120 * SECOND);
    assert!(send(world, pair.a, &sender, v4(2, 9), &[9; 9000]));
    assert_eq!(expect(world, &receiver).data.len(), 9000);
}

fn connect_to(world: &mut World, host: HostId, socket: &Datagrams<Flag>, peer: SocketAddr) {
    let request = Request::ConnectDatagrams(socket.state.id, Some(peer));
    assert!(matches!(
        world.host_mut(host).ask(request),
        Ok(Reply::Local(_))
    ));
}

fn expect_error(world: &mut World, socket: &Datagrams<Flag>) -> Error {
    let mut error = None;
    world.run_until("an error", 60 * SECOND, |_| {
        error = socket.state.take_error();
        error.is_some()
    });
    error.unwrap()
}

#[test]
fn who_is_connected_is_told_that_nobody_listens() {
    for (seed, own, to) in [(8, any_v4(0), v4(2, 9)), (9, any_v6(0), v6(2, 9))] {
        let mut pair = Pair::new(seed, Faults::NONE);
        let world = &mut pair.world;
        let socket = world.host_mut(pair.a).datagrams(own).unwrap();
        connect_to(world, pair.a, &socket, to);
        assert!(send(world, pair.a, &socket, to, b"anybody?"));
        let error = expect_error(world, &socket);
        assert_eq!(error, Error::ConnectionRefused, "{to}");
        assert!(!socket.state.has_error());
    }
}

#[test]
fn a_router_says_that_a_host_cannot_be_reached() {
    let mut world = World::new(10);
    let wire = world.wire(Faults::NONE);
    let host = world.host(1 << 20);
    let mut config = fixed(1);
    if let darner_netstack::config::V4::Static { gateway, .. } = &mut config.v4 {
        *gateway = Some([10, 0, 0, 254].into());
    }
    world.plug(host, wire, CardOptions::plain(1), config);
    let mut router = Machine::new(1, [10, 0, 0, 254].into());
    router.unreachable = Some(Icmpv4DstUnreachable::HostUnreachable);
    world.serve(wire, router);
    let far = "192.0.2.7:9".parse().unwrap();
    let socket = world.host_mut(host).datagrams(any_v4(0)).unwrap();
    connect_to(&mut world, host, &socket, far);
    assert!(send(&mut world, host, &socket, far, b"anybody?"));
    assert_eq!(expect_error(&mut world, &socket), Error::HostUnreachable);
    let conn = crate::sim::program::Conn::begin(&mut world, host, far).unwrap();
    world.run_until("the end of trying", 60 * SECOND, |_| {
        conn.phase() == darner_netstack::socket::Phase::Over
    });
    assert_eq!(conn.stream.state.error(), Some(Error::HostUnreachable));
}

#[test]
fn broadcasts_need_leave() {
    let mut pair = Pair::new(11, Faults::NONE);
    let world = &mut pair.world;
    let sender = world.host_mut(pair.a).datagrams(any_v4(0)).unwrap();
    let receiver = world.host_mut(pair.b).datagrams(any_v4(9)).unwrap();
    let all = "255.255.255.255:9".parse().unwrap();
    send(world, pair.a, &sender, all, b"all");
    world.pass(SECOND);
    assert!(!receiver.state.can_receive(), "without leave");
    let options = DatagramOptions {
        broadcast: true,
        ..DatagramOptions::default()
    };
    let request = Request::SetDatagramOptions(sender.state.id, options);
    assert!(matches!(
        world.host_mut(pair.a).ask(request),
        Ok(Reply::Done)
    ));
    for to in [all, "10.0.0.255:9".parse().unwrap()] {
        assert!(send(world, pair.a, &sender, to, b"all"));
        assert_eq!(*expect(world, &receiver).data, *b"all", "{to}");
    }
}
