//! A DHCP server (RFC 2131) of one address.

use std::net::{Ipv4Addr, SocketAddr};

use darner_netstack::Nanos;
use smoltcp::wire::{DhcpMessageType, DhcpPacket, DhcpRepr};

use crate::sim::frames::{self, BROADCAST, Mac};

/// How it takes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Willing,
    /// No to every request.
    Refusing,
    /// Nothing at all.
    Silent,
}

/// A server.
pub struct DhcpServer {
    /// What it gives.
    pub address: Ipv4Addr,
    pub router: Option<Ipv4Addr>,
    pub dns: Vec<Ipv4Addr>,
    /// Seconds for which it gives it.
    pub lease: u32,
    pub mood: Mood,
    /// What it was asked, and when.
    pub log: Vec<(DhcpMessageType, Nanos)>,
    /// Requests refused.
    pub refused: u32,
    /// The host name in the last message.
    pub host_name: Option<String>,
}

impl DhcpServer {
    pub fn new(address: Ipv4Addr, lease: u32) -> Self {
        Self {
            address,
            router: None,
            dns: Vec::new(),
            lease,
            mood: Mood::Willing,
            log: Vec::new(),
            refused: 0,
            host_name: None,
        }
    }

    /// How often it was sent such a message.
    pub fn count(&self, kind: DhcpMessageType) -> usize {
        self.log
            .iter()
            .filter(|(logged, _)| *logged == kind)
            .count()
    }

    /// What it answers to a message, as a frame.
    pub fn answer(
        &mut self,
        (mac, own): (Mac, Ipv4Addr),
        payload: &[u8],
        now: Nanos,
    ) -> Option<Vec<u8>> {
        let packet = DhcpPacket::new_checked(payload).ok()?;
        let asked = DhcpRepr::parse(&packet).ok()?;
        self.log.push((asked.message_type, now));
        self.host_name = packet
            .options()
            .find(|option| option.kind == 12)
            .map(|option| String::from_utf8_lossy(option.data).into_owned());
        let kind = self.decide(&asked, own)?;
        let mut repr = self.reply(&asked, own, kind);
        if kind == DhcpMessageType::Nak {
            self.refused += 1;
            repr.your_ip = Ipv4Addr::UNSPECIFIED;
            repr.subnet_mask = None;
            repr.router = None;
            repr.dns_servers = None;
            repr.lease_duration = None;
        }
        let mut bytes = vec![0; repr.buffer_len()];
        repr.emit(&mut DhcpPacket::new_unchecked(&mut bytes)).ok()?;
        // To an address that is not there yet nobody can be asked the way.
        let (to, ip) = match asked.client_ip {
            Ipv4Addr::UNSPECIFIED => (BROADCAST, Ipv4Addr::BROADCAST),
            ip => (asked.client_hardware_address.0, ip),
        };
        let here = SocketAddr::new(own.into(), 67);
        let packet = frames::udp(here, SocketAddr::new(ip.into(), 68), &bytes);
        Some(frames::ip_frame(mac, to, &packet))
    }

    fn decide(&self, asked: &DhcpRepr<'_>, own: Ipv4Addr) -> Option<DhcpMessageType> {
        if self.mood == Mood::Silent {
            return None;
        }
        match asked.message_type {
            DhcpMessageType::Discover => Some(DhcpMessageType::Offer),
            DhcpMessageType::Request => {
                // Another server's client.
                if asked.server_identifier.is_some_and(|server| server != own) {
                    return None;
                }
                let wanted = asked.requested_ip.unwrap_or(asked.client_ip);
                let willing = self.mood == Mood::Willing && wanted == self.address;
                Some(match willing {
                    true => DhcpMessageType::Ack,
                    false => DhcpMessageType::Nak,
                })
            }
            _ => None,
        }
    }

    fn reply(
        &self,
        asked: &DhcpRepr<'_>,
        own: Ipv4Addr,
        message_type: DhcpMessageType,
    ) -> DhcpRepr<'static> {
        DhcpRepr {
            message_type,
            transaction_id: asked.transaction_id,
            secs: 0,
            client_hardware_address: asked.client_hardware_address,
            client_ip: Ipv4Addr::UNSPECIFIED,
            your_ip: self.address,
            server_ip: own,
            router: self.router,
            subnet_mask: Some(Ipv4Addr::new(255, 255, 255, 0)),
            relay_agent_ip: Ipv4Addr::UNSPECIFIED,
            broadcast: false,
            requested_ip: None,
            client_identifier: None,
            server_identifier: Some(own),
            parameter_request_list: None,
            dns_servers: Some(self.dns.iter().copied().take(3).collect()),
            max_size: None,
            lease_duration: Some(self.lease),
            renew_duration: None,
            rebind_duration: None,
            additional_options: &[],
        }
    }
}
