//! What all kinds of sockets need of the stack.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use super::buffers::Budget;
use super::netif::Netif;
use super::random::Random;
use super::route::{self, Route};
use super::timers::Timers;
use crate::Nanos;
use crate::error::Error;
use crate::request::StackCounters;
use crate::socket::SocketId;

/// Interfaces, time and memory.
pub(super) struct Shared {
    /// Loopback first.
    pub netifs: Vec<Netif>,
    pub timers: Timers,
    /// Sockets that have to be looked at, each once.
    pub dirty: VecDeque<SocketId>,
    pub budget: Budget,
    pub counters: StackCounters,
    pub random: Random,
    /// Interfaces that wait for their first address.
    pub unconfigured: u32,
    /// The time of this step or request.
    pub now: Nanos,
}

impl Shared {
    /// Whether an interface has that address.
    pub fn is_own(&self, ip: IpAddr) -> bool {
        ip.is_loopback() || self.netifs.iter().any(|netif| netif.has(ip))
    }

    /// The way to a peer, from `source` if that is given.
    pub fn route(&self, remote: SocketAddr, source: Option<IpAddr>) -> Result<Route, Error> {
        route::find(&self.netifs, remote, source).ok_or(if self.unconfigured > 0 {
            Error::NotConfigured
        } else {
            Error::NetworkUnreachable
        })
    }
}
