//! How interfaces get addresses, and how the kernel's command line says so.

mod address;
mod error;
mod name;
mod words;

pub use error::{ConfigError, Problem};
pub use words::NetworkConfig;

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How one interface is set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceConfig {
    /// IPv4.
    pub v4: V4,
    /// IPv6.
    pub v6: V6,
    /// Name servers, besides those that DHCP or router advertisements name.
    pub dns: Vec<IpAddr>,
    /// Bytes of the largest IP packet, 1280 (for IPv6) to 9000; `None`: the card's.
    pub mtu: Option<u16>,
    /// The host name that DHCP servers are told.
    pub host_name: Option<String>,
}

impl Default for InterfaceConfig {
    fn default() -> Self {
        Self {
            v4: V4::Dhcp,
            v6: V6::Auto,
            dns: Vec::new(),
            mtu: None,
            host_name: None,
        }
    }
}

/// IPv4 on an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum V4 {
    /// None.
    Off,
    /// By DHCP (RFC 2131).
    Dhcp,
    /// As given.
    Static {
        /// The interface's address.
        address: Ipv4Addr,
        /// Bits of the network's prefix, 0 to 32.
        prefix: u8,
        /// Where packets for elsewhere go.
        gateway: Option<Ipv4Addr>,
    },
}

/// IPv6 on an interface. But for `Off` it always has a link-local address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum V6 {
    /// None.
    Off,
    /// By router advertisements (RFC 4862).
    Auto,
    /// As given.
    Static {
        /// The interface's address.
        address: Ipv6Addr,
        /// Bits of the network's prefix, 0 to 128.
        prefix: u8,
        /// Where packets for elsewhere go.
        gateway: Option<Ipv6Addr>,
    },
}
