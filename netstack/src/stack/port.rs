//! Between smoltcp and the links: frames are written where the card fetches them, and looked
//! at on their way out.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::num::NonZeroU16;

use smoltcp::phy::{Device, DeviceCapabilities, PacketMeta, RxToken, TxToken};
use smoltcp::time::Instant;

use super::classify::{self, ETHERNET, Frame, Packet, Segment, u16_at};
use super::sums;
use crate::checksum::{self, Sum, Transport};
use crate::nic::{self, Segmentation, Transmit, TxChecksum, TxOffload};

/// What was seen of the frames that left.
#[derive(Default)]
pub(super) struct Notes {
    /// Frames have been sent that the card has not been told of.
    pub unkicked: bool,
    /// A frame was to be sent, and there was no room.
    pub no_room: bool,
    /// Frames that were dropped for that reason.
    pub dropped: u64,
    /// A packet is on its way of which some pieces are still to be sent.
    pub fragmenting: bool,
    /// The sum of a datagram's data that will be sent in pieces.
    pub datagram_sum: Option<Sum>,
    /// smoltcp has asked for this neighbour's hardware address.
    pub asked: Option<IpAddr>,
    /// The last TCP segment.
    pub segment: Option<Segment>,
    /// How far the connection is that smoltcp is called for.
    pub position: Position,
    /// The last UDP datagram's source port.
    pub udp_source: Option<u16>,
}

/// How far a connection has sent.
///
/// When smoltcp sends again what may have been lost, it forgets that it has already sent more,
/// and its acknowledgements seem to be old ones: the other end must not accept them. If both
/// ends do that, neither gets on. So acknowledgements are given the right sequence number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// The sequence number after all that was sent.
    pub next: Option<u32>,
    /// The last acknowledgement.
    pub acknowledged: Option<u32>,
    /// The other end has closed its window. A byte that is sent all the same is a question, and
    /// will not be taken.
    pub is_closed: bool,
}

impl Position {
    /// Goes on to a segment's end. An acknowledgement's right sequence number comes out.
    fn advance(&mut self, segment: &Segment) -> Option<u32> {
        self.acknowledged = Some(segment.acknowledged);
        let end = segment.sequence.wrapping_add(segment.length);
        let next = self.next.filter(|next| is_after(*next, end));
        if segment.length == 0 && segment.flags.is_position() {
            return next;
        }
        let question = self.is_closed && segment.length == 1;
        if next.is_none() && !question {
            self.next = Some(end);
        }
        None
    }
}

/// Whether a sequence number comes after another (RFC 9293, section 3.4).
pub(super) fn is_after(one: u32, other: u32) -> bool {
    (1..1 << 31).contains(&one.wrapping_sub(other))
}

/// What the card does with checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checksums {
    /// The stack fills them in.
    Stack,
    /// The card does.
    Card,
}

/// A card, as smoltcp sees it for the time of one call.
pub(super) struct CardDevice<'a> {
    /// What has been received, if anything has.
    pub frame: Option<&'a [u8]>,
    pub transmit: &'a mut dyn Transmit,
    pub capabilities: &'a DeviceCapabilities,
    pub checksums: Checksums,
    pub notes: &'a mut Notes,
}

impl Device for CardDevice<'_> {
    type RxToken<'b>
        = Received<'b>
    where
        Self: 'b;
    type TxToken<'b>
        = CardFrame<'b>
    where
        Self: 'b;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, CardFrame<'_>)> {
        let frame = self.frame.take()?;
        Some((Received(frame), self.token(Room::Unknown)))
    }

    fn transmit(&mut self, _: Instant) -> Option<CardFrame<'_>> {
        if !self.transmit.has_room() {
            self.notes.no_room = true;
            return None;
        }
        Some(self.token(Room::Certain))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.capabilities.clone()
    }
}

impl CardDevice<'_> {
    fn token(&mut self, room: Room) -> CardFrame<'_> {
        CardFrame {
            room,
            transmit: self.transmit,
            checksums: self.checksums,
            notes: self.notes,
            segment: None,
        }
    }
}

/// A received frame.
pub(super) struct Received<'a>(pub &'a [u8]);

impl RxToken for Received<'_> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(self.0)
    }
}

/// Whether the card has room for a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    /// It has.
    Certain,
    /// It may have; nobody has looked, since there may be nothing to send.
    Unknown,
}

