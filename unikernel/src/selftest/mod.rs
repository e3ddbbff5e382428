//! Tests and measurements of what only the kernel can do: messages between CPUs,
//! critical sections, migration, shootdowns.
//!
//! Only with the feature `selftest`. The program `kernel-tests` runs them, by name,
//! through [`sys_selftest`]. A test that finds something wrong logs it as an error. One at a
//! time, but for what many threads do together (`interrupts-spin`).

mod clock;
mod counters;
mod gang;
mod interrupts;
mod measure;
mod migrate;
mod network;
mod passive;
mod rendezvous;
mod restart;
mod storm;
mod tlb;
mod virtqueue;

use alloc::format;
use alloc::string::String;

use hermit_abi::{EIO, ENAMETOOLONG, ENOENT};

use crate::abi::user::{self, Errno, UserSlice, answer};
use crate::time::monotonic_ns;

/// What is wrong, for the reader.
type Failure = String;
/// A number that the test or measurement found, as its entry in [`ALL`] says.
type Found = Result<u64, Failure>;

/// How long anything may take that must happen, in nanoseconds. A CPU of an emulated
/// machine on a busy host may stand still for a second.
const PATIENCE: u64 = 30_000_000_000;

/// The name of a test or measurement, and what runs it with the program's argument.
type Named = (&'static str, fn(u64) -> Found);

/// Tests and measurements.
const ALL: [Named; 26] = [
    // So many messages; how many there were in the end.
    ("ipi-storm", storm::run),
    // So many meetings of all CPUs; how many there were.
    ("rendezvous", rendezvous::run),
    // So many passive messages of each kind; the longest delay on a busy CPU, in ns
    // of its running time.
    ("passive", passive::run),
    // So many migrations; how many there were.
    ("migrate", migrate::run),
    // So many shootdowns by each CPU; how many messages ran meanwhile.
    ("tlb", tlb::run),
    // Interrupt threads begin to run on all CPUs; how many there are.
    ("interrupts-begin", interrupts::begin),
    // The calling thread spins in the kernel so many times; how often it was preempted.
    ("interrupts-spin", interrupts::spin),
    // Interrupt threads end; how often they have run.
    ("interrupts-end", interrupts::end),
    // Where interrupted calls go on; how many addresses were looked at.
    ("restart-addresses", restart::addresses),
    // All CPUs' magazines are emptied so many times.
    ("reclaim", restart::reclaim),
    // So many seconds of reading the clock on each CPU; how many readings there were.
    ("clock", clock::run),
    // So many updates of counters in each way and each shape; how many there were.
    ("counters", counters::run),
    // So many buffers through a queue of a virtio device; how many there were.
    ("virtqueue", virtqueue::run),
    // Network cards start; how many there are.
    ("network-begin", network::begin),
    // So many echoes on a card; how many interrupts there were.
    ("network-echoes", network::echoes),
    // The same, one at a time.
    ("network-one-by-one", network::one_by_one),
    // So many frames on a card, as fast as they go; how often there was no room.
    ("network-burst", network::burst),
    // Many frames on a card at a time, so often; how often it had to be waited for.
    ("network-taken", network::taken),
    // Ticks of so many frames, sent and received, on the first card.
    ("network_send", network::send),
    ("network_receive", network::receive),
    // Ticks of so many pairs of entering and leaving a critical section.
    ("critical_pair", measure::critical_pair),
    // Ticks of so many calls of a port that answers at once, more than without it.
    ("domsg_fast", measure::domsg_fast),
    // Ticks of so many messages through a port's queue.
    ("port_queued", measure::port_queued),
    // The same with an answer for each.
    ("port_answered", measure::port_answered),
    // Ticks of so many messages of which each is the answer to the last.
    ("ipi_pingpong", measure::ipi_pingpong),
    // Ticks of so many messages that are sent without waiting.
    ("ipi_pipelined", measure::ipi_pipelined),
];

/// The longest name that is looked for.
const LONGEST_NAME: usize = 64;

fn selftest(name: *const u8, len: usize, argument: u64, result: *mut u64) -> Result<i32, Errno> {
    if len > LONGEST_NAME {
        return Err(Errno(ENAMETOOLONG));
    }
    let mut buffer = [0; LONGEST_NAME];
    let wanted = &mut buffer[..len];
    UserSlice::new(name, len)?.copy_in(0, wanted);
    let one_of_all = ALL
        .into_iter()
        .find(|(name, _)| name.as_bytes() == wanted)
        .map(|(_, run)| run(argument));
    let found = one_of_all
        .or_else(|| counters::measurement(wanted).map(|measure| measure(argument)))
        .ok_or(Errno(ENOENT))?;
    match found {
        Ok(found) => user::write(result, found).map(|()| 0),
        Err(failure) => {
            log::error!("{}: {failure}", String::from_utf8_lossy(wanted));
            Err(Errno(EIO))
        }
    }
}

/// Runs the test or measurement of that name, and stores the number that it found.
/// ENOENT: there is none of that name; EIO: it failed, and has logged why. Takes
/// seconds. One at a time, as the module says.
#[unsafe(no_mangle)]
pub extern "C" fn sys_selftest(
    name: *const u8,
    len: usize,
    argument: u64,
    result: *mut u64,
) -> i32 {
    answer(selftest(name, len, argument, result))
}

/// Waits until `condition`, without giving the CPU away, and without looking for
/// messages: they have to come by themselves. An error after [`PATIENCE`].
fn spin_until(what: &str, condition: impl Fn() -> bool) -> Result<(), Failure> {
    let begin = monotonic_ns();
    while !condition() {
        let waited = monotonic_ns() - begin;
        if waited > PATIENCE {
            return Err(format!("waited {} ms for {what}", waited / 1_000_000));
        }
        core::hint::spin_loop();
    }
    Ok(())
}
