//! The network beside Linux's: the same programs on the same emulated machine, once on
//! Darner and once on Debian's kernel for clouds, measured by the same process of the
//! host, in one run.
//!
//! Guest and host are joined by QEMU's own router (`-netdev user`), as `cargo xtask run`
//! joins them. It needs no rights, so that everybody can measure; it is a thread of its
//! own that is far from busy when a stream keeps the guest's CPU busy; and it offers the
//! card no help with checksums and segments, so that it is the guest's own work on each
//! packet that is compared.
//!
//! The guests take turns, and each round begins with another. Linux is measured twice in
//! every round, as if it were two systems: how far the figures `net/null/…` are from 1 is
//! how far the others may be off.

mod darner;
mod image;
mod kernel;
mod linux;
mod peer;
mod running;

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

use image::Content;
use kernel::Linux;
use peer::{Peer, Speeds};
use running::Running;

use super::figure::{Better, Figure, Goal};
use super::guests::{Guests, Packed};
use super::host_load::Watch;
use crate::app::App;
use crate::error::{Context, Result};
use crate::initrd::Share;
use crate::vm::Config;
use crate::vm::network::{Addressing, Backend, Forward, Mac, Network, Nic, Protocol, Static};

/// How often each system is measured.
const ROUNDS: usize = 5;
/// How long each measurement takes.
const SECONDS: &str = "2";
/// Round trips of which the median counts.
const ROUND_TRIPS: &str = "3000";
/// Connections to the web server at the same time.
const CONNECTIONS: &str = "4";
/// Bytes of the file that it serves.
const FILE: usize = 1024;
/// If others take more of the host's CPU time than this, the user is told.
const BUSY: f64 = 0.05;

/// How long a guest may run: far longer than it is measured.
const PATIENCE: Duration = Duration::from_secs(180);

/// The guest's address on QEMU's router, and that of the router.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 15);
const ROUTER: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 2);
const PREFIX: u8 = 24;
/// The ports of `netbench` and of `httpd`.
const PORTS: [u16; 2] = [5770, 80];

/// A system that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum System {
    Darner,
    Linux,
    /// The same again.
    LinuxAgain,
}

const SYSTEMS: [System; 2] = [System::Linux, System::LinuxAgain];

/// All figures of the group.
pub fn measure(guests: &Guests<'_>) -> Result<Vec<Figure>> {
    let bench = Bench::new(guests)?;
    let watch = Watch::start()?;
    let mut found = Vec::new();
    for round in 0..ROUNDS {
        for turn in 0..SYSTEMS.len() {
            let system = SYSTEMS[(round + turn) % SYSTEMS.len()];
            let speeds = bench.speeds(system)?;
            eprintln!(
                "xtask: round {} of {ROUNDS}, {system:?}: {speeds:?}",
                round + 1
            );
            found.push((system, speeds));
        }
    }
    let others = watch.others()?;
    if others > BUSY {
        eprintln!(
            "xtask: other work took {:.0} % of the host's CPUs meanwhile: measure again when it is idle",
            others * 100.0
        );
    }
    Ok(figures(&found))
}

/// All that systems are measured with.
struct Bench<'a> {
    guests: &'a Guests<'a>,
    peer: Peer,
    linux: Linux,
    /// What Linux finds in memory, with each program.
    archives: [PathBuf; 2],
    /// What Darner gets, with each program.
    packed: [Packed; 2],
}

/// The programs that run in the guests, the words that start them, and what they say when
/// they can be measured.
const PROGRAMS: [(&str, &[&str], &str); 2] = [
    ("netbench", &["serve"], "serving "),
    ("httpd", &["--dir", "/www", "--quiet"], "listening at "),
];

