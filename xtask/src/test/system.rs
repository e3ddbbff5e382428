//! Several machines that are one system, as far as jobs (`ci/jobs`) do not tell: what passes between
//! them and what they did when.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

use pcap_file::pcapng::blocks::enhanced_packet::EnhancedPacketOption;
use pcap_file::pcapng::{Block, PcapNgReader};
use serde_json::Value;

use super::case::{Case, Verdict};
use super::command_line::{expect, xtask};
use super::matrix::on_host;
use super::suite::Suite;

/// All of them.
pub fn cases() -> Vec<Case> {
    vec![
        Case::new("system/wire", wire),
        Case::new("system/trace", trace),
        Case::alone("system/cluster-tour/1", one_node),
        Case::alone("system/cluster-tour/3x1", counted),
    ]
}

/// What the program is asked to do here.
const PICTURE: [&str; 2] = ["--size", "64"];

/// Faults hit whom they are for, the program does not notice, and all that is sent is captured,
/// with what became of it.
fn wire(suite: &Suite) -> Verdict {
    let capture = suite.path("system.pcapng");
    let words = [
        "cluster",
        "--nodes",
        "2",
        "--timeout",
        "150",
        "-v",
        "--faults",
        "n0.loss=10%",
        "--pcap",
        &capture.display().to_string(),
        "mandelbrot",
        "--",
    ];
    let output = xtask(suite, &[&words[..], &PICTURE].concat())?;
    expect(&output, 0, "booted in ")?;
    as_on_linux(suite, &output.stdout, "mandelbrot", &PICTURE)?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    let captured = captured(&capture)?;
    for node in 0..2 {
        let counted = counted_by_switch(&stderr, node)?;
        let found = captured.get(&node).copied().unwrap_or_default();
        if found != counted {
            Err(format!(
                "captured {found:?} of n{node}, expected what was counted, {counted:?}"
            ))?;
        }
        if (counted.lost > 0) != (node == 0) {
            Err(format!(
                "expected frames of n0 to be lost and no others, found {counted:?} of n{node}"
            ))?;
        }
    }
    Ok(())
}

/// A program must print what it prints on Linux.
fn as_on_linux(suite: &Suite, said: &[u8], program: &str, args: &[&str]) -> Verdict {
    let expected = on_host(suite, program, args)?;
    match said == expected {
        true => Ok(()),
        false => Err(format!(
            "found:\n{}\nexpected what it prints on Linux:\n{}",
            String::from_utf8_lossy(said),
            String::from_utf8_lossy(&expected)
        ))?,
    }
}

/// Of what one node has sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Frames {
    all: u64,
    lost: u64,
}

/// What the switch has counted, as it says at the end.
fn counted_by_switch(stderr: &str, node: u32) -> Result<Frames, String> {
    let prefix = format!("xtask: switch: n{node} sent ");
    let numbers = stderr.lines().find_map(|line| {
        let (all, rest) = line.strip_prefix(&prefix)?.split_once(" frames (")?;
        let (lost, _) = rest.split_once(" lost")?;
        Some(Frames {
            all: all.parse().ok()?,
            lost: lost.parse().ok()?,
        })
    });
    numbers.ok_or_else(|| format!("found no line `{prefix}…` in:\n{stderr}"))
}

/// What is in the capture, by interface.
fn captured(path: &Path) -> Result<BTreeMap<u32, Frames>, Box<dyn std::error::Error>> {
    let mut reader = PcapNgReader::new(File::open(path)?)?;
    let mut captured: BTreeMap<u32, Frames> = BTreeMap::new();
    while let Some(block) = reader.next_block() {
        if let Block::EnhancedPacket(packet) = block? {
            let is_lost = packet.options.iter().any(
                |option| matches!(option, EnhancedPacketOption::Comment(text) if text.contains("lost")),
            );
            let frames = captured.entry(packet.interface_id).or_default();
            frames.all += 1;
            frames.lost += u64::from(is_lost);
        }
    }
    Ok(captured)
}

