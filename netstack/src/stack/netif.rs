//! An interface: loopback, or a card, and smoltcp's part that belongs to it.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::num::NonZeroUsize;

use smoltcp::iface::{Config, Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::phy::{
    Checksum, ChecksumCapabilities, Device, DeviceCapabilities, Medium, SegmentationCapabilities,
    TxToken,
};
use smoltcp::socket::udp;
use smoltcp::time::Instant;
use smoltcp::wire::{
    EthernetAddress, EthernetFrame, EthernetProtocol, HardwareAddress, Icmpv6Repr, IpAddress,
    IpCidr, IpRepr, NdiscRepr, TcpPacket, TcpRepr,
};

use super::buffers;
use super::classify::{self, ETHERNET, Frame, Packet};
use super::dhcp::Dhcp;
use super::neighbours::Neighbours;
use super::port::{CardDevice, Checksums, Notes, Queue, QueueDevice};
use super::slaac::Slaac;
use super::{ask, sums};
use crate::Nanos;
use crate::config::InterfaceConfig;
use crate::nic::{self, Nic, RxChecksum};
use crate::request::StackCounters;
use crate::socket::SocketId;

/// The largest packet on loopback, in bytes.
const LOOPBACK_MTU: usize = 65_535;
/// Limits of a card's packets, in bytes: IPv4's minimum, and jumbo frames.
const MTU: (u16, u16) = (576, 9216);
/// The group of all routers on a link.
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// Bytes of a UDP datagram's data at most.
pub(super) const DATAGRAM: usize = 65_507;

/// The time as smoltcp counts it.
pub(super) fn instant(now: Nanos) -> Instant {
    Instant::from_micros((now / 1000) as i64)
}

/// A time of smoltcp's.
pub(super) fn nanos(instant: Instant) -> Nanos {
    Nanos::try_from(instant.total_micros()).unwrap_or(0) * 1000
}

/// An interface.
pub(super) struct Netif {
    pub index: usize,
    /// Large: it has the buffer for packets that are sent in pieces.
    pub interface: Box<Interface>,
    link: Link,
    pub notes: Notes,
    pub neighbours: Neighbours,
    /// No sockets, for frames that are no socket's.
    empty: SocketSet<'static>,
    /// The one UDP socket that all datagrams go through, one at a time.
    datagrams: SocketSet<'static>,
    datagram: SocketHandle,
    /// How it is set up; loopback has nothing of that.
    pub config: Option<InterfaceConfig>,
    /// A frame that has arrived in pieces, and comes before all others.
    pub whole: Option<Vec<u8>>,
    /// Who asks for IPv4 addresses.
    pub dhcp: Option<Dhcp>,
    /// What routers say of IPv6 addresses.
    pub slaac: Option<Slaac>,
    /// Until when memberships of groups may have to be reported, for which smoltcp has a plan
    /// of its own.
    pub reports_until: Nanos,
    /// Sockets that wait for room in the card.
    pub stalled: VecDeque<SocketId>,
    /// Datagrams of programs that were sent in this step.
    pub datagrams_sent: usize,
    /// Its card has several frames and will interrupt, so that more may wait.
    is_busy: bool,
    /// When to look whether there is room. As the timers have it.
    pub card_timer: Option<Nanos>,
    /// When smoltcp has something to do. As the timers have it.
    pub timer: Option<Nanos>,
}

/// What is below an interface.
enum Link {
    Loopback(Queue),
    Card(Box<Card>),
}

struct Card {
    nic: Box<dyn Nic>,
    mac: [u8; 6],
    capabilities: DeviceCapabilities,
    checksums: Checksums,
    interrupts: bool,
}

impl Netif {
    /// The loopback interface; `None`: there is no memory.
    pub fn loopback(seed: u64, now: Nanos) -> Option<Self> {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = LOOPBACK_MTU;
        capabilities.checksum = ChecksumCapabilities::ignored();
        let mut queue = Queue::new(capabilities);
        let mut notes = Notes::default();
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut device = QueueDevice {
            frame: None,
            queue: &mut queue,
            notes: &mut notes,
        };
        let mut interface = Box::new(Interface::new(config, &mut device, instant(now)));
        interface.update_ip_addrs(|addresses| {
            let v4 = IpCidr::new(Ipv4Addr::LOCALHOST.into(), 8);
            let v6 = IpCidr::new(Ipv6Addr::LOCALHOST.into(), 128);
            addresses.extend([v4, v6]);
        });
        // The addresses of all cards are the node's own too. What is put into the queue is for
        // one of them.
        interface.set_any_ip(true);
        Self::new(0, interface, Link::Loopback(queue), None)
    }

    /// A card's interface; `None`: there is no memory.
    pub fn card(
        index: usize,
        nic: Box<dyn Nic>,
        config: InterfaceConfig,
        seed: u64,
        now: Nanos,
    ) -> Option<Self> {
        let mut card = Box::new(Card::new(nic, &config));
        let mut notes = Notes::default();
        let address = HardwareAddress::Ethernet(EthernetAddress(card.mac));
        let mut setup = Config::new(address);
        setup.random_seed = seed;
        let mut device = card.device(None, &mut notes);
        let interface = Box::new(Interface::new(setup, &mut device, instant(now)));
        Self::new(index, interface, Link::Card(card), Some(config))
    }

    fn new(
        index: usize,
        interface: Box<Interface>,
        link: Link,
        config: Option<InterfaceConfig>,
    ) -> Option<Self> {
        let mut datagrams = SocketSet::new(Vec::new());
        let datagram = datagrams.add(datagram_socket()?);
        Some(Self {
            index,
            interface,
            link,
            notes: Notes::default(),
            neighbours: Neighbours::default(),
            empty: SocketSet::new(Vec::new()),
            datagrams,
            datagram,
            config,
            whole: None,
            dhcp: None,
            slaac: None,
            reports_until: 0,
            stalled: VecDeque::new(),
            datagrams_sent: 0,
            is_busy: false,
            card_timer: None,
            timer: None,
        })
    }

    pub fn is_loopback(&self) -> bool {
        matches!(self.link, Link::Loopback(_))
    }

    /// `lo`, `net0`, ...
    pub fn name(&self) -> String {
        match self.link {
            Link::Loopback(_) => "lo".into(),
            Link::Card(_) => format!("net{}", self.index - 1),
        }
    }

    pub fn mac(&self) -> Option<[u8; 6]> {
        match &self.link {
            Link::Loopback(_) => None,
            Link::Card(card) => Some(card.mac),
        }
    }

    /// Bytes of the largest IP packet.
    pub fn mtu(&self) -> usize {
        match &self.link {
            Link::Loopback(_) => LOOPBACK_MTU,
            Link::Card(card) => card.capabilities.ip_mtu(),
        }
    }

    pub fn counters(&self) -> nic::Counters {
        match &self.link {
            Link::Loopback(queue) => queue.counters,
            Link::Card(card) => card.nic.counters(),
        }
    }

    /// Whether it has that address.
    pub fn has(&self, ip: IpAddr) -> bool {
        has(self.interface.ip_addrs(), ip)
    }

    /// What the oldest received frame is. What is not for this interface is [`Frame::Foreign`].
    pub fn peek(&mut self, counters: &mut StackCounters) -> Option<Frame> {
        let own = self.interface.ip_addrs();
        if let Some(whole) = &self.whole {
            let frame = classify::ethernet(whole);
            return Some(judge(frame, whole, RxChecksum::Unknown, own, counters));
        }
        match &mut self.link {
            Link::Loopback(queue) => Some(classify::ip(queue.first()?, 0)),
            Link::Card(card) => {
                let (receive, _) = card.nic.halves();
                let (bytes, checksum) = receive.first()?;
                if !is_for(&card.mac, bytes) {
                    return Some(Frame::Foreign);
                }
                let frame = classify::ethernet(bytes);
                Some(judge(frame, bytes, checksum, own, counters))
            }
        }
    }

    /// The oldest received frame.
    pub fn first(&mut self) -> Option<&[u8]> {
        if self.whole.is_some() {
            return self.whole.as_deref();
        }
        match &mut self.link {
            Link::Loopback(queue) => queue.first(),
            Link::Card(card) => card.first(),
        }
    }

    /// Throws the oldest received frame away.
    pub fn release(&mut self) {
        if self.whole.take().is_some() {
            return;
        }
        match &mut self.link {
            Link::Loopback(queue) => {
                if let Some(packet) = queue.pop() {
                    queue.recycle(packet);
                }
            }
            Link::Card(card) => card.nic.halves().0.release(),
        }
    }

    /// Gives smoltcp the oldest received frame, with the sockets it may be for.
    pub fn ingress(&mut self, sockets: Option<&mut SocketSet<'static>>, now: Nanos) {
        let sockets = sockets.unwrap_or(&mut self.empty);
        let at = instant(now);
        match &mut self.link {
            Link::Loopback(queue) => {
                let Some(packet) = queue.pop() else { return };
                let mut device = QueueDevice {
                    frame: Some(&packet),
                    queue,
                    notes: &mut self.notes,
                };
                self.interface.poll_ingress_single(at, &mut device, sockets);
                queue.recycle(packet);
            }
            Link::Card(card) => {
                let (receive, transmit) = card.nic.halves();
                let whole = self.whole.take();
                let frame = match &whole {
                    Some(whole) => Some(whole.as_slice()),
                    None => receive.first().map(|(frame, _)| &*frame),
                };
                let mut device = CardDevice {
                    frame,
                    transmit,
                    capabilities: &card.capabilities,
                    checksums: card.checksums,
                    notes: &mut self.notes,
                };
                self.interface.poll_ingress_single(at, &mut device, sockets);
                if whole.is_none() {
                    receive.release();
                }
            }
        }
        self.note(now);
    }

    /// Has the sockets find that a segment has come. It must not matter when it does not come: not
    /// while another frame has to be looked at.
    pub fn pretend(
        &mut self,
        sockets: &mut SocketSet<'static>,
        (packet, segment): &(IpRepr, TcpRepr<'_>),
        now: Nanos,
    ) {
        let Link::Card(card) = &self.link else {
            return;
        };
        if self.whole.is_some() {
            return;
        }
        let own = EthernetAddress(card.mac);
        let mut bytes = alloc::vec![0; ETHERNET + packet.buffer_len()];
        let mut frame = EthernetFrame::new_unchecked(&mut bytes);
        frame.set_src_addr(own);
        frame.set_dst_addr(own);
        frame.set_ethertype(match packet {
            IpRepr::Ipv4(_) => EthernetProtocol::Ipv4,
            IpRepr::Ipv6(_) => EthernetProtocol::Ipv6,
        });
        emit(packet, segment, frame.payload_mut());
        self.whole = Some(bytes);
        self.ingress(Some(sockets), now);
    }

    /// Has smoltcp send what one of the sockets has to send, once. False: it sent nothing.
    pub fn egress(&mut self, sockets: Option<&mut SocketSet<'static>>, now: Nanos) -> bool {
        let sockets = sockets.unwrap_or(&mut self.empty);
        let at = instant(now);
        let sent = match &mut self.link {
            Link::Loopback(queue) => {
                let mut device = QueueDevice {
                    frame: None,
                    queue,
                    notes: &mut self.notes,
                };
                self.interface.poll_egress(at, &mut device, sockets)
            }
            Link::Card(card) => {
                let mut device = card.device(None, &mut self.notes);
                self.interface.poll_egress(at, &mut device, sockets)
            }
        };
        self.note(now);
        sent == PollResult::SocketStateChanged
    }

    fn note(&mut self, now: Nanos) {
        if let Some(ip) = self.notes.asked.take() {
            self.neighbours.lost(ip, now);
        }
    }

    /// When such a socket has something to send.
    pub fn poll_at(&mut self, sockets: &SocketSet<'static>, now: Nanos) -> Option<Nanos> {
        self.interface.poll_at(instant(now), sockets).map(nanos)
    }

    /// Sends what is left of a packet in pieces. False: there is no room for that now.
    pub fn finish_pieces(&mut self, now: Nanos) -> bool {
        if !self.notes.fragmenting {
            return true;
        }
        self.notes.no_room = false;
        while self.notes.fragmenting && !self.notes.no_room {
            self.egress(None, now);
        }
        if self.notes.fragmenting {
            return false;
        }
        // smoltcp counts the packet as done when it is called once more.
        self.egress(None, now);
        true
    }

    /// The UDP socket, bound to one place, and its set for [`Self::ingress`].
    pub fn datagram(&mut self) -> &mut udp::Socket<'static> {
        self.datagrams.get_mut(self.datagram)
    }

    /// [`Self::ingress`] with the UDP socket.
    pub fn datagram_ingress(&mut self, now: Nanos) {
        let mut sockets = core::mem::replace(&mut self.datagrams, SocketSet::new(Vec::new()));
        self.ingress(Some(&mut sockets), now);
        self.datagrams = sockets;
    }

    /// [`Self::egress`] with the UDP socket. False: what it has was not sent, and is dropped.
    pub fn datagram_egress(&mut self, now: Nanos) -> bool {
        let mut sockets = core::mem::replace(&mut self.datagrams, SocketSet::new(Vec::new()));
        let sent = self.egress(Some(&mut sockets), now);
        if !sent {
            // A set remembers for which neighbour its socket waits, and this one does not wait.
            let socket = sockets.remove(self.datagram);
            if let smoltcp::socket::Socket::Udp(mut socket) = socket {
                socket.close();
                self.datagram = sockets.add(socket);
            }
        }
        self.datagrams = sockets;
        sent
    }

    /// Asks for a neighbour's hardware address.
    pub fn ask(&mut self, target: IpAddr) {
        let Link::Card(card) = &mut self.link else {
            return;
        };
        let source = self.interface.get_source_address(&target.into());
        let mac = EthernetAddress(card.mac);
        let (_, transmit) = card.nic.halves();
        let Some(source) = source else { return };
        if !transmit.has_room() {
            return;
        }
        ask::send(transmit, mac, source.into(), target);
        self.notes.unkicked = true;
    }

    /// Answers the first frame's sender with a segment, if there is room.
    pub fn reply(&mut self, (packet, segment): &(IpRepr, TcpRepr<'_>)) {
        let length = packet.buffer_len();
        let source = self.first().and_then(|frame| frame.get(6..12));
        let destination = source.map(EthernetAddress::from_bytes);
        match &mut self.link {
            Link::Loopback(queue) => {
                let mut device = QueueDevice {
                    frame: None,
                    queue,
                    notes: &mut self.notes,
                };
                if let Some(token) = device.transmit(Instant::ZERO) {
                    token.consume(length, |bytes| emit(packet, segment, bytes));
                }
            }
            Link::Card(card) => {
                let Some(destination) = destination else {
                    return;
                };
                let own = EthernetAddress(card.mac);
                let mut device = card.device(None, &mut self.notes);
                if let Some(token) = device.transmit(Instant::ZERO) {
                    token.consume(ETHERNET + length, |bytes| {
                        let mut frame = EthernetFrame::new_unchecked(bytes);
                        frame.set_src_addr(own);
                        frame.set_dst_addr(destination);
                        frame.set_ethertype(match packet {
                            IpRepr::Ipv4(_) => EthernetProtocol::Ipv4,
                            IpRepr::Ipv6(_) => EthernetProtocol::Ipv6,
                        });
                        emit(packet, segment, frame.payload_mut());
                    });
                }
            }
        }
    }

    /// Asks for routers.
    pub fn solicit(&mut self) {
        let Link::Card(card) = &mut self.link else {
            return;
        };
        let source = self.interface.get_source_address_ipv6(&ALL_ROUTERS);
        let mac = EthernetAddress(card.mac);
        let (_, transmit) = card.nic.halves();
        if !transmit.has_room() {
            return;
        }
        let question = Icmpv6Repr::Ndisc(NdiscRepr::RouterSolicit {
            lladdr: Some(mac.into()),
        });
        ask::send_icmpv6(transmit, mac, source, ALL_ROUTERS, &question);
        self.notes.unkicked = true;
    }

    /// Tells the card of what was sent.
    pub fn kick(&mut self) {
        if let Link::Card(card) = &mut self.link
            && self.notes.unkicked
        {
            card.nic.halves().1.kick();
        }
        self.notes.unkicked = false;
    }

    /// Whether something waits for room.
    pub fn is_crowded(&self) -> bool {
        !self.stalled.is_empty() || self.notes.fragmenting
    }

    /// Whether its card has so much to do, of which it has been told, that more may wait until
    /// it interrupts. Called at the end of each step.
    pub fn is_busy(&mut self) -> bool {
        let was_busy = core::mem::take(&mut self.is_busy);
        let has_sent = core::mem::take(&mut self.datagrams_sent) > 0;
        let crowded = self.is_crowded();
        if let Link::Card(card) = &mut self.link {
            // A card without room has been asked to interrupt.
            self.is_busy =
                crowded || ((was_busy || has_sent) && card.nic.halves().1.call_when_taken());
        }
        self.is_busy
    }

    /// Whether something may be sent.
    pub fn has_room(&mut self) -> bool {
        match &mut self.link {
            Link::Loopback(queue) => queue.has_room(),
            Link::Card(card) => card.nic.halves().1.has_room(),
        }
    }

    /// Frames are being looked for: no interrupts.
    pub fn poll_card(&mut self) {
        if let Link::Card(card) = &mut self.link
            && card.interrupts
        {
            card.nic.set_interrupts(false);
            card.interrupts = false;
        }
    }

    /// Nobody looks for frames any more. False: there are some already.
    pub fn rest_card(&mut self) -> bool {
        let Link::Card(card) = &mut self.link else {
            return true;
        };
        if card.interrupts {
            return true;
        }
        card.interrupts = true;
        !card.nic.set_interrupts(true)
    }
}

impl Card {
    fn new(nic: Box<dyn Nic>, config: &InterfaceConfig) -> Self {
        let card = nic.capabilities();
        let mut mac = card.mac;
        // The bit that makes it an address of a group, which no card has.
        mac[0] &= !1;
        let mtu = config
            .mtu
            .unwrap_or(card.mtu)
            .min(card.mtu)
            .clamp(MTU.0, MTU.1);
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = ETHERNET + usize::from(mtu);
        capabilities.checksum.tcp = Checksum::None;
        capabilities.checksum.udp = Checksum::None;
        capabilities.segmentation = segmentation(&card);
        Self {
            nic,
            mac,
            capabilities,
            checksums: if card.tx_checksum {
                Checksums::Card
            } else {
                Checksums::Stack
            },
            interrupts: false,
        }
    }

    fn first(&mut self) -> Option<&[u8]> {
        let (frame, _) = self.nic.halves().0.first()?;
        Some(frame)
    }

    fn device<'a>(&'a mut self, frame: Option<&'a [u8]>, notes: &'a mut Notes) -> CardDevice<'a> {
        CardDevice {
            frame,
            transmit: self.nic.halves().1,
            capabilities: &self.capabilities,
            checksums: self.checksums,
            notes,
        }
    }
}

