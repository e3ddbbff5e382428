//! Addresses and names from servers, on wires that lose what they say.

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;

use darner_netstack::config::{V4, V6};
use darner_netstack::request::{Family, InterfaceInfo};
use darner_netstack::{Error, InterfaceConfig, Nanos};
use smoltcp::wire::DhcpMessageType;

use crate::servers::dhcp::{DhcpServer, Mood};
use crate::servers::machine::Machine;
use crate::servers::names::{Entry, NameServer};
use crate::servers::router::Router;
use crate::sim::card::CardOptions;
use crate::sim::pair::{any_v4, fixed};
use crate::sim::program::connect;
use crate::sim::wire::{Faults, Verdict};
use crate::sim::{HostId, SECOND, WireId, World};

const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 250);
const GIVEN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 77);

/// A host that asks for an address, and who gives it one.
struct Leased {
    world: World,
    wire: WireId,
    host: HostId,
    server: Rc<RefCell<Machine>>,
}

impl Leased {
    fn new(seed: u64, lease: u32) -> Self {
        let mut world = World::new(seed);
        let wire = world.wire(Faults::NONE);
        let mut machine = Machine::new(1, SERVER);
        let mut dhcp = DhcpServer::new(GIVEN, lease);
        dhcp.router = Some(SERVER);
        dhcp.dns = vec![SERVER];
        machine.dhcp = Some(dhcp);
        let server = world.serve(wire, machine);
        let host = world.host(16 << 20);
        Self {
            world,
            wire,
            host,
            server,
        }
    }

    fn plug(&mut self) {
        let config = InterfaceConfig {
            v6: V6::Off,
            host_name: Some("n0.example".into()),
            ..InterfaceConfig::default()
        };
        self.world
            .plug(self.host, self.wire, CardOptions::plain(1), config);
    }

    fn with_dhcp<R>(&self, work: impl FnOnce(&mut DhcpServer) -> R) -> R {
        work(self.server.borrow_mut().dhcp.as_mut().unwrap())
    }

    fn wait_configured(&mut self, limit: Nanos) {
        wait_configured(&mut self.world, self.host, limit);
    }

    fn addresses(&mut self) -> Vec<(IpAddr, u8)> {
        interface(&mut self.world, self.host, 1).addresses
    }
}

fn wait_configured(world: &mut World, host: HostId, limit: Nanos) {
    let configured = world.host_mut(host).stack.configured();
    let mut woken = None;
    world.run_until("an address", limit, |_| {
        let count = configured.waiters.count();
        let looks = woken != Some(count);
        woken = Some(count);
        looks && configured.is_done()
    });
}

fn interface(world: &mut World, host: HostId, index: usize) -> InterfaceInfo {
    world
        .host_mut(host)
        .snapshot()
        .interfaces
        .swap_remove(index)
}

#[test]
fn an_address_is_leased() {
    let mut leased = Leased::new(1, 3600);
    leased.plug();
    let configured = leased.world.host_mut(leased.host).stack.configured();
    assert!(!configured.is_done());
    leased.wait_configured(10 * SECOND);
    let info = interface(&mut leased.world, leased.host, 1);
    assert_eq!(info.name, "net0");
    assert_eq!(info.addresses, [(GIVEN.into(), 24)]);
    assert_eq!(info.gateways, [IpAddr::from(SERVER)]);
    let dns = leased.world.host_mut(leased.host).snapshot().dns;
    assert_eq!(dns, [IpAddr::from(SERVER)]);
    let host_name = leased.with_dhcp(|dhcp| dhcp.host_name.clone());
    assert_eq!(host_name.as_deref(), Some("n0.example"));
}

fn is_dhcp(frame: &[u8]) -> bool {
    // UDP's destination port behind a plain IPv4 header.
    frame.len() > 42
        && frame[12..14] == [8, 0]
        && frame[23] == 17
        && matches!(frame[36..38], [0, 67] | [0, 68])
}

#[test]
fn each_message_may_get_lost() {
    for lost in 0..8 {
        let mut leased = Leased::new(100 + lost, 3600);
        let mut seen = 0;
        leased.world.wire_mut(leased.wire).filter = Some(Box::new(move |frame, _, _| {
            if !is_dhcp(frame) {
                return Verdict::Pass;
            }
            seen += 1;
            if seen == lost + 1 {
                Verdict::Drop
            } else {
                Verdict::Pass
            }
        }));
        leased.plug();
        leased.wait_configured(60 * SECOND);
        assert_eq!(leased.addresses(), [(GIVEN.into(), 24)], "message {lost}");
    }
}

