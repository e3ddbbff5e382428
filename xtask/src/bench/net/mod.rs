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
//! All guests are there from the begin, idle unless they are measured. They take turns,
//! second by second, and each round begins with another; so whatever else the host has to do
//! disturbs all of them alike. The best round of each counts, as nothing makes a system
//! faster than it is. Linux takes part twice, as if it were two systems: how far the figures
//! `net/null/…` are from 1 is how far the others may be off.

mod darner;
mod image;
mod kernel;
mod linux;
mod peer;
mod running;
mod segments;

use std::fs;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::time::Duration;

use image::Content;
use kernel::Linux;
use peer::Peer;
use running::Running;

use super::figure::{Better, Figure, Goal};
use super::guests::{Guests, Packed};
use super::host_load::{AGAIN, Watch};
use crate::app::App;
use crate::error::{Context, Error, Result};
use crate::initrd::Share;
use crate::vm::Config;
use crate::vm::network::{
    Addressing, Backend, Forward, Mac, Network, Nic, Protocol, Static, free_port,
};

/// How often each system is measured.
const ROUNDS: usize = 9;
/// How long each measurement takes.
const SECONDS: &str = "1";
/// Round trips of which the median counts.
const ROUND_TRIPS: &str = "3000";
/// Connections to the web server at the same time.
const CONNECTIONS: &str = "4";
/// Bytes of the file that it serves.
const FILE: usize = 1024;

/// How long a guest may run: far longer than all is measured.
const PATIENCE: Duration = Duration::from_secs(1800);

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

/// What a guest's time is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Clock {
    /// The host's.
    Host,
    /// A nanosecond for each instruction.
    Instructions,
}

const SYSTEMS: [System; 3] = [System::Darner, System::Linux, System::LinuxAgain];

/// All figures of the group.
pub fn measure(guests: &Guests<'_>) -> Result<Vec<Figure>> {
    let bench = Bench::new(guests)?;
    let standing = SYSTEMS
        .into_iter()
        .map(|system| Ok((system, bench.start(system)?)))
        .collect::<Result<Vec<_>>>()?;
    let watch = Watch::start()?;
    let mut found = Vec::new();
    for round in 0..ROUNDS {
        eprintln!("xtask: round {} of {ROUNDS}", round + 1);
        for (name, measure, ..) in MEASURED {
            for turn in 0..standing.len() {
                let (system, places) = &standing[(round + turn) % standing.len()];
                let number = measure(&bench.peer, places).map_err(|error| {
                    Error::failed(format!("{name} of {system:?} cannot be measured: {error}"))
                })?;
                found.push((name, *system, number));
            }
        }
    }
    // What the guests took is known when they have ended.
    drop(standing);
    watch.warn(AGAIN)?;
    let mut figures = figures(&found);
    figures.extend(segments::figures(&bench)?);
    Ok(figures)
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

    /// Boots a system with each of the programs and waits until they can be measured.
    fn start(&self, system: System) -> Result<Places> {
        let boot = |program: usize| self.boot(system, program, PROGRAMS[program].1, Clock::Host);
        let (netbench, httpd) = (boot(0)?, boot(1)?);
        Ok(Places {
            netbench: netbench.1,
            file: format!("{}/file", httpd.1),
            _guests: [netbench.0, httpd.0],
        })
    }

    /// A guest with one of the programs, and where that is, as seen from the host.
    fn boot(
        &self,
        system: System,
        program: usize,
        args: &[&str],
        clock: Clock,
    ) -> Result<(Running, String)> {
        let port = free_port()?.port();
        let config = config(port, PORTS[program], clock);
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
        running.wait_for(PROGRAMS[program].2)?;
        Ok((running, format!("127.0.0.1:{port}")))
    }
}

/// The guests of a system, and where the host finds their programs.
struct Places {
    netbench: String,
    /// What the web server serves.
    file: String,
    _guests: [Running; 2],
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
fn config(host: u16, guest: u16, clock: Clock) -> Config {
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
        mtu: match clock {
            Clock::Host => None,
            Clock::Instructions => Some(segments::MTU),
        },
        pcap: None,
    };
    Config {
        network: Network {
            nics: vec![nic],
            ..Network::default()
        },
        icount: clock == Clock::Instructions,
        timeout: Some(PATIENCE),
        ..Config::default()
    }
}

/// What is measured: its name, how, what it is counted in, which is better, and its goal if
/// it is compared as it is.
type Measured = (
    &'static str,
    fn(&Peer, &Places) -> Result<f64>,
    &'static str,
    Better,
    Option<Goal>,
);

/// As good as Linux.
const EQUAL: Option<Goal> = Some(Goal::Ratio(1.0));