/// Writes a packet. Checksums of TCP are the card's, or the port's.
fn emit(packet: &IpRepr, segment: &TcpRepr<'_>, bytes: &mut [u8]) {
    let mut checksums = ChecksumCapabilities::default();
    checksums.tcp = Checksum::None;
    packet.emit(&mut *bytes, &checksums);
    let (source, destination) = (packet.src_addr(), packet.dst_addr());
    let mut carried = TcpPacket::new_unchecked(&mut bytes[packet.header_len()..]);
    segment.emit(&mut carried, &source, &destination, &checksums);
}

/// What the card cuts up, with all headers. Of IPv6 nothing: smoltcp 0.14 drops such packets.
fn segmentation(card: &nic::Capabilities) -> SegmentationCapabilities {
    const HEADERS: usize = 20 + 20;
    let mut segmentation = SegmentationCapabilities::default();
    let payload = card.segmentation.min(usize::from(u16::MAX) - HEADERS);
    if card.tx_checksum && payload > usize::from(card.mtu) {
        segmentation.tcpv4 = NonZeroUsize::new(ETHERNET + HEADERS + payload);
    }
    segmentation
}

/// A UDP socket with room for one datagram in each direction.
fn datagram_socket() -> Option<udp::Socket<'static>> {
    let buffer = || {
        let bytes = buffers::zeroed(DATAGRAM)?;
        Some(udp::PacketBuffer::new(
            alloc::vec![udp::PacketMetadata::EMPTY; 1],
            bytes,
        ))
    };
    Some(udp::Socket::new(buffer()?, buffer()?))
}

