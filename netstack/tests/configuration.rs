//! Addresses by DHCP and from routers, names by DNS.

mod support;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use darner_netstack::config::{V4, V6};
use darner_netstack::request::{DatagramOptions, Family, StreamOptions};
use darner_netstack::socket::Phase;
use darner_netstack::{Datagrams, Error, InterfaceConfig, Lookup, Reply, Request};
use smoltcp::wire::{DhcpMessageType, DhcpPacket, DhcpRepr};
use support::{Flag, SECOND, Setup, World, fold, ip, sum};

/// Node 0 is set up by `config`, node 1 is 10.0.0.2.
fn world(config: InterfaceConfig) -> World {
    let configured = Setup {
        config: Some(config),
        ..Setup::default()
    };
    World::with(&[configured, Setup::default()])
}

fn dhcp() -> InterfaceConfig {
    InterfaceConfig {
        v6: V6::Off,
        host_name: Some("tester".into()),
        ..InterfaceConfig::default()
    }
}

/// A DHCP server on node 1.
struct Server {
    socket: Datagrams<Flag>,
    lease: u32,
    names: Vec<String>,
}

impl Server {
    fn new(world: &mut World) -> Self {
        let socket = world.udp(1, "0.0.0.0:67");
        let broadcast = DatagramOptions {
            broadcast: true,
            ..DatagramOptions::default()
        };
        world.datagram_options(1, &socket, broadcast);
        Self {
            socket,
            lease: 1000,
            names: Vec::new(),
        }
    }

    /// Answers all questions.
    fn answer(&mut self, world: &mut World) {
        world.settle();
        while let Some(datagram) = self.socket.state.receive() {
            let packet = DhcpPacket::new_checked(&datagram.data[..]).unwrap();
            let name = packet.options().find(|option| option.kind == 12);
            self.names
                .extend(name.map(|name| String::from_utf8(name.data.to_vec()).unwrap()));
            let question = DhcpRepr::parse(&packet).unwrap();
            let answer = DhcpRepr {
                message_type: match question.message_type {
                    DhcpMessageType::Discover => DhcpMessageType::Offer,
                    _ => DhcpMessageType::Ack,
                },
                your_ip: Ipv4Addr::new(10, 0, 0, 77),
                server_ip: Ipv4Addr::new(10, 0, 0, 2),
                router: Some(Ipv4Addr::new(10, 0, 0, 2)),
                subnet_mask: Some(Ipv4Addr::new(255, 255, 255, 0)),
                server_identifier: Some(Ipv4Addr::new(10, 0, 0, 2)),
                lease_duration: Some(self.lease),
                dns_servers: Some([Ipv4Addr::new(10, 0, 0, 2)].into_iter().collect()),
                client_identifier: None,
                parameter_request_list: None,
                requested_ip: None,
                ..question
            };
            let mut bytes = vec![0; answer.buffer_len()];
            answer
                .emit(&mut DhcpPacket::new_unchecked(&mut bytes[..]))
                .unwrap();
            world.send(1, &self.socket, "255.255.255.255:68", &bytes);
            world.settle();
        }
    }
}

fn addresses(world: &mut World) -> Vec<(IpAddr, u8)> {
    world.snapshot(0).interfaces[1].addresses.clone()
}

#[test]
fn an_address_comes_by_dhcp() {
    let mut world = world(dhcp());
    let configured = world.nodes[0].stack.configured();
    assert!(!configured.is_done());
    let early = world.try_connect(0, "10.0.0.2:80", StreamOptions::default());
    assert_eq!(early.err(), Some(Error::NotConfigured));
    let mut server = Server::new(&mut world);
    world.advance(2 * SECOND);
    server.answer(&mut world);
    server.answer(&mut world);
    assert!(configured.is_done());
    assert_eq!(configured.waiters.count(), 1);
    assert_eq!(addresses(&mut world), [(ip("10.0.0.77"), 24)]);
    assert_eq!(server.names, ["tester", "tester"]);
    let snapshot = world.snapshot(0);
    assert_eq!(snapshot.dns, [ip("10.0.0.2")]);
    assert_eq!(snapshot.interfaces[1].gateways, [ip("10.0.0.2")]);
    let listener = world.listen(1, "0.0.0.0:80", 1);
    let (client, _) = world.pair(0, &listener, "10.0.0.2:80");
    assert_eq!(client.state.local.ip(), ip("10.0.0.77"));
    // Renewed in time, the lease goes on.
    world.advance(510 * SECOND);
    server.answer(&mut world);
    world.advance(600 * SECOND);
    assert_eq!(addresses(&mut world), [(ip("10.0.0.77"), 24)]);
}

