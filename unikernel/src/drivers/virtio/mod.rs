//! Virtio devices: what all of them have in common, whatever bus they are on.
//!
//! Buses, registers and rings are crate `virtio-drivers`'; what that leaves to its user is here
//! ([why](../../../../docs/decisions/0007-virtio-drivers.md)). [`pci`] and [`mmio`] open a device
//! on either bus, [`signals`] is how it and the driver tell each other of progress, [`queue`] is
//! how buffers come and go; [`net`] and [`rng`] are the devices that the kernel uses. Section
//! numbers are those of "Virtual I/O Device (VIRTIO) Version 1.2".

mod hal;
pub mod mmio;
pub mod net;
pub mod pci;
pub mod queue;
pub mod rng;
pub mod signals;

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt::{self, Display};
use core::mem::ManuallyDrop;

use virtio_drivers::Error;
use virtio_drivers::device::common::Feature;
use virtio_drivers::queue::VirtQueue;
use virtio_drivers::transport::pci::VirtioPciError;
use virtio_drivers::transport::{DeviceStatus, DeviceType, SomeTransport, Transport};

use self::queue::{Direction, Queue};
use self::signals::Signals;
use super::interrupts::Interrupt;

/// A device that a bus has. Exclusive: nothing else touches it.
pub struct Device {
    name: String,
    /// Never dropped: that would wait for ever for a device that does not reset.
    transport: ManuallyDrop<SomeTransport<'static>>,
    signals: Box<dyn Signals>,
}

impl Device {
    fn new(
        name: String,
        transport: impl Into<SomeTransport<'static>>,
        signals: impl Signals + 'static,
    ) -> Self {
        Self {
            name,
            transport: ManuallyDrop::new(transport.into()),
            signals: Box::new(signals),
        }
    }

    /// What it is.
    pub fn kind(&self) -> DeviceType {
        self.transport.device_type()
    }

    /// Where it is, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Resets the device and agrees on those features that it offers and `choose`, which gets
    /// to know these, gives, and on the one that all devices need.
    pub fn negotiate(&mut self, choose: impl FnOnce(u64) -> u64) -> Result<u64, Refusal> {
        self.reset()?;
        self.transport.set_status(DeviceStatus::ACKNOWLEDGE);
        self.add_status(DeviceStatus::DRIVER);
        let offered = self.transport.read_device_features();
        let version_1 = Feature::VERSION_1.bits();
        if offered & version_1 == 0 {
            return Err(Refusal::Legacy);
        }
        let agreed = offered & (choose(offered) | version_1);
        self.transport.write_driver_features(agreed);
        self.add_status(DeviceStatus::FEATURES_OK);
        // The library does not look whether the device has kept it.
        if !self
            .transport
            .get_status()
            .contains(DeviceStatus::FEATURES_OK)
        {
            return Err(Refusal::Features(agreed));
        }
        Ok(agreed)
    }

    fn reset(&mut self) -> Result<(), Refusal> {
        /// A device of software resets at once.
        const READS: usize = 1_000_000;
        self.transport.set_status(DeviceStatus::empty());
        let is_reset = (0..READS).any(|_| self.transport.get_status() == DeviceStatus::empty());
        is_reset.then_some(()).ok_or(Refusal::Stuck)
    }

    fn add_status(&mut self, more: DeviceStatus) {
        let status = self.transport.get_status() | more;
        self.transport.set_status(status);
    }

    /// An interrupt of this device, which has `wake` called.
    pub fn interrupt(&self, wake: fn()) -> &'static Interrupt {
        Box::leak(Box::new(Interrupt::new(wake, self.signals.acknowledge())))
    }

    /// Makes queue number `index`.
    pub fn queue<D: Direction, const ENTRIES: usize>(
        &mut self,
        index: u16,
        interrupt: Option<&'static Interrupt>,
    ) -> Result<Queue<D, ENTRIES>, Refusal> {
        match self.transport.max_queue_size(index) {
            0 => return Err(Refusal::NoQueue(index)),
            found if (found as usize) < ENTRIES => {
                return Err(Refusal::ShortQueue {
                    found,
                    expected: ENTRIES,
                });
            }
            _ => {}
        }
        if let Some(interrupt) = interrupt {
            self.signals.route(index, interrupt)?;
        }
        let ring = VirtQueue::new(&mut *self.transport, index, false, false)?;
        Ok(Queue::new(Box::new(ring), self.signals.doorbell(index)?))
    }

    /// Has the device begin. Its queues are there.
    pub fn begin(&mut self) {
        self.transport.finish_init();
    }

    /// Has the device give up, after something went wrong before [`Device::begin`]; its name.
    pub fn give_up(mut self) -> String {
        self.add_status(DeviceStatus::FAILED);
        self.name
    }

    /// Reads `N` fields of a byte, from `offset` on.
    pub fn byte_fields<const N: usize>(&self, offset: usize) -> Result<[u8; N], Refusal> {
        let read = || {
            let mut bytes = [0; N];
            for (index, byte) in bytes.iter_mut().enumerate() {
                *byte = self.transport.read_config_space(offset + index)?;
            }
            Ok(bytes)
        };
        let fields = self.transport.read_consistent(read);
        fields.map_err(|_| Refusal::Short(offset + N))
    }

    /// Reads the field of 16 bits at `offset`, which is even.
    pub fn half_field(&self, offset: usize) -> Result<u16, Refusal> {
        let read = || self.transport.read_config_space(offset);
        let field = self.transport.read_consistent(read);
        field.map_err(|_| Refusal::Short(offset + size_of::<u16>()))
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
    /// A queue has too few entries.
    ShortQueue {
        /// How many it can have.
        found: u32,
        /// How many it must have.
        expected: usize,
    },
    /// Its own fields have fewer bytes than these.
    Short(usize),
    /// Its capabilities do not say where that is.
    Missing(&'static str),
    /// Its capabilities make no sense.
    Malformed(VirtioPciError),
    /// There are more of them than fit.
    Endless,
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

impl From<Error> for Refusal {
    /// Why the library has made no queue, of a length that the device has.
    fn from(error: Error) -> Self {
        match error {
            Error::DmaError => Self::Memory,
            // It is in use, after a reset.
            _ => Self::Stuck,
        }
    }
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
            Self::ShortQueue { found, expected } => write!(
                f,
                "found a queue of at most {found} entries, expected {expected}; have the hypervisor offer longer queues"
            ),
            Self::Short(expected) => {
                write!(f, "found less than the expected {expected} bytes of configuration")
            }
            Self::Missing(what) => write!(f, "found no capability that says where its {what} is"),
            Self::Malformed(error) => write!(f, "{error} This is a bug of the hypervisor"),
            Self::Endless => f.write_str(
                "its list of capabilities does not end; this is a bug of the hypervisor",
            ),
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