#[test]
fn half_of_all_messages_may_get_lost() {
    for seed in 200..220 {
        let mut leased = Leased::new(seed, 3600);
        leased.world.wire_mut(leased.wire).faults.loss = 0.5;
        leased.plug();
        let host = leased.host;
        leased.world.run_until("an address", 600 * SECOND, |world| {
            interface(world, host, 1).addresses == [(GIVEN.into(), 24)]
        });
    }
}

#[test]
fn refusals_are_not_the_end() {
    let mut leased = Leased::new(2, 3600);
    leased.with_dhcp(|dhcp| dhcp.mood = Mood::Refusing);
    leased.plug();
    leased.world.pass(60 * SECOND);
    let refused = leased.with_dhcp(|dhcp| dhcp.refused);
    assert!((3..60).contains(&refused), "{refused} requests in a minute");
    assert!(leased.addresses().is_empty());
    leased.with_dhcp(|dhcp| dhcp.mood = Mood::Willing);
    leased.world.pass(120 * SECOND);
    assert_eq!(leased.addresses(), [(GIVEN.into(), 24)]);
}

#[test]
fn nobody_answers_for_long() {
    let mut leased = Leased::new(3, 3600);
    leased.with_dhcp(|dhcp| dhcp.mood = Mood::Silent);
    leased.plug();
    let begun = leased.world.now;
    // Programs are not kept waiting for ever.
    leased.wait_configured(60 * SECOND);
    assert!(leased.world.now > begun + SECOND);
    leased.world.pass(3600 * SECOND);
    let asked = leased.with_dhcp(|dhcp| dhcp.count(DhcpMessageType::Discover));
    assert!((10..2000).contains(&asked), "{asked} questions in an hour");
    leased.with_dhcp(|dhcp| dhcp.mood = Mood::Willing);
    leased.world.pass(200 * SECOND);
    assert_eq!(leased.addresses(), [(GIVEN.into(), 24)]);
}

#[test]
fn leases_are_renewed() {
    let mut leased = Leased::new(4, 600);
    leased.plug();
    leased.wait_configured(10 * SECOND);
    for _ in 0..100 {
        leased.world.pass(100 * SECOND);
        assert_eq!(leased.addresses(), [(GIVEN.into(), 24)]);
    }
    let (discovers, requests) = leased.with_dhcp(|dhcp| {
        let count = |kind| dhcp.count(kind);
        (
            count(DhcpMessageType::Discover),
            count(DhcpMessageType::Request),
        )
    });
    assert_eq!(discovers, 1);
    // Half of the lease has passed each time: 10,000 s by 300 s.
    assert!((20..80).contains(&requests), "{requests}");
}

#[test]
fn connections_outlive_renewals() {
    let mut leased = Leased::new(5, 60);
    leased.plug();
    leased.wait_configured(10 * SECOND);
    let (world, host) = (&mut leased.world, leased.host);
    let other = world.host(16 << 20);
    world.plug(other, leased.wire, CardOptions::plain(2), fixed(2));
    let listener = world.host_mut(other).listen(any_v4(7), 1);
    let (mut near, mut far) = connect(
        world,
        (host, other),
        &listener,
        "10.0.0.2:7".parse().unwrap(),
    );
    for round in 0..20 {
        world.pass(40 * SECOND);
        near.write(world, &[round]);
        let mut byte = [0];
        world.run_until("a byte", 10 * SECOND, |world| {
            far.read(world, &mut byte) == crate::sim::program::Read::Bytes(1)
        });
        assert_eq!(byte, [round]);
    }
}

#[test]
fn an_address_that_was_not_renewed_is_given_up() {
    let mut leased = Leased::new(6, 120);
    leased.plug();
    leased.wait_configured(10 * SECOND);
    leased.with_dhcp(|dhcp| dhcp.mood = Mood::Silent);
    leased.world.pass(100 * SECOND);
    assert_eq!(leased.addresses(), [(GIVEN.into(), 24)]);
    leased.world.pass(60 * SECOND);
    assert!(leased.addresses().is_empty());
    let other = Ipv4Addr::new(10, 0, 0, 78);
    leased.with_dhcp(|dhcp| {
        dhcp.mood = Mood::Willing;
        dhcp.address = other;
    });
    leased.world.pass(200 * SECOND);
    assert_eq!(leased.addresses(), [(other.into(), 24)]);
}