#[test]
fn a_lease_that_is_not_renewed_is_lost() {
    let mut world = world(dhcp());
    let mut server = Server::new(&mut world);
    world.advance(2 * SECOND);
    server.answer(&mut world);
    server.answer(&mut world);
    let listener = world.listen(1, "0.0.0.0:80", 1);
    let (mut client, _server) = world.pair(0, &listener, "10.0.0.2:80");
    world.advance(1001 * SECOND);
    assert_eq!(addresses(&mut world), []);
    world.write(0, &mut client, b"from nowhere");
    world.settle();
    assert_eq!(client.state.phase(), Phase::Over);
    assert!(client.state.error().is_some());
    // It goes on asking.
    world.advance(5 * SECOND);
    server.answer(&mut world);
    server.answer(&mut world);
    assert_eq!(addresses(&mut world), [(ip("10.0.0.77"), 24)]);
}

#[test]
fn nobody_waits_longer_than_ten_seconds_for_dhcp() {
    let mut world = world(dhcp());
    let configured = world.nodes[0].stack.configured();
    world.advance(9 * SECOND);
    assert!(!configured.is_done());
    world.advance(SECOND);
    assert!(configured.is_done());
    assert_eq!(configured.waiters.count(), 1);
    let late = world.try_connect(0, "10.0.0.2:80", StreamOptions::default());
    assert_eq!(late.err(), Some(Error::NetworkUnreachable));
    let mut server = Server::new(&mut world);
    world.advance(600 * SECOND);
    server.answer(&mut world);
    server.answer(&mut world);
    assert_eq!(addresses(&mut world), [(ip("10.0.0.77"), 24)]);
}

#[test]
fn datagrams_wait_for_the_first_address() {
    let mut world = world(dhcp());
    let sender = world.udp(0, "0.0.0.0:0");
    let receiver = world.udp(1, "0.0.0.0:600");
    world.send(0, &sender, "10.0.0.2:600", b"patience");
    let mut server = Server::new(&mut world);
    world.advance(2 * SECOND);
    assert_eq!(sender.state.take_error(), None);
    server.answer(&mut world);
    server.answer(&mut world);
    assert_eq!(&*receiver.state.receive().unwrap().data, b"patience");
}

fn auto() -> InterfaceConfig {
    InterfaceConfig {
        v4: V4::Off,
        v6: V6::Auto,
        ..InterfaceConfig::default()
    }
}

/// A router's advertisement of fd11::/64, valid that long, in an Ethernet frame.
fn advertisement(router: u16, prefix: u32) -> Vec<u8> {
    let source = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x99);
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let mut message = vec![134, 0, 0, 0, 64, 0];
    message.extend(router.to_be_bytes());
    message.extend([0; 8]);
    message.extend([3, 4, 64, 0xc0]);
    message.extend(prefix.to_be_bytes());
    message.extend(prefix.to_be_bytes());
    message.extend([0; 4]);
    message.extend(Ipv6Addr::new(0xfd11, 0, 0, 0, 0, 0, 0, 0).octets());
    message.extend([25, 3, 0, 0]);
    message.extend(prefix.to_be_bytes());
    message.extend(Ipv6Addr::new(0xfd11, 0, 0, 0, 0, 0, 0, 0x53).octets());
    let mut pseudo = [source.octets(), group.octets()].concat();
    pseudo.extend((message.len() as u32).to_be_bytes());
    pseudo.extend([0, 0, 0, 58]);
    pseudo.extend(&message);
    message[2..4].copy_from_slice(&(!fold(sum(&pseudo))).to_be_bytes());
    let mut frame = vec![0x33, 0x33, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0x99, 0x86, 0xdd];
    frame.extend([0x60, 0, 0, 0]);
    frame.extend((message.len() as u16).to_be_bytes());
    frame.extend([58, 255]);
    frame.extend(source.octets());
    frame.extend(group.octets());
    frame.extend(message);
    frame
}

#[test]
fn an_address_comes_from_a_router() {
    let mut world = world(auto());
    assert!(world.nodes[0].stack.configured().is_done());
    let local = (ip("fe80::ff:fe00:1"), 64);
    assert_eq!(addresses(&mut world), [local]);
    world.inject(0, advertisement(1800, 8000));
    world.settle();
    let advertised = (ip("fd11::ff:fe00:1"), 64);
    assert_eq!(addresses(&mut world), [local, advertised]);
    let snapshot = world.snapshot(0);
    assert_eq!(snapshot.interfaces[1].gateways, [ip("fe80::99")]);
    assert_eq!(snapshot.dns, [ip("fd11::53")]);
    let client = world.connect(0, "[2001:db8::1]:80");
    assert_eq!(client.state.local.ip(), advertised.0);
    // Nobody may take it away at once.
    world.inject(0, advertisement(1800, 1));
    world.advance(7000 * SECOND);
    assert_eq!(addresses(&mut world).len(), 2);
    assert!(world.snapshot(0).interfaces[1].gateways.is_empty());
    world.advance(1001 * SECOND);
    assert_eq!(addresses(&mut world), [local]);
    assert_eq!(world.nodes[0].deadline, None);
}

