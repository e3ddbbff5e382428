//! A queue of a virtio device whose other side the test plays: what comes back is what was
//! offered, both sides are told when they want to be, and a device that breaks the rules
//! does no harm.

mod device;

use alloc::boxed::Box;
use alloc::format;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};

use virtio_drivers::queue::VirtQueue;

use self::device::{Device, QUIET};
use super::{Failure, Found};
use crate::drivers::dma::Dma;
use crate::drivers::virtio::queue::{FromDevice, Queue};
use crate::drivers::virtio::signals::Doorbell;

const ENTRIES: usize = 8;
/// Bytes of a buffer.
const BYTES: usize = 64;
/// The queue's number, as its doorbell is told it.
const NUMBER: u16 = 3;

/// The doorbell.
static RUNG: AtomicU32 = AtomicU32::new(0);

/// A queue, the device at its other end, and buffers.
struct Bench {
    queue: Queue<FromDevice, ENTRIES>,
    device: Device,
    memory: Dma,
}

impl Bench {
    fn new() -> Result<Self, Failure> {
        let mut device = Device::default();
        let ring = VirtQueue::new(&mut device, NUMBER, false, false)
            .map_err(|error| format!("found no queue: {error}"))?;
        // SAFETY: a word that is there for ever and that anybody may write.
        let doorbell = unsafe { Doorbell::word(NonNull::from(&RUNG).cast(), NUMBER) };
        let memory = Dma::zeroed(((ENTRIES + 1) * BYTES) as u64).ok_or("no memory for buffers")?;
        Ok(Self {
            queue: Queue::new(Box::new(ring), doorbell),
            device,
            memory,
        })
    }

    fn buffer(&self, index: usize) -> NonNull<[u8]> {
        // SAFETY: in the memory.
        let start = unsafe { self.memory.start().add(index * BYTES) };
        NonNull::slice_from_raw_parts(start, BYTES)
    }

    /// Offers a buffer; its number.
    fn offer(&mut self, index: usize) -> Result<u16, Failure> {
        let buffer = self.buffer(index);
        // SAFETY: the device writes to no buffer, and the test offers none twice.
        let token = unsafe { self.queue.offer(buffer) };
        let token = token.ok_or_else(|| format!("found no entry for buffer {index}"))?;
        match self.device.take() {
            Some(taken) if taken == token => Ok(token),
            taken => Err(format!("offered {token}, the device finds {taken:?}")),
        }
    }

    /// The device gives back the buffer of that number, and the driver must find it.
    fn expect(&mut self, token: u16, index: usize, bytes: u32) -> Result<(), Failure> {
        self.device.give(token.into(), bytes);
        let buffer = self.buffer(index);
        match self.queue.pop() {
            Some(used) if (used.token, used.buffer, used.bytes) == (token, buffer, bytes) => Ok(()),
            used => Err(format!("found {used:?}, expected {token}, {buffer:?}")),
        }
    }

    /// The device gives something back that it does not have: that is the end of it.
    fn expect_end(&mut self, given: u32) -> Result<(), Failure> {
        self.device.give(given, 1);
        let first = self.queue.pop();
        let token = self.offer(0)?;
        self.device.give(token.into(), 1);
        match (first, self.queue.pop(), self.queue.call()) {
            (None, None, false) => Ok(()),
            found => Err(format!("found {found:?} after buffer {given:#x} of none")),
        }
    }
}

/// All of it, with so many buffers there and back.
pub fn run(rounds: u64) -> Found {
    back_and_forth(rounds)?;
    full()?;
    told()?;
    // A number that is not with the device, and some that no buffer has.
    for given in [ENTRIES as u32 - 1, ENTRIES as u32, 0xffff, 0x7fff_ffff] {
        Bench::new()?.expect_end(given)?;
    }
    twice()?;
    Ok(rounds)
}

/// Buffers come back in another order than they went, while the indices wrap.
fn back_and_forth(rounds: u64) -> Result<(), Failure> {
    let mut bench = Bench::new()?;
    for round in 0..rounds / 3 {
        let tokens = [bench.offer(0)?, bench.offer(1)?, bench.offer(2)?];
        for step in 0..3 {
            let index = (step * 2 + round as usize) % 3;
            bench.expect(tokens[index], index, (round % 64) as u32)?;
        }
        if let Some(used) = bench.queue.pop() {
            return Err(format!("found {used:?}, expected nothing"));
        }
    }
    Ok(())
}

/// A full queue takes no more, and does again after a buffer has come back.
fn full() -> Result<(), Failure> {
    let mut bench = Bench::new()?;
    let mut last = 0;
    for index in 0..ENTRIES {
        last = bench.offer(index)?;
    }
    if bench.offer(ENTRIES).is_ok() {
        return Err("a full queue takes another buffer".into());
    }
    bench.expect(last, ENTRIES - 1, 5)?;
    bench.offer(ENTRIES - 1).map(drop)
}

/// Both sides are told when they want to be, and only of something new.
fn told() -> Result<(), Failure> {
    let mut bench = Bench::new()?;
    let mut next = 0;
    let mut rings = |flags: u16, count: usize| -> Result<bool, Failure> {
        RUNG.store(0, Ordering::Relaxed);
        bench.device.set_flags(flags);
        for _ in 0..count {
            bench.offer(next)?;
            next += 1;
        }
        bench.queue.announce();
        Ok(RUNG.load(Ordering::Relaxed) == NUMBER.into())
    };
    let rung = [rings(0, 2)?, rings(0, 0)?, rings(QUIET, 2)?, rings(0, 1)?];
    if rung != [true, false, false, true] {
        return Err(format!("found {rung:?} of the doorbell"));
    }
    bench.queue.be_quiet();
    let quiet = bench.device.flags();
    let early = bench.queue.call();
    let called = bench.device.flags();
    bench.device.give(0, 1);
    let late = bench.queue.call();
    match (quiet, early, called, late) {
        (QUIET, false, 0, true) => Ok(()),
        found => Err(format!("found {found:?} of interrupts")),
    }
}

/// A buffer that comes back twice is taken once.
fn twice() -> Result<(), Failure> {
    let mut bench = Bench::new()?;
    let token = bench.offer(1)?;
    bench.expect(token, 1, 9)?;
    bench.expect_end(token.into())
}
