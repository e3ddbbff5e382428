//! The command line of `xtask cluster`.

use std::net::Ipv6Addr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use darner_switch::Plan;
use lexopt::Parser;
use lexopt::prelude::*;

use super::kill::{self, Deed, Kill};
use super::subnet::Subnet;
use crate::accel::Accelerator;
use crate::error::{Context, Error, Result};
use crate::run::network_options::{NetworkOptions, mtu};
use crate::run::options::{Options as Common, number};
use crate::vm::network::{Addressing, Cipher, Key};

/// How many nodes there may be.
const MAX_NODES: u16 = 64;

/// How long a node that says nothing is waited for, in seconds.
const SILENCE: u16 = 2;
/// The same, where many processors are played by few: a machine may stand still for seconds.
const SILENCE_OF_EMULATED: u16 = 20;
/// What may be asked for.
const SILENCES: RangeInclusive<u16> = 1..=3_600;

/// What `xtask cluster` is asked for.
#[derive(Debug)]
pub struct Options {
    /// What every node is.
    pub common: Common,
    /// How many there are.
    pub nodes: u16,
    /// Where their addresses are from.
    pub subnet: Subnet,
    /// IPv6 on the switch; the kernel's own choice when `None`.
    pub ip6: Option<Addressing<Ipv6Addr>>,
    /// The largest packet on the switch.
    pub mtu: Option<u16>,
    /// What is wrong with the switch.
    pub plan: Plan,
    /// Machines that are killed or drained, the first one first.
    pub kills: Vec<Kill>,
    /// A text; with the first line that contains it the times of faults begin. From the start, when
    /// `None`.
    pub after: Option<String>,
    /// Which frames are hit, and whom and when a kill that leaves that open.
    pub seed: u64,
    /// A file for what each CPU did when.
    pub trace: Option<PathBuf>,
    /// Whether a screen shows what they do.
    pub top: bool,
    /// A file for everything that they send.
    pub pcap: Option<PathBuf>,
    /// A file for what they have counted.
    pub stats_json: Option<PathBuf>,
    /// A folder for what each prints.
    pub log_dir: Option<PathBuf>,
    /// What happens to the others when one fails.
    pub policy: Policy,
    /// What the nodes are to each other.
    pub kinship: Kinship,
    /// What proves to nodes of one system that they are; a new one when `None`.
    pub key: Option<Key>,
    /// How long a node that says nothing is waited for, in seconds.
    pub silence: u16,
    /// What encrypts on the links; whatever is faster on each node, if not given.
    pub cipher: Option<Cipher>,
    /// How much later than the others the last node is started.
    pub join_after: Option<Duration>,
}

/// What the nodes are to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kinship {
    /// One system: one program with one memory, whose threads run on all of them.
    OneSystem,
    /// As many programs, each of which can talk to the others.
    Separate,
}

/// See [`Options::policy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// They are ended.
    EndAll,
    /// They run on.
    KeepGoing,
}

/// What the options were before they are looked at together.
struct Raw {
    nodes: Option<u16>,
    subnet: Subnet,
    ip6: Option<Addressing<Ipv6Addr>>,
    mtu: Option<u16>,
    faults: Option<String>,
    kills: Vec<String>,
    drains: Vec<String>,
    after: Option<String>,
    seed: u64,
    trace: Option<PathBuf>,
    top: bool,
    pcap: Option<PathBuf>,
    stats_json: Option<PathBuf>,
    log_dir: Option<PathBuf>,
    policy: Policy,
    kinship: Kinship,
    key: Option<Key>,
    silence: Option<u16>,
    cipher: Option<Cipher>,
    join_after: Option<u16>,
    /// Whether a `--net` has come, after which options are about its card.
    is_past_switch: bool,
}

impl Options {
    /// Whether the nodes are one system.
    pub fn is_one_system(&self) -> bool {
        self.kinship == Kinship::OneSystem
    }

