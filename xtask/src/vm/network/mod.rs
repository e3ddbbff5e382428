//! The machine's network cards, what they are plugged into, and what the kernel is
//! told of them.

mod address;
mod cipher;
mod forward;
mod key;

use std::ffi::OsString;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::Command;

pub use address::{Addressing, Static};
pub use cipher::Cipher;
pub use forward::{Forward, Protocol, check_free, free_port};
pub use key::Key;

use super::config::Machine;

/// All of it. The default is a machine without network.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// The cards: `net0`, `net1`, …
    pub nics: Vec<Nic>,
    /// Servers to ask for names.
    pub dns: Vec<IpAddr>,
    /// The machine's name.
    pub hostname: Option<String>,
    /// The guest's port that tells how it is doing.
    pub diagnostics: Option<u16>,
    /// Which node of a cluster the guest is.
    pub membership: Option<Membership>,
}

/// One node of several that are one system.
#[derive(Clone, Debug)]
pub struct Membership {
    /// Which.
    pub node: u16,
    /// Where all of them are, in order.
    pub addresses: Vec<IpAddr>,
    /// What proves to them that it is one of them.
    pub key: Key,
    /// How many the program waits for.
    pub founders: u16,
    /// How long one that says nothing is waited for, in seconds.
    pub silence: u16,
    /// What encrypts on its links; its own choice when `None`.
    pub cipher: Option<Cipher>,
}

impl Membership {
    /// What the kernel is told.
    pub fn words(&self) -> impl Iterator<Item = String> {
        let which = format!("cluster={}/{}", self.node, self.addresses.len());
        let addresses = self
            .addresses
            .iter()
            .map(|address| format!("cluster.address={address}"));
        let founders = format!("cluster.founders={}", self.founders);
        let silence = format!("cluster.silence={}", self.silence);
        let cipher = self
            .cipher
            .map(|cipher| format!("cluster.cipher={}", cipher.name()));
        [which, self.key.word(), founders, silence]
            .into_iter()
            .chain(cipher)
            .chain(addresses)
    }
}

/// One card.
#[derive(Clone, Debug)]
pub struct Nic {
    /// What its cable leads to.
    pub backend: Backend,
    /// Its address on the link.
    pub mac: Mac,
    /// IPv4; the kernel's own choice when `None`.
    pub ip: Option<Addressing<Ipv4Addr>>,
    /// IPv6; the kernel's own choice when `None`.
    pub ip6: Option<Addressing<Ipv6Addr>>,
    /// The largest packet, in bytes, without Ethernet's header.
    pub mtu: Option<u16>,
    /// A file for everything that passes.
    pub pcap: Option<PathBuf>,
}

/// What a card is plugged into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// QEMU's own router and DHCP server: to the outside as this user, and from the
    /// outside through these ports only.
    User(Vec<Forward>),
    /// An interface of the host, set up by whoever may.
    Tap(String),
    /// A port of a switch: its socket.
    Switch(PathBuf),
}

/// A link-layer address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mac([u8; 6]);

impl Mac {
    /// The address of a node's card: always the same, locally administered.
    pub fn of(node: u16, nic: u8) -> Self {
        let [high, low] = (node + 1).to_be_bytes();
        Self([0x02, 0xda, 0, nic, high, low])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl Network {
    /// The ports of the host that lead into the guest.
    pub fn forwards(&self) -> impl Iterator<Item = &Forward> {
        self.nics.iter().flat_map(|nic| match &nic.backend {
            Backend::User(forwards) => &forwards[..],
            Backend::Tap(_) | Backend::Switch(_) => &[],
        })
    }

    /// The words for the kernel's command line.
    pub fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        for (number, nic) in self.nics.iter().enumerate() {
            words.extend(nic.ip.map(|ip| format!("net{number}.ip={ip}")));
            words.extend(nic.ip6.map(|ip6| format!("net{number}.ip6={ip6}")));
            words.extend(nic.mtu.map(|mtu| format!("net{number}.mtu={mtu}")));
        }
        if !self.dns.is_empty() {
            let servers: Vec<String> = self.dns.iter().map(ToString::to_string).collect();
            words.push(format!("dns={}", servers.join(",")));
        }
        words.extend(self.hostname.iter().map(|name| format!("hostname={name}")));
        words.extend(self.diagnostics.map(|port| format!("diag={port}")));
        words.extend(self.membership.iter().flat_map(Membership::words));
        words
    }

    /// Adds the cards to QEMU's command line.
    pub fn add_to(&self, qemu: &mut Command, machine: Machine) {
        for (number, nic) in self.nics.iter().enumerate() {
            qemu.arg("-netdev").arg(nic.netdev(number));
            qemu.args(["-device", &nic.device(number, machine)]);
            if let Some(file) = &nic.pcap {
                let mut dump = OsString::from(format!(
                    "filter-dump,id=dump{number},netdev=net{number},file="
                ));
                dump.push(escaped(file));
                qemu.arg("-object").arg(dump);
            }
        }
    }
}

impl Nic {
    fn netdev(&self, number: usize) -> OsString {
        match &self.backend {
            Backend::User(forwards) => {
                let address = match self.ip {
                    Some(Addressing::Static(Static { address, .. })) => Some(address),
                    _ => None,
                };
                let mut netdev = format!("user,id=net{number}");
                for forward in forwards {
                    netdev += ",";
                    netdev += &forward.option(address);
                }
                netdev.into()
            }
            Backend::Tap(name) => {
                format!("tap,id=net{number},ifname={name},script=no,downscript=no").into()
            }
            Backend::Switch(socket) => {
                let stream = "server=off,addr.type=unix,addr.path=";
                let mut netdev = OsString::from(format!("stream,id=net{number},{stream}"));
                netdev.push(escaped(socket));
                netdev
            }
        }
    }