/// Whether the Ethernet header's destination is this card, or a group.
fn is_for(mac: &[u8; 6], frame: &[u8]) -> bool {
    match frame.first() {
        Some(first) if first & 1 != 0 => true,
        Some(_) => frame.get(..6) == Some(mac),
        None => false,
    }
}

/// What is left of a frame once checksum and addresses have been looked at.
fn judge(
    frame: Frame,
    bytes: &[u8],
    checksum: RxChecksum,
    own: &[IpCidr],
    counters: &mut StackCounters,
) -> Frame {
    let packet = match &frame {
        // Connections are between two, even if a network's broadcast address looks like one.
        Frame::Tcp(packet, _) if bytes[0] & 1 != 0 || !has(own, packet.destination) => {
            return Frame::Foreign;
        }
        Frame::Tcp(packet, _) | Frame::Udp(packet, _) => packet,
        Frame::Icmp(packet) | Frame::Fragment(packet) => packet,
        _ => return frame,
    };
    if is_martian(packet, own) {
        return Frame::Foreign;
    }
    let right = match frame {
        Frame::Icmp(_) => sums::is_right_message(bytes, packet),
        Frame::Tcp(..) | Frame::Udp(..) => {
            checksum == RxChecksum::Good || sums::is_right(bytes, packet)
        }
        _ => true,
    };
    if !right {
        counters.bad_checksums += 1;
        return Frame::Foreign;
    }
    frame
}

/// Whether an address is one of those.
fn has(addresses: &[IpCidr], ip: IpAddr) -> bool {
    let ip = IpAddress::from(ip);
    addresses.iter().any(|own| own.address() == ip)
}

/// Whether a packet claims to come from this node, or from nowhere on a wire. What has no
/// source cannot be answered, and smoltcp panics when it is asked for a way there.
fn is_martian(packet: &Packet, own: &[IpCidr]) -> bool {
    let nowhere = |ip: IpAddr| ip.is_loopback() || ip.is_unspecified();
    // Who asks a DHCP server has no address yet, and wants no answer there.
    let asks = packet.protocol == 17 && packet.source == Ipv4Addr::UNSPECIFIED;
    nowhere(packet.destination) || (nowhere(packet.source) && !asks) || has(own, packet.source)
}
