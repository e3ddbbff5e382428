//! Connections whose other end does not behave, and ends that are hard to reach.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use darner_netstack::request::StreamOptions;
use darner_netstack::socket::Phase;
use darner_netstack::{Error, Nanos};
use smoltcp::wire::{EthernetFrame, Ipv4Packet, TcpPacket};

use crate::sim::offload::ETHERNET;
use crate::sim::pair::{Pair, any_v4, any_v6, v4};
use crate::sim::program::{Conn, Read, Written, accept, connect};
use crate::sim::pump::{Pattern, Pump};
use crate::sim::wire::{Faults, Verdict};
use crate::sim::{HostId, MILLISECOND, SECOND, World};

/// Waits until a connection is over, with what it has to say.
fn told(world: &mut World, conn: &mut Conn, limit: Nanos) -> Option<Error> {
    let mut end = None;
    world.run_until("word of the end", limit, |world| {
        let mut buffer = [0; 4096];
        loop {
            match conn.read(world, &mut buffer) {
                Read::Bytes(_) => {}
                Read::Blocked => return false,
                Read::End(error) => {
                    end = Some(error);
                    return true;
                }
            }
        }
    });
    end.unwrap()
}

/// Writes as much as there is room for now.
fn fill(world: &mut World, conn: &mut Conn) -> usize {
    let mut total = 0;
    while let Written::Bytes(count) = conn.write(world, &[7; 4096]) {
        total += count;
    }
    total
}

fn assert_nothing_left(world: &mut World, host: HostId) {
    let sockets = world.host_mut(host).snapshot().sockets;
    assert!(sockets.is_empty(), "{sockets:?}");
}

/// A connection, and nothing else on either host.
fn connected(pair: &mut Pair, options: StreamOptions) -> (Conn, Conn) {
    let listener = pair.world.host_mut(pair.b).listen(any_v6(7), 4);
    let near = Conn::begin_with(&mut pair.world, pair.a, v4(2, 7), options).unwrap();
    let far = accept(&mut pair.world, pair.b, &listener);
    pair.world.run_until("the connection", SECOND, |_| {
        near.phase() == Phase::Connected
    });
    pair.world.host_mut(pair.b).close(listener.state.id);
    (near, far)
}

#[test]
fn who_keeps_alive_is_told_that_the_other_end_is_gone() {
    let mut pair = Pair::new(1, Faults::NONE);
    let options = StreamOptions {
        keep_alive: Some(Duration::from_secs(10)),
        ..StreamOptions::default()
    };
    let (mut near, far) = connected(&mut pair, options);
    let world = &mut pair.world;
    world.pass(1000 * SECOND);
    assert_eq!(near.phase(), Phase::Connected, "the other end answers");
    world.wire_mut(pair.wire).cut = true;
    assert_eq!(told(world, &mut near, 200 * SECOND), Some(Error::TimedOut));
    assert_eq!(far.phase(), Phase::Connected, "nobody has told it");
    near.close(world);
    far.close(world);
    world.pass(200 * SECOND);
    assert_nothing_left(world, pair.a);
    assert_nothing_left(world, pair.b);
}

#[test]
fn who_sends_is_told_that_the_other_end_is_gone() {
    let mut pair = Pair::new(2, Faults::NONE);
    let (mut near, far) = connected(&mut pair, StreamOptions::default());
    let world = &mut pair.world;
    world.pass(3600 * SECOND);
    world.wire_mut(pair.wire).cut = true;
    fill(world, &mut near);
    assert_eq!(told(world, &mut near, 1200 * SECOND), Some(Error::TimedOut));
    assert!(matches!(near.write(world, b"x"), Written::Over(_)));
    near.close(world);
    far.close(world);
    world.pass(200 * SECOND);
    assert_nothing_left(world, pair.a);
    assert_nothing_left(world, pair.b);
}

