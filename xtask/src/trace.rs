//! `xtask trace`: turns the kernel's dump of events into the JSON that Perfetto and
//! Chrome's tracing page show ("Trace Event Format", Google, 2016).
//!
//! Each CPU is a line of its own: the threads that ran on it, one after the other,
//! with the interrupts that came in on top of them, and marks for messages and ports. The
//! nodes of a cluster are in one trace, on the time that they share: what a node is told happens after
//! it was said.

#[cfg(test)]
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::error::{Context, Error, Result};

const MAGIC: &[u8] = b"DRNTRAC2";
const KIND_SHIFT: u32 = 56;

/// One event of a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Record {
    /// The time-stamp counter.
    when: u64,
    kind: u8,
    argument: u64,
}

/// The events of one CPU, oldest first.
#[derive(Debug, PartialEq, Eq)]
struct Cpu {
    number: u64,
    /// How many older events were overwritten.
    lost: u64,
    records: Vec<Record>,
}

/// What the kernel of one node left.
#[derive(Debug, PartialEq, Eq)]
struct Dump {
    tsc_khz: u64,
    /// The time-stamp counter when the node's clock was 0.
    zero: u64,
    cpus: Vec<Cpu>,
}

/// Turns the nodes' dumps into JSON at `out`, and says what it holds.
pub fn convert(nodes: &[(u16, &Path)], out: &Path) -> Result<()> {
    let mut dumps = Vec::new();
    for &(node, raw) in nodes {
        let bytes = std::fs::read(raw).context(|| "read the guest's trace".into())?;
        dumps.push((node, Dump::parse(&bytes)?));
    }
    let events: Vec<Value> = dumps
        .iter()
        .flat_map(|(node, dump)| dump.events(*node))
        .collect();
    let file = std::fs::File::create(out).context(|| format!("create {}", out.display()))?;
    let mut file = std::io::BufWriter::new(file);
    let lost: u64 = dumps.iter().map(|(_, dump)| dump.lost()).sum();
    let trace = json!({
        "displayTimeUnit": "ns",
        "traceEvents": events,
        "otherData": { "overwritten": lost },
    });
    serde_json::to_writer(&mut file, &trace)
        .map_err(std::io::Error::from)
        .and_then(|()| file.flush())
        .context(|| format!("write {}", out.display()))?;
    eprintln!("xtask: {}", summary(&dumps, out));
    Ok(())
}

fn summary(dumps: &[(u16, Dump)], out: &Path) -> String {
    let cpus = || dumps.iter().flat_map(|(_, dump)| &dump.cpus);
    let kept: usize = cpus().map(|cpu| cpu.records.len()).sum();
    let lost: u64 = dumps.iter().map(|(_, dump)| dump.lost()).sum();
    let mut text = format!("{kept} events of {} CPUs", cpus().count());
    if let [_, _, ..] = dumps {
        let _ = write!(text, " of {} nodes", dumps.len());
    }
    let _ = write!(text, " are in {}", out.display());
    if lost > 0 {
        let _ = write!(text, " ({lost} older ones were overwritten)");
    }
    text
}

impl Dump {
    fn parse(bytes: &[u8]) -> Result<Self> {
        let Some(rest) = bytes.strip_prefix(MAGIC) else {
            return Err(Error::failed(format!(
                "found {} bytes that are no trace: the guest ended before it could write one",
                bytes.len()
            )));
        };
        let mut words = rest
            .chunks_exact(8)
            .map(|word| u64::from_le_bytes(word.try_into().unwrap_or_default()));
        let mut word = move || {
            words.next().ok_or_else(|| {
                Error::failed("the guest's trace ends in the middle: the guest was killed")
            })
        };
        let tsc_khz = word()?.max(1);
        let zero = word()?;
        let total = rest.len() / 8;
        let mut read = 2;
        let mut cpus = Vec::new();
        while read < total {
            let (number, lost, count) = (word()?, word()?, word()?);
            let mut records = Vec::new();
            for _ in 0..count {
                let (when, what) = (word()?, word()?);
                let kind = (what >> KIND_SHIFT) as u8;
                let argument = what & ((1 << KIND_SHIFT) - 1);
                records.push(Record {
                    when,
                    kind,
                    argument,
                });
            }
            read += 3 + 2 * count as usize;
            cpus.push(Cpu {
                number,
                lost,
                records,
            });
        }
        Ok(Self {
            tsc_khz,
            zero,
            cpus,
        })
    }

