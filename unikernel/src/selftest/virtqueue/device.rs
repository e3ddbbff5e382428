//! A device of nothing but memory: the test writes what one would write.

use core::sync::atomic::{AtomicU16, Ordering, fence};

use virtio_drivers::Result;
use virtio_drivers::transport::{DeviceStatus, DeviceType, InterruptStatus, Transport};

use super::ENTRIES;
use crate::memory::paging;

/// Offsets in both rings (2.7.6, 2.7.8).
const FLAGS: usize = 0;
const INDEX: usize = 2;
const RING: usize = 4;
/// The flag of both: no notifications.
pub const QUIET: u16 = 1;

/// The device's side of a queue, and the transport on which the driver finds it.
#[derive(Default)]
pub struct Device {
    available: u64,
    used: u64,
    /// Up to where available buffers were taken, and used ones were given back.
    taken: u16,
    given: u16,
}

impl Device {
    fn word(&self, ring: u64, offset: usize) -> &AtomicU16 {
        let address = paging::direct(ring) + offset as u64;
        // SAFETY: an aligned word of the ring, which stays as long as the test's queue and is
        // reached by atomic operations or, as here, one after the other.
        unsafe { AtomicU16::from_ptr(address as *mut u16) }
    }

    /// The next buffer's number that the driver has offered.
    pub fn take(&mut self) -> Option<u16> {
        if self.word(self.available, INDEX).load(Ordering::Acquire) == self.taken {
            return None;
        }
        let slot = usize::from(self.taken) % ENTRIES;
        self.taken = self.taken.wrapping_add(1);
        let at = RING + slot * size_of::<u16>();
        Some(self.word(self.available, at).load(Ordering::Relaxed))
    }

    /// Gives a buffer back, with so many bytes written.
    pub fn give(&mut self, buffer: u32, bytes: u32) {
        let slot = usize::from(self.given) % ENTRIES;
        let at = RING + slot * 2 * size_of::<u32>();
        let halves = [buffer, buffer >> 16, bytes, bytes >> 16];
        for (index, half) in halves.into_iter().enumerate() {
            self.word(self.used, at + index * size_of::<u16>())
                .store(half as u16, Ordering::Relaxed);
        }
        self.given = self.given.wrapping_add(1);
        fence(Ordering::Release);
        self.word(self.used, INDEX)
            .store(self.given, Ordering::Release);
    }

    /// Says whether it wants to be told of new buffers: 0 or [`QUIET`].
    pub fn set_flags(&self, flags: u16) {
        self.word(self.used, FLAGS).store(flags, Ordering::Relaxed);
    }

    /// Whether the driver wants to be told of used buffers: 0 or [`QUIET`].
    pub fn flags(&self) -> u16 {
        self.word(self.available, FLAGS).load(Ordering::Relaxed)
    }
}

/// What is needed to make a queue.
impl Transport for Device {
    fn device_type(&self) -> DeviceType {
        DeviceType::EntropySource
    }

    fn read_device_features(&mut self) -> u64 {
        0
    }

    fn write_driver_features(&mut self, _: u64) {}

    fn max_queue_size(&mut self, _: u16) -> u32 {
        ENTRIES as u32
    }

    fn notify(&mut self, _: u16) {}

    fn get_status(&self) -> DeviceStatus {
        DeviceStatus::empty()
    }

    fn set_status(&mut self, _: DeviceStatus) {}

    fn set_guest_page_size(&mut self, _: u32) {}

    fn requires_legacy_layout(&self) -> bool {
        false
    }

    fn queue_set(&mut self, _: u16, _: u32, _descriptors: u64, available: u64, used: u64) {
        self.available = available;
        self.used = used;
    }

    fn queue_unset(&mut self, _: u16) {}

    fn queue_used(&mut self, _: u16) -> bool {
        false
    }

    fn ack_interrupt(&mut self) -> InterruptStatus {
        InterruptStatus::empty()
    }

    fn read_config_generation(&self) -> u32 {
        0
    }

    fn read_config_space<T>(&self, _: usize) -> Result<T> {
        Err(virtio_drivers::Error::ConfigSpaceMissing)
    }

    fn write_config_space<T>(&mut self, _: usize, _: T) -> Result<()> {
        Err(virtio_drivers::Error::ConfigSpaceMissing)
    }
}