#[test]
fn a_wire_that_comes_back_in_time_loses_nothing() {
    let mut pair = Pair::new(3, Faults::NONE);
    let (near, far) = connected(&mut pair, StreamOptions::default());
    let world = &mut pair.world;
    let pattern = Pattern::new(3);
    let mut near = Pump::new(near, (pattern.clone(), 3 << 20), (pattern.clone(), 0));
    let mut far = Pump::new(far, (pattern.clone(), 0), (pattern, 3 << 20));
    for _ in 0..3 {
        near.run(world);
        far.run(world);
        world.pass(2 * MILLISECOND);
        world.wire_mut(pair.wire).cut = true;
        world.pass(100 * SECOND);
        world.wire_mut(pair.wire).cut = false;
        world.pass(70 * SECOND);
    }
    world.run_until("all bytes", 600 * SECOND, |world| {
        let near = near.run(world);
        far.run(world) && near
    });
}

#[test]
fn a_connection_that_is_broken_off_says_so() {
    let mut pair = Pair::new(4, Faults::NONE);
    let (mut near, mut far) = connected(&mut pair, StreamOptions::default());
    let world = &mut pair.world;
    fill(world, &mut near);
    world.pass(MILLISECOND);
    let mut buffer = [0; 100];
    assert_eq!(far.read(world, &mut buffer), Read::Bytes(100));
    far.close_with(world, Some(Duration::ZERO));
    assert_eq!(told(world, &mut near, SECOND), Some(Error::ConnectionReset));
    near.close(world);
    world.pass(SECOND);
    assert_nothing_left(world, pair.a);
    assert_nothing_left(world, pair.b);
}

#[test]
fn closing_with_unread_bytes_breaks_the_connection_off() {
    let mut pair = Pair::new(5, Faults::NONE);
    let (mut near, far) = connected(&mut pair, StreamOptions::default());
    let world = &mut pair.world;
    assert_eq!(near.write(world, b"unread"), Written::Bytes(6));
    world.pass(MILLISECOND);
    far.close(world);
    assert_eq!(told(world, &mut near, SECOND), Some(Error::ConnectionReset));
}

#[test]
fn closing_sends_what_was_written() {
    let mut pair = Pair::new(6, Faults::NONE);
    let (mut near, far) = connected(&mut pair, StreamOptions::default());
    let world = &mut pair.world;
    let pattern = Pattern::new(6);
    let count = fill(world, &mut near) as u64;
    assert!(count >= 16 << 10, "{count}");
    near.close(world);
    let mut far = Pump::new(far, (pattern.clone(), 0), (pattern, 0));
    let mut received = 0;
    world.run_until("all bytes and the end", 10 * SECOND, |world| {
        let mut buffer = [0; 4096];
        loop {
            match far.conn.read(world, &mut buffer) {
                Read::Bytes(count) => received += count as u64,
                Read::Blocked => return false,
                Read::End(error) => {
                    assert_eq!(error, None);
                    return true;
                }
            }
        }
    });
    assert_eq!(received, count);
}

/// A reader that reads nothing for `silence`, then all. `drop_updates`: the frames that
/// would tell of it are lost at first.
fn reader_that_sleeps(seed: u64, silence: Nanos, drop_updates: bool) {
    let mut pair = Pair::new(seed, Faults::NONE);
    let (near, far) = connected(&mut pair, StreamOptions::default());
    let world = &mut pair.world;
    let (there, nothing) = (Pattern::new(seed), Pattern::new(0));
    let bytes = 4 << 20;
    let mut near = Pump::new(near, (there.clone(), bytes), (nothing.clone(), 0));
    let mut far = Pump::new(far, (nothing, 0), (there, bytes));
    let end = world.now + silence;
    while world.now < end {
        near.run(world);
        world.pass(silence / 100);
    }
    assert!(near.sent < bytes, "the window is closed");
    let before = near.sent;
    if drop_updates {
        let opened = world.now;
        world.wire_mut(pair.wire).filter = Some(Box::new(move |_, port, now| {
            let lost = port == 1 && now < opened + 3 * SECOND;
            if lost { Verdict::Drop } else { Verdict::Pass }
        }));
    }
    world.run_until("all bytes", 200 * SECOND, |world| {
        let near = near.run(world);
        far.run(world) && near
    });
    assert!(near.sent > before);
}

#[test]
fn a_reader_may_read_nothing_for_a_minute() {
    reader_that_sleeps(10, 60 * SECOND, false);
}

#[test]
fn a_reader_may_read_nothing_for_an_hour() {
    reader_that_sleeps(11, 3600 * SECOND, false);
}

#[test]
fn a_lost_window_update_is_asked_for() {
    reader_that_sleeps(12, 60 * SECOND, true);
}

