//! Where the nodes' addresses are from.

use std::net::Ipv4Addr;

use crate::error::{Error, Result};
use crate::vm::network::Static;

/// A subnet with room for nodes: the first address in it names it, the last one is
/// everyone's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    first: Ipv4Addr,
    prefix: u8,
}

impl Default for Subnet {
    fn default() -> Self {
        Self {
            first: Ipv4Addr::new(10, 77, 0, 0),
            prefix: 24,
        }
    }
}

impl Subnet {
    /// Reads the value of `--subnet`.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |expected: &str| Error::usage(format!("found --subnet {text}, {expected}"));
        let form = "expected ADDRESS/PREFIX, a prefix of 8 to 30, as in 10.77.0.0/24";
        let (first, prefix) = text.split_once('/').ok_or_else(|| wrong(form))?;
        let first: Ipv4Addr = first.parse().map_err(|_| wrong(form))?;
        let prefix = prefix.parse().map_err(|_| wrong(form))?;
        if !(8..=30).contains(&prefix) {
            return Err(wrong(form));
        }
        let subnet = Self { first, prefix };
        let host = u32::from(first) & (u32::MAX >> prefix);
        if host != 0 {
            let first = Ipv4Addr::from(u32::from(first) - host);
            return Err(wrong(&format!(
                "expected its first address, {first}/{prefix}"
            )));
        }
        if first.is_multicast() || first.is_loopback() || first.is_unspecified() {
            return Err(wrong("expected addresses that machines can have"));
        }
        Ok(subnet)
    }

    /// How many nodes it has room for.
    pub fn room(self) -> u16 {
        let addresses = (1_u32 << (32 - self.prefix)) - 2;
        u16::try_from(addresses).unwrap_or(u16::MAX)
    }

    /// The address of a node, for which there is room.
    pub fn of_node(self, node: u16) -> Static<Ipv4Addr> {
        Static {
            address: Ipv4Addr::from(u32::from(self.first) + u32::from(node) + 1),
            prefix: self.prefix,
            gateway: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Subnet;

    #[test]
    fn nodes_have_the_addresses_from_the_first_on() {
        let subnet = Subnet::default();
        assert_eq!(subnet, Subnet::parse("10.77.0.0/24").unwrap());
        assert_eq!(subnet.of_node(0).address.to_string(), "10.77.0.1");
        assert_eq!(subnet.of_node(63).address.to_string(), "10.77.0.64");
        assert_eq!(subnet.room(), 254);
        assert_eq!(Subnet::parse("192.168.0.4/30").unwrap().room(), 2);
        assert_eq!(Subnet::parse("10.0.0.0/8").unwrap().room(), u16::MAX);
    }

    #[test]
    fn what_is_no_subnet_is_refused() {
        for (text, reason) in [
            ("10.0.0.0", "ADDRESS/PREFIX"),
            ("10.0.0.0/31", "8 to 30"),
            ("0.0.0.0/0", "8 to 30"),
            ("10.0.0.1/24", "10.0.0.0/24"),
            ("127.0.0.0/8", "machines can have"),
            ("224.0.0.0/24", "machines can have"),
            ("fd00::/64", "ADDRESS/PREFIX"),
        ] {
            let error = Subnet::parse(text).unwrap_err().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
