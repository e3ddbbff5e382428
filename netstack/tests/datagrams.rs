//! UDP between nodes, and within one.

mod support;

use darner_netstack::request::DatagramOptions;
use darner_netstack::{Error, Reply, Request};
use support::{SECOND, World, ip};

#[test]
fn datagrams_go_both_ways() {
    let mut world = World::new(2);
    let pairs = [
        (1, "0.0.0.0:53", "10.0.0.2:53"),
        (1, "[::]:54", "[fd00::2]:54"),
        (0, "0.0.0.0:55", "127.0.0.1:55"),
        (0, "[::]:56", "[::1]:56"),
        (0, "0.0.0.0:57", "10.0.0.1:57"),
    ];
    for (server, at, to) in pairs {
        let receiver = world.udp(server, at);
        let any = if to.starts_with('[') {
            "[::]:0"
        } else {
            "0.0.0.0:0"
        };
        let sender = world.udp(0, any);
        for data in [&b"one"[..], b"", b"three"] {
            world.send(0, &sender, to, data);
        }
        world.settle();
        let first = receiver.state.receive().expect(to);
        assert_eq!(&*first.data, b"one");
        assert_eq!(first.peer.port(), sender.state.local.port());
        assert_eq!(&*receiver.state.receive().unwrap().data, b"");
        assert_eq!(&*receiver.state.receive().unwrap().data, b"three");
        assert!(receiver.state.receive().is_none());
        world.send(server, &receiver, &first.peer.to_string(), b"back");
        world.settle();
        let back = sender.state.receive().expect(to);
        assert_eq!(&*back.data, b"back");
        assert_eq!(back.peer, to.parse().unwrap());
    }
}

#[test]
fn a_connected_socket_hears_its_peer_only() {
    let mut world = World::new(3);
    let socket = world.udp(0, "0.0.0.0:500");
    let id = socket.state.id;
    let peer = "10.0.0.2:600".parse().unwrap();
    let Reply::Local(local) = world.ask(0, Request::ConnectDatagrams(id, Some(peer))) else {
        panic!("not connected");
    };
    assert_eq!(local, "10.0.0.1:500".parse().unwrap());
    assert_eq!(socket.state.peer(), Some(peer));
    let right = world.udp(1, "0.0.0.0:600");
    let wrong_port = world.udp(1, "0.0.0.0:601");
    let wrong_host = world.udp(2, "0.0.0.0:600");
    for (node, sender) in [(1, &wrong_port), (2, &wrong_host), (1, &right)] {
        world.send(node, sender, "10.0.0.1:500", b"hello");
    }
    world.settle();
    assert_eq!(socket.state.receive().unwrap().peer, peer);
    assert!(socket.state.receive().is_none());
    assert!(matches!(
        world.ask(0, Request::ConnectDatagrams(id, None)),
        Reply::Local(_)
    ));
    world.send(2, &wrong_host, "10.0.0.1:500", b"hello");
    world.settle();
    assert!(socket.state.receive().is_some());
}

#[test]
fn a_connected_socket_hears_that_nobody_is_there() {
    let mut world = World::new(2);
    for (at, peer) in [
        ("0.0.0.0:0", "10.0.0.2:600"),
        ("[::]:0", "[fd00::2]:600"),
        ("0.0.0.0:0", "127.0.0.1:600"),
        ("[::]:0", "[::1]:600"),
    ] {
        let socket = world.udp(0, at);
        world.send(0, &socket, peer, b"unconnected");
        world.settle();
        assert_eq!(socket.state.take_error(), None);
        let connect = Request::ConnectDatagrams(socket.state.id, Some(peer.parse().unwrap()));
        assert!(matches!(world.ask(0, connect), Reply::Local(_)));
        world.send(0, &socket, peer, b"hello");
        world.settle();
        let error = socket.state.take_error();
        assert_eq!(error, Some(Error::ConnectionRefused), "{peer}");
    }
}

#[test]
fn nobody_answers_address_resolution() {
    let mut world = World::new(2);
    let socket = world.udp(0, "0.0.0.0:0");
    let receiver = world.udp(1, "0.0.0.0:600");
    for _ in 0..10 {
        world.send(0, &socket, "10.0.0.99:600", b"nobody");
    }
    world.send(0, &socket, "10.0.0.2:600", b"somebody");
    world.advance(3 * SECOND - 1);
    assert_eq!(socket.state.take_error(), None);
    assert!(receiver.state.receive().is_none());
    world.advance(1);
    assert_eq!(socket.state.take_error(), Some(Error::HostUnreachable));
    assert_eq!(&*receiver.state.receive().unwrap().data, b"somebody");
}

