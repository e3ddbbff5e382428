//! Two hosts on a wire, which most tests are about.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use darner_netstack::InterfaceConfig;
use darner_netstack::config::{V4, V6};

use super::card::CardOptions;
use super::wire::Faults;
use super::{HostId, WireId, World};

/// What the buffers of all connections of a host may take, in bytes.
pub const MEMORY: usize = 64 << 20;

/// Two hosts on a wire: 10.0.0.1 and 10.0.0.2, fd00::1 and fd00::2.
pub struct Pair {
    pub world: World,
    pub wire: WireId,
    pub a: HostId,
    pub b: HostId,
}

impl Pair {
    pub fn new(seed: u64, faults: Faults) -> Self {
        Self::with_cards(seed, faults, CardOptions::plain(1), CardOptions::plain(2))
    }

    pub fn with_cards(seed: u64, faults: Faults, a: CardOptions, b: CardOptions) -> Self {
        Self::with_memory(seed, faults, [a, b], MEMORY)
    }

    pub fn with_memory(seed: u64, faults: Faults, cards: [CardOptions; 2], memory: usize) -> Self {
        let [a, b] = cards;
        let mut world = World::new(seed);
        let wire = world.wire(faults);
        let hosts = [(1, a), (2, b)].map(|(number, card)| {
            let host = world.host(memory);
            world.plug(host, wire, card, fixed(number));
            host
        });
        let [a, b] = hosts;
        Self { world, wire, a, b }
    }
}

/// The IPv4 address of a host.
pub fn v4(number: u8, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, number)), port)
}

/// The IPv6 address of a host.
pub fn v6(number: u8, port: u16) -> SocketAddr {
    let ip = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number.into());
    SocketAddr::new(IpAddr::V6(ip), port)
}

/// All addresses of a host.
pub fn any_v4(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)
}

/// All addresses of a host, of both families.
pub fn any_v6(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port)
}

/// The configuration of a host with fixed addresses.
pub fn fixed(number: u8) -> InterfaceConfig {
    InterfaceConfig {
        v4: V4::Static {
            address: Ipv4Addr::new(10, 0, 0, number),
            prefix: 24,
            gateway: None,
        },
        v6: V6::Static {
            address: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number.into()),
            prefix: 64,
            gateway: None,
        },
        ..InterfaceConfig::default()
    }
}