impl<'a> Bench<'a> {
    fn new(guests: &'a Guests<'a>) -> Result<Self> {
        let linux = Linux::ready()?;
        eprintln!("xtask: compared with Linux {}", linux.version);
        let set = guests.set();
        let build = |name: &str| -> Result<PathBuf> {
            App::find(&set.root, name)?.build_static(&set.toolchain, &set.root)
        };
        let www = guests.folder().join("www");
        fs::create_dir_all(&www)
            .and_then(|()| fs::write(www.join("file"), file()))
            .context(|| format!("write to {}", www.display()))?;
        let share = Share {
            host: www,
            guest: "www".into(),
        };
        let archive = |(name, _, _): (&str, &[&str], &str)| -> Result<PathBuf> {
            let path = guests.folder().join(format!("linux-{name}.cpio"));
            let program = set.stripped(name, build(name)?)?;
            let program = fs::read(&program.stripped)
                .context(|| format!("read {}", program.stripped.display()))?;
            let www = vec![Content::folder("www"), Content::plain("www/file", file())];
            image::write(&path, &linux, &program, www)?;
            Ok(path)
        };
        Ok(Self {
            archives: [archive(PROGRAMS[0])?, archive(PROGRAMS[1])?],
            packed: [
                guests.pack(PROGRAMS[0].0)?,
                guests.pack_with(PROGRAMS[1].0, &[share])?,
            ],
            // The same program as in the guests, which Linux on the host runs as well.
            peer: Peer {
                program: build(PROGRAMS[0].0)?,
            },
            linux,
            guests,
        })
    }

    /// Boots a system with each of the programs, and measures it.
    fn speeds(&self, system: System) -> Result<Speeds> {
        let peer = &self.peer;
        let (running, host) = self.start(system, 0)?;
        let measured = Speeds {
            tcp_received: peer.tcp(&host, "send", SECONDS)?,
            tcp_sent: peer.tcp(&host, "receive", SECONDS)?,
            tcp_rtt: peer.tcp_rtt(&host, ROUND_TRIPS)?,
            udp_received: peer.udp(&host, "send", SECONDS)?,
            udp_sent: peer.udp(&host, "receive", SECONDS)?,
            http: 0.0,
        };
        drop(running);
        let (_running, host) = self.start(system, 1)?;
        let http = peer.http(&format!("{host}/file"), CONNECTIONS, SECONDS)?;
        Ok(Speeds { http, ..measured })
    }

    /// Boots a system with a program and waits until that can be measured; where, as seen
    /// from the host.
    fn start(&self, system: System, program: usize) -> Result<(Running, String)> {
        let (_, args, ready) = PROGRAMS[program];
        let port = free_port()?;
        let config = config(port, PORTS[program]);
        let qemu = &self.guests.set().qemu;
        let running = match system {
            System::Darner => {
                let guest = self.guests.guest(&self.packed[program], args);
                darner::start(qemu, &config, guest)
            }
            System::Linux | System::LinuxAgain => {
                let archive = &self.archives[program];
                linux::start(qemu, &config, &self.linux, archive, &address(), args)?
            }
        };
        running.wait_for(ready)?;
        Ok((running, format!("127.0.0.1:{port}")))
    }
}

/// What the web servers serve.
fn file() -> Vec<u8> {
    (b'a'..=b'z').cycle().take(FILE).collect()
}

/// The guest's address, with its prefix.
fn address() -> String {
    format!("{ADDRESS}/{PREFIX}")
}

/// A machine of one CPU with a network card that a port of the host leads to.
fn config(host: u16, guest: u16) -> Config {
    let forward = |protocol| Forward {
        protocol,
        host: SocketAddrV4::new(Ipv4Addr::LOCALHOST, host),
        guest,
    };
    let nic = Nic {
        backend: Backend::User(vec![forward(Protocol::Tcp), forward(Protocol::Udp)]),
        mac: Mac::of(0, 0),
        ip: Some(Addressing::Static(Static {
            address: ADDRESS,
            prefix: PREFIX,
            gateway: Some(ROUTER),
        })),
        ip6: Some(Addressing::Off),
        mtu: None,
        pcap: None,
    };
    Config {
        network: Network {
            nics: vec![nic],
            ..Network::default()
        },
        timeout: Some(PATIENCE),
        ..Config::default()
    }
}

/// A port of the host that is free for both protocols.
fn free_port() -> Result<u16> {
    let free = || -> std::io::Result<u16> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        UdpSocket::bind(address)?;
        Ok(address.port())
    };
    free().context(|| "find a free port".into())
}

