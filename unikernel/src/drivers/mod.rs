//! Devices: the buses that they are on, and those that the kernel uses.
//!
//! Boot looks for devices once, in [`find`]. What they are for comes later: network cards
//! wait until somebody asks for them by [`nics`], and take no memory before. Interrupts of
//! all devices go to the boot CPU; [`interrupts`] tells how.
//!
//! | module | what it has |
//! |---|---|
//! | [`pci`] | the functions on PCI, their registers, MSI-X |
//! | [`virtio`] | virtio devices on PCI and at fixed places; queues; network cards, entropy |
//! | [`aml`] | what ACPI says of devices at fixed places |
//! | [`dma`] | memory that devices use |
//! | [`interrupts`] | vectors |

mod aml;
pub mod dma;
pub mod interrupts;
mod pci;
pub mod virtio;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use darner_netstack::Nic;
use virtio_drivers::transport::DeviceType;
use virtio_drivers::transport::pci::virtio_device_type;

use self::pci::{Access, Function};
use self::virtio::mmio::{self, Place};
use self::virtio::net::Net;
use self::virtio::{Device, Refusal, rng};
use crate::arch::fence;
use crate::params::Params;
use crate::platform::Platform;
use crate::sync::Lock;

/// Network cards that nobody has asked for yet.
static CARDS: Lock<Vec<Device>> = Lock::new(Vec::new());

/// Looks for devices on all buses. Boot, once, on the boot CPU, when it has its block.
pub fn find(platform: &Platform, params: &Params) {
    fence::init();
    if let Some(access) = Access::find(&platform.pci_windows) {
        for function in pci::functions(&access) {
            on_pci(&access, function);
        }
    }
    let listed = platform.dsdt.map(aml::virtio_devices).unwrap_or_default();
    let named = &params.virtio_mmio;
    let unnamed = listed.iter().filter(|place| !named.contains(place));
    for place in named.iter().chain(unnamed) {
        at(*place, platform);
    }
}

fn at(place: Place, platform: &Platform) {
    match mmio::open(place, platform.line(place.irq)) {
        Some(found) => take(found),
        None => log::warn!(
            "found no virtio device at {:#x}, where the command line or ACPI has one",
            place.physical
        ),
    }
}

fn on_pci(access: &Access, (address, info): Function) {
    let (vendor, device) = (info.vendor_id, info.device_id);
    match virtio_device_type(&info) {
        Some(kind) if is_used(kind) => take(virtio::pci::open(access, address)),
        _ if info.class == pci::NETWORK => log::warn!(
            "the network card {vendor:04x}:{device:04x} at PCI {address} is not used: found no driver for it, \
             expected virtio-net"
        ),
        _ => log::debug!("PCI {address}: {vendor:04x}:{device:04x} is not used"),
    }
}

fn is_used(kind: DeviceType) -> bool {
    matches!(kind, DeviceType::Network | DeviceType::EntropySource)
}

fn take(found: Result<Device, (String, Refusal)>) {
    match found {
        Ok(device) => match device.kind() {
            DeviceType::Network => CARDS.lock().push(device),
            DeviceType::EntropySource => rng::seed(device),
            kind => log::debug!("{}: {kind:?} is not used", device.name()),
        },
        Err((name, refusal)) => log::error!("the {name} is not used: {refusal}"),
    }
}

/// Starts all network cards, and gives them in the order in which they are found: by bus
/// and number. `wake` is called, in a critical section of the boot CPU, when one of them
/// has interrupted. Thread context of the boot CPU, or boot; once.
pub fn nics(wake: fn()) -> Vec<Box<dyn Nic>> {
    let cards = core::mem::take(&mut *CARDS.lock());
    let mut nics: Vec<Box<dyn Nic>> = Vec::new();
    for card in cards {
        match Net::start(card, wake) {
            Ok(net) => nics.push(Box::new(net)),
            Err((name, refusal)) => log::error!("the {name} is not used: {refusal}"),
        }
    }
    nics
}