/// One trace shows all nodes, on one clock: a thread that the first one started on the second runs
/// after the first has begun, and before it ends.
fn trace(suite: &Suite) -> Verdict {
    let path = suite.path("system.json");
    let out = path.display().to_string();
    let words = [
        "cluster",
        "--nodes",
        "2",
        "--timeout",
        "150",
        "--trace",
        &out,
        "mandelbrot",
        "--",
    ];
    let output = xtask(suite, &[&words[..], &PICTURE].concat())?;
    expect(&output, 0, "events of 2 CPUs of 2 nodes are in ")?;
    let trace: Value = serde_json::from_slice(&fs::read(&path)?)?;
    let events = trace["traceEvents"].as_array().ok_or("found no events")?;
    let of_node = |node: u64| events.iter().filter(move |event| event["pid"] == node);
    for node in 0..2 {
        let name = format!("node {node}");
        if !of_node(node).any(|event| event["args"]["name"] == name.as_str()) {
            Err(format!("found no `{name}` among {} events", events.len()))?;
        }
    }
    let times = |node, is_wanted: fn(&str) -> bool| {
        let slices = of_node(node).filter(move |event| {
            event["cat"] == "thread" && event["name"].as_str().is_some_and(is_wanted)
        });
        slices.filter_map(|slice| Some((slice["ts"].as_f64()?, slice["dur"].as_f64()?)))
    };
    let main: Vec<(f64, f64)> = times(0, |name| name == "thread 1").collect();
    let (Some(first), Some(last)) = (main.first(), main.last()) else {
        Err("found no slice of the main thread")?
    };
    let whole = first.0..=last.0 + last.1;
    let mut elsewhere = times(1, |name| {
        name.starts_with("thread ") && name.ends_with(" of n1")
    });
    let is_within = |(start, length)| whole.contains(&start) && whole.contains(&(start + length));
    if !elsewhere.any(is_within) {
        Err(format!(
            "found no thread of node 1 that runs in {whole:?} µs"
        ))?;
    }
    let words = [
        "cluster",
        "--separate",
        "--nodes",
        "2",
        "--trace",
        "x",
        "hello",
    ];
    expect(&xtask(suite, &words)?, 2, "no common clock")
}

/// What a program asks for beyond `std` it gets on a machine alone, too.
fn one_node(suite: &Suite) -> Verdict {
    let output = xtask(suite, &["run", "--timeout", "60", "cluster-tour"])?;
    expect(&output, 0, "booted in ")?;
    as_on_linux(suite, &output.stdout, "cluster-tour", &[])
}

/// The same on three; and what the nodes have counted is told when the program has ended.
fn counted(suite: &Suite) -> Verdict {
    let file = suite.path("counted.json");
    let path = file.display().to_string();
    let words = [
        "cluster",
        "--nodes",
        "3",
        "--timeout",
        "150",
        "--stats-json",
        &path,
        "cluster-tour",
    ];
    let output = xtask(suite, &words)?;
    expect(&output, 0, "booted in ")?;
    as_on_linux(suite, &output.stdout, "cluster-tour", &[])?;
    let counted: Value = serde_json::from_str(&fs::read_to_string(&file)?)?;
    let nodes = counted["nodes"].as_array().map_or(&[][..], Vec::as_slice);
    if nodes.len() != 3 {
        Err(format!("found {counted:#}, expected three nodes"))?;
    }
    for node in nodes {
        let is_right = node["read_faults_away"].as_u64() > Some(0)
            && node["silent_upgrades_own"].as_u64() > Some(0)
            && node["messages_received"]["grant"].as_u64() > Some(0)
            && node["fault_ns_50_percent"].as_u64() > Some(0)
            && node["steals_before_retire"] == 0;
        if !is_right {
            Err(format!(
                "found {node:#}, expected numbers, and no page stolen"
            ))?;
        }
    }
    Ok(())
}
