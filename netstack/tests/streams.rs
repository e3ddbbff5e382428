//! TCP between nodes, and within one.

mod support;

use std::sync::Arc;
use std::time::Duration;

use darner_netstack::request::StreamOptions;
use darner_netstack::socket::{Farewell, Phase};
use darner_netstack::{Error, Reply, Request, Stream};
use ringbuf::traits::{Consumer, Observer};
use support::{Flag, SECOND, Setup, World, fold, ip, sum};

/// Moves `total` bytes through an established connection, and checks them.
fn echo(world: &mut World, to: &str, at: &str, from: usize, server: usize) {
    let listener = world.listen(server, at, 8);
    let (mut client, mut accepted) = world.pair(from, &listener, to);
    assert_eq!(client.state.remote, to.parse().unwrap());
    assert_eq!(accepted.state.remote.port(), client.state.local.port());
    assert_eq!(world.write(from, &mut client, b"hello"), 5);
    world.settle();
    assert_eq!(world.read(server, &mut accepted), b"hello");
    assert_eq!(world.write(server, &mut accepted, b"and back"), 8);
    world.settle();
    assert_eq!(world.read(from, &mut client), b"and back");
    world.shutdown(from, &client);
    world.settle();
    assert!(accepted.state.is_end_of_input());
    assert_eq!(accepted.state.phase(), Phase::Connected);
    world.close(server, accepted.state.id, None);
    world.settle();
    assert!(client.state.is_end_of_input());
    assert_eq!(client.state.phase(), Phase::Over);
    assert_eq!(client.state.error(), None);
}

#[test]
fn bytes_go_both_ways_over_ipv4() {
    let mut world = World::new(2);
    echo(&mut world, "10.0.0.2:80", "0.0.0.0:80", 0, 1);
}

#[test]
fn bytes_go_both_ways_over_ipv6() {
    let mut world = World::new(2);
    echo(&mut world, "[fd00::2]:80", "[::]:80", 0, 1);
}

#[test]
fn bytes_go_both_ways_within_a_node() {
    let mut world = World::new(1);
    for (to, at) in [
        ("127.0.0.1:80", "0.0.0.0:80"),
        ("[::1]:81", "[::]:81"),
        ("10.0.0.1:82", "10.0.0.1:82"),
        ("[fd00::1]:83", "[::]:83"),
    ] {
        let frames = world.frames;
        echo(&mut world, to, at, 0, 0);
        assert_eq!(world.frames, frames, "the wire was used");
    }
}

#[test]
fn nobody_listens() {
    let mut world = World::new(2);
    for to in ["10.0.0.2:80", "[fd00::2]:80", "127.0.0.1:80", "10.0.0.1:80"] {
        let client = world.connect(0, to);
        assert_eq!(client.state.phase(), Phase::Connecting);
        world.settle();
        assert_eq!(client.state.phase(), Phase::Over, "{to}");
        assert_eq!(client.state.take_error(), Some(Error::ConnectionRefused));
    }
    assert!(world.states(0).is_empty());
    assert!(world.states(1).is_empty());
}

fn options() -> StreamOptions {
    StreamOptions::default()
}

/// Moves `total` bytes from one end to the other, and checks them.
fn pour(
    world: &mut World,
    (from, client): (usize, &mut Stream<Flag>),
    (to, server): (usize, &mut Stream<Flag>),
    total: usize,
) {
    let data: Vec<u8> = (0..total).map(|at| (at * 7 + at / 251) as u8).collect();
    let (mut sent, mut got) = (0, Vec::new());
    for _ in 0..100_000 {
        sent += world.write(from, client, &data[sent..]);
        world.settle();
        got.extend(world.read(to, server));
        if got.len() == total {
            break;
        }
        if sent == total || client.to_send.is_full() {
            world.advance(10_000_000);
        }
    }
    assert_eq!(got.len(), total);
    assert!(got == data, "other bytes arrived");
}