#[test]
fn a_connection_whose_address_is_lost_leaves_nothing_behind() {
    let mut leased = Leased::new(9, 120);
    leased.plug();
    leased.wait_configured(10 * SECOND);
    let (world, host) = (&mut leased.world, leased.host);
    let other = world.host(16 << 20);
    world.plug(other, leased.wire, CardOptions::plain(2), fixed(2));
    let remote = "10.0.0.2:7".parse().unwrap();
    let listener = world.host_mut(other).listen(any_v4(7), 2);
    let (idle, _far) = connect(world, (host, other), &listener, remote);
    let (mut busy, _far) = connect(world, (host, other), &listener, remote);
    leased.with_dhcp(|dhcp| dhcp.mood = Mood::Silent);
    let world = &mut leased.world;
    world.pass(200 * SECOND);
    busy.write(world, b"to nowhere");
    world.pass(SECOND);
    busy.close(world);
    idle.close_with(world, Some(std::time::Duration::ZERO));
    world.pass(200 * SECOND);
    let sockets = world.host_mut(host).snapshot().sockets;
    assert!(sockets.is_empty(), "{sockets:?}");
}

#[test]
fn a_renewal_that_is_refused_begins_anew() {
    let mut leased = Leased::new(7, 120);
    leased.plug();
    leased.wait_configured(10 * SECOND);
    let other = Ipv4Addr::new(10, 0, 0, 79);
    leased.with_dhcp(|dhcp| dhcp.address = other);
    leased.world.pass(120 * SECOND);
    assert!(leased.with_dhcp(|dhcp| dhcp.refused) > 0);
    assert_eq!(leased.addresses(), [(other.into(), 24)]);
}

#[test]
fn two_cards_have_two_servers() {
    let mut world = World::new(8);
    let host = world.host(16 << 20);
    let mut peers = Vec::new();
    for network in [1, 2] {
        let wire = world.wire(Faults::NONE);
        let own = Ipv4Addr::new(10, network, 0, 250);
        let mut machine = Machine::new(network, own);
        machine.dhcp = Some(DhcpServer::new(Ipv4Addr::new(10, network, 0, 77), 3600));
        world.serve(wire, machine);
        world.plug(
            host,
            wire,
            CardOptions::plain(network),
            InterfaceConfig::default(),
        );
        let peer = world.host(16 << 20);
        let config = InterfaceConfig {
            v4: V4::Static {
                address: Ipv4Addr::new(10, network, 0, 2),
                prefix: 24,
                gateway: None,
            },
            v6: V6::Off,
            ..InterfaceConfig::default()
        };
        world.plug(peer, wire, CardOptions::plain(10 + network), config);
        peers.push((network, peer));
    }
    wait_configured(&mut world, host, 20 * SECOND);
    for (network, peer) in peers {
        let info = interface(&mut world, host, network.into());
        let own = IpAddr::from([10, network, 0, 77]);
        assert!(info.addresses.contains(&(own, 24)), "{:?}", info.addresses);
        let listener = world.host_mut(peer).listen(any_v4(7), 1);
        let remote = (IpAddr::from([10, network, 0, 2]), 7).into();
        let (_, far) = connect(&mut world, (host, peer), &listener, remote);
        assert_eq!(far.stream.state.remote.ip(), own);
    }
}

/// A host on a wire with a router.
fn routed(seed: u64, router: Router) -> (World, HostId, Rc<RefCell<Machine>>) {
    let mut world = World::new(seed);
    let wire = world.wire(Faults::NONE);
    let mut machine = Machine::new(1, SERVER);
    machine.router = Some(router);
    let server = world.serve(wire, machine);
    let host = world.host(1 << 20);
    let config = InterfaceConfig {
        v4: V4::Off,
        ..InterfaceConfig::default()
    };
    world.plug(host, wire, CardOptions::plain(1), config);
    world.run_until("a router", 20 * SECOND, |world| {
        !interface(world, host, 1).gateways.is_empty()
    });
    (world, host, server)
}

const PREFIX: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 7, 0, 0, 0, 0);

fn global(info: &InterfaceInfo) -> Vec<Ipv6Addr> {
    let addresses = info.addresses.iter().filter_map(|(ip, prefix)| match ip {
        IpAddr::V6(v6) if !v6.is_unicast_link_local() => {
            assert_eq!(*prefix, 64);
            Some(*v6)
        }
        _ => None,
    });
    addresses.collect()
}

