//! Network cards (5.1), as the network stack sees them.
//!
//! Received frames stay in the buffers that the device has filled, and frames that are sent
//! are written where the device reads them; nothing is copied here. In front of every frame
//! is a header for what the device did or has to do with it.
//!
//! The device interrupts for received frames when it was told to, and for sent ones only
//! while there is no room for another.

mod arena;
mod budget;
mod features;
mod header;
mod receive;
mod transmit;

use alloc::string::String;

use darner_netstack::nic::{Capabilities, Counters, Nic, Receive, Transmit};

use self::budget::Budget;
use self::header::HEADER;
use self::receive::{Receiver, Spread};
use self::transmit::Transmitter;
use super::{Device, Refusal};
use crate::abi::entropy;
use crate::drivers::interrupts::Interrupt;

const RECEIVE: u16 = 0;
const TRANSMIT: u16 = 1;
/// Entries of either queue: what hypervisors have at least.
const ENTRIES: usize = budget::MOST_BUFFERS as usize;

/// Offsets of the device's own fields (5.1.4).
const MAC: usize = 0;
const MTU: usize = 10;

/// Bytes before an IP packet: an Ethernet header.
const ETHERNET: usize = 14;
/// Bytes that a frame may have besides: the tag of a virtual network.
const TAG: usize = 4;
/// The IP packets of networks that say nothing else.
const USUAL_MTU: u16 = 1500;
/// Longer packets are not taken, whatever the device can.
const MOST_MTU: u16 = 9000;
/// The largest payload that is sent for the device to cut up: with all headers it fits into
/// 64 KiB.
const SEGMENTATION: usize = 65_000;
/// Bytes of headers, at most: Ethernet's, IP's and TCP's, and the device's.
const HEADERS: usize = ETHERNET + 60 + 60 + HEADER;

/// A network card that runs.
pub struct Net {
    receiver: Receiver,
    transmitter: Transmitter,
    capabilities: Capabilities,
    interrupt: &'static Interrupt,
    /// Nobody else's. Cards are never dropped: it would have to be reset before.
    _device: Device,
}

impl Net {
    /// Starts the card `device`, which calls `wake` when it interrupts. When it cannot be used,
    /// its name.
    pub fn start(mut device: Device, wake: fn()) -> Result<Self, (String, Refusal)> {
        match Parts::set_up(&mut device, wake) {
            Ok(parts) => {
                device.begin();
                Ok(parts.with(device))
            }
            Err(refusal) => Err((device.give_up(), refusal)),
        }
    }
}

/// All of a card but the device.
struct Parts {
    receiver: Receiver,
    transmitter: Transmitter,
    capabilities: Capabilities,
    interrupt: &'static Interrupt,
}

/// What was agreed on with the device.
#[derive(Clone, Copy)]
struct Agreed(u64);

impl Agreed {
    fn has(self, feature: u64) -> bool {
        self.0 & feature != 0
    }

    /// How received frames may be spread over buffers.
    fn spread(self) -> Spread {
        match self.has(features::MRG_RXBUF) {
            false => Spread::One,
            true if self.has(features::GUEST_TSO4 | features::GUEST_TSO6) => Spread::Joined,
            true => Spread::Several,
        }
    }

    /// The largest payload to be cut up; 0: none.
    fn segmentation(self) -> usize {
        match self.has(features::HOST_TSO4) && self.has(features::HOST_TSO6) {
            true => SEGMENTATION,
            false => 0,
        }
    }
}

/// Agrees with the device on what both can, and there is memory for.
fn agree(device: &mut Device, budget: Budget) -> Result<Agreed, Refusal> {
    use features::*;
    const ALWAYS: u64 = MAC | MTU | MRG_RXBUF | CSUM | GUEST_CSUM;
    const LARGE: u64 = HOST_TSO4 | HOST_TSO6;
    /// These need buffers of 64 KiB where frames cannot be spread over several.
    const LARGE_SPREAD: u64 = GUEST_TSO4 | GUEST_TSO6;
    let agreed = device.negotiate(|offered| match budget.allows_segmentation() {
        true if offered & MRG_RXBUF != 0 => ALWAYS | LARGE | LARGE_SPREAD,
        true => ALWAYS | LARGE,
        false => ALWAYS,
    })?;
    Ok(Agreed(agreed))
}

impl Parts {
    fn set_up(device: &mut Device, wake: fn()) -> Result<Self, Refusal> {
        let budget = Budget::now();
        let agreed = agree(device, budget)?;
        let mtu = match agreed.has(features::MTU) {
            false => USUAL_MTU,
            true => device.half_field(MTU)?.min(MOST_MTU),
        };
        let capabilities = Capabilities {
            mac: mac(device, agreed)?,
            mtu,
            tx_checksum: agreed.has(features::CSUM),
            segmentation: agreed.segmentation(),
        };
        let interrupt = device.interrupt(wake);
        let longest = HEADER + ETHERNET + TAG + usize::from(mtu);
        let receive = device.queue(RECEIVE, Some(interrupt))?;
        let transmit = device.queue(TRANSMIT, Some(interrupt))?;
        let buffers = budget.receive_buffers(longest);
        let longest_sent = match capabilities.segmentation {
            0 => longest,
            payload => payload + HEADERS,
        };
        log::info!(
            "{}: {:02x?}, MTU {mtu}, features {:#x}, {buffers} buffers",
            device.name(),
            capabilities.mac,
            agreed.0,
        );
        Ok(Self {
            receiver: Receiver::new(receive, buffers, longest, agreed.spread())
                .ok_or(Refusal::Memory)?,
            transmitter: Transmitter::new(transmit, budget.transmit_bytes(), longest_sent)
                .ok_or(Refusal::Memory)?,
            capabilities,
            interrupt,
        })
    }

    fn with(self, device: Device) -> Net {
        let mut net = Net {
            receiver: self.receiver,
            transmitter: self.transmitter,
            capabilities: self.capabilities,
            interrupt: self.interrupt,
            _device: device,
        };
        net.receiver.fill();
        net
    }
}

/// The card's address; one of our own making where it has none.
fn mac(device: &Device, agreed: Agreed) -> Result<[u8; 6], Refusal> {
    /// Addresses that nobody has assigned have this bit, and not the one below, which is for
    /// groups.
    const LOCAL: u8 = 0b10;
    const GROUP: u8 = 0b01;
    if agreed.has(features::MAC) {
        return device.byte_fields(MAC);
    }
    let mut mac = [0; 6];
    entropy::fill(&mut mac).map_err(|_| Refusal::NoAddress)?;
    mac[0] = mac[0] & !GROUP | LOCAL;
    Ok(mac)
}

impl Nic for Net {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn halves(&mut self) -> (&mut dyn Receive, &mut dyn Transmit) {
        (&mut self.receiver, &mut self.transmitter)
    }

    fn set_interrupts(&mut self, on: bool) -> bool {
        self.receiver.set_interrupts(on)
    }

    fn counters(&self) -> Counters {
        Counters {
            interrupts: self.interrupt.count(),
            ..self.transmitter.count(self.receiver.count())
        }
    }
}