#[test]
fn unreachable_networks_are_an_error() {
    let mut world = World::new(1);
    let socket = world.udp(0, "0.0.0.0:0");
    world.send(0, &socket, "192.0.2.1:600", b"hello");
    world.settle();
    assert_eq!(socket.state.take_error(), Some(Error::NetworkUnreachable));
    let six = Some("[::1]:600".parse().unwrap());
    let connect = Request::ConnectDatagrams(socket.state.id, six);
    assert!(matches!(
        world.ask(0, connect),
        Reply::Failed(Error::Invalid)
    ));
}

#[test]
fn large_datagrams_travel_in_pieces() {
    let mut world = World::new(2);
    let sender = world.udp(0, "0.0.0.0:0");
    let receiver = world.udp(1, "0.0.0.0:600");
    for size in [1472, 1473, 8000, 65_507] {
        let data: Vec<u8> = (0..size).map(|at| (at / 3) as u8).collect();
        world.send(0, &sender, "10.0.0.2:600", &data);
        world.settle();
        let got = receiver
            .state
            .receive()
            .unwrap_or_else(|| panic!("{size} bytes"));
        assert!(*got.data == *data);
    }
    assert_eq!(world.snapshot(1).counters.bad_checksums, 0);
    world.send(0, &sender, "10.0.0.2:600", &[0; 65_508]);
    world.settle();
    assert_eq!(sender.state.take_error(), Some(Error::MessageTooLong));
    // A card with little room takes them all the same.
    world.nodes[0].port.lock().unwrap().room = 3;
    for _ in 0..3 {
        world.send(0, &sender, "10.0.0.2:600", &[9; 20_000]);
    }
    world.advance(SECOND);
    for _ in 0..3 {
        assert_eq!(receiver.state.receive().unwrap().data.len(), 20_000);
    }
}

#[test]
fn a_piece_with_a_flipped_bit_spoils_its_datagram() {
    let mut world = World::new(2);
    world.log = Some(Vec::new());
    let sender = world.udp(0, "0.0.0.0:0");
    let receiver = world.udp(1, "0.0.0.0:600");
    world.send(0, &sender, "10.0.0.2:600", &[5; 4000]);
    world.settle();
    assert!(receiver.state.receive().is_some());
    let log = world.log.take().unwrap();
    let is_piece =
        |frame: &[u8]| frame[12..14] == [8, 0] && frame[20] & 0x3f != 0 || frame[21] != 0;
    let mut pieces: Vec<_> = log
        .into_iter()
        .filter(|(from, frame)| {
            *from == 0 && frame.len() > 34 && frame[23] == 17 && is_piece(frame)
        })
        .collect();
    assert_eq!(pieces.len(), 3);
    pieces[1].1[100] ^= 1;
    for (_, frame) in pieces {
        world.inject(1, frame);
    }
    world.settle();
    assert!(receiver.state.receive().is_none());
    assert_eq!(world.snapshot(1).counters.bad_checksums, 1);
}

#[test]
fn a_full_queue_loses_datagrams_and_counts_them() {
    let mut world = World::new(2);
    let sender = world.udp(0, "0.0.0.0:0");
    let receiver = world.udp(1, "0.0.0.0:600");
    for _ in 0..6 {
        for _ in 0..100 {
            world.send(0, &sender, "10.0.0.2:600", b"x");
        }
        world.settle();
    }
    let received = std::iter::from_fn(|| receiver.state.receive()).count();
    assert_eq!(received, 512);
    assert_eq!(world.snapshot(1).counters.datagrams_dropped, 88);
}

#[test]
fn broadcasts_have_to_be_allowed() {
    let mut world = World::new(3);
    let sender = world.udp(0, "0.0.0.0:0");
    let receivers = [world.udp(1, "0.0.0.0:600"), world.udp(2, "0.0.0.0:600")];
    world.send(0, &sender, "10.0.0.255:600", b"all");
    world.settle();
    let not_allowed = Error::BroadcastNotAllowed;
    assert_eq!(sender.state.take_error(), Some(not_allowed));
    let to = "10.0.0.255:600".parse().unwrap();
    let check = |world: &mut World| world.ask(0, Request::CheckDatagrams(sender.state.id, to));
    assert!(matches!(check(&mut world), Reply::Failed(error) if error == not_allowed));
    let broadcast = DatagramOptions {
        broadcast: true,
        ..DatagramOptions::default()
    };
    world.datagram_options(0, &sender, broadcast);
    assert!(matches!(check(&mut world), Reply::Done));
    for to in ["10.0.0.255:600", "255.255.255.255:600"] {
        world.send(0, &sender, to, b"all");
        world.settle();
        for receiver in &receivers {
            assert!(receiver.state.receive().is_some(), "{to}");
        }
    }
}

