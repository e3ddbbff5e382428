//! Virtio devices: what all of them have in common, whatever bus they are on.
//!
//! Definitions are crate `virtio-spec`'s. [`pci`] and [`mmio`] are the two ways in which
//! devices show themselves, [`queue`] is how buffers come and go; [`net`] and [`rng`] are
//! the devices that the kernel uses. Section numbers are those of "Virtual I/O Device
//! (VIRTIO) Version 1.2".

pub mod mmio;
pub mod net;
pub mod pci;
mod queue;
pub mod rng;

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt::{self, Display};
use core::ptr::NonNull;

use virtio_spec::{DeviceStatus, Id};

use self::queue::{Doorbell, Places, Queue};
use super::interrupts::{Acknowledge, Interrupt};

/// How a device shows itself. Exclusive: nothing else touches the device.
pub trait Transport: Send {
    /// The features that the device offers.
    fn offered(&mut self) -> u64;
    /// Accepts features.
    fn accept(&mut self, features: u64);
    /// The status field.
    fn status(&self) -> DeviceStatus;
    /// Sets the status field; empty resets the device.
    fn set_status(&mut self, status: DeviceStatus);
    /// The most entries that a queue may have; 0: there is no such queue.
    fn queue_entries(&mut self, queue: u16) -> u16;
    /// Says where a queue is, and starts it. Gives what tells the device of new buffers.
    fn start_queue(
        &mut self,
        queue: u16,
        entries: u16,
        places: Places,
    ) -> Result<Doorbell, Refusal>;
    /// What takes an interrupt back, where that is needed.
    fn acknowledge(&self) -> Option<Acknowledge>;
    /// Has `interrupt` come to this CPU for a queue that is not started yet. Boot.
    fn route(&mut self, queue: u16, interrupt: &'static Interrupt) -> Result<(), Refusal>;
    /// The device's own fields, and how many bytes of them can be read.
    fn fields(&self) -> (NonNull<u8>, usize);
    /// Changes when the device's own fields do.
    fn generation(&self) -> u32;
}

/// A device that a bus has.
pub struct Device {
    name: String,
    kind: Id,
    transport: Box<dyn Transport>,
    features: u64,
}

/// Features of the rings that are used where they are offered (chapter 6).
const EVENT_IDX: u64 = 1 << 29;
const VERSION_1: u64 = 1 << 32;

impl Device {
    fn new(name: String, kind: Id, transport: Box<dyn Transport>) -> Self {
        Self {
            name,
            kind,
            transport,
            features: 0,
        }
    }

    /// What it is.
    pub fn kind(&self) -> Id {
        self.kind
    }

    /// Where it is, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Resets the device and agrees on those features that it offers and `choose`, which gets
    /// to know these, gives, and on those that all devices need.
    pub fn negotiate(&mut self, choose: impl FnOnce(u64) -> u64) -> Result<u64, Refusal> {
        self.reset()?;
        self.add_status(DeviceStatus::ACKNOWLEDGE);
        self.add_status(DeviceStatus::DRIVER);
        let offered = self.transport.offered();
        if offered & VERSION_1 == 0 {
            return Err(Refusal::Legacy);
        }
        self.features = offered & (choose(offered) | VERSION_1 | EVENT_IDX);
        self.transport.accept(self.features);
        self.add_status(DeviceStatus::FEATURES_OK);
        if !self.transport.status().contains(DeviceStatus::FEATURES_OK) {
            return Err(Refusal::Features(self.features));
        }
        Ok(self.features)
    }

    fn reset(&mut self) -> Result<(), Refusal> {
        /// A device of software resets at once.
        const READS: usize = 1_000_000;
        self.transport.set_status(DeviceStatus::empty());
        let is_reset = (0..READS).any(|_| self.transport.status() == DeviceStatus::empty());
        is_reset.then_some(()).ok_or(Refusal::Stuck)
    }

    fn add_status(&mut self, more: DeviceStatus) {
        let status = self.transport.status() | more;
        self.transport.set_status(status);
    }

    /// An interrupt of this device, which has `wake` called.
    pub fn interrupt(&self, wake: fn()) -> &'static Interrupt {
        Box::leak(Box::new(Interrupt::new(wake, self.transport.acknowledge())))
    }

    /// Makes queue number `index`, of at most `most` entries, a power of two.
    pub fn queue(
        &mut self,
        index: u16,
        most: u16,
        interrupt: Option<&'static Interrupt>,
    ) -> Result<Queue, Refusal> {
        let entries = match self.transport.queue_entries(index).min(most) {
            0 => return Err(Refusal::NoQueue(index)),
            // Rings have powers of two (2.7).
            entries => 1 << entries.ilog2(),
        };
        let queue = Queue::new(entries, self.features & EVENT_IDX != 0).ok_or(Refusal::Memory)?;
        if let Some(interrupt) = interrupt {
            self.transport.route(index, interrupt)?;
        }
        let doorbell = self.transport.start_queue(index, entries, queue.places())?;
        Ok(queue.with(doorbell))
    }

