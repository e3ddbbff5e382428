//! A split virtqueue (2.7), the driver's side: buffers go to the device and come back.
//!
//! Each buffer is one descriptor, with the buffer's number for its own, so nothing is
//! chained and there is no list of free descriptors: who uses the queue knows which
//! numbers are with the device.
//!
//! Both sides say when they want to be told of progress. With events (2.7.7, 2.7.10) each
//! writes down up to where it has looked; what passes that place is told. Who asks to be told
//! must look once more afterwards, since the other side may just have been there.

use core::ptr::NonNull;
use core::sync::atomic::{AtomicU16, Ordering};

use virtio_spec::virtq::{Desc, DescF, UsedElem};
use virtio_spec::{le16, le32, le64};

use crate::arch::fence;
use crate::drivers::dma::Dma;

/// Where the device finds a queue's parts: physical addresses.
#[derive(Clone, Copy, Debug)]
pub struct Places {
    /// The table of descriptors.
    pub descriptors: u64,
    /// The ring of buffers that the device may use.
    pub available: u64,
    /// The ring of those that it has used.
    pub used: u64,
}

/// The register that tells a device of new buffers in a queue.
pub struct Doorbell {
    register: Register,
    value: u16,
}

enum Register {
    Half(NonNull<u16>),
    Word(NonNull<u32>),
}

// SAFETY: a register that any CPU may write at any time, as the constructors demand.
unsafe impl Send for Doorbell {}

impl Doorbell {
    /// One of 16 bits, to which `value` is written.
    ///
    /// # Safety
    /// It is mapped for ever, and any CPU may write it at any time.
    pub unsafe fn half(register: NonNull<u16>, value: u16) -> Self {
        Self {
            register: Register::Half(register),
            value,
        }
    }

    /// One of 32 bits.
    ///
    /// # Safety
    /// As for [`Doorbell::half`].
    pub unsafe fn word(register: NonNull<u32>, value: u16) -> Self {
        Self {
            register: Register::Word(register),
            value,
        }
    }

    fn ring(&self) {
        // SAFETY: as the constructors demand.
        unsafe {
            match self.register {
                Register::Half(register) => register.write_volatile(self.value),
                Register::Word(register) => register.write_volatile(u32::from(self.value)),
            }
        }
    }
}

/// Who writes to a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// The driver; the device only reads.
    Driver,
    /// The device.
    Device,
}

/// A buffer that the device has used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// Its number, below the number of entries.
    pub buffer: u16,
    /// How many bytes the device says it has written.
    pub bytes: u32,
}

/// A used ring's entry names a buffer that the queue does not have.
#[derive(Clone, Copy, Debug)]
pub struct Unknown;

/// A queue.
pub struct Queue {
    rings: Rings,
    doorbell: Option<Doorbell>,
    entries: u16,
    has_events: bool,
    /// Up to where buffers were put into the available ring, counted from the beginning.
    offered: u16,
    /// Up to where the device knows of them.
    published: u16,
    /// Up to where the used ring was read.
    seen: u16,
}

/// How far behind a place is that is not passed soon.
const FAR: u16 = 1 << 15;
/// The only flag of both rings: no notifications (2.7.6, 2.7.8).
const QUIET: u16 = 1;

impl Queue {
    /// One without a doorbell. `None`: there is no memory.
    pub(super) fn new(entries: u16, has_events: bool) -> Option<Self> {
        Some(Self {
            rings: Rings::new(entries)?,
            doorbell: None,
            entries,
            has_events,
            offered: 0,
            published: 0,
            seen: 0,
        })
    }

    pub(super) fn with(mut self, doorbell: Doorbell) -> Self {
        self.doorbell = Some(doorbell);
        self
    }

    /// Where the device finds it.
    pub(super) fn places(&self) -> Places {
        self.rings.places()
    }

    /// How many buffers can be with the device: a power of two.
    pub fn entries(&self) -> u16 {
        self.entries
    }

    /// Says where buffer number `buffer` is, which is not with the device: `bytes` of it at
    /// `physical`.
    pub fn describe(&mut self, buffer: u16, physical: u64, bytes: u32, writer: Writer) {
        let flags = match writer {
            Writer::Driver => DescF::empty(),
            Writer::Device => DescF::WRITE,
        };
        self.rings.describe(
            buffer & (self.entries - 1),
            Desc {
                addr: le64::from_ne(physical),
                len: le32::from_ne(bytes),
                flags,
                next: le16::from_ne(0),
            },
        );
    }

    /// Puts a buffer that has been described into the ring. The device learns of it by
    /// [`Queue::publish`].
    pub fn offer(&mut self, buffer: u16) {
        let slot = self.offered & (self.entries - 1);
        self.rings.set_available(slot, buffer);
        self.offered = self.offered.wrapping_add(1);
    }

    /// How many buffers were offered that the device has not been told of.
    pub fn unpublished(&self) -> u16 {
        self.offered.wrapping_sub(self.published)
    }

    /// Tells the device of the buffers that were offered since the last time, if there are
    /// any; by the doorbell only if it wants that.
    pub fn publish(&mut self) {
        let before = self.published;
        if self.offered == before {
            return;
        }
        self.published = self.offered;
        self.rings
            .available_index()
            .store(self.published, Ordering::Release);
        // The device writes down that it wants to be told, then looks for buffers. Either
        // it sees these or we see that.
        fence::full();
        if self.wants_to_know(before)
            && let Some(doorbell) = &self.doorbell
        {
            doorbell.ring();
        }
    }

