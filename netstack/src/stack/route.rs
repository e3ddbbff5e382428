//! The way to an address: which interface, from which address, to which neighbour.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use smoltcp::wire::{IpAddress, IpCidr};

use super::netif::Netif;

/// A way to an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// The interface's number.
    pub netif: usize,
    /// The address that packets come from.
    pub source: IpAddr,
    /// The neighbour that packets are handed to; on loopback, and to groups, there is none.
    pub neighbour: Option<IpAddr>,
}

/// The best way to `remote`, from `source` if that is given.
pub(super) fn find(netifs: &[Netif], remote: SocketAddr, source: Option<IpAddr>) -> Option<Route> {
    let ip = remote.ip();
    // Which of all interfaces' groups is meant, the source says.
    let own_group = ip.is_multicast() && source.is_some_and(|source| source.is_loopback());
    if ip.is_loopback() || own_group || netifs.iter().any(|netif| netif.has(ip)) {
        return Some(Route {
            netif: 0,
            source: source.unwrap_or(own_source(ip)),
            neighbour: None,
        });
    }
    let scope = match remote {
        SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() => v6.scope_id() as usize,
        _ => 0,
    };
    let cards = netifs.iter().skip(1);
    let usable = cards.filter(|netif| scope == 0 || netif.index == scope);
    let ways = usable.filter_map(|netif| {
        let (length, neighbour) = way(netif, ip)?;
        let source = match source {
            Some(source) => netif.has(source).then_some(source)?,
            None => source_on(netif, ip)?,
        };
        let route = Route {
            netif: netif.index,
            source,
            neighbour,
        };
        Some((length, route))
    });
    // Of equal ones the first.
    let mut best: Option<(u8, Route)> = None;
    for (length, route) in ways {
        if best.is_none_or(|(longest, _)| length > longest) {
            best = Some((length, route));
        }
    }
    best.map(|(_, route)| route)
}

/// The address that a packet to an own address comes from.
fn own_source(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(v4) if v4.is_loopback() => Ipv4Addr::LOCALHOST.into(),
        _ => ip,
    }
}

/// The length of the matching prefix, and the neighbour.
fn way(netif: &Netif, ip: IpAddr) -> Option<(u8, Option<IpAddr>)> {
    let addresses = netif.interface.ip_addrs();
    if is_to_many(netif, ip) {
        let same_family = |cidr: &&IpCidr| IpAddr::from(cidr.address()).is_ipv4() == ip.is_ipv4();
        return addresses.iter().find(same_family).map(|_| (0, None));
    }
    let target = IpAddress::from(ip);
    let networks = addresses.iter().filter(|cidr| cidr.contains_addr(&target));
    if let Some(length) = networks.map(IpCidr::prefix_len).max() {
        return Some((length, Some(ip)));
    }
    let link_local = matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local());
    if link_local {
        return None;
    }
    gateway(netif, ip).map(|gateway| (0, Some(gateway)))
}

/// Whether `ip` is a group, or the broadcast address of everything or of the interface's
/// network.
pub(super) fn is_to_many(netif: &Netif, ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_multicast() || is_broadcast(netif, v4),
        IpAddr::V6(v6) => v6.is_multicast(),
    }
}

/// Whether `ip` is the broadcast address of everything or of the interface's network.
pub(super) fn is_broadcast(netif: &Netif, ip: Ipv4Addr) -> bool {
    let network = |cidr: &IpCidr| match cidr {
        IpCidr::Ipv4(cidr) => cidr.broadcast() == Some(ip),
        IpCidr::Ipv6(_) => false,
    };
    ip.is_broadcast() || netif.interface.ip_addrs().iter().any(network)
}

/// Where the interface sends what is for elsewhere.
pub(super) fn gateway(netif: &Netif, ip: IpAddr) -> Option<IpAddr> {
    let routes = netif.interface.routes();
    let route = match ip {
        IpAddr::V4(_) => routes.get_default_ipv4_route(),
        IpAddr::V6(_) => routes.get_default_ipv6_route(),
    };
    route.map(|route| route.via_router.into())
}

/// The interface's address for packets to `ip`.
fn source_on(netif: &Netif, ip: IpAddr) -> Option<IpAddr> {
    let source = netif.interface.get_source_address(&ip.into())?.into();
    // smoltcp's answer when an interface has no IPv6 address at all.
    (source != IpAddr::from(Ipv6Addr::LOCALHOST)).then_some(source)
}