/// A frame that is about to be sent.
pub(super) struct CardFrame<'a> {
    room: Room,
    transmit: &'a mut dyn Transmit,
    checksums: Checksums,
    notes: &'a mut Notes,
    /// Bytes of payload in each segment, if the card is to cut it up.
    segment: Option<NonZeroU16>,
}

impl TxToken for CardFrame<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        if self.room == Room::Unknown && !self.transmit.has_room() {
            self.notes.no_room = true;
            self.notes.dropped += 1;
            return fill_nowhere(length, fill);
        }
        let Self {
            transmit,
            checksums,
            notes,
            segment,
            ..
        } = self;
        let mut fill = Some(fill);
        let mut result = None;
        transmit.send(length, &mut |frame| match fill.take() {
            Some(fill) => {
                let frame = &mut frame[..length];
                result = Some(fill(frame));
                finish(frame, checksums, segment, notes)
            }
            None => TxOffload::default(),
        });
        notes.unkicked = true;
        match (result, fill) {
            (Some(result), _) => result,
            (None, Some(fill)) => fill_nowhere(length, fill),
            (None, None) => unreachable!("a frame that was filled gave a result"),
        }
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        self.segment = meta.segmentation_offload_size;
    }
}

/// smoltcp has to be given memory for every frame that it answers with.
fn fill_nowhere<R>(length: usize, fill: impl FnOnce(&mut [u8]) -> R) -> R {
    fill(&mut alloc::vec![0; length])
}

/// Looks at a frame that smoltcp has written, and completes its checksum or has the card do so.
fn finish(
    frame: &mut [u8],
    checksums: Checksums,
    segment: Option<NonZeroU16>,
    notes: &mut Notes,
) -> TxOffload {
    match classify::ethernet(frame) {
        Frame::Tcp(packet, header) => {
            notes.segment = Some(header);
            if let Some(sequence) = notes.position.advance(&header) {
                let at = packet.payload + 4;
                frame[at..at + 4].copy_from_slice(&sequence.to_be_bytes());
            }
            let v6 = packet.source.is_ipv6();
            TxOffload {
                checksum: complete(frame, &packet, checksums),
                segmentation: segment.map(|size| Segmentation {
                    size,
                    headers: header.payload as u16,
                    v6,
                }),
            }
        }
        Frame::Udp(packet, ports) => {
            notes.udp_source = Some(ports.source);
            TxOffload {
                checksum: complete(frame, &packet, checksums),
                segmentation: None,
            }
        }
        Frame::Fragment(packet) => {
            piece(frame, &packet, notes);
            TxOffload::default()
        }
        Frame::Arp => {
            notes.asked = asked_by_arp(frame).or(notes.asked);
            TxOffload::default()
        }
        Frame::Icmp(packet) => {
            notes.asked = asked_by_ndp(frame, &packet).or(notes.asked);
            TxOffload::default()
        }
        _ => TxOffload::default(),
    }
}

fn complete(frame: &mut [u8], packet: &Packet, checksums: Checksums) -> Option<TxChecksum> {
    let transport = sums::transport(packet)?;
    let carried = frame.get_mut(packet.payload..packet.end)?;
    let pseudo = sums::pseudo_header(packet, transport, carried.len());
    match checksums {
        Checksums::Stack => {
            checksum::fill(pseudo, transport, carried);
            None
        }
        Checksums::Card => {
            checksum::fill_partial(pseudo, transport, carried);
            Some(TxChecksum {
                start: packet.payload as u16,
                offset: transport.checksum_offset() as u16,
            })
        }
    }
}

/// Notes how far a packet in pieces is. The first one holds the UDP header, with the checksum
/// of all.
fn piece(frame: &mut [u8], packet: &Packet, notes: &mut Notes) {
    let place = u16_at(frame, packet.ip + 6).unwrap_or(0);
    notes.fragmenting = place & 0x2000 != 0;
    let first = place & 0x1fff == 0;
    if !first || sums::transport(packet) != Some(Transport::Udp) {
        return;
    }
    let (Some(data), Some(header)) = (
        notes.datagram_sum.take(),
        frame.get_mut(packet.payload..packet.payload + 8),
    ) else {
        return;
    };
    let length = u16_at(header, 4).map_or(0, usize::from);
    let pseudo = sums::pseudo_header(packet, Transport::Udp, length);
    checksum::fill(pseudo.with_u16(data.fold()), Transport::Udp, header);
}