    /// How many events were overwritten.
    fn lost(&self) -> u64 {
        self.cpus.iter().map(|cpu| cpu.lost).sum()
    }

    /// The events of that node as Chrome has them: times in microseconds.
    fn events(&self, node: u16) -> Vec<Value> {
        let us = |ticks: u64| ticks as f64 * 1000.0 / self.tsc_khz as f64;
        // What happened before a clock was put forward for the last time may lie before its zero.
        let at = |tsc: u64| us(1) * tsc.wrapping_sub(self.zero) as i64 as f64;
        let mut events = vec![json!({
            "ph": "M", "name": "process_name", "pid": node, "args": { "name": format!("node {node}") },
        })];
        for cpu in &self.cpus {
            let line = cpu.number;
            events.push(json!({
                "ph": "M", "name": "thread_name", "pid": node, "tid": line,
                "args": { "name": format!("CPU {line}") },
            }));
            let slice = |name: &str, category: &str, from: u64, to: u64| {
                json!({
                    "ph": "X", "name": name, "cat": category, "pid": node, "tid": line,
                    "ts": at(from), "dur": us(to.saturating_sub(from)),
                })
            };
            let mark = |name: String, category: &str, when: u64| {
                json!({
                    "ph": "i", "s": "t", "name": name, "cat": category, "pid": node, "tid": line,
                    "ts": at(when),
                })
            };
            let end = cpu.records.last().map_or(0, |record| record.when);
            let mut running: Option<Record> = None;
            let mut interrupts = Vec::new();
            for &record in &cpu.records {
                match record.kind {
                    SWITCH => {
                        if let Some(before) = running.replace(record) {
                            events.push(slice(
                                &thread(before.argument),
                                "thread",
                                before.when,
                                record.when,
                            ));
                        }
                    }
                    SENT => events.push(mark(
                        format!("message to CPU {}", record.argument),
                        "ipi",
                        record.when,
                    )),
                    INTERRUPTED => events.push(mark(
                        format!("interrupt to CPU {}", record.argument),
                        "ipi",
                        record.when,
                    )),
                    RUN => events.push(mark(
                        format!("message of CPU {}", record.argument),
                        "ipi",
                        record.when,
                    )),
                    PUT => events.push(mark("put".into(), "port", record.when)),
                    REPLY => events.push(mark("reply".into(), "port", record.when)),
                    INTERRUPT => interrupts.push(record),
                    INTERRUPT_END => {
                        if let Some(begin) = interrupts.pop() {
                            let name = format!("interrupt {:#x}", begin.argument);
                            events.push(slice(&name, "interrupt", begin.when, record.when));
                        }
                    }
                    FAULT => events.push(mark(
                        format!("exception {}", record.argument),
                        "fault",
                        record.when,
                    )),
                    PAGES => {
                        let (what, page, pages) = becomes(record.argument);
                        let mut event = mark(what.to_owned(), "pages", record.when);
                        event["args"] = json!({ "page": page, "pages": pages });
                        events.push(event);
                    }
                    other => events.push(mark(format!("event {other}"), "unknown", record.when)),
                }
            }
            if let Some(last) = running {
                events.push(slice(&thread(last.argument), "thread", last.when, end));
            }
        }
        events
    }

    /// The numbers of the threads that ran.
    #[cfg(test)]
    fn threads(&self) -> BTreeSet<u64> {
        let records = self.cpus.iter().flat_map(|cpu| &cpu.records);
        records
            .filter(|record| record.kind == SWITCH)
            .map(|record| record.argument)
            .collect()
    }
}

const SWITCH: u8 = 1;
const SENT: u8 = 2;
const RUN: u8 = 3;
const PUT: u8 = 4;
const REPLY: u8 = 5;
const INTERRUPT: u8 = 6;
const INTERRUPT_END: u8 = 7;
const FAULT: u8 = 8;
const INTERRUPTED: u8 = 9;
const PAGES: u8 = 10;