#[test]
fn routers_are_asked_three_times() {
    let mut world = World::with(&[]);
    world.log = Some(Vec::new());
    let configured = Setup {
        config: Some(auto()),
        ..Setup::default()
    };
    world.add(&configured);
    world.advance(100 * SECOND);
    let log = world.log.take().unwrap();
    let asked = log
        .iter()
        .filter(|(_, frame)| frame.len() > 54 && frame[54] == 133);
    assert_eq!(asked.count(), 3);
    assert_eq!(world.nodes[0].deadline, None);
}

/// The questions that have come to a name server: who asks, and what.
fn questions(server: &Datagrams<Flag>) -> Vec<(SocketAddr, Vec<u8>)> {
    let received = std::iter::from_fn(|| server.state.receive());
    received
        .map(|datagram| (datagram.peer, datagram.data.to_vec()))
        .collect()
}

/// Answers a question with a code, and addresses if they are of the kind that was asked for.
fn answer(question: &[u8], code: u8, addresses: &[IpAddr]) -> Vec<u8> {
    let kind = question[question.len() - 3];
    let octets = |ip: &IpAddr| match ip {
        IpAddr::V4(v4) => (kind == 1).then(|| v4.octets().to_vec()),
        IpAddr::V6(v6) => (kind == 28).then(|| v6.octets().to_vec()),
    };
    let found: Vec<_> = addresses.iter().filter_map(octets).collect();
    let mut bytes = question.to_vec();
    bytes[2] |= 0x80;
    bytes[3] = 0x80 | code;
    bytes[7] = found.len() as u8;
    for octets in found {
        bytes.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, octets.len() as u8]);
        bytes.extend(octets);
    }
    bytes
}

fn named() -> InterfaceConfig {
    InterfaceConfig {
        dns: vec![ip("10.0.0.2")],
        ..support::config(0)
    }
}

fn look_up(world: &mut World, name: &str, family: Family) -> Arc<Lookup<Flag>> {
    let lookup = Arc::new(Lookup::new());
    let resolve = Request::Resolve {
        name: name.into(),
        family,
        lookup: lookup.clone(),
    };
    assert!(matches!(world.ask(0, resolve), Reply::Done));
    lookup
}

#[test]
fn names_are_looked_up() {
    let mut world = world(named());
    let server = world.udp(1, "0.0.0.0:53");
    let known = [ip("192.0.2.7"), ip("192.0.2.8"), ip("2001:db8::7")];
    let cases = [
        (Family::V4, &known[..2]),
        (Family::V6, &known[2..]),
        // There is no way to IPv6, so IPv4 comes first.
        (Family::Any, &known[..]),
    ];
    let lookups: Vec<_> = cases
        .iter()
        .map(|(family, _)| look_up(&mut world, "host.example", *family))
        .collect();
    world.settle();
    let asked = questions(&server);
    assert_eq!(asked.len(), 4);
    for (peer, question) in asked {
        let bytes = answer(&question, 0, &known);
        world.send(1, &server, &peer.to_string(), &bytes);
    }
    world.settle();
    for (lookup, (_, wanted)) in lookups.iter().zip(cases) {
        assert_eq!(lookup.outcome(), Some(&Ok(wanted.to_vec())));
        assert_eq!(lookup.waiters.count(), 1);
    }
    assert_eq!(world.nodes[0].deadline, None);
}

#[test]
fn names_that_have_no_address() {
    let mut world = world(named());
    let server = world.udp(1, "0.0.0.0:53");
    for (code, error) in [(3, Error::NameNotFound), (0, Error::NoAddress)] {
        let lookup = look_up(&mut world, "host.example.", Family::Any);
        world.settle();
        for (peer, question) in questions(&server) {
            let bytes = answer(&question, code, &[]);
            world.send(1, &server, &peer.to_string(), &bytes);
        }
        world.settle();
        assert_eq!(lookup.outcome(), Some(&Err(error)));
    }
}