    fn wants_to_know(&self, before: u16) -> bool {
        if self.has_events {
            let event = self
                .rings
                .available_event(self.entries)
                .load(Ordering::Relaxed);
            is_passed(event, before, self.published)
        } else {
            self.rings.used_flags().load(Ordering::Relaxed) & QUIET == 0
        }
    }

    /// How many buffers the device has used that [`Queue::advance`] has not passed.
    pub fn waiting(&self) -> u16 {
        self.rings
            .used_index()
            .load(Ordering::Acquire)
            .wrapping_sub(self.seen)
    }

    /// The next buffer that the device has used. `None`: there is none yet.
    pub fn next(&self) -> Option<Result<Used, Unknown>> {
        if self.waiting() == 0 {
            return None;
        }
        let element = self.rings.used(self.seen & (self.entries - 1));
        let buffer = element.id.to_ne();
        if buffer >= u32::from(self.entries) {
            return Some(Err(Unknown));
        }
        Some(Ok(Used {
            buffer: buffer as u16,
            bytes: element.len.to_ne(),
        }))
    }

    /// Goes to the used buffer after the [`Queue::next`], which there is.
    pub fn advance(&mut self) {
        self.seen = self.seen.wrapping_add(1);
    }

    /// Wants no interrupt. One may still come: it is a hint.
    pub fn be_quiet(&mut self) {
        if self.has_events {
            let never = self.seen.wrapping_sub(FAR);
            self.rings
                .used_event(self.entries)
                .store(never, Ordering::Relaxed);
        } else {
            self.rings.available_flags().store(QUIET, Ordering::Relaxed);
        }
    }

    /// Wants one interrupt when `count` more buffers have been used, at least 1; they may
    /// come one by one as well. Whether that is so already: then it may not come.
    pub fn call_after(&mut self, count: u16) -> bool {
        if self.has_events {
            let event = self.seen.wrapping_add(count - 1);
            self.rings
                .used_event(self.entries)
                .store(event, Ordering::Relaxed);
        } else {
            self.rings.available_flags().store(0, Ordering::Relaxed);
        }
        // The device has used buffers, then looks whether it is to tell. Either it sees
        // this or we see them.
        fence::full();
        self.waiting() >= count
    }
}

/// Whether going from `before` to `now` passes the entry `event` (2.7.7.2).
fn is_passed(event: u16, before: u16, now: u16) -> bool {
    now.wrapping_sub(event).wrapping_sub(1) < now.wrapping_sub(before)
}

/// The memory of a queue.
struct Rings {
    memory: Dma,
    available: usize,
    used: usize,
}

// SAFETY: the memory is the queue's alone on this side.
unsafe impl Send for Rings {}

/// Bytes before a ring's entries: its flags and its index.
const HEAD: usize = 4;
/// What follows them: the event.
const TAIL: usize = 2;

impl Rings {
    fn new(entries: u16) -> Option<Self> {
        let entries = usize::from(entries);
        let available = entries * size_of::<Desc>();
        let used = available + HEAD + entries * size_of::<le16>() + TAIL;
        let used = used.next_multiple_of(align_of::<UsedElem>());
        let end = used + HEAD + entries * size_of::<UsedElem>() + TAIL;
        Some(Self {
            memory: Dma::zeroed(end as u64)?,
            available,
            used,
        })
    }

    fn places(&self) -> Places {
        let start = self.memory.physical();
        Places {
            descriptors: start,
            available: start + self.available as u64,
            used: start + self.used as u64,
        }
    }

    fn at<T>(&self, offset: usize) -> NonNull<T> {
        debug_assert!(
            offset + size_of::<T>() <= self.memory.bytes(),
            "in the rings"
        );
        // SAFETY: within the block.
        unsafe { self.memory.start().add(offset) }.cast()
    }

    /// A word that both sides use at the same time.
    fn word(&self, offset: usize) -> &AtomicU16 {
        // SAFETY: in the block and aligned, as all offsets of words are even; this side
        // reaches it only so.
        unsafe { AtomicU16::from_ptr(self.at(offset).as_ptr()) }
    }

    fn describe(&mut self, index: u16, descriptor: Desc) {
        let at = self.at::<Desc>(usize::from(index) * size_of::<Desc>());
        // SAFETY: in the table; the device does not read a descriptor that is not offered.
        unsafe { at.write_volatile(descriptor) };
    }

    fn set_available(&mut self, slot: u16, buffer: u16) {
        self.word(self.available + HEAD + usize::from(slot) * TAIL)
            .store(buffer, Ordering::Relaxed);
    }

    fn used(&self, slot: u16) -> UsedElem {
        let offset = self.used + HEAD + usize::from(slot) * size_of::<UsedElem>();
        // SAFETY: in the ring, aligned; the device has written it before the index.
        unsafe { self.at::<UsedElem>(offset).read_volatile() }
    }

    fn available_flags(&self) -> &AtomicU16 {
        self.word(self.available)
    }

    fn available_index(&self) -> &AtomicU16 {
        self.word(self.available + 2)
    }

    fn used_flags(&self) -> &AtomicU16 {
        self.word(self.used)
    }

    fn used_index(&self) -> &AtomicU16 {
        self.word(self.used + 2)
    }

    /// Where this side wants to be told.
    fn used_event(&self, entries: u16) -> &AtomicU16 {
        self.word(self.available + HEAD + usize::from(entries) * size_of::<le16>())
    }

    /// Where the device wants to be told.
    fn available_event(&self, entries: u16) -> &AtomicU16 {
        self.word(self.used + HEAD + usize::from(entries) * size_of::<UsedElem>())
    }
}