#[test]
fn a_reader_may_take_one_byte_at_a_time() {
    let mut pair = Pair::new(13, Faults::NONE);
    let options = StreamOptions {
        receive_buffer: Some(2048),
        ..StreamOptions::default()
    };
    let listener = pair
        .world
        .host_mut(pair.b)
        .listen_with(any_v4(7), 4, options);
    let world = &mut pair.world;
    let (near, far) = connect(world, (pair.a, pair.b), &listener, v4(2, 7));
    let pattern = Pattern::new(13);
    let bytes = 20_000;
    let mut near = Pump::new(near, (pattern.clone(), bytes), (pattern.clone(), 0));
    let mut far = Pump::new(far, (pattern.clone(), 0), (pattern, bytes)).with_buffer(1);
    while far.received < bytes {
        near.run(world);
        far.write(world);
        far.read(world);
        world.pass(MILLISECOND);
        assert!(world.now < 200 * SECOND, "{} bytes received", far.received);
    }
}

/// Drops what port 1 sends from port 0's FIN on.
fn deaf_from_the_end_on(pair: &mut Pair) -> Rc<Cell<bool>> {
    let ended = Rc::new(Cell::new(false));
    let seen = ended.clone();
    pair.world.wire_mut(pair.wire).filter = Some(Box::new(move |frame, port, _| {
        if port == 0 && is_end(frame) {
            seen.set(true);
        }
        if port == 1 && seen.get() {
            Verdict::Drop
        } else {
            Verdict::Pass
        }
    }));
    ended
}

fn is_end(frame: &[u8]) -> bool {
    let ethernet = EthernetFrame::new_unchecked(frame);
    let Ok(ip) = Ipv4Packet::new_checked(ethernet.payload()) else {
        return false;
    };
    frame.len() > ETHERNET + 40 - 1
        && TcpPacket::new_checked(ip.payload()).is_ok_and(|tcp| tcp.fin())
}

#[test]
fn an_end_that_is_never_confirmed_is_given_up() {
    let mut pair = Pair::new(14, Faults::NONE);
    let (near, far) = connected(&mut pair, StreamOptions::default());
    let ended = deaf_from_the_end_on(&mut pair);
    let world = &mut pair.world;
    near.close(world);
    world.pass(10 * SECOND);
    assert!(ended.get());
    world.pass(120 * SECOND);
    assert_nothing_left(world, pair.a);
    far.close(world);
    world.pass(120 * SECOND);
    assert_nothing_left(world, pair.b);
}

#[test]
fn an_end_that_is_never_returned_is_given_up() {
    let mut pair = Pair::new(15, Faults::NONE);
    let (near, mut far) = connected(&mut pair, StreamOptions::default());
    let world = &mut pair.world;
    near.close(world);
    world.pass(180 * SECOND);
    assert_nothing_left(world, pair.a);
    // Who still writes is told that nobody is there.
    assert_eq!(told(world, &mut far, SECOND), None, "the end of input");
    assert_eq!(far.write(world, b"hello?"), Written::Bytes(6));
    world.pass(SECOND);
    assert_eq!(far.phase(), Phase::Over);
    assert_eq!(far.stream.state.error(), Some(Error::ConnectionReset));
    far.close(world);
    world.pass(SECOND);
    assert_nothing_left(world, pair.b);
}

#[test]
fn one_direction_may_end_long_before_the_other() {
    let mut pair = Pair::new(16, Faults::NONE);
    let (near, far) = connected(&mut pair, StreamOptions::default());
    let world = &mut pair.world;
    let pattern = Pattern::new(16);
    let bytes = 2 << 20;
    let mut near = Pump::new(near, (pattern.clone(), 0), (pattern.clone(), bytes));
    let mut far = Pump::new(far, (pattern.clone(), bytes), (pattern, 0));
    near.run(world);
    world.run_until("the end of input", SECOND, |world| {
        far.read(world);
        far.conn.stream.state.is_end_of_input()
    });
    world.pass(600 * SECOND);
    world.run_until("all bytes", 100 * SECOND, |world| {
        let far = far.run(world);
        near.run(world) && far
    });
    near.conn.close(world);
    far.conn.close(world);
    world.pass(120 * SECOND);
    assert_nothing_left(world, pair.a);
    assert_nothing_left(world, pair.b);
}