    /// Has the device begin. Its queues are there.
    pub fn begin(&mut self) {
        self.add_status(DeviceStatus::DRIVER_OK);
    }

    /// Has the device give up, after something went wrong before [`Device::begin`].
    pub fn give_up(&mut self) {
        self.add_status(DeviceStatus::FAILED);
    }

    /// Reads `N` fields of a byte, from `offset` on.
    pub fn byte_fields<const N: usize>(&self, offset: usize) -> Result<[u8; N], Refusal> {
        let start = self.field_at(offset, N)?;
        Ok(self.consistent(|| {
            // SAFETY: the fields are mapped and have these bytes.
            core::array::from_fn(|index| unsafe { start.add(index).read_volatile() })
        }))
    }

    /// Reads the field of 16 bits at `offset`, which is even.
    pub fn half_field(&self, offset: usize) -> Result<u16, Refusal> {
        let start = self.field_at(offset, size_of::<u16>())?.cast::<u16>();
        // SAFETY: the fields are mapped, and this one is in them and aligned.
        Ok(self.consistent(|| unsafe { start.read_volatile() }))
    }

    fn field_at(&self, offset: usize, bytes: usize) -> Result<NonNull<u8>, Refusal> {
        let (start, found) = self.transport.fields();
        let expected = offset + bytes;
        if expected > found {
            return Err(Refusal::Short { found, expected });
        }
        // SAFETY: in the fields.
        Ok(unsafe { start.add(offset) })
    }

    /// What `read` gives while the fields do not change (2.5.3).
    fn consistent<T>(&self, read: impl Fn() -> T) -> T {
        loop {
            let before = self.transport.generation();
            let value = read();
            if self.transport.generation() == before {
                return value;
            }
        }
    }
}

/// Why a device is not used.
#[derive(Debug)]
pub enum Refusal {
    /// It has only the interface from before version 1.0.
    Legacy,
    /// It does not take these features, which it has offered.
    Features(u64),
    /// It does not reset.
    Stuck,
    /// It does not answer.
    Silent,
    /// It has no such queue.
    NoQueue(u16),
    /// Its own fields are too short.
    Short {
        /// How many bytes there are.
        found: usize,
        /// How many there must be.
        expected: usize,
    },
    /// Its capabilities do not say where that is.
    Missing(&'static str),
    /// The firmware has given it no address.
    Unassigned,
    /// It has no MSI-X.
    NoMessages,
    /// It has no hardware address, and there is no entropy to make one of.
    NoAddress,
    /// Its interrupt has no way here.
    NoLine(u32),
    /// There is no vector left.
    NoVector,
    /// There is not enough memory.
    Memory,
}

impl Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Legacy => f.write_str(
                "found the interface from before virtio 1.0 only, expected that of 1.0 or later; \
                 have the hypervisor offer it (QEMU: disable-modern=off, or -global virtio-mmio.force-legacy=false)",
            ),
            Self::Features(features) => write!(
                f,
                "it refuses the features {features:#x}, which it has offered; this is a bug of the hypervisor"
            ),
            Self::Stuck => f.write_str("it does not reset; this is a bug of the hypervisor"),
            Self::Silent => f.write_str(
                "it does not answer within a second; see what the hypervisor has at its other end",
            ),
            Self::NoQueue(queue) => write!(f, "found no queue {queue}, which such devices have"),
            Self::Short { found, expected } => {
                write!(f, "found {found} bytes of configuration, expected {expected}")
            }
            Self::Missing(what) => write!(f, "found no capability that says where its {what} is"),
            Self::Unassigned => f.write_str(
                "the firmware has given its registers no address; boot with a firmware that does",
            ),
            Self::NoMessages => f.write_str(
                "found no MSI-X, expected at least one vector; lines of PCI are not supported (QEMU: no vectors=0)",
            ),
            Self::NoAddress => f.write_str(
                "found neither a hardware address nor entropy to make one of; give it an address",
            ),
            Self::NoLine(irq) => write!(
                f,
                "its interrupt is number {irq}, which no I/O APIC of this machine has"
            ),
            Self::NoVector => f.write_str("there are too many devices: no interrupt vector is left"),
            Self::Memory => {
                f.write_str("there is not enough memory for its buffers; give the VM more memory")
            }
        }
    }
}