#[test]
fn a_server_that_does_not_answer() {
    let mut world = world(named());
    let _server = world.udp(1, "0.0.0.0:53");
    let lookup = look_up(&mut world, "host.example", Family::V4);
    world.advance(9 * SECOND);
    assert!(lookup.outcome().is_none());
    world.advance(2 * SECOND);
    assert_eq!(lookup.outcome(), Some(&Err(Error::NameServerFailed)));
    assert_eq!(world.nodes[0].deadline, None);
}

#[test]
fn the_second_server_is_asked_when_the_first_one_fails() {
    let config = InterfaceConfig {
        dns: vec![ip("10.0.0.99"), ip("10.0.0.2")],
        ..support::config(0)
    };
    let mut world = world(config);
    let server = world.udp(1, "0.0.0.0:53");
    let lookup = look_up(&mut world, "host.example", Family::V4);
    // The first one's hardware address is asked for three times.
    world.advance(7 * SECOND / 2);
    let asked = questions(&server);
    assert_eq!(asked.len(), 1);
    // It may fail too.
    let bytes = answer(&asked[0].1, 2, &[]);
    world.send(1, &server, &asked[0].0.to_string(), &bytes);
    world.advance(4 * SECOND);
    let (peer, question) = questions(&server).remove(0);
    let bytes = answer(&question, 0, &[ip("192.0.2.7")]);
    world.send(1, &server, &peer.to_string(), &bytes);
    world.settle();
    assert_eq!(lookup.outcome(), Some(&Ok(vec![ip("192.0.2.7")])));
}

#[test]
fn some_names_are_known() {
    let mut world = World::new(1);
    let (v4, v6) = (ip("127.0.0.1"), ip("::1"));
    for (name, family, outcome) in [
        ("localhost", Family::V4, Ok(vec![v4])),
        ("a.LocalHost.", Family::V6, Ok(vec![v6])),
        ("localhost", Family::Any, Ok(vec![v6, v4])),
        ("192.0.2.7", Family::Any, Ok(vec![ip("192.0.2.7")])),
        ("2001:db8::7", Family::V6, Ok(vec![ip("2001:db8::7")])),
        ("192.0.2.7", Family::V6, Err(Error::NoAddress)),
        ("no.invalid", Family::Any, Err(Error::NameNotFound)),
        ("host.example", Family::Any, Err(Error::NameServerFailed)),
    ] {
        let lookup = look_up(&mut world, name, family);
        assert_eq!(lookup.outcome(), Some(&outcome), "{name}");
    }
}

#[test]
fn no_name_at_all() {
    let mut world = world(named());
    for name in ["", ".", "a..b", &"x".repeat(64), &"long.".repeat(60)] {
        let lookup = look_up(&mut world, name, Family::Any);
        assert_eq!(lookup.outcome(), Some(&Err(Error::NameNotFound)), "{name}");
    }
}

#[test]
fn names_wait_for_the_first_address() {
    let mut world = world(dhcp());
    let lookup = look_up(&mut world, "host.example", Family::V4);
    let names = world.udp(1, "0.0.0.0:53");
    let mut server = Server::new(&mut world);
    world.advance(2 * SECOND);
    server.answer(&mut world);
    server.answer(&mut world);
    world.settle();
    let (peer, question) = questions(&names).remove(0);
    let bytes = answer(&question, 0, &[ip("192.0.2.7")]);
    world.send(1, &names, &peer.to_string(), &bytes);
    world.settle();
    assert_eq!(lookup.outcome(), Some(&Ok(vec![ip("192.0.2.7")])));
}

#[test]
fn who_asks_for_members_of_groups_is_told() {
    let mut world = World::new(1);
    let join = Request::Multicast {
        group: ip("239.1.2.3"),
        interface: ip("0.0.0.0"),
        join: true,
    };
    assert!(matches!(world.ask(0, join), Reply::Done));
    world.settle();
    world.log = Some(Vec::new());
    // IGMPv2: all groups, within a second.
    let mut message = vec![0x11, 10, 0, 0, 0, 0, 0, 0];
    let checksum = !fold(sum(&message));
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 1, 2, 0, 0];
    packet.extend([10, 0, 0, 9, 224, 0, 0, 1]);
    let checksum = !fold(sum(&packet));
    packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    let mut frame = vec![1, 0, 0x5e, 0, 0, 1, 2, 0, 0, 0, 0, 9, 8, 0];
    frame.extend(packet);
    frame.extend(message);
    world.inject(0, frame);
    world.advance(30 * SECOND);
    let log = world.log.take().unwrap();
    let reports = log
        .iter()
        .filter(|(_, frame)| frame[23] == 2 && frame[30..34] == [239, 1, 2, 3]);
    assert_eq!(reports.count(), 1);
    assert_eq!(world.nodes[0].deadline, None);
}