fn asked_by_arp(frame: &[u8]) -> Option<IpAddr> {
    let request = u16_at(frame, ETHERNET + 6)? == 1;
    let target: [u8; 4] = frame.get(ETHERNET + 24..ETHERNET + 28)?.try_into().ok()?;
    request.then(|| Ipv4Addr::from(target).into())
}

fn asked_by_ndp(frame: &[u8], packet: &Packet) -> Option<IpAddr> {
    let message = frame.get(packet.payload..packet.end)?;
    let target: [u8; 16] = message.get(8..24)?.try_into().ok()?;
    (packet.source.is_ipv6() && message[0] == 135).then(|| Ipv6Addr::from(target).into())
}

/// The packets that a node sends to itself.
pub(super) struct Queue {
    packets: VecDeque<Vec<u8>>,
    bytes: usize,
    /// Memory of packets that have arrived.
    spare: Vec<Vec<u8>>,
    pub capabilities: DeviceCapabilities,
    pub counters: nic::Counters,
}

impl Queue {
    /// Packets and bytes that wait at most before senders have to.
    const PACKETS: usize = 256;
    const BYTES: usize = 1 << 20;
    const SPARE: usize = 16;

    pub fn new(capabilities: DeviceCapabilities) -> Self {
        Self {
            packets: VecDeque::new(),
            bytes: 0,
            spare: Vec::new(),
            capabilities,
            counters: nic::Counters::default(),
        }
    }

    /// Whether senders need not wait.
    pub fn has_room(&self) -> bool {
        self.packets.len() < Self::PACKETS && self.bytes < Self::BYTES
    }

    /// The oldest packet.
    pub fn first(&self) -> Option<&[u8]> {
        self.packets.front().map(Vec::as_slice)
    }

    /// Takes the oldest packet out, to be given back by [`Self::recycle`].
    pub fn pop(&mut self) -> Option<Vec<u8>> {
        let packet = self.packets.pop_front()?;
        self.bytes -= packet.len();
        self.counters.rx_frames += 1;
        self.counters.rx_bytes += packet.len() as u64;
        Some(packet)
    }

    pub fn recycle(&mut self, packet: Vec<u8>) {
        if self.spare.len() < Self::SPARE {
            self.spare.push(packet);
        }
    }
}

/// Loopback, as smoltcp sees it for the time of one call.
pub(super) struct QueueDevice<'a> {
    pub frame: Option<&'a [u8]>,
    pub queue: &'a mut Queue,
    pub notes: &'a mut Notes,
}

impl Device for QueueDevice<'_> {
    type RxToken<'b>
        = Received<'b>
    where
        Self: 'b;
    type TxToken<'b>
        = QueuePacket<'b>
    where
        Self: 'b;

    fn receive(&mut self, _: Instant) -> Option<(Received<'_>, QueuePacket<'_>)> {
        let frame = self.frame.take()?;
        let packet = QueuePacket {
            queue: self.queue,
            notes: self.notes,
        };
        Some((Received(frame), packet))
    }

    fn transmit(&mut self, _: Instant) -> Option<QueuePacket<'_>> {
        if !self.queue.has_room() {
            self.notes.no_room = true;
            return None;
        }
        Some(QueuePacket {
            queue: self.queue,
            notes: self.notes,
        })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.queue.capabilities.clone()
    }
}

/// A packet that is about to be queued.
pub(super) struct QueuePacket<'a> {
    queue: &'a mut Queue,
    notes: &'a mut Notes,
}

impl TxToken for QueuePacket<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        let mut packet = self.queue.spare.pop().unwrap_or_default();
        packet.clear();
        packet.resize(length, 0);
        let result = fill(&mut packet);
        match classify::ip(&packet, 0) {
            Frame::Tcp(_, segment) => {
                self.notes.segment = Some(segment);
                // Nothing is sent twice here.
                self.notes.position.advance(&segment);
            }
            Frame::Udp(_, ports) => self.notes.udp_source = Some(ports.source),
            _ => {}
        }
        self.queue.bytes += length;
        self.queue.counters.tx_frames += 1;
        self.queue.counters.tx_bytes += length as u64;
        self.queue.packets.push_back(packet);
        result
    }
}