#[test]
fn a_million_bytes_arrive_as_they_were() {
    for setup in [
        Setup::default(),
        Setup {
            tx_checksum: true,
            ..Setup::default()
        },
        Setup {
            tx_checksum: true,
            segmentation: 60_000,
            ..Setup::default()
        },
        Setup {
            mtu: 9000,
            ..Setup::default()
        },
    ] {
        let mut world = World::with(&[setup.clone(), setup]);
        for (at, to) in [("0.0.0.0:80", "10.0.0.2:80"), ("[::]:81", "[fd00::2]:81")] {
            let listener = world.listen(1, at, 1);
            let (mut client, mut server) = world.pair(0, &listener, to);
            pour(&mut world, (0, &mut client), (1, &mut server), 1_000_000);
            pour(&mut world, (1, &mut server), (0, &mut client), 1_000_000);
        }
    }
    let mut world = World::new(1);
    let listener = world.listen(0, "0.0.0.0:80", 1);
    let (mut client, mut server) = world.pair(0, &listener, "127.0.0.1:80");
    pour(&mut world, (0, &mut client), (0, &mut server), 3_000_000);
    pour(&mut world, (0, &mut server), (0, &mut client), 3_000_000);
}

#[test]
fn lost_segments_are_sent_again() {
    let mut world = World::new(2);
    let listener = world.listen(1, "0.0.0.0:80", 1);
    let (mut client, mut server) = world.pair(0, &listener, "10.0.0.2:80");
    let mut count = 0;
    world.filter = Some(Box::new(move |_, _| {
        count += 1;
        count % 20 != 0
    }));
    pour(&mut world, (0, &mut client), (1, &mut server), 500_000);
}

#[test]
fn a_thousand_connect_at_once() {
    let mut world = World::with(&[
        Setup {
            memory: 256 << 20,
            ..Setup::default()
        },
        Setup {
            memory: 256 << 20,
            ..Setup::default()
        },
    ]);
    let listener = world.listen(1, "0.0.0.0:80", 1000);
    let mut clients: Vec<_> = (0..1000).map(|_| world.connect(0, "10.0.0.2:80")).collect();
    world.advance(SECOND);
    assert!(
        clients
            .iter()
            .all(|client| client.state.phase() == Phase::Connected)
    );
    let mut servers: Vec<_> = std::iter::from_fn(|| listener.state.accepted.pop()).collect();
    assert_eq!(servers.len(), 1000);
    for (index, client) in clients.iter_mut().enumerate() {
        world.write(0, client, &(index as u32).to_be_bytes());
    }
    world.settle();
    let mut seen = vec![false; 1000];
    for server in &mut servers {
        let data = world.read(1, server);
        let index = u32::from_be_bytes(data.try_into().unwrap()) as usize;
        assert!(!std::mem::replace(&mut seen[index], true));
    }
    for client in &clients {
        world.close(0, client.state.id, None);
    }
    for server in &servers {
        world.close(1, server.state.id, None);
    }
    world.advance(61 * SECOND);
    assert!(world.states(0).is_empty());
    assert_eq!(world.states(1), ["LISTEN"]);
    assert_eq!(world.nodes[0].deadline, None);
    assert_eq!(world.snapshot(1).counters.accepts, 1000);
}

#[test]
fn a_full_backlog_makes_others_wait() {
    let mut world = World::new(2);
    let listener = world.listen(1, "0.0.0.0:80", 2);
    let clients: Vec<_> = (0..3).map(|_| world.connect(0, "10.0.0.2:80")).collect();
    world.settle();
    let connected = |clients: &[Stream<Flag>]| {
        let phases = clients.iter().map(|client| client.state.phase());
        phases.filter(|phase| *phase == Phase::Connected).count()
    };
    assert_eq!(connected(&clients), 2);
    assert!(world.snapshot(1).counters.refused_for_room >= 1);
    listener.state.accepted.pop().unwrap();
    world.advance(2 * SECOND);
    assert_eq!(connected(&clients), 3);
}

#[test]
fn closing_a_listener_breaks_off_what_was_not_accepted() {
    let mut world = World::new(2);
    let listener = world.listen(1, "0.0.0.0:80", 8);
    let client = world.connect(0, "10.0.0.2:80");
    world.settle();
    assert_eq!(client.state.phase(), Phase::Connected);
    world.close(1, listener.state.id, None);
    world.settle();
    assert_eq!(client.state.phase(), Phase::Over);
    assert_eq!(client.state.error(), Some(Error::ConnectionReset));
    assert!(world.states(1).is_empty());
    let late = world.connect(0, "10.0.0.2:80");
    world.settle();
    assert_eq!(late.state.error(), Some(Error::ConnectionRefused));
}

