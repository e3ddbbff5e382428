//! Entropy from the hypervisor (5.4).
//!
//! The device is asked once, at boot, for a seed; what programs read is made from that
//! ([`crate::abi::entropy`]). So nobody has to wait for it later, and it takes no memory
//! afterwards. The library's own driver would wait for ever for a device that is silent.

use core::hint;
use core::mem::forget;
use core::ptr::NonNull;

use super::queue::{self, FromDevice, Used};
use super::{Device, Refusal};
use crate::abi::entropy::{self, SEED_BYTES};
use crate::drivers::dma::Dma;
use crate::time::monotonic_ns;

/// Its only queue, for one request at a time.
const REQUESTS: u16 = 0;
type Queue = queue::Queue<FromDevice, 1>;
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
    let mut queue = device.queue(REQUESTS, None)?;
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
        let room = NonNull::slice_from_raw_parts(buffer.start(), missing.len());
        // SAFETY: the buffer is nobody else's, and goes only after the device was reset.
        unsafe { queue.offer(room) }.ok_or(Refusal::Silent)?;
        queue.announce();
        let used = wait(queue, deadline).ok_or(Refusal::Silent)?;
        let count = missing.len().min(used.bytes as usize);
        // SAFETY: the device has given the buffer back, with so many bytes written.
        let given = unsafe { &used.buffer.as_ref()[..count] };
        let (here, rest) = missing.split_at_mut(count);
        here.copy_from_slice(given);
        missing = rest;
    }
    Ok(seed)
}

/// The next buffer that the device uses.
fn wait(queue: &mut Queue, deadline: u64) -> Option<Used> {
    while monotonic_ns() < deadline {
        if let Some(used) = queue.pop() {
            return Some(used);
        }
        hint::spin_loop();
    }
    None
}
