//! How an interface of the guest comes to its addresses.

use std::fmt::{self, Display};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::error::{Error, Result};

/// A version of the Internet Protocol, known by its addresses.
pub trait Family: Copy + Display + FromStr + PartialEq {
    /// The flag that chooses addresses of this kind.
    const FLAG: &'static str;
    /// The word for "ask the network".
    const AUTOMATIC: &'static str;
    /// Bits of an address.
    const BITS: u8;
    /// Whether an interface may have this address.
    fn is_for_interface(self) -> bool;
    /// Whether it is understood on its own link only, whatever the subnet is.
    fn is_link_local(self) -> bool;
    /// The address as a number.
    fn number(self) -> u128;
}

impl Family for Ipv4Addr {
    const FLAG: &'static str = "--ip";
    const AUTOMATIC: &'static str = "dhcp";
    const BITS: u8 = 32;

    fn is_for_interface(self) -> bool {
        !(self.is_unspecified() || self.is_multicast() || self.is_broadcast() || self.is_loopback())
    }

    fn is_link_local(self) -> bool {
        false
    }

    fn number(self) -> u128 {
        u32::from(self).into()
    }
}

impl Family for Ipv6Addr {
    const FLAG: &'static str = "--ip6";
    const AUTOMATIC: &'static str = "auto";
    const BITS: u8 = 128;

    fn is_for_interface(self) -> bool {
        !(self.is_unspecified() || self.is_multicast() || self.is_loopback())
    }

    fn is_link_local(self) -> bool {
        self.is_unicast_link_local()
    }

    fn number(self) -> u128 {
        self.into()
    }
}

/// Where an interface's addresses of one family come from. Its text is what the
/// kernel's command line has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addressing<A> {
    /// From the network: DHCP, or router advertisements.
    Automatic,
    /// From nowhere: it has none.
    Off,
    /// From the user.
    Static(Static<A>),
}

/// An address that the user chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Static<A> {
    /// The interface's own.
    pub address: A,
    /// How many of its bits name the subnet.
    pub prefix: u8,
    /// The router to everything outside the subnet.
    pub gateway: Option<A>,
}

impl<A: Family> Static<A> {
    /// Whether `other` belongs to the same subnet.
    pub fn is_neighbour(&self, other: A) -> bool {
        let host_bits = A::BITS - self.prefix;
        let differing = self.address.number() ^ other.number();
        differing.checked_shr(host_bits.into()).unwrap_or(0) == 0
    }
}

impl<A: Family> Addressing<A> {
    /// Reads the value of `--ip` or `--ip6`.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "off" => Ok(Self::Off),
            word if word == A::AUTOMATIC => Ok(Self::Automatic),
            _ => parse_static(text).map(Self::Static),
        }
    }
}

fn parse_static<A: Family>(text: &str) -> Result<Static<A>> {
    let wrong = |what: &str| Error::usage(format!("found {} {text}, {what}", A::FLAG));
    let form = format!("expected {}, off or ADDRESS/PREFIX[,GATEWAY]", A::AUTOMATIC);
    let (interface, gateway) = match text.split_once(',') {
        Some((interface, gateway)) => (interface, Some(gateway)),
        None => (text, None),
    };
    let (address, prefix) = interface.split_once('/').ok_or_else(|| wrong(&form))?;
    let address: A = address.parse().map_err(|_| wrong(&form))?;
    let prefix: u8 = prefix.parse().map_err(|_| wrong(&form))?;
    if !(1..=A::BITS).contains(&prefix) {
        return Err(wrong(&format!("expected a prefix of 1 to {}", A::BITS)));
    }
    if !address.is_for_interface() {
        return Err(wrong("expected an address that one machine can have"));
    }
    let gateway: Option<A> = gateway
        .map(|gateway| gateway.parse().map_err(|_| wrong(&form)))
        .transpose()?;
    let interface = Static {
        address,
        prefix,
        gateway,
    };
    match gateway {
        Some(gateway) if gateway == address => {
            Err(wrong("expected a gateway other than the address itself"))
        }
        Some(gateway) if !interface.is_neighbour(gateway) && !gateway.is_link_local() => Err(
            wrong(&format!("expected a gateway in {address}'s own subnet")),
        ),
        _ => Ok(interface),
    }
}

impl<A: Family> Display for Addressing<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Automatic => f.write_str(A::AUTOMATIC),
            Self::Off => f.write_str("off"),
            Self::Static(Static {
                address,
                prefix,
                gateway,
            }) => {
                write!(f, "{address}/{prefix}")?;
                match gateway {
                    Some(gateway) => write!(f, ",{gateway}"),
                    None => Ok(()),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::{Addressing, Family};

    fn same<A: Family>(text: &str) -> bool {
        Addressing::<A>::parse(text).is_ok_and(|addressing| addressing.to_string() == text)
    }

    #[test]
    fn what_is_right_reaches_the_kernel_as_it_was_given() {
        for text in [
            "dhcp",
            "off",
            "10.1.2.3/8",
            "192.168.7.2/24,192.168.7.1",
            "10.0.0.1/32",
        ] {
            assert!(same::<Ipv4Addr>(text), "{text}");
        }
        for text in [
            "auto",
            "off",
            "fd00::2/64",
            "fd00::2/64,fd00::1",
            "fd00::2/64,fe80::1",
        ] {
            assert!(same::<Ipv6Addr>(text), "{text}");
        }
    }

    #[test]
    fn what_no_interface_can_have_is_refused() {
        for text in [
            "",
            "auto",
            "10.0.0.1",
            "10.0.0.1/33",
            "10.0.0.1/0",
            "10.0.0/8",
            "0.0.0.0/8",
            "127.0.0.1/8",
            "224.0.0.1/4",
            "255.255.255.255/8",
            "10.0.0.1/24,10.0.1.1",
            "10.0.0.1/24,10.0.0.1",
            "10.0.0.1/24,",
            "fd00::1/64",
        ] {
            let refused = Addressing::<Ipv4Addr>::parse(text);
            assert_eq!(refused.unwrap_err().status(), 2, "{text}");
        }
        for text in [
            "dhcp",
            "::/64",
            "ff02::1/64",
            "fd00::2/129",
            "fd00::2/64,fd01::1",
        ] {
            let refused = Addressing::<Ipv6Addr>::parse(text);
            assert_eq!(refused.unwrap_err().status(), 2, "{text}");
        }
    }
}