#[test]
fn each_half_closes_by_itself() {
    let mut world = World::new(2);
    let listener = world.listen(1, "0.0.0.0:80", 1);
    let (mut client, mut server) = world.pair(0, &listener, "10.0.0.2:80");
    world.write(0, &mut client, b"question");
    world.shutdown(0, &client);
    world.settle();
    assert!(server.state.is_end_of_input());
    assert_eq!(world.read(1, &mut server), b"question");
    assert_eq!(client.state.phase(), Phase::Connected);
    world.advance(100 * SECOND);
    pour(&mut world, (1, &mut server), (0, &mut client), 200_000);
    assert!(!client.state.is_end_of_input());
    world.shutdown(1, &server);
    world.settle();
    assert!(client.state.is_end_of_input());
    assert_eq!(client.state.phase(), Phase::Over);
    assert_eq!(server.state.phase(), Phase::Over);
    assert_eq!(client.state.error(), None);
    assert_eq!(server.state.error(), None);
}

#[test]
fn what_was_written_before_a_close_arrives() {
    let mut world = World::new(2);
    let listener = world.listen(1, "0.0.0.0:80", 1);
    let (mut client, mut server) = world.pair(0, &listener, "10.0.0.2:80");
    let data = vec![7; 60_000];
    assert_eq!(world.write(0, &mut client, &data), data.len());
    world.close(0, client.state.id, None);
    drop(client);
    world.advance(SECOND);
    assert_eq!(world.read(1, &mut server), data);
    assert!(server.state.is_end_of_input());
    assert_eq!(server.state.error(), None);
}

#[test]
fn closing_with_unread_bytes_resets() {
    let mut world = World::new(2);
    let listener = world.listen(1, "0.0.0.0:80", 1);
    let (mut client, server) = world.pair(0, &listener, "10.0.0.2:80");
    world.write(0, &mut client, b"never read");
    world.settle();
    world.close(1, server.state.id, None);
    world.settle();
    assert_eq!(client.state.phase(), Phase::Over);
    assert_eq!(client.state.take_error(), Some(Error::ConnectionReset));
    assert_eq!(world.states(1), ["LISTEN"]);
}

#[test]
fn lingering_for_no_time_resets() {
    let mut world = World::new(2);
    let listener = world.listen(1, "0.0.0.0:80", 1);
    let (client, server) = world.pair(0, &listener, "10.0.0.2:80");
    world.close(1, server.state.id, Some(Duration::ZERO));
    world.settle();
    assert_eq!(client.state.take_error(), Some(Error::ConnectionReset));
    assert!(world.states(0).is_empty());
}

#[test]
fn bytes_before_a_reset_can_be_read() {
    let mut world = World::new(2);
    let listener = world.listen(1, "0.0.0.0:80", 1);
    let (mut client, mut server) = world.pair(0, &listener, "10.0.0.2:80");
    world.write(0, &mut client, b"last words");
    world.settle();
    world.close(0, client.state.id, Some(Duration::ZERO));
    world.settle();
    assert_eq!(server.state.error(), Some(Error::ConnectionReset));
    assert_eq!(world.read(1, &mut server), b"last words");
}

#[test]
fn both_may_close_at_once() {
    let mut world = World::new(2);
    let listener = world.listen(1, "0.0.0.0:80", 1);
    let (client, server) = world.pair(0, &listener, "10.0.0.2:80");
    world.shutdown(0, &client);
    world.shutdown(1, &server);
    world.settle();
    assert_eq!(client.state.phase(), Phase::Over);
    assert_eq!(server.state.phase(), Phase::Over);
    assert_eq!((client.state.error(), server.state.error()), (None, None));
    world.advance(61 * SECOND);
    assert!(world.states(0).is_empty());
}

#[test]
fn a_reader_that_does_not_read_stops_the_writer() {
    let mut world = World::new(2);
    let listener = world.listen(1, "0.0.0.0:80", 1);
    let (mut client, mut server) = world.pair(0, &listener, "10.0.0.2:80");
    let mut sent = 0;
    for _ in 0..100 {
        sent += world.write(0, &mut client, &[1; 65_536]);
        world.advance(100_000_000);
    }
    assert!(client.to_send.is_full());
    assert!(sent < 2 << 20, "{sent} bytes are somewhere");
    // Probes of a closed window, and nothing else.
    let frames = world.frames;
    world.advance(600 * SECOND);
    assert!(world.frames - frames < 200);
    assert_eq!(client.state.phase(), Phase::Connected);
    let mut got = 0;
    for _ in 0..1000 {
        let read = world.read(1, &mut server);
        assert!(read.iter().all(|byte| *byte == 1));
        got += read.len();
        world.advance(10_000_000);
    }
    assert_eq!(got, sent);
}

