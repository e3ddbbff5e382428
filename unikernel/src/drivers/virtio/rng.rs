//! Entropy from the hypervisor (5.4).
//!
//! The device is asked once, at boot, for a seed; what programs read is made from that
//! ([`crate::abi::entropy`]). So nobody has to wait for it later, and it takes no memory
//! afterwards.

use core::hint;
use core::mem::forget;
use core::slice;

use super::queue::{Queue, Used, Writer};
use super::{Device, Refusal};
use crate::abi::entropy::{self, SEED_BYTES};
use crate::drivers::dma::Dma;
use crate::time::monotonic_ns;

/// Its only queue.
const REQUESTS: u16 = 0;
/// How long it may take for all, in nanoseconds: boot waits.
const PATIENCE: u64 = 1_000_000_000;

/// Has programs' entropy come from `device`, too. Boot.
pub fn seed(mut device: Device) {
    match take(&mut device) {
        Ok(seed) => entropy::add_seed(seed),
        Err(refusal) => log::error!("the {} is not used: {refusal}", device.name()),
    }
}

fn take(device: &mut Device) -> Result<[u8; SEED_BYTES], Refusal> {
    device.negotiate(|_| 0)?;
    let mut queue = device.queue(REQUESTS, 1, None)?;
    queue.be_quiet();
    let buffer = Dma::new(SEED_BYTES as u64).ok_or(Refusal::Memory)?;
    device.begin();
    let seed = ask(&mut queue, &buffer);
    if let Err(refusal) = device.reset() {
        // The device may still write there.
        forget((queue, buffer));
        return Err(refusal);
    }
    seed
}

/// Asks until all is there: it may give less than it is asked for.
fn ask(queue: &mut Queue, buffer: &Dma) -> Result<[u8; SEED_BYTES], Refusal> {
    let deadline = monotonic_ns() + PATIENCE;
    let mut seed = [0; SEED_BYTES];
    let mut missing = &mut seed[..];
    while !missing.is_empty() {
        queue.describe(0, buffer.physical(), missing.len() as u32, Writer::Device);
        queue.offer(0);
        queue.publish();
        let used = wait(queue, deadline).ok_or(Refusal::Silent)?;
        queue.advance();
        let count = missing.len().min(used.bytes as usize);
        // SAFETY: the device has given the buffer back, with so many bytes written.
        let given = unsafe { slice::from_raw_parts(buffer.start().as_ptr(), count) };
        let (here, rest) = missing.split_at_mut(count);
        here.copy_from_slice(given);
        missing = rest;
    }
    Ok(seed)
}

/// The next buffer that the device uses.
fn wait(queue: &Queue, deadline: u64) -> Option<Used> {
    while monotonic_ns() < deadline {
        if let Some(used) = queue.next() {
            return used.ok();
        }
        hint::spin_loop();
    }
    None
}