#[test]
fn groups_are_joined_and_left() {
    let mut world = World::new(3);
    for (at, group, to) in [
        ("0.0.0.0:600", "239.1.2.3", "239.1.2.3:600"),
        ("[::]:601", "ff02::1234", "[ff02::1234]:601"),
    ] {
        let sender = world.udp(
            0,
            if to.starts_with('[') {
                "[::]:0"
            } else {
                "0.0.0.0:0"
            },
        );
        let member = world.udp(1, at);
        let other = world.udp(2, at);
        let own = world.udp(0, at);
        let group = ip(group);
        let interface = if group.is_ipv4() {
            ip("0.0.0.0")
        } else {
            ip("::")
        };
        let change = |join| Request::Multicast {
            group,
            interface,
            join,
        };
        for node in 0..2 {
            assert!(matches!(world.ask(node, change(true)), Reply::Done));
        }
        world.settle();
        world.send(0, &sender, to, b"members");
        world.settle();
        assert!(member.state.receive().is_some(), "{to}");
        assert!(own.state.receive().is_some(), "{to}");
        assert!(other.state.receive().is_none());
        assert!(matches!(world.ask(1, change(false)), Reply::Done));
        world.settle();
        world.send(0, &sender, to, b"members");
        world.settle();
        assert!(member.state.receive().is_none());
    }
}

#[test]
fn loopback_has_broadcasts_and_groups() {
    let mut world = World::new(1);
    let sender = world.udp(0, "127.0.0.1:0");
    let receivers = ["0.0.0.0:600", "127.0.0.2:600"];
    let receivers = receivers.map(|at| world.try_udp(0, at, true).unwrap());
    let broadcast = DatagramOptions {
        broadcast: true,
        ..DatagramOptions::default()
    };
    world.datagram_options(0, &sender, broadcast);
    world.send(0, &sender, "127.255.255.255:600", b"all");
    world.settle();
    let got = receivers[0].state.receive().unwrap();
    assert_eq!((&*got.data, got.peer), (&b"all"[..], sender.state.local));
    // Bound to an address, and not to that one.
    assert!(receivers[1].state.receive().is_none());

    let join = Request::Multicast {
        group: ip("239.1.2.3"),
        interface: ip("127.0.0.1"),
        join: true,
    };
    assert!(matches!(world.ask(0, join), Reply::Done));
    world.log = Some(Vec::new());
    world.send(0, &sender, "239.1.2.3:600", b"members");
    world.settle();
    let got = receivers[0].state.receive().unwrap();
    assert_eq!(
        (&*got.data, got.peer),
        (&b"members"[..], sender.state.local)
    );
    assert!(receivers[0].state.receive().is_none(), "it came twice");
    assert!(world.log.unwrap().is_empty(), "frames left the node");
}

#[test]
fn what_is_sent_to_a_group_comes_back_if_wanted() {
    let mut world = World::new(1);
    let own = world.udp(0, "0.0.0.0:600");
    let join = Request::Multicast {
        group: ip("239.1.2.3"),
        interface: ip("0.0.0.0"),
        join: true,
    };
    assert!(matches!(world.ask(0, join), Reply::Done));
    for multicast_loop in [true, false] {
        let options = DatagramOptions {
            multicast_loop,
            ..DatagramOptions::default()
        };
        world.datagram_options(0, &own, options);
        world.send(0, &own, "239.1.2.3:600", b"members");
        world.settle();
        assert_eq!(own.state.receive().is_some(), multicast_loop);
    }
}

#[test]
fn ports_are_shared_if_all_agree() {
    let mut world = World::new(1);
    let _first = world.try_udp(0, "0.0.0.0:600", true).unwrap();
    assert!(world.try_udp(0, "0.0.0.0:600", true).is_ok());
    assert_eq!(
        world.try_udp(0, "0.0.0.0:600", false).err(),
        Some(Error::AddressInUse)
    );
    assert_eq!(
        world.try_udp(0, "10.9.9.9:600", false).err(),
        Some(Error::AddressNotAvailable)
    );
    let closed = world.udp(0, "0.0.0.0:601");
    world.close(0, closed.state.id, None);
    assert!(world.try_udp(0, "0.0.0.0:601", false).is_ok());
}

