//! IPv6 addresses by router advertisements (RFC 4861, RFC 4862).
//!
//! Not smoltcp's: while that does it, it forgets other deadlines, and it cannot be told apart
//! from an interface that waits.

use alloc::vec::Vec;
use core::net::Ipv6Addr;

use super::classify::{Packet, u16_at, u32_at};
use crate::Nanos;

const SECOND: Nanos = 1_000_000_000;
/// How often, and how long apart, routers are asked.
const QUESTIONS: u8 = 3;
const INTERVAL: Nanos = 4 * SECOND;
/// What an advertisement that nobody has proved to be true may shorten a lifetime to.
const SHORTEST: Nanos = 2 * 3600 * SECOND;
/// Prefixes, routers and name servers that are kept at most.
const PREFIXES: usize = 4;
const ROUTERS: usize = 4;
const SERVERS: usize = 4;

const ADVERTISEMENT: u8 = 134;
const OPTION_PREFIX: u8 = 3;
const OPTION_SERVERS: u8 = 25;

/// What an interface knows from routers.
pub(super) struct Slaac {
    /// The half of addresses that is the interface's.
    identifier: u64,
    /// How often to ask still, and when next.
    questions: u8,
    next: Nanos,
    prefixes: Vec<(u64, Nanos)>,
    routers: Vec<(Ipv6Addr, Nanos)>,
    servers: Vec<(Ipv6Addr, Nanos)>,
}

impl Slaac {
    /// For an interface with that link-local address.
    pub fn new(link_local: Ipv6Addr, now: Nanos) -> Self {
        Self {
            identifier: link_local.to_bits() as u64,
            questions: QUESTIONS,
            next: now,
            prefixes: Vec::new(),
            routers: Vec::new(),
            servers: Vec::new(),
        }
    }

    /// The interface's addresses, all of networks with 64 bits.
    pub fn addresses(&self) -> impl Iterator<Item = Ipv6Addr> {
        self.prefixes.iter().map(|(prefix, _)| {
            Ipv6Addr::from_bits(u128::from(*prefix) << 64 | u128::from(self.identifier))
        })
    }

    /// Where packets for elsewhere go.
    pub fn router(&self) -> Option<Ipv6Addr> {
        self.routers.first().map(|(router, _)| *router)
    }

    /// Name servers.
    pub fn servers(&self) -> impl Iterator<Item = Ipv6Addr> {
        self.servers.iter().map(|(server, _)| *server)
    }

    /// Whether routers have to be asked now.
    pub fn has_to_ask(&mut self, now: Nanos) -> bool {
        let due = self.questions > 0 && now >= self.next;
        if due {
            self.questions -= 1;
            self.next = now + INTERVAL;
        }
        due
    }

    /// Forgets what is no longer true.
    pub fn expire(&mut self, now: Nanos) {
        self.prefixes.retain(|(_, until)| now < *until);
        self.routers.retain(|(_, until)| now < *until);
        self.servers.retain(|(_, until)| now < *until);
    }

    /// When there is something to do.
    pub fn deadline(&self) -> Option<Nanos> {
        let asks = (self.questions > 0).then_some(self.next);
        let ends = self.prefixes.iter().map(|(_, until)| *until);
        let ends = ends.chain(self.routers.iter().map(|(_, until)| *until));
        let ends = ends.chain(self.servers.iter().map(|(_, until)| *until));
        ends.filter(|until| *until != Nanos::MAX).chain(asks).min()
    }

    /// Learns from a message if it is a router's. False: it is not.
    pub fn hear(&mut self, frame: &[u8], packet: &Packet, now: Nanos) -> bool {
        self.learn(frame, packet, now).is_some()
    }

    fn learn(&mut self, frame: &[u8], packet: &Packet, now: Nanos) -> Option<()> {
        let core::net::IpAddr::V6(router) = packet.source else {
            return None;
        };
        let message = frame.get(packet.payload..packet.end)?;
        let from_the_link = *frame.get(packet.ip + 7)? == 255 && router.is_unicast_link_local();
        if *message.first()? != ADVERTISEMENT || *message.get(1)? != 0 || !from_the_link {
            return None;
        }
        let lifetime = u16_at(message, 6)?;
        let mut options = message.get(16..)?;
        self.questions = 0;
        keep(
            &mut self.routers,
            ROUTERS,
            router,
            after(now, lifetime.into()),
            now,
        );
        while let [kind, eights, ..] = *options {
            let length = 8 * usize::from(eights);
            // A length of zero is an option that never ends.
            let option = options.get(..length).filter(|option| !option.is_empty())?;
            match kind {
                OPTION_PREFIX => self.learn_prefix(option, now),
                OPTION_SERVERS => self.learn_servers(option, now),
                _ => None,
            };
            options = &options[length..];
        }
        Some(())
    }

    /// RFC 4862, section 5.5.3.
    fn learn_prefix(&mut self, option: &[u8], now: Nanos) -> Option<()> {
        let [_, _, length, flags, ..] = *option else {
            return None;
        };
        let (valid, preferred) = (u32_at(option, 4)?, u32_at(option, 8)?);
        let octets: [u8; 8] = option.get(16..24)?.try_into().ok()?;
        let first = Ipv6Addr::from_bits(u128::from(u64::from_be_bytes(octets)) << 64);
        let usable = flags & 0x40 != 0 && length == 64 && preferred <= valid;
        if !usable || first.is_unicast_link_local() || first.is_multicast() {
            return None;
        }
        let prefix = u64::from_be_bytes(octets);
        let until = after(now, valid);
        let known = self.prefixes.iter_mut().find(|(known, _)| *known == prefix);
        match known {
            Some((_, old)) => {
                let left = old.saturating_sub(now);
                let shortest = now + left.min(SHORTEST);
                *old = until.max(shortest);
            }
            None => keep(&mut self.prefixes, PREFIXES, prefix, until, now),
        }
        Some(())
    }

    /// RFC 8106.
    fn learn_servers(&mut self, option: &[u8], now: Nanos) -> Option<()> {
        let until = after(now, u32_at(option, 4)?);
        for octets in option.get(8..)?.chunks_exact(16) {
            let octets: [u8; 16] = octets.try_into().ok()?;
            let server = Ipv6Addr::from(octets);
            if !server.is_multicast() && !server.is_unspecified() {
                keep(&mut self.servers, SERVERS, server, until, now);
            }
        }
        Some(())
    }
}

/// The end of a lifetime in seconds, of which the largest means for ever.
fn after(now: Nanos, seconds: u32) -> Nanos {
    match seconds {
        u32::MAX => Nanos::MAX,
        seconds => now + Nanos::from(seconds) * SECOND,
    }
}

/// Keeps something until a time; one that is over takes it away.
fn keep<T: PartialEq>(all: &mut Vec<(T, Nanos)>, most: usize, one: T, until: Nanos, now: Nanos) {
    let known = all.iter().position(|(known, _)| *known == one);
    match known {
        Some(at) if until <= now => {
            all.remove(at);
        }
        Some(at) => all[at].1 = until,
        None if until > now && all.len() < most => all.push((one, until)),
        None => {}
    }
}
