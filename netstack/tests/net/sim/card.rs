//! A network card without a machine: two queues that the world fills and empties.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use darner_netstack::Nanos;
use darner_netstack::nic::{Capabilities, Counters, Nic, Receive, RxChecksum, Transmit, TxOffload};

use super::{check, offload};

/// What is to be had of a card.
#[derive(Clone, Copy, Debug)]
pub struct CardOptions {
    pub mac: [u8; 6],
    pub mtu: u16,
    /// Completes checksums of what is sent.
    pub tx_checksum: bool,
    /// Verifies checksums of what is received.
    pub rx_checksum: bool,
    /// Bytes of TCP payload that it cuts up; 0: none.
    pub segmentation: usize,
    /// Frames that it holds until they are on the wire.
    pub tx_ring: usize,
    /// Frames that it holds until they are taken.
    pub rx_ring: usize,
}

impl CardOptions {
    /// A plain card, the `number`th.
    pub fn plain(number: u8) -> Self {
        Self {
            mac: [2, 0, 0, 0, 0, number],
            mtu: 1500,
            tx_checksum: false,
            rx_checksum: false,
            segmentation: 0,
            tx_ring: 256,
            rx_ring: 256,
        }
    }

    /// One that does all a card can do, the `number`th.
    pub fn offloading(number: u8) -> Self {
        Self {
            tx_checksum: true,
            rx_checksum: true,
            segmentation: 61_440,
            ..Self::plain(number)
        }
    }
}

/// What the card and the world share.
pub struct Port {
    pub options: CardOptions,
    received: VecDeque<(Vec<u8>, RxChecksum)>,
    /// Given to the card, which has not been told.
    written: Vec<Vec<u8>>,
    /// The card has been told, and the world has not fetched them.
    kicked: Vec<Vec<u8>>,
    /// When the frames that are being sent will be on the wire.
    pub sending: VecDeque<Nanos>,
    pub now: Nanos,
    pub interrupts: bool,
    counters: Counters,
}

/// The port of a card, as the world has it.
pub type SharedPort = Arc<Mutex<Port>>;

impl Port {
    pub fn new(options: CardOptions) -> SharedPort {
        Arc::new(Mutex::new(Self {
            options,
            received: VecDeque::new(),
            written: Vec::new(),
            kicked: Vec::new(),
            sending: VecDeque::new(),
            now: 0,
            interrupts: false,
            counters: Counters::default(),
        }))
    }

    /// A frame arrives. Whether there is an interrupt.
    pub fn arrive(&mut self, frame: Vec<u8>) -> bool {
        if self.received.len() >= self.options.rx_ring {
            return false;
        }
        let checksum = if self.options.rx_checksum && check::transport_is_right(&frame) {
            RxChecksum::Good
        } else {
            RxChecksum::Unknown
        };
        self.counters.rx_frames += 1;
        self.counters.rx_bytes += frame.len() as u64;
        self.received.push_back((frame, checksum));
        self.counters.interrupts += u64::from(self.interrupts);
        self.interrupts
    }

    /// What the card has been told to send.
    pub fn take_kicked(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.kicked)
    }

    /// Whether frames have been written of which the card was not told.
    pub fn has_unkicked(&self) -> bool {
        !self.written.is_empty()
    }

    fn has_room(&mut self) -> bool {
        while self.sending.front().is_some_and(|&done| done <= self.now) {
            self.sending.pop_front();
        }
        self.sending.len() + self.written.len() + self.kicked.len() < self.options.tx_ring
    }
}

/// The card that a stack gets.
pub struct Card {
    receiver: Receiver,
    transmitter: Transmitter,
}

impl Card {
    pub fn new(port: &SharedPort) -> Self {
        Self {
            receiver: Receiver {
                port: port.clone(),
                first: None,
            },
            transmitter: Transmitter { port: port.clone() },
        }
    }
}

struct Receiver {
    port: SharedPort,
    first: Option<(Vec<u8>, RxChecksum)>,
}

struct Transmitter {
    port: SharedPort,
}

impl Nic for Card {
    fn capabilities(&self) -> Capabilities {
        let options = self.transmitter.port.lock().unwrap().options;
        Capabilities {
            mac: options.mac,
            mtu: options.mtu,
            tx_checksum: options.tx_checksum,
            segmentation: options.segmentation,
        }
    }

    fn halves(&mut self) -> (&mut dyn Receive, &mut dyn Transmit) {
        (&mut self.receiver, &mut self.transmitter)
    }

    fn set_interrupts(&mut self, on: bool) -> bool {
        let mut port = self.receiver.port.lock().unwrap();
        port.interrupts = on;
        self.receiver.first.is_some() || !port.received.is_empty()
    }

    fn counters(&self) -> Counters {
        self.transmitter.port.lock().unwrap().counters
    }
}

impl Receive for Receiver {
    fn first(&mut self) -> Option<(&mut [u8], RxChecksum)> {
        if self.first.is_none() {
            self.first = self.port.lock().unwrap().received.pop_front();
        }
        let (frame, checksum) = self.first.as_mut()?;
        Some((frame, *checksum))
    }

    fn release(&mut self) {
        self.first = None;
    }
}

impl Transmit for Transmitter {
    fn has_room(&mut self) -> bool {
        self.port.lock().unwrap().has_room()
    }

    fn send(&mut self, length: usize, fill: &mut dyn FnMut(&mut [u8]) -> TxOffload) {
        // What a card's memory has in it before; nothing may depend on zeros.
        let mut frame = vec![0xa5; length];
        let offload = fill(&mut frame);
        let mut port = self.port.lock().unwrap();
        assert!(
            port.has_room(),
            "a frame was sent that there is no room for"
        );
        let frames = offload::complete(frame, offload, &port.options);
        for frame in &frames {
            check::frame(frame, port.options.mtu);
            port.counters.tx_frames += 1;
            port.counters.tx_bytes += frame.len() as u64;
        }
        port.written.extend(frames);
    }

    fn kick(&mut self) {
        let mut port = self.port.lock().unwrap();
        let written = std::mem::take(&mut port.written);
        port.kicked.extend(written);
    }
}