#[test]
fn a_router_is_asked_for_a_prefix() {
    let (mut world, host, server) = routed(20, Router::new(PREFIX));
    assert!(server.borrow().router.as_ref().unwrap().answers > 0);
    let info = interface(&mut world, host, 1);
    let addresses = global(&info);
    assert_eq!(addresses.len(), 1, "{:?}", info.addresses);
    assert_eq!(addresses[0].segments()[..4], PREFIX.segments()[..4]);
    assert_eq!(info.gateways, [IpAddr::from(server.borrow().v6)]);
    assert_eq!(info.addresses.len(), 2, "and the link-local one");
}

#[test]
fn advertisements_that_nobody_asked_for_keep_an_address() {
    let mut router = Router::new(PREFIX).every(100);
    router.valid = 300;
    let (mut world, host, server) = routed(21, router);
    for _ in 0..50 {
        world.pass(60 * SECOND);
        assert_eq!(global(&interface(&mut world, host, 1)).len(), 1);
    }
    server.borrow_mut().router = None;
    world.pass(1000 * SECOND);
    let info = interface(&mut world, host, 1);
    assert!(global(&info).is_empty(), "{:?}", info.addresses);
}

#[test]
fn a_router_that_retires_routes_no_more() {
    let (mut world, host, server) = routed(22, Router::new(PREFIX).every(50));
    assert!(!interface(&mut world, host, 1).gateways.is_empty());
    server.borrow_mut().router.as_mut().unwrap().lifetime = 0;
    world.pass(60 * SECOND);
    let info = interface(&mut world, host, 1);
    assert!(info.gateways.is_empty(), "{:?}", info.gateways);
    assert_eq!(global(&info).len(), 1);
}

/// A host that knows where to ask for names.
struct Named {
    world: World,
    host: HostId,
    wire: WireId,
    server: Rc<RefCell<Machine>>,
}

impl Named {
    fn new(seed: u64) -> Self {
        let entries = [
            (
                "both.example",
                Entry::Addresses(vec![ip("192.0.2.1"), ip("2001:db8::1")]),
            ),
            (
                "four.example",
                Entry::Addresses(vec![ip("192.0.2.4"), ip("192.0.2.5")]),
            ),
            ("six.example", Entry::Addresses(vec![ip("2001:db8::6")])),
            ("nothing.example", Entry::Addresses(vec![])),
            ("www.example", Entry::Alias("web.example")),
            ("web.example", Entry::Alias("four.example")),
            ("broken.example", Entry::Failure),
            ("silent.example", Entry::Silence),
        ];
        let mut world = World::new(seed);
        let wire = world.wire(Faults::NONE);
        let mut machine = Machine::new(1, SERVER);
        machine.names = Some(NameServer::with(entries));
        let server = world.serve(wire, machine);
        let host = world.host(1 << 20);
        let config = InterfaceConfig {
            dns: vec![SERVER.into()],
            ..fixed(1)
        };
        world.plug(host, wire, CardOptions::plain(1), config);
        Self {
            world,
            host,
            wire,
            server,
        }
    }

    fn resolve(&mut self, name: &str, family: Family) -> Result<Vec<IpAddr>, Error> {
        resolve(&mut self.world, self.host, name, family)
    }
}

