//! What a segment of a stream costs a guest, in instructions: all that it does divided by
//! the segments, which carry 1,400 bytes each. Interrupts, driver, stack, system calls and
//! program are part of it, and so is the work for the acknowledgements in the other
//! direction.
//!
//! QEMU counts (`-icount`), so the guest's clock tells instructions; but it goes on while the
//! guest idles. So `netbench serve --busy` fills idle time with a thread whose rounds can be
//! subtracted. When a segment arrives is up to the host, and how many come together makes a
//! difference: the figures are medians, and differ by some hundredths from run to run.

use super::peer::Peer;
use super::{Bench, Clock, System, rounded};
use crate::bench::Figure;
use crate::error::Result;

/// Bytes of a packet that carries [`PAYLOAD`] over IPv4 and TCP.
pub const MTU: u16 = 1440;
const PAYLOAD: u64 = 1400;
/// Segments of a stream.
const SEGMENTS: u64 = 20_000;
/// How often each is measured.
const ROUNDS: usize = 7;

/// The figures: as seen from the host, and their names.
const DIRECTIONS: [(&str, &str); 2] = [
    ("send", "net/instructions_per_rx_segment"),
    ("receive", "net/instructions_per_tx_segment"),
];

/// The instructions of a segment that is received, and of one that is sent.
pub fn figures(bench: &Bench<'_>) -> Result<Vec<Figure>> {
    let [ours, linux] = [
        instructions(bench, System::Darner)?,
        instructions(bench, System::Linux)?,
    ];
    let figures = DIRECTIONS.into_iter().zip(ours.into_iter().zip(linux));
    Ok(figures
        .map(|((_, name), (ours, linux))| {
            Figure::new(name, ours, "instructions").peer("linux", linux)
        })
        .collect())
}

fn instructions(bench: &Bench<'_>, system: System) -> Result<[f64; 2]> {
    eprintln!("xtask: counting instructions, {system:?}");
    let (_running, place) = bench.boot(system, 0, &["serve", "--busy"], Clock::Instructions)?;
    let median = |direction: &str| -> Result<f64> {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push(once(&bench.peer, &place, direction)?);
        }
        rounds.sort_by(f64::total_cmp);
        Ok(rounded(rounds[ROUNDS / 2]))
    };
    Ok([median(DIRECTIONS[0].0)?, median(DIRECTIONS[1].0)?])
}

fn once(peer: &Peer, place: &str, direction: &str) -> Result<f64> {
    let micros = peer.busy(place, direction, SEGMENTS * PAYLOAD)?;
    // An instruction is a nanosecond of the guest's.
    Ok(micros * 1000.0 / SEGMENTS as f64)
}
