//! How much memory a host has for connections, as programs find out.

use darner_netstack::Error;
use darner_netstack::socket::Phase;

use super::pair::{any_v6, v4};
use super::program::Conn;
use super::{HostId, SECOND, World};

/// More connections than any host of these tests has memory for.
const MANY: usize = 20_000;

/// Connects to itself until there is no memory; how many connections that were.
pub fn connect_until_memory_ends(world: &mut World, host: HostId) -> usize {
    let listener = world.host_mut(host).listen(any_v6(7), 1000);
    let mut conns = Vec::new();
    let error = loop {
        match Conn::begin(world, host, v4(1, 7)) {
            Ok(conn) => conns.push(conn),
            Err(error) => break error,
        }
        world.pass(SECOND / 1000);
        assert!(conns.len() < MANY, "memory does not end");
        while let Some(conn) = Conn::accept(host, &listener) {
            conns.push(conn);
        }
    };
    assert_eq!(error, Error::NoMemory);
    let count = conns.iter().filter(|conn| conn.phase() == Phase::Connected);
    let count = count.count();
    for conn in conns {
        conn.close(world);
    }
    world.host_mut(host).close(listener.state.id);
    world.pass(300 * SECOND);
    let sockets = world.host_mut(host).snapshot().sockets;
    assert!(sockets.is_empty(), "{sockets:?}");
    count
}