/// What is compared: its name, the number of it, what that is counted in, which is better,
/// and whether it has a goal.
type Compared = (&'static str, fn(&Speeds) -> f64, &'static str, Better, bool);

const COMPARED: [Compared; 8] = [
    (
        "tcp_throughput",
        |it| both(it.tcp_received, it.tcp_sent),
        "Mbit/s",
        Better::Bigger,
        true,
    ),
    (
        "tcp_throughput/received",
        |it| it.tcp_received,
        "Mbit/s",
        Better::Bigger,
        false,
    ),
    (
        "tcp_throughput/sent",
        |it| it.tcp_sent,
        "Mbit/s",
        Better::Bigger,
        false,
    ),
    ("tcp_rtt_1b", |it| it.tcp_rtt, "us", Better::Smaller, true),
    (
        "udp_pps",
        |it| both(it.udp_received, it.udp_sent),
        "1/s",
        Better::Bigger,
        true,
    ),
    (
        "udp_pps/received",
        |it| it.udp_received,
        "1/s",
        Better::Bigger,
        false,
    ),
    (
        "udp_pps/sent",
        |it| it.udp_sent,
        "1/s",
        Better::Bigger,
        false,
    ),
    ("httpd_rps", |it| it.http, "1/s", Better::Bigger, true),
];

/// The speed of as much in one direction as in the other, one after the other.
fn both(one: f64, other: f64) -> f64 {
    2.0 / (1.0 / one + 1.0 / other)
}

/// The systems beside each other, by the medians of all rounds.
fn figures(found: &[(System, Speeds)]) -> Vec<Figure> {
    let median_of = |system: System, number: fn(&Speeds) -> f64| {
        let rounds = found.iter().filter(|(of, _)| *of == system);
        median(rounds.map(|(_, speeds)| number(speeds)).collect())
    };
    let figure = |system: System, group: &str, compared: &Compared| {
        let &(name, number, unit, better, _) = compared;
        let value = median_of(system, number);
        let figure = Figure::new(format!("{group}/{name}"), value, unit)
            .peer("linux", median_of(System::Linux, number));
        match better {
            Better::Smaller => figure,
            Better::Bigger => figure.bigger_is_better(),
        }
    };
    let ours = COMPARED.iter().map(|compared| {
        let figure = figure(System::Darner, "net", compared);
        match compared.4 {
            true => figure.goal(Goal::Ratio(1.0)),
            false => figure,
        }
    });
    let null = COMPARED
        .iter()
        .map(|compared| figure(System::LinuxAgain, "net/null", compared));
    ours.chain(null).collect()
}

/// The value in the middle, to a tenth.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.get(values.len() / 2).copied().unwrap_or(f64::NAN);
    (middle * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speeds(all: f64) -> Speeds {
        Speeds {
            tcp_received: all,
            tcp_sent: all * 3.0,
            tcp_rtt: all,
            udp_received: all,
            udp_sent: all,
            http: all,
        }
    }

    #[test]
    fn the_medians_are_compared() {
        let found: Vec<(System, Speeds)> = [10.0, 900.0, 20.0]
            .map(|all| (System::Darner, speeds(all)))
            .into_iter()
            .chain([40.0, 10.0, 1.0].map(|all| (System::Linux, speeds(all))))
            .chain([(System::LinuxAgain, speeds(10.0))])
            .collect();
        let figures = figures(&found);
        let ratio = |name: &str| {
            let figure = figures.iter().find(|figure| figure.name == name).unwrap();
            (figure.ratio().unwrap(), figure.is_reached())
        };
        assert_eq!(ratio("net/httpd_rps"), (2.0, Some(true)));
        assert_eq!(ratio("net/tcp_rtt_1b"), (0.5, Some(false)));
        assert_eq!(ratio("net/tcp_throughput"), (2.0, Some(true)));
        assert_eq!(ratio("net/null/udp_pps"), (1.0, None));
    }

    #[test]
    fn both_directions_take_their_time() {
        assert_eq!(both(10.0, 10.0), 10.0);
        assert_eq!(both(30.0, 10.0), 15.0);
    }
}