/// What becomes of pages: what, the first, how many. As the kernel has it (`unikernel/src/trace.rs`).
fn becomes(argument: u64) -> (&'static str, u64, u64) {
    const PAGE_BITS: u32 = 36;
    const COUNT_BITS: u32 = 16;
    const NAMES: [&str; 8] = [
        "read",
        "write",
        "discarded",
        "read_ahead",
        "write_ahead",
        "replicated",
        "slice",
        "protected",
    ];
    let bits = |from: u32, count: u32| argument >> from & ((1 << count) - 1);
    let name = NAMES[bits(PAGE_BITS + COUNT_BITS, 3) as usize];
    (name, bits(0, PAGE_BITS), bits(PAGE_BITS, COUNT_BITS))
}

/// From here on threads are the kernel's, for interrupts.
const FIRST_INTERRUPT_THREAD: u64 = 1 << 31;

/// Threads' numbers have their node in the bits from this one on.
const NODE_BIT: u32 = 25;

/// What a thread is called, by its number.
pub fn thread(number: u64) -> String {
    match number.checked_sub(FIRST_INTERRUPT_THREAD) {
        Some(number) => format!("interrupt thread {number}"),
        None if number == 0 => "idle".into(),
        None => match (number >> NODE_BIT, number & ((1 << NODE_BIT) - 1)) {
            (0, number) => format!("thread {number}"),
            (node, number) => format!("thread {number} of n{node}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{Dump, FAULT, INTERRUPT, INTERRUPT_END, KIND_SHIFT, MAGIC, SWITCH};

    fn dump(words: &[u64]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        bytes
    }

    fn what(kind: u8, argument: u64) -> u64 {
        u64::from(kind) << KIND_SHIFT | argument
    }

    #[test]
    fn threads_are_named_by_their_numbers() {
        let names = [0, 1, (2 << 25) + 7, 1 << 31, (1 << 31) + 2].map(super::thread);
        assert_eq!(
            names,
            [
                "idle",
                "thread 1",
                "thread 7 of n2",
                "interrupt thread 0",
                "interrupt thread 2"
            ]
        );
    }

    #[test]
    fn threads_and_interrupts_become_slices() {
        let bytes = dump(&[
            1000,
            50,
            0,
            7,
            4,
            100,
            what(SWITCH, 5),
            200,
            what(INTERRUPT, 0x30),
            250,
            what(INTERRUPT_END, 0x30),
            400,
            what(SWITCH, 0),
            1,
            0,
            0,
        ]);
        let dump = Dump::parse(&bytes).unwrap();
        assert_eq!((dump.cpus.len(), dump.cpus[0].lost), (2, 7));
        assert_eq!(dump.threads().into_iter().collect::<Vec<_>>(), [0, 5]);
        let events = dump.events(3);
        assert!(events.iter().all(|event| event["pid"] == 3));
        let named = |name: &str| events.iter().find(|event| event["name"] == name).unwrap();
        assert_eq!(
            (
                named("thread 5")["ts"].as_f64(),
                named("thread 5")["dur"].as_f64()
            ),
            (Some(50.0), Some(300.0))
        );
        assert_eq!(named("interrupt 0x30")["dur"].as_f64(), Some(50.0));
        assert_eq!(named("idle")["tid"], 0);
    }

    /// The counter's zero of the one is the other's 900; its clock was put forward to before
    /// the counter's own.
    #[test]
    fn nodes_are_on_the_same_time() {
        let at = |zero: u64, when: u64| {
            let bytes = dump(&[1000, zero, 0, 0, 1, when, what(FAULT, 6)]);
            let events = Dump::parse(&bytes).unwrap().events(0);
            let event = events.iter().find(|event| event["name"] == "exception 6");
            event.and_then(|event| event["ts"].as_f64())
        };
        assert_eq!(at(900, 1500), Some(600.0));
        assert_eq!(at(0_u64.wrapping_sub(500), 100), Some(600.0));
        assert_eq!(at(900, 800), Some(-100.0));
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        assert!(Dump::parse(b"").is_err());
        let whole = dump(&[1000, 0, 0, 0, 1, 100, what(SWITCH, 5)]);
        assert!(Dump::parse(&whole).is_ok());
        assert!(Dump::parse(&whole[..whole.len() - 8]).is_err());
    }
}
