//! The options of `xtask run` and its kin that are about the network.

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use lexopt::Parser;
use lexopt::prelude::*;

use super::options::number;
use crate::error::{Error, Result};
use crate::vm::network::{Addressing, Backend, Forward, Mac, Network, Nic, Static};

/// QEMU's router, the subnet that it serves, and the name server in it.
const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const ROUTER_PREFIX: u8 = 24;
const SUBNET: &str = "10.0.2.0/24";
const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 3);

/// How many cards a machine may have.
const MAX_NICS: usize = 8;

/// The smallest packet that IPv6 can do with, the largest of jumbo frames.
const MTU: std::ops::RangeInclusive<u16> = 1280..=9000;

/// What was asked for so far.
#[derive(Clone, Debug)]
pub struct NetworkOptions {
    /// The cards; `None` after `--net none`.
    nics: Option<Vec<Nic>>,
    /// How many cards come before these.
    first: u8,
    /// Whether a `--net` has named the first card.
    is_named: bool,
    forwards: Vec<Forward>,
    pcap: Option<PathBuf>,
    dns: Vec<IpAddr>,
    hostname: Option<String>,
    diagnostics: Option<u16>,
}

impl Default for NetworkOptions {
    /// One card, on QEMU's router.
    fn default() -> Self {
        Self {
            nics: Some(vec![nic(Backend::User(Vec::new()))]),
            first: 0,
            is_named: false,
            forwards: Vec::new(),
            pcap: None,
            dns: Vec::new(),
            hostname: None,
            diagnostics: None,
        }
    }
}

impl NetworkOptions {
    /// No card but the first, which is on a switch and none of these.
    pub fn beside_a_switch() -> Self {
        Self {
            nics: Some(Vec::new()),
            first: 1,
            ..Self::default()
        }
    }