#[test]
fn a_dual_stack_listener_shows_mapped_addresses() {
    let mut world = World::new(2);
    let listener = world.listen(1, "[::]:80", 8);
    let (client, server) = world.pair(0, &listener, "10.0.0.2:80");
    assert_eq!(server.state.local, "[::ffff:10.0.0.2]:80".parse().unwrap());
    assert_eq!(server.state.remote.ip(), ip("::ffff:10.0.0.1"));
    assert_eq!(client.state.local.ip(), ip("10.0.0.1"));
    let (mapped, _) = world.pair(0, &listener, "[::ffff:10.0.0.2]:80");
    assert_eq!(mapped.state.remote, "[::ffff:10.0.0.2]:80".parse().unwrap());
    assert_eq!(mapped.state.local.ip(), ip("::ffff:10.0.0.1"));
    let _six = world.pair(0, &listener, "[fd00::2]:80");
}

#[test]
fn a_listener_of_one_family_only_refuses_the_other() {
    let mut world = World::new(2);
    let local = "[::]:80".parse().unwrap();
    let bind = Request::Bind {
        local,
        reuse: false,
        only_v6: true,
    };
    let Reply::Bound(binding) = world.ask(1, bind) else {
        panic!("not bound");
    };
    let listen = Request::Listen {
        binding,
        backlog: 8,
        options: options(),
    };
    assert!(matches!(world.ask(1, listen), Reply::Listening(_)));
    let client = world.connect(0, "10.0.0.2:80");
    world.settle();
    assert_eq!(client.state.error(), Some(Error::ConnectionRefused));
    // So IPv4 may have a listener of its own there.
    let four = world.listen(1, "0.0.0.0:80", 8);
    world.pair(0, &four, "10.0.0.2:80");
}

#[test]
fn specific_listeners_come_before_wildcards() {
    let mut world = World::new(2);
    assert_eq!(
        world.bind(1, "10.0.0.1:80", true),
        Err(Error::AddressNotAvailable)
    );
    let local = world.listen(1, "127.0.0.1:80", 8);
    let client = world.connect(0, "10.0.0.2:80");
    world.settle();
    assert_eq!(client.state.error(), Some(Error::ConnectionRefused));
    let card = world.listen(1, "10.0.0.2:80", 8);
    assert_eq!(world.bind(1, "0.0.0.0:80", true), Err(Error::AddressInUse));
    world.pair(0, &card, "10.0.0.2:80");
    world.pair(1, &local, "127.0.0.1:80");
    world.pair(1, &card, "10.0.0.2:80");
}

#[test]
fn ports_in_use_are_refused_and_free_ones_chosen() {
    let mut world = World::new(2);
    let bound = world.bind(0, "0.0.0.0:80", false).unwrap();
    assert_eq!(world.bind(0, "0.0.0.0:80", false), Err(Error::AddressInUse));
    assert!(matches!(world.ask(0, Request::Unbind(bound)), Reply::Done));
    let bound = world.bind(0, "0.0.0.0:0", false).unwrap();
    assert!(bound.local().port() >= 49_152);
    let listener = world.listen(1, "0.0.0.0:80", 1);
    let connect = Request::Connect {
        remote: "10.0.0.2:80".parse().unwrap(),
        options: options(),
        binding: Some(bound),
    };
    let Reply::Stream(client) = world.ask(0, connect) else {
        panic!("no connection");
    };
    world.settle();
    let server = listener.state.accepted.pop().unwrap();
    assert_eq!(server.state.remote, client.state.local);
}

#[test]
fn nowhere_to_go() {
    let mut world = World::new(1);
    for to in ["192.0.2.1:80", "[2001:db8::1]:80", "224.0.0.1:80"] {
        let refused = world.try_connect(0, to, options()).err();
        assert_eq!(refused, Some(Error::NetworkUnreachable), "{to}");
    }
    let refused = world.try_connect(0, "10.0.0.2:0", options()).err();
    assert_eq!(refused, Some(Error::ConnectionRefused));
    // The unspecified address is this node.
    let listener = world.listen(0, "0.0.0.0:80", 1);
    world.pair(0, &listener, "0.0.0.0:80");
    let listener = world.listen(0, "[::]:81", 1);
    world.pair(0, &listener, "[::]:81");
}

