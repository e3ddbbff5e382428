//! IPv4 addresses by DHCP (RFC 2131), which smoltcp does.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::dhcpv4::{self, Event};
use smoltcp::time::Duration;
use smoltcp::wire::{DhcpOption, IpCidr, Ipv4Cidr};

use crate::Nanos;

/// The UDP port of clients.
pub(super) const PORT: u16 = 68;
const OPTION_HOST_NAME: u8 = 12;
/// The longest host name that an option holds, in bytes.
const HOST_NAME: usize = 255;
/// How long to wait before a server is asked again.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long others wait for the first answer.
const WAIT: Nanos = 10_000_000_000;
/// Messages that may be sent without time between them.
const BURST: u64 = 4;
/// How long it takes until one more may be.
const PACE: Nanos = 1_000_000_000;

/// An interface's client.
pub(super) struct Dhcp {
    pub sockets: SocketSet<'static>,
    handle: SocketHandle,
    /// Until when the interface counts as one that waits for its first address.
    pub waits_until: Option<Nanos>,
    /// The name servers that came with the lease.
    pub servers: Vec<Ipv4Addr>,
    pub pace: Pace,
}

/// How fast messages may be sent. smoltcp begins anew at once when a server refuses, so one that
/// always does would be asked without a pause.
pub(super) struct Pace {
    left: u64,
    /// When `left` was right.
    at: Nanos,
}

impl Pace {
    fn new(now: Nanos) -> Self {
        Self {
            left: BURST,
            at: now,
        }
    }

    /// Whether a message may be sent now.
    pub fn allows(&mut self, now: Nanos) -> bool {
        let more = now.saturating_sub(self.at) / PACE;
        self.left = (self.left + more).min(BURST);
        self.at += more * PACE;
        self.left > 0
    }

    /// One was sent.
    pub fn count(&mut self) {
        self.left = self.left.saturating_sub(1);
    }

    /// When one may be sent at the earliest.
    pub fn next(&self) -> Nanos {
        if self.left > 0 { 0 } else { self.at + PACE }
    }
}

/// What a server has said.
pub(super) enum Lease {
    /// Use this.
    Have {
        address: Ipv4Cidr,
        gateway: Option<Ipv4Addr>,
    },
    /// Use nothing any more.
    Lost,
}

impl Dhcp {
    pub fn new(host_name: Option<&str>, now: Nanos) -> Self {
        let mut socket = dhcpv4::Socket::new();
        let mut retry = dhcpv4::RetryConfig::default();
        retry.discover_timeout = PATIENCE;
        retry.initial_request_timeout = PATIENCE;
        socket.set_retry_config(retry);
        if let Some(name) = host_name.filter(|name| (1..=HOST_NAME).contains(&name.len())) {
            socket.set_outgoing_options(options(name));
        }
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let handle = sockets.add(socket);
        Self {
            sockets,
            handle,
            waits_until: Some(now + WAIT),
            servers: Vec::new(),
            pace: Pace::new(now),
        }
    }

    /// What has changed since the last time.
    pub fn poll(&mut self) -> Option<Lease> {
        let socket: &mut dhcpv4::Socket<'_> = self.sockets.get_mut(self.handle);
        match socket.poll()? {
            Event::Configured(config) => {
                self.servers = config.dns_servers.iter().copied().collect();
                Some(Lease::Have {
                    address: config.address,
                    gateway: config.router,
                })
            }
            Event::Deconfigured => {
                self.servers.clear();
                Some(Lease::Lost)
            }
        }
    }
}

/// smoltcp wants options that live as long as its socket, which is for ever.
fn options(name: &str) -> &'static [DhcpOption<'static>] {
    let data = Box::leak(Box::<[u8]>::from(name.as_bytes()));
    let option = DhcpOption {
        kind: OPTION_HOST_NAME,
        data,
    };
    Box::leak(Box::new([option]))
}

/// An interface's addresses with another one of IPv4.
pub(super) fn replace_v4(addresses: &[IpCidr], new: Option<Ipv4Cidr>) -> Vec<IpCidr> {
    let others = addresses
        .iter()
        .filter(|cidr| !matches!(cidr, IpCidr::Ipv4(_)));
    new.map(IpCidr::Ipv4)
        .into_iter()
        .chain(others.copied())
        .collect()
}