const MEASURED: [Measured; 6] = [
    (
        "tcp_throughput/received",
        |peer, at| peer.tcp(&at.netbench, "send", SECONDS),
        "Mbit/s",
        Better::Bigger,
        None,
    ),
    (
        "tcp_throughput/sent",
        |peer, at| peer.tcp(&at.netbench, "receive", SECONDS),
        "Mbit/s",
        Better::Bigger,
        None,
    ),
    (
        "tcp_rtt_1b",
        |peer, at| peer.tcp_rtt(&at.netbench, ROUND_TRIPS),
        "us",
        Better::Smaller,
        EQUAL,
    ),
    (
        "udp_pps/received",
        |peer, at| peer.udp(&at.netbench, "send", SECONDS),
        "1/s",
        Better::Bigger,
        None,
    ),
    (
        "udp_pps/sent",
        |peer, at| peer.udp(&at.netbench, "receive", SECONDS),
        "1/s",
        Better::Bigger,
        None,
    ),
    (
        "httpd_rps",
        |peer, at| peer.http(&at.file, CONNECTIONS, SECONDS),
        "1/s",
        Better::Bigger,
        EQUAL,
    ),
];

/// The figures of both directions together.
const BOTH: [&str; 2] = ["tcp_throughput", "udp_pps"];

/// The speed of as much in one direction as in the other, one after the other.
fn both(one: f64, other: f64) -> f64 {
    2.0 / (1.0 / one + 1.0 / other)
}

/// A number of a system, by the name of what was measured.
type Found = (&'static str, System, f64);

/// The systems beside each other.
fn figures(found: &[Found]) -> Vec<Figure> {
    let of = |system: System, group: &str| {
        let mut figures = Vec::new();
        for (name, _, unit, better, goal) in MEASURED {
            let values = [system, System::Linux].map(|of| best(found, name, of, better));
            let figure = compared(format!("{group}/{name}"), values, unit, better);
            figures.push(match goal {
                Some(goal) => figure.goal(goal),
                None => figure,
            });
        }
        for name in BOTH {
            let directions = ["received", "sent"].map(|direction| format!("{name}/{direction}"));
            let values = [system, System::Linux].map(|of| {
                let [one, other] = directions
                    .each_ref()
                    .map(|name| best(found, name, of, Better::Bigger));
                rounded(both(one, other))
            });
            let unit = unit_of(&directions[0]);
            let figure = compared(format!("{group}/{name}"), values, unit, Better::Bigger);
            figures.push(figure.goal(Goal::Ratio(1.0)));
        }
        figures
    };
    let null = of(System::LinuxAgain, "net/null");
    let null = null.into_iter().map(|figure| Figure {
        goal: None,
        ..figure
    });
    of(System::Darner, "net").into_iter().chain(null).collect()
}

/// One figure beside Linux's.
fn compared(name: String, [value, linux]: [f64; 2], unit: &'static str, better: Better) -> Figure {
    let figure = Figure::new(name, value, unit).peer("linux", linux);
    match better {
        Better::Smaller => figure,
        Better::Bigger => figure.bigger_is_better(),
    }
}

fn unit_of(name: &str) -> &'static str {
    let mut all = MEASURED.iter();
    all.find(|measured| measured.0 == name)
        .map_or("", |measured| measured.2)
}

/// The best of a system's rounds.
fn best(found: &[Found], name: &str, system: System, better: Better) -> f64 {
    let rounds = found
        .iter()
        .filter(|(what, of, _)| *what == name && *of == system);
    let better = match better {
        Better::Smaller => f64::min,
        Better::Bigger => f64::max,
    };
    rounded(
        rounds
            .map(|round| round.2)
            .reduce(better)
            .unwrap_or(f64::NAN),
    )
}

/// To a tenth.
fn rounded(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_rounds_are_compared() {
        let mut found = Vec::new();
        for (system, rounds) in [
            (System::Darner, [10.0, 30.0, 20.0]),
            (System::Linux, [15.0, 10.0, 12.0]),
            (System::LinuxAgain, [15.0, 15.0, 10.0]),
        ] {
            for (name, ..) in MEASURED {
                found.extend(rounds.map(|number| (name, system, number)));
            }
        }
        let figures = figures(&found);
        let ratio = |name: &str| {
            let figure = figures.iter().find(|figure| figure.name == name).unwrap();
            (figure.ratio().unwrap(), figure.is_reached())
        };
        assert_eq!(ratio("net/httpd_rps"), (2.0, Some(true)));
        assert_eq!(ratio("net/tcp_rtt_1b"), (1.0, Some(true)));
        assert_eq!(ratio("net/tcp_throughput"), (2.0, Some(true)));
        assert_eq!(ratio("net/tcp_throughput/sent"), (2.0, None));
        assert_eq!(ratio("net/null/udp_pps"), (1.0, None));
    }

    #[test]
    fn both_directions_take_their_time() {
        assert_eq!(both(10.0, 10.0), 10.0);
        assert_eq!(both(30.0, 10.0), 15.0);
    }
}