    /// Takes the option if it is one of these.
    pub fn take(&mut self, option: &str, parser: &mut Parser) -> Result<bool> {
        let mut value = || -> Result<String> { Ok(parser.value()?.string()?) };
        match option {
            "--net" => self.plug(&value()?)?,
            "--ip" => self.last(option)?.ip = Some(Addressing::parse(&value()?)?),
            "--ip6" => self.last(option)?.ip6 = Some(Addressing::parse(&value()?)?),
            "--mtu" => self.last(option)?.mtu = Some(mtu(&value()?)?),
            "-p" => self.forwards.push(Forward::parse(&value()?)?),
            "--pcap" => self.pcap = Some(value()?.into()),
            "--dns" => self.dns = servers(&value()?)?,
            "--hostname" => self.hostname = Some(hostname(value()?)?),
            "--diag" => self.diagnostics = Some(port(&value()?)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Adds the card of a `--net`. The first one takes the place of the card that is
    /// there without.
    fn plug(&mut self, text: &str) -> Result<()> {
        let backend = match text.split_once(':') {
            None if text == "none" => {
                if self.is_named {
                    return Err(contradiction());
                }
                (self.nics, self.is_named) = (None, true);
                return Ok(());
            }
            None if text == "user" => Backend::User(Vec::new()),
            Some(("tap", name)) => Backend::Tap(tap(name)?),
            _ => {
                return Err(Error::usage(format!(
                    "found --net {text}, expected user, tap:NAME or none"
                )));
            }
        };
        let is_first = !std::mem::replace(&mut self.is_named, true);
        let nics = self.nics.as_mut().ok_or_else(contradiction)?;
        match nics.last_mut() {
            Some(only) if is_first => only.backend = backend,
            _ => {
                if nics.len() + usize::from(self.first) == MAX_NICS {
                    return Err(Error::usage(format!(
                        "found more than {MAX_NICS} cards, expected fewer times --net"
                    )));
                }
                nics.push(nic(backend));
            }
        }
        Ok(())
    }

    /// The card that an option is about.
    fn last(&mut self, option: &str) -> Result<&mut Nic> {
        self.nics
            .as_mut()
            .and_then(|nics| nics.last_mut())
            .ok_or_else(|| no_network(option))
    }

    /// The network that this comes to for one of several nodes. They share the host, so
    /// node `n` has port `HOST + n` where `-p HOST:GUEST` was asked for. The files of
    /// `--pcap` are there and empty afterwards.
    pub fn finish(self, node: u16) -> Result<Network> {
        let mut nics = match self.nics {
            Some(nics) => nics,
            None => {
                self.refuse_without_cards()?;
                Vec::new()
            }
        };
        for (number, nic) in (self.first..).zip(&mut nics) {
            check_address(nic)?;
            nic.mac = Mac::of(node, number);
        }
        let mut forwards = self.forwards;
        let user = nics
            .iter_mut()
            .find(|nic| matches!(nic.backend, Backend::User(_)));
        let asked = forwards.first().map(ToString::to_string);
        if let (Some(port), true) = (self.diagnostics, user.is_some()) {
            let own = Forward::same(port);
            if !forwards.contains(&own) {
                forwards.push(own);
            }
        }
        for forward in &mut forwards {
            *forward = forward.for_node(node)?;
        }
        match (user, asked) {
            (Some(nic), _) => {
                if nic.ip == Some(Addressing::Off) && !forwards.is_empty() {
                    return Err(Error::usage(format!(
                        "{} needs an IPv4 address in the guest, found --ip off",
                        forwards[0]
                    )));
                }
                nic.backend = Backend::User(forwards);
            }
            (None, Some(forward)) => {
                return Err(Error::usage(format!(
                    "{forward} needs a card on QEMU's router: add --net user"
                )));
            }
            (None, None) => {}
        }
        if let Some(first) = &self.pcap {
            for (number, nic) in nics.iter_mut().enumerate() {
                nic.pcap = Some(capture(first, number)?);
            }
        }
        Ok(Network {
            nics,
            dns: self.dns,
            hostname: self.hostname,
            diagnostics: self.diagnostics,
            membership: None,
        })
    }

    fn refuse_without_cards(&self) -> Result<()> {
        if let Some(forward) = self.forwards.first() {
            return Err(no_network(&forward.to_string()));
        }
        let given = [
            ("--pcap", self.pcap.is_some()),
            ("--dns", !self.dns.is_empty()),
            ("--diag", self.diagnostics.is_some()),
        ];
        match given.into_iter().find(|(_, is_given)| *is_given) {
            Some((option, _)) => Err(no_network(option)),
            None => Ok(()),
        }
    }
}

fn nic(backend: Backend) -> Nic {
    Nic {
        backend,
        mac: Mac::of(0, 0),
        ip: None,
        ip6: None,
        mtu: None,
        pcap: None,
    }
}

/// The file for a card's frames: the one named for the first card, `FILE.net1` for the
/// second. It is there and empty afterwards.
fn capture(first: &Path, number: usize) -> Result<PathBuf> {
    let mut path = first.to_path_buf();
    if number > 0 {
        path.as_mut_os_string().push(format!(".net{number}"));
    }
    File::create(&path).map_err(|error| {
        Error::usage(format!("--pcap: cannot write {}: {error}", path.display()))
    })?;
    Ok(path)
}

/// QEMU's router knows its own network only.
fn check_address(nic: &Nic) -> Result<()> {
    let (Backend::User(_), Some(Addressing::Static(own))) = (&nic.backend, nic.ip) else {
        return Ok(());
    };
    let router = Static {
        address: ROUTER,
        prefix: ROUTER_PREFIX,
        gateway: None,
    };
    if router.is_neighbour(own.address) && ![ROUTER, NAME_SERVER].contains(&own.address) {
        return Ok(());
    }
    Err(Error::usage(format!(
        "found --ip {} with --net user, expected another address of {SUBNET} than the \
         router's ({ROUTER}) and the name server's ({NAME_SERVER})",
        own.address
    )))
}

/// The value of `--mtu`.
pub fn mtu(text: &str) -> Result<u16> {
    let mtu = number("--mtu", text)?;
    if MTU.contains(&mtu) {
        return Ok(mtu);
    }
    Err(Error::usage(format!(
        "found --mtu {mtu}, expected {} to {}",
        MTU.start(),
        MTU.end()
    )))
}

fn port(text: &str) -> Result<u16> {
    text.parse()
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(|| Error::usage(format!("found --diag {text}, expected a port, 1 to 65535")))
}

fn servers(text: &str) -> Result<Vec<IpAddr>> {
    text.split(',')
        .map(|server| {
            server.parse().map_err(|_| {
                Error::usage(format!(
                    "found --dns {text}, expected addresses with commas between them"
                ))
            })
        })
        .collect()
}

/// As the domain name system has it: letters, digits, hyphens inside.
fn hostname(name: String) -> Result<String> {
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    let has_edge = name.starts_with('-') || name.ends_with('-');
    if is_plain && !has_edge && (1..=63).contains(&name.len()) {
        return Ok(name);
    }
    Err(Error::usage(format!(
        "found --hostname {name}, expected 1 to 63 letters, digits and hyphens, a hyphen neither \
         first nor last"
    )))
}

/// The name of an interface of the host.
fn tap(name: &str) -> Result<String> {
    let is_there = !name.is_empty()
        && !name.contains(['/', ',', '.'])
        && Path::new("/sys/class/net").join(name).exists();
    if is_there {
        return Ok(name.to_owned());
    }
    Err(Error::usage(format!(
        "found --net tap:{name}, but this machine has no interface `{name}`; one that you may use \
         is made by: sudo ip tuntap add NAME mode tap user \"$USER\""
    )))
}

fn no_network(option: &str) -> Error {
    Error::usage(format!(
        "found {option} with --net none: the machine has no network"
    ))
}

fn contradiction() -> Error {
    Error::usage("found --net none beside another --net, expected it alone")
}

#[cfg(test)]
mod tests {
    use super::NetworkOptions;
    use crate::error::Result;
    use crate::vm::network::{Backend, Network};

    fn parse(words: &[&str]) -> Result<Network> {
        use lexopt::prelude::*;
        let mut parser = lexopt::Parser::from_args(words);
        let mut options = NetworkOptions::default();
        while let Some(argument) = parser.next()? {
            let option = match argument {
                Long(name) => format!("--{name}"),
                Short(letter) => format!("-{letter}"),
                Value(_) => unreachable!(),
            };
            assert!(options.take(&option, &mut parser)?, "{option}");
        }
        options.finish(0)
    }

    #[test]
    fn a_machine_is_on_the_users_network_unless_it_shall_not() {
        let nics = parse(&[]).unwrap().nics;
        assert_eq!(nics.len(), 1);
        assert_eq!(nics[0].backend, Backend::User(Vec::new()));
        assert!(parse(&["--net", "none"]).unwrap().nics.is_empty());
        assert!(parse(&["--net", "none", "--hostname", "a"]).is_ok());
    }

    #[test]
    fn an_option_is_about_the_card_before_it() {
        let words = [
            "--mtu", "1500", "--net", "user", "--ip", "off", "--net", "user", "--ip6", "off",
        ];
        let network = parse(&words).unwrap();
        assert_eq!(
            network.words(),
            ["net0.ip=off", "net0.mtu=1500", "net1.ip6=off"]
        );
    }

    #[test]
    fn forwards_go_to_the_first_card_on_the_router() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let network = parse(&["--diag", &port.to_string()]).unwrap();
        assert_eq!(network.words(), [format!("diag={port}")]);
        assert_eq!(network.forwards().count(), 1);
        let both = format!("{port}:{port}");
        let network = parse(&["-p", &both, "--diag", &port.to_string()]).unwrap();
        assert_eq!(network.forwards().count(), 1);
    }

    #[test]
    fn each_card_has_a_capture_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("all.pcap");
        let path = file.to_str().unwrap();
        let network = parse(&["--net", "user", "--net", "user", "--pcap", path]).unwrap();
        assert_eq!(network.nics[0].pcap, Some(file.clone()));
        assert_eq!(
            network.nics[1].pcap,
            Some(folder.path().join("all.pcap.net1"))
        );
        assert!(file.is_file());
        let error = parse(&["--pcap", "/no/such/folder/x.pcap"]).unwrap_err();
        assert!(error.to_string().contains("/no/such/folder/x.pcap"));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for words in [
            &["--net", "cable"][..],
            &["--net", "tap:"],
            &["--net", "tap:no-such-if"],
            &["--net", "tap:../net/lo"],
            &["--net", "none", "--net", "user"],
            &["--net", "user", "--net", "none"],
            &["--net", "none", "-p", "8080:80"],
            &["-p", "8080:80", "--net", "none"],
            &["-p", "8080:80", "--net", "tap:lo"],
            &["--net", "none", "--ip", "dhcp"],
            &["--net", "none", "--mtu", "1500"],
            &["--net", "none", "--diag", "9000"],
            &["--dns", "1.1.1.1", "--net", "none"],
            &["--pcap", "/tmp/x", "--net", "none"],
            &["--ip", "off", "-p", "8080:80"],
            &["--ip", "192.168.1.2/24"],
            &["--ip", "10.0.2.2/24"],
            &["--ip6", "dhcp"],
            &["--mtu", "1279"],
            &["--mtu", "9001"],
            &["--dns", "name.server"],
            &["--dns", ""],
            &["--hostname", "-x"],
            &["--hostname", "a.b"],
            &["--hostname", ""],
            &["--diag", "0"],
            &["-p", "80"],
        ] {
            assert_eq!(parse(words).unwrap_err().status(), 2, "{words:?}");
        }
    }
}
