//! Addresses with prefixes and gateways.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Problem;
use super::{V4, V6};

/// The part of a value that is wrong, and why.
pub(super) type Wrong<'a> = (&'a str, Problem);

/// `dhcp`, `off` or `ADDRESS/PREFIX[,GATEWAY]`.
pub(super) fn v4(value: &str) -> Result<V4, Wrong<'_>> {
    match value {
        "dhcp" => return Ok(V4::Dhcp),
        "off" => return Ok(V4::Off),
        _ => {}
    }
    let parts = split(value).ok_or((value, Problem::V4Mode))?;
    let address = parse(parts.address, Problem::V4Address)?;
    let prefix = prefix(parts.prefix, 32)?;
    check_v4(address, prefix).map_err(|problem| (parts.address, problem))?;
    let gateway = match parts.gateway {
        None => None,
        Some(text) => {
            let gateway = parse(text, Problem::V4Address)?;
            check_v4_gateway(gateway, address, prefix).map_err(|problem| (text, problem))?;
            Some(gateway)
        }
    };
    Ok(V4::Static {
        address,
        prefix,
        gateway,
    })
}

/// `auto`, `off` or `ADDRESS/PREFIX[,GATEWAY]`.
pub(super) fn v6(value: &str) -> Result<V6, Wrong<'_>> {
    match value {
        "auto" => return Ok(V6::Auto),
        "off" => return Ok(V6::Off),
        _ => {}
    }
    let parts = split(value).ok_or((value, Problem::V6Mode))?;
    let address = parse(parts.address, Problem::V6Address)?;
    let prefix = prefix(parts.prefix, 128)?;
    if !is_unicast_v6(address) {
        return Err((parts.address, Problem::NotUnicast));
    }
    let gateway = match parts.gateway {
        None => None,
        Some(text) => {
            let gateway = parse(text, Problem::V6Address)?;
            check_v6_gateway(gateway, address, prefix).map_err(|problem| (text, problem))?;
            Some(gateway)
        }
    };
    Ok(V6::Static {
        address,
        prefix,
        gateway,
    })
}

/// The address of a name server; one on this node itself will do.
pub(super) fn name_server(text: &str) -> Result<IpAddr, Wrong<'_>> {
    let address: IpAddr = parse(text, Problem::NameServer)?;
    let usable = match address {
        IpAddr::V4(address) => is_unicast_v4(address) || address.is_loopback(),
        IpAddr::V6(address) => is_unicast_v6(address) || address.is_loopback(),
    };
    usable.then_some(address).ok_or((text, Problem::NameServer))
}

struct Parts<'a> {
    address: &'a str,
    prefix: &'a str,
    gateway: Option<&'a str>,
}

fn split(value: &str) -> Option<Parts<'_>> {
    let (network, gateway) = match value.split_once(',') {
        Some((network, gateway)) => (network, Some(gateway)),
        None => (value, None),
    };
    let (address, prefix) = network.split_once('/')?;
    Some(Parts {
        address,
        prefix,
        gateway,
    })
}

fn parse<T: core::str::FromStr>(text: &str, problem: Problem) -> Result<T, Wrong<'_>> {
    text.parse().map_err(|_| (text, problem))
}

fn prefix(text: &str, longest: u8) -> Result<u8, Wrong<'_>> {
    super::words::number(text)
        .filter(|&bits| bits <= longest)
        .ok_or((text, Problem::Prefix { longest }))
}

fn check_v4(address: Ipv4Addr, prefix: u8) -> Result<(), Problem> {
    if !is_unicast_v4(address) {
        return Err(Problem::NotUnicast);
    }
    // Networks of one address, and of two (RFC 3021), have no addresses for all.
    let hosts = !mask_v4(prefix);
    let host = address.to_bits() & hosts;
    if prefix <= 30 && (host == 0 || host == hosts) {
        return Err(Problem::NetworkItself);
    }
    Ok(())
}

fn check_v4_gateway(gateway: Ipv4Addr, address: Ipv4Addr, prefix: u8) -> Result<(), Problem> {
    if gateway == address {
        return Err(Problem::GatewayIsInterface);
    }
    check_v4(gateway, prefix)?;
    if (gateway.to_bits() ^ address.to_bits()) & mask_v4(prefix) != 0 {
        return Err(Problem::GatewayElsewhere);
    }
    Ok(())
}

fn check_v6_gateway(gateway: Ipv6Addr, address: Ipv6Addr, prefix: u8) -> Result<(), Problem> {
    if gateway == address {
        return Err(Problem::GatewayIsInterface);
    }
    if !is_unicast_v6(gateway) {
        return Err(Problem::NotUnicast);
    }
    let inside = (gateway.to_bits() ^ address.to_bits()) & mask_v6(prefix) == 0;
    if !inside && !gateway.is_unicast_link_local() {
        return Err(Problem::GatewayElsewhere);
    }
    Ok(())
}

fn mask_v4(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0)
}

fn mask_v6(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0)
}

/// Neither of network 0, nor loopback, nor of class D or E.
fn is_unicast_v4(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    !matches!(first, 0 | 127 | 224..)
}

/// Not an IPv4 address in disguise either.
fn is_unicast_v6(address: Ipv6Addr) -> bool {
    !address.is_unspecified()
        && !address.is_loopback()
        && !address.is_multicast()
        && address.to_ipv4_mapped().is_none()
}
