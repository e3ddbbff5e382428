//! A queue: the library's ring, with what it leaves to its user.
//!
//! * *Which buffer is where.* The library wants to be given the same buffer again when the
//!   device has used it, and trusts that a used entry names one that the device has. Here that is
//!   looked up, and a queue whose device names another takes no more part: an entry that makes no
//!   sense cannot be passed.
//! * *Fences.* Both sides write down what they want to be told, then look whether it is so
//!   already; the library's fences are before it writes, and this order needs one after.
//! * *The doorbell*, for several buffers at once.
//!
//! Whether to be told is a flag on both sides (2.7.6, 2.7.8). Events would say it more finely
//! (2.7.7), but the library cannot ask for a later one, and compares them wrongly once the index
//! wraps, so the feature is not negotiated.

use alloc::boxed::Box;
use alloc::vec;
use core::ptr::NonNull;

use virtio_drivers::queue::VirtQueue;

use super::hal::Machine;
use super::signals::Doorbell;
use crate::arch::fence;

/// Which way the buffers of a queue go. A type, so that of all that the library can do with
/// several buffers of both kinds no instruction is left.
pub trait Direction {
    /// Calls `ring` with `buffer` as the library wants to have it.
    ///
    /// # Safety
    /// The buffer is valid, and nobody else uses it meanwhile.
    unsafe fn with<T>(
        buffer: NonNull<[u8]>,
        ring: impl for<'a> FnOnce(&'a [&'a [u8]], &'a mut [&'a mut [u8]]) -> T,
    ) -> T;
}

/// The driver writes to them, the device only reads.
pub enum ToDevice {}

impl Direction for ToDevice {
    #[inline]
    unsafe fn with<T>(
        buffer: NonNull<[u8]>,
        ring: impl for<'a> FnOnce(&'a [&'a [u8]], &'a mut [&'a mut [u8]]) -> T,
    ) -> T {
        // SAFETY: as the caller says.
        ring(&[unsafe { buffer.as_ref() }], &mut [])
    }
}

/// The device writes to them, the driver only reads.
pub enum FromDevice {}

impl Direction for FromDevice {
    #[inline]
    unsafe fn with<T>(
        mut buffer: NonNull<[u8]>,
        ring: impl for<'a> FnOnce(&'a [&'a [u8]], &'a mut [&'a mut [u8]]) -> T,
    ) -> T {
        // SAFETY: as the caller says.
        ring(&[], &mut [unsafe { buffer.as_mut() }])
    }
}

/// A buffer that the device has used. It is the driver's again.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// Its number, as [`Queue::offer`] gave it.
    pub token: u16,
    /// The buffer.
    pub buffer: NonNull<[u8]>,
    /// How many bytes the device says it has written.
    pub bytes: u32,
}

/// A queue of up to `ENTRIES` buffers.
pub struct Queue<D: Direction, const ENTRIES: usize> {
    ring: Box<VirtQueue<Machine<D>, ENTRIES>>,
    doorbell: Doorbell,
    /// By number, the buffers that are with the device.
    flying: Box<[Option<NonNull<[u8]>>]>,
    /// How many were offered since the doorbell was last thought of.
    unannounced: usize,
    /// The device has broken the rules.
    is_broken: bool,
}

// SAFETY: the buffers are the queue's alone while it has pointers to them, as `offer` demands.
unsafe impl<D: Direction, const ENTRIES: usize> Send for Queue<D, ENTRIES> {}

impl<D: Direction, const ENTRIES: usize> Queue<D, ENTRIES> {
    /// A ring that the device knows of, and its doorbell.
    pub fn new(ring: Box<VirtQueue<Machine<D>, ENTRIES>>, doorbell: Doorbell) -> Self {
        Self {
            ring,
            doorbell,
            flying: vec![None; ENTRIES].into(),
            unannounced: 0,
            is_broken: false,
        }
    }

    /// Gives the device a buffer, which it may find at once; [`Queue::announce`] sees to it that
    /// it does. The buffer's number while the device has it, below `ENTRIES`. `None`: it has as
    /// many as it can.
    ///
    /// # Safety
    /// The buffer is of memory of [`Dma`](crate::drivers::dma::Dma), not empty, and nobody uses
    /// it until [`Queue::pop`] gives it back or the device is reset.
    // The library's code is inlined here, as it has this one caller for each type of queue.
    #[inline(never)]
    pub unsafe fn offer(&mut self, buffer: NonNull<[u8]>) -> Option<u16> {
        // SAFETY: nobody else uses the buffer, as the caller says.
        let token = unsafe { D::with(buffer, |read, written| self.ring.add(read, written)) };
        let token = token.ok()?;
        self.flying[usize::from(token)] = Some(buffer);
        self.unannounced += 1;
        Some(token)
    }

    /// How many buffers were offered that the device has not been told of.
    pub fn unannounced(&self) -> usize {
        self.unannounced
    }

    /// Tells the device of the buffers that were offered since the last time, if there are any
    /// and it wants that.
    pub fn announce(&mut self) {
        if self.unannounced == 0 {
            return;
        }
        self.unannounced = 0;
        // The device writes down that it wants to be told, then looks for buffers. Either
        // it sees these or we see that.
        fence::full();
        if self.ring.should_notify() {
            self.doorbell.ring();
        }
    }

    /// Whether [`Queue::pop`] has something.
    fn has_used(&self) -> bool {
        !self.is_broken && self.ring.can_pop()
    }

    /// The next buffer that the device has used. `None`: there is none yet.
    // As for `offer`.
    #[inline(never)]
    pub fn pop(&mut self) -> Option<Used> {
        if self.is_broken {
            return None;
        }
        let token = self.ring.peek_used()?;
        let used = self.take(token);
        if used.is_none() {
            self.give_up();
        }
        used
    }

    #[cold]
    fn give_up(&mut self) {
        self.is_broken = true;
        log::error!(
            "a virtio device gives a buffer back that it does not have; its queue is not used any more; \
             this is a bug of the hypervisor"
        );
    }

    /// The buffer of that number. `None`: it is not with the device, or not the next.
    fn take(&mut self, token: u16) -> Option<Used> {
        let buffer = self.flying.get_mut(usize::from(token))?.take()?;
        // SAFETY: the device has given the buffer back, which was offered by this number.
        let bytes = unsafe {
            D::with(buffer, |read, written| {
                self.ring.pop_used(token, read, written)
            })
        };
        let bytes = bytes.ok()?;
        Some(Used {
            token,
            buffer,
            bytes,
        })
    }

    /// Wants no interrupt. One may still come: it is a hint.
    pub fn be_quiet(&mut self) {
        self.ring.set_dev_notify(false);
    }

    /// Wants an interrupt for whatever the device uses from now on. Whether there is something
    /// already: then it may not come.
    pub fn call(&mut self) -> bool {
        self.ring.set_dev_notify(true);
        // The device has used buffers, then looks whether it is to tell. Either it sees
        // this or we see them.
        fence::full();
        self.has_used()
    }
}
