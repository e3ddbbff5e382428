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
mod header;
mod receive;
mod transmit;

use darner_netstack::nic::{Capabilities, Counters, Nic, Receive, Transmit};
use virtio_spec::net::F;

use self::budget::Budget;
use self::header::HEADER;
use self::receive::Receiver;
use self::transmit::Transmitter;
use super::{Device, Refusal};
use crate::abi::entropy;
use crate::drivers::interrupts::Interrupt;

const RECEIVE: u16 = 0;
const TRANSMIT: u16 = 1;

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
    /// Last, as its queues' memory must not go before it is reset.
    _device: Device,
}

fn bit(feature: F) -> u64 {
    feature.bits().to_ne() as u64
}

impl Net {
    /// Starts the card `device`, which calls `wake` when it interrupts. Gives it back when it
    /// cannot be used.
    pub fn start(mut device: Device, wake: fn()) -> Result<Self, (Device, Refusal)> {
        match Parts::set_up(&mut device, wake) {
            Ok(parts) => {
                device.begin();
                Ok(parts.with(device))
            }
            Err(refusal) => {
                device.give_up();
                Err((device, refusal))
            }
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

impl Parts {
    fn set_up(device: &mut Device, wake: fn()) -> Result<Self, Refusal> {
        let checksum = bit(F::CSUM);
        let segmentation = bit(F::HOST_TSO4) | bit(F::HOST_TSO6);
        let budget = Budget::now();
        let features = device.negotiate(
            bit(F::MAC)
                | bit(F::MTU)
                | bit(F::MRG_RXBUF)
                | bit(F::GUEST_CSUM)
                | checksum
                | if budget.allows_segmentation() {
                    segmentation
                } else {
                    0
                },
        )?;
        let mtu = match features & bit(F::MTU) {
            0 => USUAL_MTU,
            _ => device.half_field(MTU)?.min(MOST_MTU),
        };
        let capabilities = Capabilities {
            mac: mac(device, features)?,
            mtu,
            tx_checksum: features & checksum != 0,
            segmentation: match features & segmentation == segmentation {
                true => SEGMENTATION,
                false => 0,
            },
        };
        let merges = features & bit(F::MRG_RXBUF) != 0;
        let interrupt = device.interrupt(wake);
        let longest = HEADER + ETHERNET + TAG + usize::from(mtu);
        let receive = device.queue(RECEIVE, budget.receive_buffers(longest), Some(interrupt))?;
        let transmit = device.queue(TRANSMIT, budget::MOST_BUFFERS, Some(interrupt))?;
        let longest_sent = match capabilities.segmentation {
            0 => longest,
            payload => payload + HEADERS,
        };
        log::info!(
            "{}: {:02x?}, MTU {mtu}, features {features:#x}, {} and {} buffers",
            device.name(),
            capabilities.mac,
            receive.entries(),
            transmit.entries()
        );
        Ok(Self {
            receiver: Receiver::new(receive, longest, merges).ok_or(Refusal::Memory)?,
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
fn mac(device: &Device, features: u64) -> Result<[u8; 6], Refusal> {
    /// Addresses that nobody has assigned have this bit, and not the one below, which is for
    /// groups.
    const LOCAL: u8 = 0b10;
    const GROUP: u8 = 0b01;
    if features & bit(F::MAC) != 0 {
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