    fn device(&self, number: usize, machine: Machine) -> String {
        let model = match machine {
            // Without the ROM that would start a system from the network.
            Machine::Q35 => "virtio-net-pci,romfile=",
            Machine::Microvm => "virtio-net-device",
        };
        let mut device = format!("{model},netdev=net{number},mac={}", self.mac);
        if let Some(mtu) = self.mtu {
            device += &format!(",host_mtu={mtu}");
        }
        device
    }
}

/// A path in a list of QEMU's options, where a comma would end it.
fn escaped(path: &Path) -> OsString {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let mut bytes = Vec::new();
    for &byte in path.as_os_str().as_bytes() {
        bytes.push(byte);
        if byte == b',' {
            bytes.push(byte);
        }
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{Addressing, Backend, Forward, Mac, Machine, Network, Nic};

    fn nic(number: u8, backend: Backend) -> Nic {
        Nic {
            backend,
            mac: Mac::of(0, number),
            ip: None,
            ip6: None,
            mtu: None,
            pcap: None,
        }
    }

    fn words(network: &Network, machine: Machine) -> Vec<String> {
        let mut qemu = Command::new("qemu");
        network.add_to(&mut qemu, machine);
        let words = qemu.get_args().map(|word| word.to_str().unwrap());
        words.map(str::to_owned).collect()
    }

    #[test]
    fn every_card_has_a_cable_and_an_address_of_its_own() {
        let mut first = nic(0, Backend::User(vec![Forward::parse("8080:80").unwrap()]));
        first.ip = Some(Addressing::parse("10.0.2.20/24").unwrap());
        first.mtu = Some(9000);
        first.pcap = Some("a,b.pcap".into());
        let network = Network {
            nics: vec![
                first,
                nic(1, Backend::Tap("tap0".into())),
                nic(2, Backend::Switch("/tmp/n0".into())),
            ],
            ..Network::default()
        };
        assert_eq!(
            words(&network, Machine::Q35),
            [
                "-netdev",
                "user,id=net0,hostfwd=tcp:127.0.0.1:8080-10.0.2.20:80",
                "-device",
                "virtio-net-pci,romfile=,netdev=net0,mac=02:da:00:00:00:01,host_mtu=9000",
                "-object",
                "filter-dump,id=dump0,netdev=net0,file=a,,b.pcap",
                "-netdev",
                "tap,id=net1,ifname=tap0,script=no,downscript=no",
                "-device",
                "virtio-net-pci,romfile=,netdev=net1,mac=02:da:00:01:00:01",
                "-netdev",
                "stream,id=net2,server=off,addr.type=unix,addr.path=/tmp/n0",
                "-device",
                "virtio-net-pci,romfile=,netdev=net2,mac=02:da:00:02:00:01",
            ]
        );
        assert!(words(&network, Machine::Microvm)[3].starts_with("virtio-net-device,netdev=net0"));
        assert_eq!(network.words(), ["net0.ip=10.0.2.20/24", "net0.mtu=9000"]);
    }

    #[test]
    fn no_network_takes_no_words() {
        assert!(words(&Network::default(), Machine::Q35).is_empty());
        assert!(Network::default().words().is_empty());
    }

    #[test]
    fn addresses_differ_by_node_and_by_card() {
        assert_eq!(Mac::of(0, 0).to_string(), "02:da:00:00:00:01");
        assert_eq!(Mac::of(300, 2).to_string(), "02:da:00:02:01:2d");
    }
}
