//! TCP between nodes, and within one.

mod support;

use darner_netstack::Error;
use darner_netstack::socket::Phase;
use support::World;

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
