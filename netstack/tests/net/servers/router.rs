//! A router of IPv6, as far as its advertisements go (RFC 4861, RFC 4862).

use std::net::Ipv6Addr;

use darner_netstack::Nanos;
use smoltcp::time::Duration;
use smoltcp::wire::{
    EthernetAddress, Icmpv6Repr, NdiscPrefixInfoFlags, NdiscPrefixInformation, NdiscRepr,
    NdiscRouterFlags,
};

use crate::sim::SECOND;
use crate::sim::frames::{self, Mac};

/// Advertises a prefix.
pub struct Router {
    /// A network of 64 bits.
    pub prefix: Ipv6Addr,
    /// Seconds for which addresses of the prefix may be used.
    pub valid: u64,
    /// Seconds for which it routes; 0: it does not.
    pub lifetime: u64,
    /// Time between unasked advertisements; `None`: there are none.
    pub period: Option<Nanos>,
    /// Advertisements sent because somebody asked.
    pub answers: u32,
    next: Option<Nanos>,
}

impl Router {
    pub fn new(prefix: Ipv6Addr) -> Self {
        Self {
            prefix,
            valid: 3600,
            lifetime: 1800,
            period: None,
            answers: 0,
            next: None,
        }
    }

    /// One that advertises unasked as well.
    pub fn every(self, seconds: u64) -> Self {
        Self {
            period: Some(seconds * SECOND),
            next: Some(0),
            ..self
        }
    }

    pub fn deadline(&self) -> Option<Nanos> {
        self.next
    }

    /// Somebody solicits.
    pub fn asked(&mut self, own: (Mac, Ipv6Addr), now: Nanos) -> Option<Vec<u8>> {
        self.answers += 1;
        self.next = self.period.map(|period| now + period);
        Some(self.advertisement(own))
    }

    /// Time for another one, if it is.
    pub fn due(&mut self, own: (Mac, Ipv6Addr), now: Nanos) -> Option<Vec<u8>> {
        self.next.filter(|&next| next <= now)?;
        self.next = self.period.map(|period| now + period);
        Some(self.advertisement(own))
    }

    fn advertisement(&self, (mac, own): (Mac, Ipv6Addr)) -> Vec<u8> {
        let valid_lifetime = Duration::from_secs(self.valid);
        let repr = Icmpv6Repr::Ndisc(NdiscRepr::RouterAdvert {
            hop_limit: 64,
            flags: NdiscRouterFlags::empty(),
            router_lifetime: Duration::from_secs(self.lifetime),
            reachable_time: Duration::ZERO,
            retrans_time: Duration::ZERO,
            lladdr: Some(EthernetAddress(mac).into()),
            mtu: None,
            prefix_info: Some(NdiscPrefixInformation {
                prefix_len: 64,
                flags: NdiscPrefixInfoFlags::ON_LINK | NdiscPrefixInfoFlags::ADDRCONF,
                valid_lifetime,
                preferred_lifetime: valid_lifetime,
                prefix: self.prefix,
            }),
        });
        let all = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
        let packet = frames::icmpv6(own, all, &repr);
        frames::ip_frame(mac, [0x33, 0x33, 0, 0, 0, 1], &packet)
    }
}