#[test]
fn nobody_listens() {
    let mut pair = Pair::new(17, Faults::NONE);
    let world = &mut pair.world;
    for remote in [v4(2, 9), crate::sim::pair::v6(2, 9)] {
        let mut conn = Conn::begin(world, pair.a, remote).unwrap();
        let told = told(world, &mut conn, SECOND);
        assert_eq!(told, Some(Error::ConnectionRefused), "{remote}");
        conn.close(world);
    }
    assert_nothing_left(world, pair.a);
}

#[test]
fn nobody_has_that_address() {
    let mut pair = Pair::new(18, Faults::NONE);
    let world = &mut pair.world;
    for remote in [v4(99, 9), crate::sim::pair::v6(99, 9)] {
        let mut conn = Conn::begin(world, pair.a, remote).unwrap();
        let told = told(world, &mut conn, 30 * SECOND);
        assert_eq!(told, Some(Error::HostUnreachable), "{remote}");
        conn.close(world);
    }
    let elsewhere = "192.0.2.1:9".parse().unwrap();
    let refused = Conn::begin(world, pair.a, elsewhere).err();
    assert_eq!(refused, Some(Error::NetworkUnreachable));
}

#[test]
fn a_host_that_says_nothing_is_given_up() {
    let mut pair = Pair::new(19, Faults::NONE);
    let (near, far) = connected(&mut pair, StreamOptions::default());
    let world = &mut pair.world;
    // Only who it is, it says.
    world.wire_mut(pair.wire).filter = Some(Box::new(|frame, port, _| {
        let is_arp = frame[12..14] == [8, 6];
        if port == 1 && !is_arp {
            Verdict::Drop
        } else {
            Verdict::Pass
        }
    }));
    let mut conn = Conn::begin(world, pair.a, v4(2, 7)).unwrap();
    let begun = world.now;
    assert_eq!(told(world, &mut conn, 300 * SECOND), Some(Error::TimedOut));
    assert!(world.now - begun > 20 * SECOND, "some patience");
    drop((near, far));
}

#[test]
fn more_connections_than_the_backlog_wait_their_turn() {
    let mut pair = Pair::new(20, Faults::NONE);
    let world = &mut pair.world;
    let listener = world.host_mut(pair.b).listen(any_v4(7), 2);
    let mut conns: Vec<Conn> = (0..10)
        .map(|_| Conn::begin(world, pair.a, v4(2, 7)).unwrap())
        .collect();
    world.pass(5 * SECOND);
    let snapshot = world.host_mut(pair.b).snapshot();
    assert!(
        snapshot.counters.refused_for_room > 0,
        "{:?}",
        snapshot.counters
    );
    let mut accepted = Vec::new();
    while accepted.len() < 10 {
        accepted.push(accept(world, pair.b, &listener));
    }
    for (number, conn) in conns.iter_mut().enumerate() {
        assert_eq!(conn.write(world, &[number as u8]), Written::Bytes(1));
    }
    world.pass(SECOND);
    let mut heard: Vec<u8> = accepted
        .iter_mut()
        .map(|conn| {
            let mut byte = [0];
            assert_eq!(conn.read(world, &mut byte), Read::Bytes(1));
            byte[0]
        })
        .collect();
    heard.sort_unstable();
    assert!(heard.into_iter().eq(0..10));
}

#[test]
fn a_listener_that_closes_breaks_off_what_nobody_accepted() {
    let mut pair = Pair::new(21, Faults::NONE);
    let world = &mut pair.world;
    let listener = world.host_mut(pair.b).listen(any_v4(7), 8);
    let mut conns: Vec<Conn> = (0..5)
        .map(|_| Conn::begin(world, pair.a, v4(2, 7)).unwrap())
        .collect();
    world.pass(SECOND);
    world.host_mut(pair.b).close(listener.state.id);
    drop(listener);
    for conn in &mut conns {
        assert_eq!(told(world, conn, SECOND), Some(Error::ConnectionReset));
    }
    for conn in conns {
        conn.close(world);
    }
    world.pass(120 * SECOND);
    assert_nothing_left(world, pair.a);
    assert_nothing_left(world, pair.b);
}
