//! Addresses in the forms that the stack uses.
//!
//! Inside the stack an IPv4 address is always an IPv4 address. As an IPv4-mapped IPv6 address
//! it is seen by programs only, whose IPv6 sockets talk both.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// The address as the stack uses it, not mapped.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(v4) => SocketAddr::new(v4.into(), address.port()),
        IpAddr::V6(_) => address,
    }
}

/// The address as an IPv6 socket shows it.
fn mapped(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) => SocketAddr::new(v4.ip().to_ipv6_mapped().into(), v4.port()),
        SocketAddr::V6(_) => address,
    }
}

/// A number for each address.
pub(super) fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// Where a socket is bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// As the program gave it, but with the port that was chosen.
    pub shown: SocketAddr,
    /// Of IPv6: not IPv4 as well.
    only_v6: bool,
}

impl Place {
    pub fn new(shown: SocketAddr, only_v6: bool) -> Self {
        Self { shown, only_v6 }
    }

    pub fn port(&self) -> u16 {
        self.shown.port()
    }

    pub fn set_port(&mut self, port: u16) {
        self.shown.set_port(port);
    }

    /// The one address it is bound to.
    pub fn specific(&self) -> Option<IpAddr> {
        let ip = self.shown.ip().to_canonical();
        // A mapped 0.0.0.0 stands for all of IPv4.
        (!ip.is_unspecified()).then_some(ip)
    }

    fn has_v4(&self) -> bool {
        match self.shown.ip() {
            IpAddr::V4(_) => true,
            IpAddr::V6(v6) => {
                v6.to_ipv4_mapped().is_some() || (v6.is_unspecified() && !self.only_v6)
            }
        }
    }

    fn has_v6(&self) -> bool {
        matches!(self.shown.ip().to_canonical(), IpAddr::V6(_))
    }

    /// Whether it is of a family that can talk to `ip`.
    pub fn speaks(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(_) => self.has_v4(),
            IpAddr::V6(_) => self.has_v6(),
        }
    }

    /// Whether what is sent to `ip` is for it.
    pub fn covers(&self, ip: IpAddr) -> bool {
        match self.specific() {
            Some(own) => own == ip,
            None => self.speaks(ip),
        }
    }

    /// Whether there are addresses that both cover, on the same port.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.port() == other.port()
            && match (self.specific(), other.specific()) {
                (Some(one), Some(two)) => one == two,
                (Some(one), None) => other.covers(one),
                (None, Some(two)) => self.covers(two),
                (None, None) => {
                    (self.has_v4() && other.has_v4()) || (self.has_v6() && other.has_v6())
                }
            }
    }

    /// How the socket shows an address: one of IPv6 shows mapped addresses.
    pub fn show(&self, address: SocketAddr) -> SocketAddr {
        if self.shown.is_ipv6() {
            mapped(address)
        } else {
            address
        }
    }
}

/// The unspecified address of the other one's family.
pub(super) fn unspecified_like(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// The address as one of an interface's: a link-local address is one there only.
pub(super) fn with_scope(address: SocketAddr, netif: usize) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() => {
            SocketAddrV6::new(*v6.ip(), v6.port(), 0, netif as u32).into()
        }
        _ => address,
    }
}

/// What connecting to an unspecified address means: this node.
pub(super) fn destination(address: SocketAddr) -> SocketAddr {
    let mut address = canonical(address);
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str, only_v6: bool) -> Place {
        Place::new(text.parse().unwrap(), only_v6)
    }

    #[test]
    fn a_dual_stack_wildcard_overlaps_both_families() {
        let both = place("[::]:80", false);
        assert!(both.overlaps(&place("0.0.0.0:80", false)));
        assert!(both.overlaps(&place("10.0.0.1:80", false)));
        assert!(both.overlaps(&place("[fe80::1]:80", false)));
        assert!(!both.overlaps(&place("0.0.0.0:81", false)));
        let v6 = place("[::]:80", true);
        assert!(!v6.overlaps(&place("0.0.0.0:80", false)));
        assert!(!v6.overlaps(&place("[::ffff:10.0.0.1]:80", false)));
        assert!(v6.overlaps(&both));
    }

    #[test]
    fn a_specific_address_overlaps_only_itself_and_its_wildcard() {
        let one = place("10.0.0.1:80", false);
        assert!(!one.overlaps(&place("10.0.0.2:80", false)));
        assert!(one.overlaps(&place("0.0.0.0:80", false)));
        assert!(one.overlaps(&place("[::ffff:10.0.0.1]:80", false)));
        assert!(!one.covers("10.0.0.2".parse().unwrap()));
    }

    #[test]
    fn a_v6_socket_shows_mapped_addresses() {
        let v6 = place("[::]:80", false);
        let peer = "10.0.0.9:7".parse().unwrap();
        assert_eq!(v6.show(peer), "[::ffff:10.0.0.9]:7".parse().unwrap());
        assert_eq!(canonical(v6.show(peer)), peer);
    }
}