#[test]
fn the_time_to_live_is_the_options() {
    let mut world = World::new(2);
    let sender = world.udp(0, "0.0.0.0:0");
    let options = DatagramOptions {
        ttl: 7,
        ..DatagramOptions::default()
    };
    world.datagram_options(0, &sender, options);
    world.send(0, &sender, "10.0.0.2:600", b"x");
    world.settle();
    world.log = Some(Vec::new());
    world.send(0, &sender, "10.0.0.2:600", b"x");
    world.settle();
    let log = world.log.take().unwrap();
    assert_eq!(log[0].1[22], 7);
}

#[test]
fn a_datagram_outlives_its_socket_until_it_is_sent() {
    let mut world = World::new(2);
    let receiver = world.udp(1, "0.0.0.0:600");
    let sender = world.udp(0, "0.0.0.0:700");
    // Nobody knows anybody's hardware address yet.
    world.send(0, &sender, "10.0.0.2:600", b"last words");
    world.close(0, sender.state.id, None);
    assert!(world.try_udp(0, "0.0.0.0:700", false).is_ok());
    world.settle();
    assert_eq!(&*receiver.state.receive().unwrap().data, b"last words");
    let lost = world.udp(0, "0.0.0.0:701");
    world.send(0, &lost, "10.0.0.99:600", b"to nobody");
    world.close(0, lost.state.id, None);
    world.advance(SECOND);
    let sockets = |world: &mut World| world.snapshot(0).sockets.len();
    assert_eq!(sockets(&mut world), 2);
    world.advance(10 * SECOND);
    assert_eq!(sockets(&mut world), 1);
    assert_eq!(world.nodes[0].deadline, None);
}

#[test]
fn what_a_busy_card_cannot_send_yet_waits_and_goes_together() {
    let mut world = World::new(2);
    let sender = world.udp(0, "0.0.0.0:0");
    let receiver = world.udp(1, "0.0.0.0:9");
    let batching = world.nodes[0].stack.batching();
    // The program's side. Whether the protocol thread has to be woken.
    let send = |world: &mut World, number: u8| {
        world.send(0, &sender, "10.0.0.2:9", &[number]);
        !batching.may_wait(sender.state.way())
    };
    // What the protocol thread does. Whether it has to go on at once.
    let look = |world: &mut World| {
        batching.looks();
        world.nodes[0].stack.step(world.now).more
    };
    assert!(send(&mut world, 0), "the way there is not known");
    world.settle();
    // One frame in the card, which will not interrupt for it.
    assert!(send(&mut world, 1), "the card has nothing to do");
    look(&mut world);
    assert!(send(&mut world, 2), "the card has little to do");
    // Two: others may wait until the card has taken one.
    look(&mut world);
    assert!(!send(&mut world, 3) && !send(&mut world, 4));
    assert!(batching.is_waiting());
    let from_node = |world: &World| world.nodes[0].port.lock().unwrap().from_node.len();
    assert_eq!(from_node(&world), 2);
    // It has taken both and interrupts.
    world.carry_all();
    look(&mut world);
    assert_eq!(from_node(&world), 2);
    world.carry_all();
    // The interrupt comes after the next datagram, which waits for it.
    assert!(!send(&mut world, 5));
    look(&mut world);
    world.settle();
    assert!(send(&mut world, 6), "the card has nothing to do again");
    world.settle();
    for number in 0..=6 {
        assert_eq!(&*receiver.state.receive().unwrap().data, [number]);
    }
    assert!(receiver.state.receive().is_none());
}

#[test]
fn who_waits_for_a_card_that_is_done_has_the_stack_look_again() {
    let mut world = World::new(2);
    let sender = world.udp(0, "0.0.0.0:0");
    let batching = world.nodes[0].stack.batching();
    world.send(0, &sender, "10.0.0.2:9", b"who is there?");
    world.settle();
    for _ in 0..2 {
        world.send(0, &sender, "10.0.0.2:9", b"one of several");
        world.nodes[0].stack.step(world.now);
    }
    world.carry_all();
    // Another CPU sends just now, while the protocol thread has looked already.
    batching.looks();
    assert!(batching.may_wait(sender.state.way()));
    assert!(world.nodes[0].stack.step(world.now).more);
    assert!(!batching.may_wait(sender.state.way()));
}