    /// Reads the command line after `cluster`.
    pub fn parse(parser: Parser) -> Result<Self> {
        let mut raw = Raw {
            nodes: None,
            subnet: Subnet::default(),
            ip6: None,
            mtu: None,
            faults: None,
            kills: Vec::new(),
            drains: Vec::new(),
            after: None,
            seed: 1,
            trace: None,
            top: false,
            pcap: None,
            stats_json: None,
            log_dir: None,
            policy: Policy::EndAll,
            kinship: Kinship::OneSystem,
            key: None,
            silence: None,
            cipher: None,
            join_after: None,
            is_past_switch: false,
        };
        let network = NetworkOptions::beside_a_switch();
        let mut take = |option: &str, parser: &mut Parser| raw.take(option, parser);
        let common = Common::parse(parser, network, &mut take)?;
        raw.finish(common)
    }
}

impl Raw {
    fn take(&mut self, option: &str, parser: &mut Parser) -> Result<bool> {
        let mut value = || -> Result<String> { Ok(parser.value()?.string()?) };
        match option {
            "--nodes" => self.nodes = Some(number(option, &value()?)?),
            "--subnet" => self.subnet = Subnet::parse(&value()?)?,
            "--faults" => self.faults = Some(value()?),
            "--kill" => self.kills.push(value()?),
            "--drain" => self.drains.push(value()?),
            "--after" => self.after = Some(value()?),
            "--seed" => self.seed = number(option, &value()?)?,
            "--trace" => self.trace = Some(value()?.into()),
            "--top" => self.top = true,
            "--pcap" => self.pcap = Some(value()?.into()),
            "--stats-json" => self.stats_json = Some(value()?.into()),
            "--log-dir" => self.log_dir = Some(value()?.into()),
            "--key" => self.key = Some(Key::read(Path::new(&value()?))?),
            "--separate" => self.kinship = Kinship::Separate,
            "--silence" => self.silence = Some(number(option, &value()?)?),
            "--cipher" => self.cipher = Some(Cipher::parse(&value()?)?),
            "--join-after" => self.join_after = Some(number(option, &value()?)?),
            "--keep-going" => self.policy = Policy::KeepGoing,
            "--mtu" if !self.is_past_switch => self.mtu = Some(mtu(&value()?)?),
            "--ip6" if !self.is_past_switch => self.ip6 = Some(shared_ip6(&value()?)?),
            "--ip" if !self.is_past_switch => {
                return Err(Error::usage(
                    "found --ip: the nodes' addresses are chosen by --subnet; put --ip after \
                     --net for another card",
                ));
            }
            "--hostname" => {
                return Err(Error::usage(
                    "found --hostname: the nodes of a cluster are called n0, n1, and so on",
                ));
            }
            "--net" => {
                self.is_past_switch = true;
                return Ok(false);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn finish(self, mut common: Common) -> Result<Options> {
        let nodes = self.nodes.ok_or_else(|| {
            Error::usage("found no --nodes, expected `cargo xtask cluster --nodes N APP`")
        })?;
        let most = MAX_NODES.min(self.subnet.room());
        if !(1..=most).contains(&nodes) {
            return Err(Error::usage(format!(
                "found --nodes {nodes}, expected 1 to {most}"
            )));
        }
        if self.kinship == Kinship::OneSystem && matches!(self.policy, Policy::KeepGoing) {
            return Err(Error::usage(
                "found --keep-going: one system ends as a whole, so it goes with --separate only",
            ));
        }
        if self.kinship == Kinship::Separate && self.key.is_some() {
            return Err(Error::usage(
                "found --key with --separate: only nodes of one system are linked by the kernel",
            ));
        }
        let is_one_system = self.kinship == Kinship::OneSystem;
        if self.join_after.is_some() && (nodes < 2 || !is_one_system) {
            return Err(Error::usage(
                "found --join-after: the last of several nodes of one system comes later, so it goes with --nodes 2 or \
                 more, and not with --separate",
            ));
        }
        if self.kinship == Kinship::Separate && self.cipher.is_some() {
            return Err(Error::usage(
                "found --cipher with --separate: only nodes of one system are linked by the kernel",
            ));
        }
        let silence = match self.silence {
            Some(silence) if !SILENCES.contains(&silence) || !is_one_system => {
                return Err(Error::usage(format!(
                    "found --silence {silence}, expected 1 to 3600 seconds, and not with --separate"
                )));
            }
            Some(silence) => silence,
            None => match common.config.accel.resolve()? {
                Accelerator::Kvm => SILENCE,
                Accelerator::Tcg => SILENCE_OF_EMULATED,
            },
        };
        if common.config.gdb && nodes > 1 {
            return Err(Error::usage(
                "--gdb waits at one port for one machine: found several nodes, expected --nodes 1",
            ));
        }
        if self.kinship == Kinship::Separate && self.trace.is_some() {
            return Err(Error::usage(
                "found --trace with --separate: separate programs have no common clock, expected one of the two",
            ));
        }
        if self.kinship == Kinship::Separate && self.top {
            return Err(Error::usage(
                "found --top with --separate: only the nodes of one system have memory in common to tell of, \
                 expected one of the two",
            ));
        }
        let leaves = !self.kills.is_empty() || !self.drains.is_empty();
        if self.after.is_some() && self.faults.is_none() && !leaves {
            return Err(Error::usage(
                "found --after, but nothing that could begin then, expected --faults, --kill or --drain, too",
            ));
        }
        if self.kinship == Kinship::Separate && !self.drains.is_empty() {
            return Err(Error::usage(
                "found --drain with --separate: only a node of one system can leave what it has to the others",
            ));
        }
        let mut kills = kills(&self.kills, Deed::Kill, nodes, self.seed)?;
        kills.extend(self::kills(&self.drains, Deed::Drain, nodes, self.seed)?);
        kills.sort_by_key(|kill| kill.at);
        if self.stats_json.is_some() {
            if self.kinship == Kinship::Separate {
                return Err(Error::usage(
                    "found --stats-json with --separate: only one system counts what its nodes have in common",
                ));
            }
            common.config.stats = true;
        }
        Ok(Options {
            plan: plan(self.faults.as_deref(), nodes)?,
            kills,
            after: self.after,
            trace: self.trace,
            top: self.top,
            common,
            nodes,
            subnet: self.subnet,
            ip6: self.ip6,
            mtu: self.mtu,
            seed: self.seed,
            pcap: self.pcap,
            stats_json: self.stats_json,
            log_dir: self.log_dir,
            policy: self.policy,
            kinship: self.kinship,
            key: self.key,
            silence,
            cipher: self.cipher,
            join_after: self
                .join_after
                .map(|seconds| Duration::from_secs(seconds.into())),
        })
    }
}

/// What is the same on all nodes.
fn shared_ip6(text: &str) -> Result<Addressing<Ipv6Addr>> {
    match Addressing::parse(text)? {
        Addressing::Static(_) => Err(Error::usage(format!(
            "found --ip6 {text}, which two nodes cannot both have, expected auto or off"
        ))),
        shared => Ok(shared),
    }
}

/// Reads the values of `--kill` or `--drain`.
pub fn kills(texts: &[String], deed: Deed, nodes: u16, seed: u64) -> Result<Vec<Kill>> {
    let about = |error: Error| Error::usage(format!("{}: {error}", deed.option()));
    let orders = texts
        .iter()
        .map(|text| kill::Order::parse(text, deed, nodes))
        .collect::<Result<Vec<_>>>()
        .map_err(about)?;
    kill::decide(&orders, deed, nodes, seed).map_err(about)
}

/// Reads the value of `--faults`, or the file that it names.
fn plan(faults: Option<&str>, nodes: u16) -> Result<Plan> {
    let count = nodes.into();
    let plan = match faults {
        None => return Ok(Plan::none(count)),
        Some(file) if file.ends_with(".toml") => {
            let text = std::fs::read_to_string(file)
                .context(|| format!("read {file} (--faults)"))
                .map_err(|error| Error::usage(error.to_string()))?;
            Plan::parse_toml(&text, count)
        }
        Some(text) => Plan::parse(text, count),
    };
    plan.map_err(|error| Error::usage(format!("--faults: {error}")))
}