#[test]
fn a_host_that_is_not_there_is_unreachable_after_three_seconds() {
    let mut world = World::new(2);
    for to in ["10.0.0.99:80", "[fd00::99]:80"] {
        let client = world.connect(0, to);
        world.advance(3 * SECOND - 1);
        assert_eq!(client.state.phase(), Phase::Connecting);
        world.advance(1);
        assert_eq!(client.state.phase(), Phase::Over, "{to}");
        assert_eq!(client.state.error(), Some(Error::HostUnreachable));
    }
    assert!(world.states(0).is_empty());
    world.advance(10 * SECOND);
    assert_eq!(world.nodes[0].deadline, None);
}

#[test]
fn many_hosts_are_asked_for_at_once() {
    let mut world = World::new(8);
    let listeners: Vec<_> = (1..8)
        .map(|node| world.listen(node, "0.0.0.0:80", 1))
        .collect();
    let clients: Vec<_> = (1..8)
        .map(|node| world.connect(0, &format!("10.0.0.{}:80", node + 1)))
        .collect();
    world.settle();
    assert!(
        clients
            .iter()
            .all(|client| client.state.phase() == Phase::Connected)
    );
    drop(listeners);
}

#[test]
fn a_host_that_does_not_answer_times_out() {
    let mut world = World::new(2);
    // Address resolution works, TCP does not.
    world.filter = Some(Box::new(|_, frame| frame[12..14] == [8, 6]));
    let client = world.connect(0, "10.0.0.2:80");
    let (began, frames) = (world.now, world.frames);
    world.advance(126 * SECOND);
    assert_eq!(client.state.phase(), Phase::Connecting);
    let frames = world.frames - frames;
    assert!((5..20).contains(&frames), "{frames} frames");
    world.advance(2 * SECOND);
    assert_eq!(client.state.error(), Some(Error::TimedOut));
    assert!(world.now - began <= 128 * SECOND);
    assert!(world.states(0).is_empty());
}

#[test]
fn an_idle_stack_sleeps_and_leaves_its_card_alone() {
    let mut world = World::new(2);
    let listener = world.listen(1, "0.0.0.0:80", 8);
    let (mut client, mut server) = world.pair(0, &listener, "10.0.0.2:80");
    world.write(0, &mut client, b"hello");
    world.advance(SECOND);
    world.read(1, &mut server);
    world.advance(SECOND);
    for node in &mut world.nodes {
        assert_eq!(node.deadline, None);
        assert!(node.port.lock().unwrap().interrupts);
        let touched = node.port.lock().unwrap().touched;
        for _ in 0..10 {
            let step = node.stack.step(world.now);
            assert!(!step.more);
            assert_eq!(step.deadline, None);
        }
        assert_eq!(node.port.lock().unwrap().touched, touched);
    }
}

#[test]
fn time_wait_keeps_a_port_unless_it_may_be_used_again() {
    let mut world = World::new(2);
    let listener = world.listen(1, "0.0.0.0:80", 8);
    let (client, server) = world.pair(0, &listener, "10.0.0.2:80");
    // The server closes first, so it is the one in TIME-WAIT.
    world.shutdown(1, &server);
    world.settle();
    world.close(0, client.state.id, None);
    world.settle();
    world.close(1, server.state.id, None);
    world.close(1, listener.state.id, None);
    world.settle();
    assert_eq!(world.states(1), ["TIME-WAIT"]);
    assert_eq!(world.bind(1, "0.0.0.0:80", false), Err(Error::AddressInUse));
    let listener = world.listen(1, "0.0.0.0:80", 8);
    // The same client port again: it replaces the old connection.
    let binding = world
        .bind(0, &client.state.local.to_string(), true)
        .unwrap();
    let connect = Request::Connect {
        remote: "10.0.0.2:80".parse().unwrap(),
        options: options(),
        binding: Some(binding),
    };
    let Reply::Stream(again) = world.ask(0, connect) else {
        panic!("no connection");
    };
    world.settle();
    assert_eq!(again.state.phase(), Phase::Connected);
    let server = listener.state.accepted.pop().unwrap();
    assert_eq!(server.state.remote, again.state.local);
    world.close(0, again.state.id, Some(Duration::ZERO));
    world.close(1, listener.state.id, None);
    world.advance(61 * SECOND);
    assert!(world.bind(1, "0.0.0.0:80", false).is_ok());
}

