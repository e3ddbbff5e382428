//! How an interface gets its addresses, and keeps them.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};

use smoltcp::wire::{IpAddress, IpCidr};

use super::dhcp::{self, Dhcp, Lease};
use super::netif::Netif;
use super::slaac::Slaac;
use crate::Nanos;
use crate::config::{V4, V6};

/// When to try again what a full card did not take.
const RETRY: Nanos = 1_000_000;
/// How long, and how often, to look whether memberships of groups have to be reported.
const REPORTS: Nanos = 10_000_000_000;
const REPORT: Nanos = 500_000_000;

impl Netif {
    /// Somebody has asked which groups the node is in.
    pub fn expect_reports(&mut self, now: Nanos) {
        self.reports_until = now + REPORTS;
    }

    /// Begins to give the interface its addresses.
    pub fn set_up(&mut self, now: Nanos) {
        let Some(config) = self.config.clone() else {
            return;
        };
        let mut addresses: Vec<IpCidr> = Vec::new();
        match config.v4 {
            V4::Off => {}
            V4::Dhcp => self.dhcp = Some(Dhcp::new(config.host_name.as_deref(), now)),
            V4::Static {
                address,
                prefix,
                gateway,
            } => {
                addresses.push(IpCidr::new(address.into(), prefix.min(32)));
                self.set_gateway_v4(gateway.map(IpAddr::from));
            }
        }
        let local = self.mac().map(link_local);
        if let (V6::Auto | V6::Static { .. }, Some(local)) = (config.v6, local) {
            addresses.push(IpCidr::new(local.into(), 64));
        }
        match (config.v6, local) {
            (V6::Auto, Some(local)) => self.slaac = Some(Slaac::new(local, now)),
            (
                V6::Static {
                    address,
                    prefix,
                    gateway,
                },
                _,
            ) => {
                addresses.push(IpCidr::new(address.into(), prefix.min(128)));
                self.set_gateway_v6(gateway);
            }
            _ => {}
        }
        self.set_addresses(addresses);
    }

    /// Does what the interface does by itself. True: its addresses have changed.
    pub fn maintain(&mut self, now: Nanos) -> bool {
        if !self.finish_pieces(now) {
            return false;
        }
        let leased = self.maintain_dhcp(now);
        let advertised = self.maintain_slaac(now);
        // Memberships of groups.
        self.egress(None, now);
        leased || advertised
    }

    fn maintain_dhcp(&mut self, now: Nanos) -> bool {
        let Some(mut dhcp) = self.dhcp.take() else {
            return false;
        };
        // A lease that is over makes smoltcp ask for a new one when it is called once more.
        for _ in 0..2 {
            if dhcp.pace.allows(now) && self.egress(Some(&mut dhcp.sockets), now) {
                dhcp.pace.count();
            }
        }
        let mut changed = false;
        while let Some(lease) = dhcp.poll() {
            let (address, gateway) = match lease {
                Lease::Have { address, gateway } => {
                    log::info!("{}: {address} by DHCP", self.name());
                    (Some(address), gateway)
                }
                Lease::Lost => (None, None),
            };
            changed = true;
            self.set_gateway_v4(gateway.map(IpAddr::from));
            let addresses = dhcp::replace_v4(self.interface.ip_addrs(), address);
            self.set_addresses(addresses);
            if address.is_some() {
                dhcp.waits_until = None;
            }
        }
        if dhcp.waits_until.is_some_and(|until| now >= until) {
            log::warn!("{}: no answer by DHCP, which goes on", self.name());
            dhcp.waits_until = None;
            changed = true;
        }
        self.dhcp = Some(dhcp);
        changed
    }

    fn maintain_slaac(&mut self, now: Nanos) -> bool {
        let Some(mut slaac) = self.slaac.take() else {
            return false;
        };
        slaac.expire(now);
        if slaac.has_to_ask(now) {
            self.solicit();
        }
        let own = self.interface.ip_addrs();
        let is_advertised = |cidr: &&IpCidr| match IpAddr::from(cidr.address()) {
            IpAddr::V6(v6) => !v6.is_unicast_link_local(),
            IpAddr::V4(_) => false,
        };
        let old: Vec<IpCidr> = own.iter().filter(is_advertised).copied().collect();
        let addresses = slaac.addresses();
        let new: Vec<IpCidr> = addresses.map(|ip| IpCidr::new(ip.into(), 64)).collect();
        let changed = old != new;
        if changed {
            let kept = own.iter().filter(|cidr| !is_advertised(cidr)).copied();
            let addresses = kept.chain(new).collect();
            self.set_addresses(addresses);
        }
        self.set_gateway_v6(slaac.router());
        self.slaac = Some(slaac);
        changed
    }

    /// When [`Self::maintain`] has something to do.
    pub fn maintenance(&mut self, now: Nanos) -> Option<Nanos> {
        let slaac = self.slaac.as_ref().and_then(Slaac::deadline);
        let reports = (now < self.reports_until).then_some(now + REPORT);
        let Some(dhcp) = self.dhcp.take() else {
            return slaac.into_iter().chain(reports).min();
        };
        let asks = self
            .poll_at(&dhcp.sockets, now)
            .map(|at| at.max(now + RETRY).max(dhcp.pace.next()));
        let gives_up = dhcp.waits_until;
        self.dhcp = Some(dhcp);
        [slaac, reports, asks, gives_up].into_iter().flatten().min()
    }

    /// Whether it waits for its first address.
    pub fn is_waiting(&self) -> bool {
        self.dhcp
            .as_ref()
            .is_some_and(|dhcp| dhcp.waits_until.is_some())
    }

    fn set_addresses(&mut self, addresses: Vec<IpCidr>) {
        // smoltcp panics at addresses that are not one host's, and has room for eight.
        let usable = addresses
            .into_iter()
            .filter(|cidr| cidr.address().is_unicast());
        self.interface.update_ip_addrs(|own| {
            own.clear();
            own.extend(usable.take(own.capacity()));
        });
        // smoltcp does too.
        self.neighbours.forget();
    }

    fn set_gateway_v4(&mut self, gateway: Option<IpAddr>) {
        let routes = self.interface.routes_mut();
        match gateway {
            Some(IpAddr::V4(v4)) if IpAddress::from(v4).is_unicast() => {
                // There is room: a table has at most one of each family.
                let _ = routes.add_default_ipv4_route(v4);
            }
            _ => {
                routes.remove_default_ipv4_route();
            }
        }
    }

    fn set_gateway_v6(&mut self, gateway: Option<Ipv6Addr>) {
        let routes = self.interface.routes_mut();
        match gateway {
            Some(v6) if IpAddress::from(v6).is_unicast() => {
                let _ = routes.add_default_ipv6_route(v6);
            }
            _ => {
                routes.remove_default_ipv6_route();
            }
        }
    }
}

/// The link-local address of a card (RFC 4291, appendix A).
fn link_local([a, b, c, d, e, f]: [u8; 6]) -> Ipv6Addr {
    let pair = |high: u8, low: u8| u16::from(high) << 8 | u16::from(low);
    let identifier = [pair(a ^ 2, b), pair(c, 0xff), pair(0xfe, d), pair(e, f)];
    let [one, two, three, four] = identifier;
    Ipv6Addr::new(0xfe80, 0, 0, 0, one, two, three, four)
}