fn resolve(
    world: &mut World,
    host: HostId,
    name: &str,
    family: Family,
) -> Result<Vec<IpAddr>, Error> {
    let lookup = world.host_mut(host).resolve(name, family)?;
    let mut woken = None;
    world.run_until("an answer", 120 * SECOND, |_| {
        let count = lookup.waiters.count();
        let looks = woken != Some(count);
        woken = Some(count);
        looks && lookup.outcome().is_some()
    });
    lookup.outcome().unwrap().clone()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn names_have_addresses_of_families() {
    let mut named = Named::new(30);
    let both = [ip("192.0.2.1"), ip("2001:db8::1")];
    assert_eq!(named.resolve("both.example", Family::V4), Ok(vec![both[0]]));
    assert_eq!(named.resolve("both.example", Family::V6), Ok(vec![both[1]]));
    let mut any = named.resolve("both.example", Family::Any).unwrap();
    any.sort_unstable();
    assert_eq!(any, both);
    let four = Ok(vec![ip("192.0.2.4"), ip("192.0.2.5")]);
    assert_eq!(named.resolve("four.example", Family::Any), four);
    assert_eq!(named.resolve("FOUR.example", Family::V4), four);
    let six = Ok(vec![ip("2001:db8::6")]);
    assert_eq!(named.resolve("six.example", Family::V6), six);
    assert_eq!(named.resolve("six.example", Family::Any), six);
}

#[test]
fn names_may_be_names_for_others() {
    let mut named = Named::new(31);
    let four = Ok(vec![ip("192.0.2.4"), ip("192.0.2.5")]);
    assert_eq!(named.resolve("web.example", Family::V4), four);
    assert_eq!(named.resolve("www.example", Family::Any), four);
}

#[test]
fn what_names_do_not_have_is_told_apart() {
    let mut named = Named::new(32);
    for (name, family, error) in [
        ("no.example", Family::Any, Error::NameNotFound),
        ("no.example", Family::V4, Error::NameNotFound),
        ("six.example", Family::V4, Error::NoAddress),
        ("four.example", Family::V6, Error::NoAddress),
        ("nothing.example", Family::Any, Error::NoAddress),
        ("broken.example", Family::Any, Error::NameServerFailed),
        ("silent.example", Family::V4, Error::NameServerFailed),
    ] {
        assert_eq!(named.resolve(name, family), Err(error), "{name} {family:?}");
    }
}

#[test]
fn names_that_cannot_be_are_refused() {
    let mut named = Named::new(33);
    let long = ["a"; 130].join(".");
    let label = "a".repeat(64);
    for name in ["", ".", "a..b", &long, &label] {
        assert!(named.resolve(name, Family::Any).is_err(), "{name}");
    }
    let asked = named.server.borrow().names.as_ref().unwrap().log.len();
    assert_eq!(asked, 0);
}

#[test]
fn questions_are_asked_again() {
    for deaf in [1, 2, 3] {
        let mut named = Named::new(34);
        named.server.borrow_mut().names.as_mut().unwrap().deaf = deaf;
        let four = Ok(vec![ip("192.0.2.4"), ip("192.0.2.5")]);
        assert_eq!(named.resolve("four.example", Family::V4), four, "{deaf}");
    }
    for seed in 300..320 {
        let mut named = Named::new(seed);
        named.world.wire_mut(named.wire).faults.loss = 0.2;
        let answer = named.resolve("www.example", Family::V4);
        let gave_up = answer == Err(Error::NameServerFailed);
        assert!(gave_up || answer.is_ok_and(|found| found.len() == 2));
    }
}

#[test]
fn another_server_is_asked_when_one_is_silent() {
    let mut world = World::new(35);
    let wire = world.wire(Faults::NONE);
    let mut machine = Machine::new(1, SERVER);
    let entry = Entry::Addresses(vec![ip("192.0.2.1")]);
    machine.names = Some(NameServer::with([("one.example", entry)]));
    world.serve(wire, machine);
    // It says who it is, and nothing else.
    world.serve(wire, Machine::new(2, Ipv4Addr::new(10, 0, 0, 251)));
    let host = world.host(1 << 20);
    for (index, dns) in [ip("10.0.0.251"), ip("10.0.0.9")].into_iter().enumerate() {
        let host = if index == 0 {
            host
        } else {
            world.host(1 << 20)
        };
        let config = InterfaceConfig {
            dns: vec![dns, SERVER.into()],
            ..fixed(1 + index as u8)
        };
        world.plug(host, wire, CardOptions::plain(1 + index as u8), config);
        let found = resolve(&mut world, host, "one.example", Family::V4);
        assert_eq!(found, Ok(vec![ip("192.0.2.1")]), "{dns} first");
    }
}

#[test]
fn many_names_are_looked_up_at_once() {
    let mut named = Named::new(36);
    named.world.wire_mut(named.wire).faults.loss = 0.05;
    let (world, host) = (&mut named.world, named.host);
    let lookups: Vec<_> = (0..100)
        .map(|_| {
            world
                .host_mut(host)
                .resolve("four.example", Family::Any)
                .unwrap()
        })
        .collect();
    world.run_until("all answers", 120 * SECOND, |_| {
        lookups.iter().all(|lookup| lookup.outcome().is_some())
    });
    let found = lookups
        .iter()
        .filter(|lookup| matches!(lookup.outcome(), Some(Ok(_))));
    assert!(found.count() > 90);
    let sockets = world.host_mut(host).snapshot().sockets;
    assert!(sockets.is_empty(), "{sockets:?}");
}

#[test]
fn without_a_server_nothing_is_waited_for() {
    let mut world = World::new(37);
    let wire = world.wire(Faults::NONE);
    let host = world.host(1 << 20);
    world.plug(host, wire, CardOptions::plain(1), fixed(1));
    let begun = world.now;
    let answer = resolve(&mut world, host, "any.example", Family::Any);
    assert_eq!(answer, Err(Error::NameServerFailed));
    assert!(world.now - begun < SECOND);
}