#[test]
fn when_memory_is_used_up_connections_are_refused() {
    let mut world = World::with(&[
        Setup {
            memory: 256 << 20,
            ..Setup::default()
        },
        Setup {
            memory: 1 << 20,
            ..Setup::default()
        },
    ]);
    let _listener = world.listen(1, "0.0.0.0:80", 100);
    let clients: Vec<_> = (0..50).map(|_| world.connect(0, "10.0.0.2:80")).collect();
    world.settle();
    let connected = |client: &&Stream<Flag>| client.state.phase() == Phase::Connected;
    let count = clients.iter().filter(connected).count();
    assert!((5..50).contains(&count), "{count} connections");
    assert!(world.snapshot(1).counters.refused_for_room > 0);
    let refused = world.try_connect(1, "127.0.0.1:80", options()).err();
    assert_eq!(refused, Some(Error::NoMemory));
    for client in &clients {
        world.close(0, client.state.id, Some(Duration::ZERO));
    }
    world.settle();
    assert!(world.try_connect(1, "127.0.0.1:80", options()).is_ok());
}

#[test]
fn a_full_card_makes_senders_wait() {
    let mut world = World::new(2);
    world.nodes[0].port.lock().unwrap().room = 3;
    let listener = world.listen(1, "0.0.0.0:80", 1);
    let (mut client, mut server) = world.pair(0, &listener, "10.0.0.2:80");
    pour(&mut world, (0, &mut client), (1, &mut server), 300_000);
    assert_eq!(world.snapshot(0).counters.no_room, 0);
}

#[test]
fn a_peer_that_is_gone_is_noticed_by_keep_alive() {
    let mut world = World::new(2);
    let listener = world.listen(1, "0.0.0.0:80", 1);
    let (client, _server) = world.pair(0, &listener, "10.0.0.2:80");
    let keep_alive = StreamOptions {
        keep_alive: Some(Duration::from_secs(10)),
        ..options()
    };
    let set = Request::SetStreamOptions(client.state.id, keep_alive);
    assert!(matches!(world.ask(0, set), Reply::Done));
    world.advance(300 * SECOND);
    assert_eq!(client.state.phase(), Phase::Connected);
    world.filter = Some(Box::new(|_, _| false));
    world.advance(120 * SECOND);
    assert_eq!(client.state.error(), Some(Error::TimedOut));
}

#[test]
fn an_orphan_whose_peer_is_gone_ends() {
    let mut world = World::new(2);
    let listener = world.listen(1, "0.0.0.0:80", 1);
    let (mut client, _server) = world.pair(0, &listener, "10.0.0.2:80");
    world.filter = Some(Box::new(|_, _| false));
    world.write(0, &mut client, b"nobody hears");
    world.close(0, client.state.id, None);
    world.advance(30 * SECOND);
    assert_eq!(world.states(0), ["FIN-WAIT-1"]);
    world.advance(40 * SECOND);
    assert!(world.states(0).is_empty());
}

#[test]
fn a_peer_that_never_closes_does_not_keep_an_orphan() {
    let mut world = World::new(2);
    let listener = world.listen(1, "0.0.0.0:80", 1);
    let (client, server) = world.pair(0, &listener, "10.0.0.2:80");
    world.close(0, client.state.id, None);
    world.advance(30 * SECOND);
    assert_eq!(world.states(0), ["FIN-WAIT-2"]);
    world.advance(40 * SECOND);
    assert!(world.states(0).is_empty());
    assert!(server.state.is_end_of_input());
}

#[test]
fn a_slow_reader_loses_nothing_when_all_is_closed() {
    let mut world = World::new(2);
    let listener = world.listen(1, "0.0.0.0:80", 1);
    let (mut client, mut server) = world.pair(0, &listener, "10.0.0.2:80");
    // Our side has ended already, so that the other's FIN ends all.
    world.shutdown(1, &server);
    world.settle();
    let data: Vec<u8> = (0..200_000).map(|at| at as u8).collect();
    let mut sent = 0;
    while sent < data.len() {
        sent += world.write(0, &mut client, &data[sent..]);
        world.advance(50_000_000);
    }
    world.close(0, client.state.id, None);
    world.advance(200 * SECOND);
    let mut got = Vec::new();
    for _ in 0..100 {
        got.extend(world.read(1, &mut server));
        world.settle();
    }
    assert!(got == data, "{} bytes", got.len());
    assert_eq!(server.state.phase(), Phase::Over);
    assert_eq!(server.state.error(), None);
}

