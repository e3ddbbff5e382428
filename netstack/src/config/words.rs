//! The words of the kernel's command line that are about the network.
//!
//! | word | what it sets |
//! |---|---|
//! | `net0.ip=` | `dhcp` (so without the word), `off`, or `ADDRESS/PREFIX[,GATEWAY]` |
//! | `net0.ip6=` | `auto` (so without the word), `off`, or `ADDRESS/PREFIX[,GATEWAY]` |
//! | `net0.mtu=` | bytes of the largest IP packet, 1280 to 9000 |
//! | `ip=`, `ip6=`, `mtu=` | the same of `net0` |
//! | `dns=` | name servers, at most four, with commas between |
//! | `hostname=` | the node's name |
//! | `diag=` | the TCP port that tells how the node is |
//!
//! Of two words that set the same, the later one holds.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;

use super::address::{self, Wrong};
use super::{ConfigError, InterfaceConfig, Problem, V4, V6, name};

/// Name servers that can be asked.
const NAME_SERVERS: usize = 4;

/// What the command line says of the network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkConfig {
    interfaces: BTreeMap<u8, Words>,
    dns: Vec<IpAddr>,
    host_name: Option<String>,
    /// TCP port of the diagnostics; `None`: there are none.
    pub diag: Option<u16>,
}

/// What was said of one interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Words {
    v4: Option<V4>,
    v6: Option<V6>,
    mtu: Option<u16>,
}

impl NetworkConfig {
    /// Follows a word of the command line. False: it is not about the network.
    ///
    /// # Errors
    /// It is about the network, and cannot be followed. Nothing has changed.
    pub fn take(&mut self, word: &str) -> Result<bool, ConfigError> {
        let (key, value) = match word.split_once('=') {
            Some((key, value)) => (key, Some(value)),
            None => (word, None),
        };
        let taken = match (key, value) {
            ("dns", Some(value)) => name_servers(value).map(|servers| self.dns = servers),
            ("hostname", Some(value)) => {
                host_name(value).map(|name| self.host_name = Some(name.to_string()))
            }
            ("diag", Some(value)) => port(value).map(|port| self.diag = Some(port)),
            ("ip" | "ip6" | "mtu", Some(_)) => self.set(0, key, value),
            _ => match interface(key) {
                None => return Ok(false),
                Some(Ok((index, setting))) => self.set(index, setting, value),
                Some(Err(wrong)) => Err(wrong),
            },
        };
        taken
            .map(|()| true)
            .map_err(|(found, problem)| ConfigError {
                key: key.to_string(),
                found: found.to_string(),
                problem,
            })
    }

    /// How the card of that number is to be set up.
    pub fn interface(&self, index: usize) -> InterfaceConfig {
        let words = u8::try_from(index)
            .ok()
            .and_then(|index| self.interfaces.get(&index).copied())
            .unwrap_or_default();
        let default = InterfaceConfig::default();
        InterfaceConfig {
            v4: words.v4.unwrap_or(default.v4),
            v6: words.v6.unwrap_or(default.v6),
            mtu: words.mtu,
            dns: self.dns.clone(),
            host_name: self.host_name.clone(),
        }
    }

    /// The node's name, if it was given one.
    pub fn host_name(&self) -> Option<&str> {
        self.host_name.as_deref()
    }

    /// The cards that something was said of.
    pub fn named_interfaces(&self) -> impl Iterator<Item = usize> + '_ {
        self.interfaces.keys().map(|&index| usize::from(index))
    }

    fn set<'a>(
        &mut self,
        index: u8,
        setting: &'a str,
        value: Option<&'a str>,
    ) -> Result<(), Wrong<'a>> {
        let mut words = self.interfaces.get(&index).copied().unwrap_or_default();
        match (setting, value) {
            ("ip", Some(value)) => words.v4 = Some(address::v4(value)?),
            ("ip6", Some(value)) => words.v6 = Some(address::v6(value)?),
            ("mtu", Some(value)) => words.mtu = Some(mtu(value)?),
            ("ip" | "ip6" | "mtu", None) => return Err((setting, Problem::NoValue)),
            _ => return Err((setting, Problem::Setting)),
        }
        self.interfaces.insert(index, words);
        Ok(())
    }
}

/// The number and the setting in `net0.ip`; `None`: this is about no interface.
fn interface(key: &str) -> Option<Result<(u8, &str), Wrong<'_>>> {
    let (number_text, setting) = key.strip_prefix("net")?.split_once('.')?;
    // Words of others may begin with `net` as well.
    if number_text.is_empty() || !number_text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(match number(number_text) {
        Some(index) => Ok((index, setting)),
        None => Err((number_text, Problem::InterfaceNumber)),
    })
}

/// A decimal number without a sign.
pub(super) fn number<T: core::str::FromStr>(text: &str) -> Option<T> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

fn mtu(value: &str) -> Result<u16, Wrong<'_>> {
    number(value)
        .filter(|mtu| (1280..=9000).contains(mtu))
        .ok_or((value, Problem::Mtu))
}

fn port(value: &str) -> Result<u16, Wrong<'_>> {
    number(value)
        .filter(|&port| port != 0)
        .ok_or((value, Problem::Port))
}

fn host_name(value: &str) -> Result<&str, Wrong<'_>> {
    name::is_host_name(value)
        .then_some(value)
        .ok_or((value, Problem::HostName))
}

fn name_servers(value: &str) -> Result<Vec<IpAddr>, Wrong<'_>> {
    let servers: Vec<IpAddr> = value
        .split(',')
        .map(address::name_server)
        .collect::<Result<_, _>>()?;
    if servers.len() > NAME_SERVERS {
        return Err((value, Problem::TooManyNameServers));
    }
    Ok(servers)
}

#[cfg(test)]
mod tests;
