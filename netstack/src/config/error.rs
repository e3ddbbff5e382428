//! What is wrong with a word of the command line.

use alloc::string::String;
use core::fmt;

/// A network word that cannot be followed. Shown, it tells what was found, what was
/// expected, and what to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// What is set: the word up to its `=`.
    pub key: String,
    /// The part of the word that is wrong.
    pub found: String,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What can be wrong with a network word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The interface's number.
    InterfaceNumber,
    /// Interfaces have no such setting.
    Setting,
    /// There is no `=`.
    NoValue,
    /// Neither a word for how to get an IPv4 address nor an address with a prefix.
    V4Mode,
    /// Neither a word for how to get an IPv6 address nor an address with a prefix.
    V6Mode,
    /// Not an IPv4 address.
    V4Address,
    /// Not an IPv6 address.
    V6Address,
    /// Not the length of a prefix.
    Prefix {
        /// Bits of the longest.
        longest: u8,
    },
    /// No address that one interface can have.
    NotUnicast,
    /// The address of a whole network, or its broadcast address.
    NetworkItself,
    /// A gateway that cannot be reached without a gateway.
    GatewayElsewhere,
    /// The gateway is the interface itself.
    GatewayIsInterface,
    /// Not a packet's size.
    Mtu,
    /// Not the address of a name server.
    NameServer,
    /// More name servers than can be asked.
    TooManyNameServers,
    /// Not a host name.
    HostName,
    /// Not a TCP port.
    Port,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (expected, remedy) = self.problem.explain();
        write!(
            f,
            "{}: found {:?}, expected {expected}",
            self.key, self.found
        )?;
        if let Problem::Prefix { longest } = self.problem {
            write!(f, " to {longest}")?;
        }
        write!(f, "; {remedy}")
    }
}

impl core::error::Error for ConfigError {}

impl Problem {
    /// What was expected, and what to do.
    fn explain(self) -> (&'static str, &'static str) {
        match self {
            Self::InterfaceNumber => (
                "the number of an interface, 0 to 255",
                "write net0 for the first card, net1 for the second",
            ),
            Self::Setting => (
                "ip, ip6 or mtu",
                "write for example net0.ip=dhcp; dns, hostname and diag are set without an interface",
            ),
            Self::NoValue => (
                "a value after =",
                "write for example net0.ip=dhcp or net0.mtu=1500",
            ),
            Self::V4Mode => (
                "dhcp, off, or an IPv4 address with its prefix",
                "write for example 10.0.2.15/24, or 10.0.2.15/24,10.0.2.2 with a gateway",
            ),
            Self::V6Mode => (
                "auto, off, or an IPv6 address with its prefix",
                "write for example fd00::15/64, or fd00::15/64,fe80::2 with a gateway",
            ),
            Self::V4Address => (
                "an IPv4 address",
                "write four numbers from 0 to 255, as in 10.0.2.15",
            ),
            Self::V6Address => (
                "an IPv6 address",
                "write it without brackets and zone, as in fd00::15",
            ),
            Self::Prefix { .. } => (
                "the number of the prefix's bits, 0",
                "write the number after the address and a slash, as in 10.0.2.15/24 or fd00::15/64",
            ),
            Self::NotUnicast => (
                "the address of one interface",
                "loopback, multicast, broadcast, reserved and unspecified addresses cannot be given",
            ),
            Self::NetworkItself => (
                "the address of one interface",
                "this one names the whole network of that prefix: take another of it, or write the \
                 right prefix",
            ),
            Self::GatewayElsewhere => (
                "a gateway in the interface's own network",
                "take one inside the prefix (of IPv6, a link-local one will do), or write the right \
                 prefix",
            ),
            Self::GatewayIsInterface => (
                "a gateway other than the interface itself",
                "write the router's address, or none",
            ),
            Self::Mtu => (
                "bytes of the largest IP packet, 1280 to 9000",
                "write 1500, or leave it out for the card's own",
            ),
            Self::NameServer => (
                "the IP address of a name server",
                "write one or more with commas between, as in dns=10.0.2.3,fd00::3",
            ),
            Self::TooManyNameServers => (
                "at most 4 name servers",
                "leave out those that are asked last",
            ),
            Self::HostName => (
                "a host name",
                "write labels of 1 to 63 letters, digits and inner hyphens, with dots between, 253 \
                 bytes in all, and no IP address",
            ),
            Self::Port => ("a TCP port, 1 to 65535", "write for example diag=9090"),
        }
    }
}