/// A message from `source` to node 0 that what `sent` begins with did not arrive.
fn unreachable(source: [u8; 4], code: u8, sent: &[u8]) -> Vec<u8> {
    let mut message = vec![3, code, 0, 0, 0, 0, 0, 0];
    message.extend(&sent[14..42]);
    let checksum = !fold(sum(&message));
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    let mut packet = vec![
        0x45,
        0,
        0,
        20 + message.len() as u8,
        0,
        0,
        0,
        0,
        64,
        1,
        0,
        0,
    ];
    packet.extend(source);
    packet.extend([10, 0, 0, 1]);
    let header = !fold(sum(&packet));
    packet[10..12].copy_from_slice(&header.to_be_bytes());
    let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
    frame.extend(packet);
    frame.extend(message);
    frame
}

#[test]
fn routers_say_what_cannot_be_reached() {
    for (code, error) in [
        (0, Error::NetworkUnreachable),
        (1, Error::HostUnreachable),
        (3, Error::ConnectionRefused),
        (13, Error::HostUnreachable),
    ] {
        let mut world = World::new(2);
        world.filter = Some(Box::new(|_, frame| frame[12..14] == [8, 6]));
        world.log = Some(Vec::new());
        let client = world.connect(0, "10.0.0.2:80");
        world.settle();
        let log = world.log.take().unwrap();
        let is_syn = |frame: &[u8]| frame[12..14] == [8, 0] && frame[23] == 6;
        let syn = log.into_iter().find(|(_, frame)| is_syn(frame)).unwrap().1;
        // Somebody who only guesses knows no sequence number.
        let mut guess = syn.clone();
        guess[41] ^= 1;
        for about in [guess, syn[..40].iter().copied().chain([0; 2]).collect()] {
            world.inject(0, unreachable([10, 0, 0, 9], code, &about));
        }
        world.settle();
        assert_eq!(client.state.phase(), Phase::Connecting);
        world.inject(0, unreachable([10, 0, 0, 9], code, &syn));
        world.settle();
        assert_eq!(client.state.error(), Some(error));
        assert!(world.states(0).is_empty());
    }
}

#[test]
fn messages_do_not_break_what_is_established() {
    let mut world = World::new(2);
    let listener = world.listen(1, "0.0.0.0:80", 1);
    world.log = Some(Vec::new());
    let (client, _server) = world.pair(0, &listener, "10.0.0.2:80");
    let log = world.log.take().unwrap();
    let sent = log
        .iter()
        .filter(|(from, frame)| *from == 0 && frame[12..14] == [8, 0]);
    for (_, frame) in sent {
        world.inject(0, unreachable([10, 0, 0, 2], 3, frame));
    }
    world.settle();
    assert_eq!(client.state.phase(), Phase::Connected);
}

#[test]
fn a_lost_last_acknowledgement_is_sent_again() {
    let mut world = World::new(2);
    let listener = world.listen(1, "0.0.0.0:80", 1);
    let (client, server) = world.pair(0, &listener, "10.0.0.2:80");
    world.shutdown(0, &client);
    world.settle();
    world.shutdown(1, &server);
    world.filter = Some(Box::new(|from, _| from != 0));
    world.settle();
    assert_eq!(world.states(0), ["TIME-WAIT"]);
    assert_eq!(world.states(1), ["LISTEN", "LAST-ACK"]);
    world.filter = None;
    world.advance(3 * SECOND);
    assert_eq!(world.states(1), ["LISTEN"]);
    assert_eq!(server.state.phase(), Phase::Over);
    assert_eq!(server.state.error(), None);
    world.advance(61 * SECOND);
    assert!(world.states(0).is_empty());
}

#[test]
fn time_wait_takes_no_memory_and_is_bounded() {
    let small = Setup {
        memory: 2 << 20,
        ..Setup::default()
    };
    let mut world = World::with(&[small.clone(), small]);
    let listener = world.listen(1, "0.0.0.0:80", 8);
    for _ in 0..1100 {
        let (client, server) = world.pair(0, &listener, "10.0.0.2:80");
        world.close(0, client.state.id, None);
        world.settle();
        world.close(1, server.state.id, None);
        world.settle();
    }
    assert_eq!(world.states(0).len(), 1024);
    assert_eq!(world.states(1), ["LISTEN"]);
    world.advance(61 * SECOND);
    assert!(world.states(0).is_empty());
}

