//! The command line: `<kernel options> -- <program arguments>`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use darner_netstack::config::NetworkConfig;
use log::LevelFilter;
use spin::Once;

use crate::cluster::ClusterConfig;
use crate::drivers::virtio::mmio::Place;

/// What the command line asks of the kernel and hands to the program.
pub struct Params {
    /// `argv`, the program's name first.
    pub args: Vec<String>,
    /// `KEY=VALUE` words.
    pub env: Vec<String>,
    /// How much the kernel logs.
    pub log: LevelFilter,
    /// Debug console port for standard error; COM1 when absent.
    pub stderr: Option<u16>,
    /// Debug console port for control records; none are written when absent.
    pub control: Option<u16>,
    /// Debug console port for the trace; nothing is traced when absent.
    pub trace: Option<u16>,
    /// Debug console port for samples of what a node of a cluster does; none are taken when absent.
    pub top: Option<u16>,
    /// Report at the end how memory was used, as control records.
    pub stats: bool,
    /// Port of the debug-exit device.
    pub exit: Option<u16>,
    /// Standard input comes in length-prefixed frames.
    pub framed_stdin: bool,
    /// Use no more than this many CPUs.
    pub max_cpus: usize,
    /// Where virtio devices are.
    pub virtio_mmio: Vec<Place>,
    /// How the network is set up.
    pub network: NetworkConfig,
    /// Which node of which cluster this is.
    pub cluster: Option<ClusterConfig>,
    /// What was not understood; logged once there is a log.
    pub unknown: Vec<String>,
}

static PARAMS: Once<Params> = Once::new();

/// Parses `line` and keeps the result for [`get`]. Called once, at boot.
pub fn init(line: &str) -> &'static Params {
    PARAMS.call_once(|| parse(line))
}

/// The parsed command line, if boot has come that far. Any context.
pub fn get() -> Option<&'static Params> {
    PARAMS.get()
}

fn parse(line: &str) -> Params {
    let mut params = Params {
        args: Vec::new(),
        env: Vec::new(),
        log: LevelFilter::Warn,
        stderr: None,
        control: None,
        trace: None,
        top: None,
        stats: false,
        exit: None,
        framed_stdin: false,
        max_cpus: usize::MAX,
        virtio_mmio: Vec::new(),
        network: NetworkConfig::default(),
        cluster: None,
        unknown: Vec::new(),
    };
    let words = match shell_words::split(line) {
        Ok(words) => words,
        Err(error) => {
            params
                .unknown
                .push(alloc::format!("{} ({error})", shown(line)));
            line.split_whitespace().map(ToString::to_string).collect()
        }
    };
    let mut name = String::from("program");
    let mut words = words.into_iter();
    for word in words.by_ref() {
        if word == "--" {
            break;
        }
        let (key, value) = word.split_once('=').unwrap_or((word.as_str(), ""));
        let understood = match key {
            "name" => {
                name = value.to_string();
                true
            }
            "env" if value.contains('=') => {
                params.env.push(value.to_string());
                true
            }
            "log" => value.parse().map(|level| params.log = level).is_ok(),
            "stderr" => parse_port(value)
                .map(|port| params.stderr = Some(port))
                .is_some(),
            "control" => parse_port(value)
                .map(|port| params.control = Some(port))
                .is_some(),
            "trace" => parse_port(value)
                .map(|port| params.trace = Some(port))
                .is_some(),
            "top" => parse_port(value)
                .map(|port| params.top = Some(port))
                .is_some(),
            "exit" => parse_port(value)
                .map(|port| params.exit = Some(port))
                .is_some(),
            "stats" if value.is_empty() => {
                params.stats = true;
                true
            }
            "stdin" if value == "framed" => {
                params.framed_stdin = true;
                true
            }
            "virtio_mmio.device" => Place::parse(value)
                .map(|place| params.virtio_mmio.push(place))
                .is_some(),
            "cluster" => {
                params.cluster = ClusterConfig::parse(value);
                params.cluster.is_some()
            }
            "cluster.address" => params
                .cluster
                .as_mut()
                .is_some_and(|cluster| cluster.take_address(value)),
            "cluster.key" => params.cluster.as_mut().is_some_and(|cluster| {
                cluster.take_key(value);
                true
            }),
            "cluster.founders" => params
                .cluster
                .as_mut()
                .is_some_and(|cluster| cluster.take_founders(value)),
            "cluster.silence" => params
                .cluster
                .as_mut()
                .is_some_and(|cluster| cluster.take_silence(value)),
            "cluster.cipher" => params
                .cluster
                .as_mut()
                .is_some_and(|cluster| cluster.take_cipher(value)),
            "maxcpus" => match value.parse() {
                Ok(count) if count > 0 => {
                    params.max_cpus = count;
                    true
                }
                _ => false,
            },
            _ => match params.network.take(&word) {
                Ok(understood) => understood,
                Err(error) => {
                    let word = shown(&word);
                    params.unknown.push(alloc::format!("{word} ({error})"));
                    continue;
                }
            },
        };
        if !understood {
            params.unknown.push(shown(&word).to_string());
        }
    }
    params.args.push(name);
    params.args.extend(words);
    params
}

/// What may be logged of a part of the command line: not the cluster's key, nor what may be meant
/// as that.
fn shown(text: &str) -> &str {
    match text.contains("cluster.key") {
        true => "with cluster.key",
        false => text,
    }
}

/// A port number as the command line has it: hexadecimal, after `0x`.
pub fn parse_port(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("0x")?;
    u16::from_str_radix(digits, 16).ok()
}