#[test]
fn the_end_of_a_program_waits_for_what_it_has_sent() {
    let mut world = World::new(2);
    let listener = world.listen(1, "0.0.0.0:80", 8);
    let (mut client, mut accepted) = world.pair(0, &listener, "10.0.0.2:80");
    let sent = world.write(0, &mut client, &[5; 30_000]);
    let farewell = Arc::new(Farewell::new());
    let reply = world.ask(0, Request::Finish(farewell.clone()));
    assert!(matches!(reply, Reply::Done));
    assert!(!farewell.is_over());
    let mut got = 0;
    while got < sent {
        world.settle();
        got += world.read(1, &mut accepted).len();
    }
    world.settle();
    assert!(accepted.state.is_end_of_input());
    world.close(1, accepted.state.id, None);
    world.settle();
    assert!(farewell.is_over());
    assert_eq!(client.state.error(), None);
}

#[test]
fn the_end_of_a_program_without_connections_is_at_once() {
    let mut world = World::new(1);
    let _listener = world.listen(0, "0.0.0.0:80", 8);
    let farewell = Arc::new(Farewell::new());
    world.ask(0, Request::Finish(farewell.clone()));
    world.settle();
    assert!(farewell.is_over());
}

#[test]
fn both_may_open_at_once() {
    let mut world = World::new(2);
    // So that both SYNs are on the wire before either arrives.
    let known = world.connect(0, "10.0.0.2:9");
    world.settle();
    drop(known);
    let mut ends = Vec::new();
    for (node, local, remote) in [
        (0, "10.0.0.1:1000", "10.0.0.2:2000"),
        (1, "10.0.0.2:2000", "10.0.0.1:1000"),
    ] {
        let binding = world.bind(node, local, false).unwrap();
        let connect = Request::Connect {
            remote: remote.parse().unwrap(),
            options: options(),
            binding: Some(binding),
        };
        let Reply::Stream(stream) = world.ask(node, connect) else {
            panic!("no connection");
        };
        ends.push(stream);
    }
    world.advance(SECOND);
    let [mut one, mut other]: [_; 2] = ends.try_into().ok().unwrap();
    assert_eq!(one.state.phase(), Phase::Connected);
    assert_eq!(other.state.phase(), Phase::Connected);
    pour(&mut world, (0, &mut one), (1, &mut other), 10_000);
    pour(&mut world, (1, &mut other), (0, &mut one), 10_000);
}

#[test]
fn link_local_addresses_are_ones_of_an_interface() {
    let mut world = World::new(2);
    let listener = world.listen(1, "[::]:80", 1);
    let (client, server) = world.pair(0, &listener, "[fe80::ff:fe00:2%1]:80");
    assert_eq!(client.state.local.ip(), ip("fe80::ff:fe00:1"));
    let peer = server.state.remote.to_string();
    assert!(peer.starts_with("[fe80::ff:fe00:1%1]:"), "{peer}");
    let nowhere = world.try_connect(0, "[fe80::ff:fe00:2%7]:80", options());
    assert_eq!(nowhere.err(), Some(Error::NetworkUnreachable));
}

#[test]
fn a_reader_tells_of_room_only_when_that_is_waited_for() {
    let mut world = World::new(2);
    let listener = world.listen(1, "0.0.0.0:80", 1);
    let (mut client, mut server) = world.pair(0, &listener, "10.0.0.2:80");
    world.write(0, &mut client, &[1; 1000]);
    world.settle();
    let take = |server: &mut Stream<Flag>, count: usize| {
        assert_eq!(server.received.skip(count), count);
        server.state.wants_room(&server.received)
    };
    assert!(!take(&mut server, 1000), "there was room for all");
    // More than the ring holds.
    let ring = server.received.capacity().get();
    while server.received.occupied_len() < ring {
        world.write(0, &mut client, &[2; 1000]);
        world.advance(20_000_000);
    }
    world.write(0, &mut client, &[3; 1000]);
    world.advance(20_000_000);
    assert!(!take(&mut server, 1), "there is little room");
    assert!(take(&mut server, ring / 2), "there is much room");
    assert!(!take(&mut server, 1), "that has been told");
    world.ask(1, Request::Attend(server.state.id));
    world.settle();
    assert!(server.received.occupied_len() >= ring / 2 + 998);
    assert!(!take(&mut server, 1000), "there was room for all");
}
