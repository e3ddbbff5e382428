//! The protocol thread's part: interfaces, routes, connections, timers.
//!
//! smoltcp does the protocols. It would look through all sockets for every packet, so it is
//! never shown more than one: a frame's few decisive fields are read in place ([`classify`]),
//! its socket is found by them, and smoltcp gets both. What has been touched is looked at once
//! more at the end of a batch: bytes move between smoltcp's buffers and the program's rings,
//! segments and acknowledgements go out, programs are woken. So a step costs what has happened,
//! not what there is.
//!
//! | module | what it has |
//! |---|---|
//! | `netif`, `port`, `ask`, `learn`, `neighbours` | interfaces, and what is below smoltcp |
//! | `classify`, `sums` | what a frame is, and whether it has arrived unharmed |
//! | `setup`, `dhcp`, `slaac` | how interfaces get their addresses |
//! | `reassembly` | packets that arrive in pieces |
//! | `icmp` | what others say of packets that did not arrive |
//! | `resolve` | host names |
//! | `route`, `address`, `ports` | where packets go, and who may have which address |
//! | `flow`, `flows`, `time_wait` | TCP |
//! | `datagrams` | UDP |
//! | `table`, `timers`, `buffers`, `random`, `shared` | names, time, memory, chance |

mod address;
mod ask;
mod buffers;
mod classify;
mod datagrams;
mod dhcp;
mod early;
mod flow;
mod flows;
mod icmp;
mod learn;
mod neighbours;
mod netif;
mod port;
mod ports;
mod random;
mod reassembly;
mod resolve;
mod route;
mod setup;
mod shared;
mod slaac;
mod snapshot;
mod sums;
mod table;
mod time_wait;
mod timers;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::sync::atomic::{AtomicU32, Ordering};

use self::classify::{Frame, Packet, Ports};
use self::datagrams::Udp;
use self::flows::Tcp;
use self::icmp::{Refusal, What};
use self::learn::Optioned;
use self::neighbours::Waiter;
use self::netif::Netif;
use self::ports::Sharing;
use self::random::Random;
use self::reassembly::Reassembly;
use self::resolve::Resolver;
use self::shared::Shared;
use self::table::Kind;
use self::timers::{Timer, Timers};
use crate::Nanos;
use crate::config::InterfaceConfig;
use crate::error::Error;
use crate::nic::Nic;
use crate::request::{Reply, Request, StackCounters};
use crate::socket::{Batching, Farewell, SocketId, Wait, Way};

/// Frames that one step takes in.
const FRAMES: usize = 256;
/// Frames of one interface that are taken in before what they have touched is looked at.
const BATCH: usize = 32;
/// Sockets that one step looks at.
const TURNS: usize = 512;
/// Sockets that get their turn when there is room in a card again: more would mostly find
/// that it is full, and wait again.
const STALLED: usize = 32;
/// How long to wait for room in a card.
const ROOM: Nanos = 200_000;

/// All of a node's network; see the crate.
pub struct Stack<W> {
    configured: Arc<Configured<W>>,
    batching: Arc<Batching>,
    shared: Shared,
    tcp: Tcp<W>,
    udp: Udp<W>,
    resolver: Resolver<W>,
    reassembly: Reassembly,
    /// Who waits for the end of all that is under way.
    farewell: Option<Arc<Farewell<W>>>,
}

/// What [`Stack::step`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// When to step again at the latest; `None`: only when something happens.
    pub deadline: Option<Nanos>,
    /// There is more to do now: its share of the CPU is used up. Step again soon.
    pub more: bool,
}

/// Whether the interfaces have their addresses.
#[derive(Default)]
pub struct Configured<W> {
    /// Interfaces that still wait for one.
    waiting: AtomicU32,
    /// Who waits for that.
    pub waiters: W,
}

impl<W: Wait> Configured<W> {
    /// Whether no interface waits for its first address.
    pub fn is_done(&self) -> bool {
        self.waiting.load(Ordering::Acquire) == 0
    }
}

impl<W: Wait> Stack<W> {
    /// A stack with a loopback interface. `seed` is random: initial sequence numbers,
    /// ports and transaction ids come from it. `memory` is how many bytes the buffers of all
    /// connections may take together.
    ///
    /// # Panics
    /// When there is no memory for the loopback interface.
    pub fn new(seed: u64, memory: usize, now: Nanos) -> Self {
        let mut random = Random::new(seed);
        let loopback = Netif::loopback(random.next(), now).expect("memory for loopback");
        let tcp = Tcp::new(random.next());
        Self {
            configured: Arc::default(),
            batching: Arc::default(),
            shared: Shared {
                netifs: alloc::vec![loopback],
                timers: Timers::default(),
                dirty: VecDeque::new(),
                budget: buffers::Budget::new(memory),
                counters: StackCounters::default(),
                random,
                unconfigured: 0,
                now,
            },
            tcp,
            udp: Udp::new(),
            resolver: Resolver::new(),
            reassembly: Reassembly::default(),
            farewell: None,
        }
    }

    /// Adds a card, and begins to set it up.
    pub fn add(&mut self, nic: Box<dyn Nic>, config: InterfaceConfig, now: Nanos) {
        self.shared.now = now;
        let index = self.shared.netifs.len();
        let seed = self.shared.random.next();
        let Some(mut netif) = Netif::card(index, nic, config, seed, now) else {
            log::error!("net{}: no memory for the interface", index - 1);
            return;
        };
        netif.set_up(now);
        let timer = Timer::Netif(index);
        self.shared.timers.set(&mut netif.timer, Some(now), timer);
        self.shared.netifs.push(netif);
        self.count_unconfigured();
    }

    /// For waiting until interfaces have their addresses.
    pub fn configured(&self) -> Arc<Configured<W>> {
        self.configured.clone()
    }

    /// For datagrams that wait for others.
    pub fn batching(&self) -> Arc<Batching> {
        self.batching.clone()
    }

    /// Answers a request. What it has to send goes out with the next [`Self::step`].
    pub fn request(&mut self, request: Request<W>, now: Nanos) -> Reply<W> {
        self.shared.now = now;
        self.answer(request).unwrap_or_else(Reply::Failed)
    }

    fn answer(&mut self, request: Request<W>) -> Result<Reply<W>, Error> {
        let shared = &mut self.shared;
        Ok(match request {
            Request::Bind {
                local,
                reuse,
                only_v6,
            } => {
                let sharing = Sharing::of_streams(reuse);
                Reply::Bound(self.tcp.bind(shared, local, only_v6, sharing)?)
            }
            Request::Unbind(binding) => {
                self.tcp.unbind(&binding);
                Reply::Done
            }
            Request::Listen {
                binding,
                backlog,
                options,
            } => Reply::Listening(self.tcp.listen(&binding, backlog, options)?),
            Request::Connect {
                binding,
                remote,
                options,
            } => Reply::Stream(
                self.tcp
                    .connect(shared, binding.as_ref(), remote, options)?,
            ),
            Request::SetStreamOptions(id, options) => {
                self.tcp.set_options(shared, id, options)?;
                Reply::Done
            }
            Request::BindDatagrams {
                local,
                reuse,
                only_v6,
            } => {
                let sharing = Sharing::of_datagrams(reuse);
                Reply::Datagrams(self.udp.bind(shared, local, only_v6, sharing)?)
            }
            Request::ConnectDatagrams(id, peer) => {
                Reply::Local(self.udp.connect(shared, id, peer)?)
            }
            Request::CheckDatagrams(id, peer) => {
                self.udp.check(shared, id, peer)?;
                Reply::Done
            }
            Request::SetDatagramOptions(id, options) => {
                self.udp.set_options(id, options)?;
                Reply::Done
            }
            Request::Multicast {
                group,
                interface,
                join,
            } => {
                self.change_groups(group, interface, join)?;
                Reply::Done
            }
            Request::Attend(id) => {
                self.attend(id);
                Reply::Done
            }
            Request::Close { socket, linger } => {
                match table::kind(socket) {
                    Kind::Flow | Kind::Listener => self.tcp.close(shared, socket, linger),
                    Kind::Datagrams => self.udp.close(shared, socket),
                    Kind::Binding => {}
                }
                Reply::Done
            }
            Request::Snapshot => Reply::Snapshot(snapshot::take(shared, &self.tcp, &self.udp)),
            Request::Finish(farewell) => {
                self.tcp.close_all(shared);
                self.udp.close_all(shared);
                self.farewell = Some(farewell);
                Reply::Done
            }
            Request::Resolve {
                name,
                family,
                lookup,
            } => {
                self.resolver.resolve(shared, &name, family, lookup);
                Reply::Done
            }
        })
    }

    fn change_groups(&mut self, group: IpAddr, interface: IpAddr, join: bool) -> Result<(), Error> {
        let shared = &mut self.shared;
        if !group.is_multicast() {
            return Err(Error::Invalid);
        }
        let chosen = |netif: &Netif| interface.is_unspecified() || netif.has(interface);
        let netifs = shared.netifs.iter().filter(|netif| chosen(netif));
        let indices: Vec<_> = netifs.map(|netif| netif.index).collect();
        if indices.is_empty() {
            return Err(Error::AddressNotAvailable);
        }
        for index in indices {
            if join {
                self.udp.join(shared, index, group)?;
            } else {
                self.udp.leave(shared, index, group)?;
            }
            let timer = &mut shared.netifs[index].timer;
            shared
                .timers
                .set(timer, Some(shared.now), Timer::Netif(index));
        }
        Ok(())
    }

    /// Does what there is to do, for a bounded time: frames in, timers, frames out.
    pub fn step(&mut self, now: Nanos) -> Step {
        self.shared.now = now;
        self.shared.counters.steps += 1;
        self.fire_timers();
        self.make_way();
        let mut frames = FRAMES;
        let mut turns = TURNS;
        while frames > 0 && turns > 0 {
            let received = self.receive(&mut frames);
            let served = self.serve(&mut turns);
            let asked = self.ask_neighbours();
            if !received && !served && !asked {
                break;
            }
        }
        let mut more = frames == 0 || turns == 0;
        let mut busy = 0;
        for netif in &mut self.shared.netifs {
            netif.kick();
            if netif.is_busy() {
                busy |= Way::of(netif.index).bit();
            }
        }
        more |= self.batching.set_busy(busy);
        for index in 0..self.shared.netifs.len() {
            more |= self.finish(index, more);
        }
        let is_over = |_: &mut _| self.tcp.is_done() && self.udp.is_done();
        if let Some(farewell) = self.farewell.take_if(is_over) {
            farewell.set_over();
        }
        self.tcp.set_timer(&mut self.shared);
        let pieces = self.reassembly.deadline();
        let timer = &mut self.reassembly.timer;
        self.shared.timers.set(timer, pieces, Timer::Reassembly);
        Step {
            deadline: self.shared.timers.first(),
            more,
        }
    }

    fn fire_timers(&mut self) {
        let now = self.shared.now;
        while let Some(timer) = self.shared.timers.pop(now) {
            let shared = &mut self.shared;
            match timer {
                Timer::Socket(id) if table::kind(id) == Kind::Datagrams => {
                    self.udp.timer_fired(id);
                }
                Timer::Socket(id) => self.tcp.timer_fired(shared, id),
                Timer::Netif(index) => {
                    shared.netifs[index].timer = None;
                    self.serve_netif(index);
                }
                Timer::Neighbours(index) => shared.netifs[index].neighbours.timer = None,
                Timer::Card(index) => shared.netifs[index].card_timer = None,
                Timer::Lookup(id) => self.resolver.timer_fired(shared, id),
                Timer::TimeWait => self.tcp.expire(now),
                Timer::Reassembly => {
                    self.reassembly.timer = None;
                    self.reassembly.expire(now);
                }
            }
        }
    }

    /// Does what an interface does by itself.
    fn serve_netif(&mut self, index: usize) {
        let shared = &mut self.shared;
        let netif = &mut shared.netifs[index];
        let changed = netif.maintain(shared.now);
        let deadline = netif.maintenance(shared.now);
        shared
            .timers
            .set(&mut netif.timer, deadline, Timer::Netif(index));
        if changed {
            self.count_unconfigured();
            self.tcp.readdressed(&mut self.shared);
            self.udp.configured(&mut self.shared);
            self.resolver.configured(&mut self.shared);
        }
    }

    /// Counts the interfaces that wait for their first address, and tells those who wait for
    /// that.
    fn count_unconfigured(&mut self) {
        let waiting = self.shared.netifs.iter().filter(|netif| netif.is_waiting());
        let count = waiting.count() as u32;
        self.shared.unconfigured = count;
        let before = self.configured.waiting.swap(count, Ordering::AcqRel);
        if count < before {
            self.configured.waiters.wake();
        }
    }

    /// Lets those send who waited for room, if there is room.
    fn make_way(&mut self) {
        for index in 0..self.shared.netifs.len() {
            let now = self.shared.now;
            let netif = &mut self.shared.netifs[index];
            if netif.stalled.is_empty() && !netif.notes.fragmenting {
                continue;
            }
            if !netif.finish_pieces(now) || !netif.has_room() {
                continue;
            }
            // Loopback has no timer that would come to the others.
            let turns = if netif.is_loopback() {
                usize::MAX
            } else {
                STALLED
            };
            let next = netif.stalled.len().min(turns);
            let next: Vec<SocketId> = netif.stalled.drain(..next).collect();
            for id in next {
                self.has_room(id);
            }
        }
    }

    fn has_room(&mut self, id: SocketId) {
        match table::kind(id) {
            Kind::Flow => self.tcp.has_room(&mut self.shared, id),
            _ => self.attend(id),
        }
    }

    fn attend(&mut self, id: SocketId) {
        match table::kind(id) {
            Kind::Flow => self.tcp.attend(&mut self.shared, id),
            Kind::Datagrams => self.udp.attend(&mut self.shared, id),
            Kind::Listener | Kind::Binding => {}
        }
    }

    /// Takes frames in. False: there were none.
    fn receive(&mut self, frames: &mut usize) -> bool {
        let before = *frames;
        for index in 0..self.shared.netifs.len() {
            let batch = BATCH.min(*frames);
            let taken = (0..batch).take_while(|_| self.receive_one(index)).count();
            *frames -= taken;
        }
        self.make_way();
        *frames < before
    }

    /// Takes one frame in. False: there was none.
    fn receive_one(&mut self, index: usize) -> bool {
        let shared = &mut self.shared;
        let netif = &mut shared.netifs[index];
        let Some(frame) = netif.peek(&mut shared.counters) else {
            return false;
        };
        netif.poll_card();
        match frame {
            Frame::Tcp(packet, segment) => self.tcp.ingress(shared, index, &packet, &segment),
            Frame::Udp(packet, ports) => self.datagram(index, &packet, &ports),
            Frame::Arp => {
                let told = netif.first().and_then(learn::from_arp);
                netif.ingress(None, shared.now);
                if let Some((sender, target)) = told
                    && netif.has(target)
                {
                    self.learn(index, sender);
                }
            }
            Frame::Icmp(packet) => self.message(index, &packet),
            Frame::OtherIp => netif.ingress(None, shared.now),
            Frame::Igmp(packet) => {
                let frame = netif.first().unwrap_or_default();
                let asked = learn::is_group_query(frame, &packet);
                self.group_message(index, asked);
            }
            Frame::HopByHop(packet) => {
                let frame = netif.first().unwrap_or_default();
                match learn::after_options(frame, &packet) {
                    Optioned::GroupQuery => self.group_message(index, true),
                    Optioned::Message => self.group_message(index, false),
                    // smoltcp would refuse what is a socket's.
                    Optioned::Other => netif.release(),
                }
            }
            Frame::Fragment(packet) => {
                let frame = netif.first().unwrap_or_default();
                let whole = self.reassembly.add(index, frame, &packet, shared.now);
                netif.release();
                netif.whole = whole;
            }
            Frame::Foreign => netif.release(),
            Frame::Malformed => {
                shared.counters.malformed += 1;
                netif.release();
            }
        }
        true
    }

    /// Gives the interface's first frame, a UDP datagram, to whom it is for.
    fn datagram(&mut self, index: usize, packet: &Packet, ports: &Ports) {
        let shared = &mut self.shared;
        let netif = &mut shared.netifs[index];
        // smoltcp panics when it has to renew with a server that has no address.
        if ports.destination == dhcp::PORT && packet.source.is_unspecified() {
            netif.release();
            return;
        }
        if ports.destination == dhcp::PORT
            && let Some(mut dhcp) = netif.dhcp.take()
        {
            netif.ingress(Some(&mut dhcp.sockets), shared.now);
            netif.dhcp = Some(dhcp);
            self.serve_netif(index);
            return;
        }
        let answer = ports.source == resolve::PORT;
        if answer && self.resolver.ingress(shared, index, packet, ports) {
            return;
        }
        if !self.udp.ingress(shared, index, packet, ports) {
            shared.netifs[index].ingress(None, shared.now);
        }
    }

    /// Gives smoltcp a message about groups.
    fn group_message(&mut self, index: usize, is_query: bool) {
        let now = self.shared.now;
        let netif = &mut self.shared.netifs[index];
        netif.ingress(None, now);
        if is_query {
            netif.expect_reports(now);
            self.serve_netif(index);
        }
    }

    /// Looks at the interface's first frame, an ICMP or ICMPv6 message, and leaves the rest to
    /// smoltcp.
    fn message(&mut self, index: usize, packet: &Packet) {
        let shared = &mut self.shared;
        let now = shared.now;
        let netif = &mut shared.netifs[index];
        let frame = netif.first().unwrap_or_default();
        let told = learn::from_ndp(frame, packet);
        let refusal = icmp::refusal(frame, packet);
        let heard = match netif.slaac.take() {
            Some(mut slaac) => {
                let frame = netif.first().unwrap_or_default();
                let heard = slaac.hear(frame, packet, now);
                netif.slaac = Some(slaac);
                heard
            }
            None => false,
        };
        netif.ingress(None, now);
        if let Some(sender) = told {
            self.learn(index, sender);
        }
        if heard {
            self.serve_netif(index);
        }
        if let Some(refusal) = refusal {
            self.refuse(index, &refusal);
        }
    }

    /// Something that this node has sent did not arrive.
    fn refuse(&mut self, index: usize, refusal: &Refusal) {
        let Refusal {
            local,
            remote,
            error,
            ..
        } = *refusal;
        match refusal.what {
            What::Segment(sequence) => {
                self.tcp.refused(&mut self.shared, index, refusal, sequence);
            }
            What::Datagram => self.udp.refused(local, remote, error),
        }
    }

    /// A neighbour's hardware address is known: those who waited for it may send.
    fn learn(&mut self, index: usize, ip: IpAddr) {
        for waiter in self.shared.netifs[index].neighbours.learn(ip) {
            match waiter {
                Waiter::Socket(id) => self.attend(id),
                Waiter::Lookup(id) => self.resolver.service(&mut self.shared, id),
            }
        }
    }

    /// Looks at sockets that have been touched. False: there were none.
    fn serve(&mut self, turns: &mut usize) -> bool {
        let before = *turns;
        // Those that are touched meanwhile are for the next time.
        let touched = self.shared.dirty.len().min(*turns);
        for _ in 0..touched {
            let Some(id) = self.shared.dirty.pop_front() else {
                break;
            };
            *turns -= 1;
            match table::kind(id) {
                Kind::Flow => self.tcp.service(&mut self.shared, id),
                Kind::Datagrams => self.udp.service(&mut self.shared, id),
                Kind::Listener | Kind::Binding => {}
            }
        }
        *turns < before
    }

    /// Asks for hardware addresses, and gives up those that do not answer. False: there was
    /// nothing to do.
    fn ask_neighbours(&mut self) -> bool {
        let mut busy = false;
        for index in 0..self.shared.netifs.len() {
            let shared = &mut self.shared;
            let netif = &mut shared.netifs[index];
            let due = netif.neighbours.due(shared.now);
            busy |= !due.ask.is_empty() || !due.failed.is_empty();
            for ip in due.ask {
                netif.ask(ip);
            }
            for (waiter, ip) in due.failed {
                let shared = &mut self.shared;
                match waiter {
                    Waiter::Socket(id) if table::kind(id) == Kind::Flow => {
                        self.tcp.neighbour_failed(shared, id);
                    }
                    Waiter::Socket(id) => self.udp.neighbour_failed(shared, id),
                    Waiter::Lookup(id) => self.resolver.neighbour_failed(shared, id, ip),
                }
            }
        }
        busy
    }

    /// Ends a step for one interface. True: there is more to do.
    fn finish(&mut self, index: usize, more: bool) -> bool {
        let shared = &mut self.shared;
        let netif = &mut shared.netifs[index];
        shared.counters.no_room += core::mem::take(&mut netif.notes.dropped);
        let asking = netif.neighbours.deadline();
        let timer = Timer::Neighbours(index);
        shared
            .timers
            .set(&mut netif.neighbours.timer, asking, timer);
        let room = (netif.is_crowded() && !netif.is_loopback()).then_some(shared.now + ROOM);
        shared
            .timers
            .set(&mut netif.card_timer, room, Timer::Card(index));
        !more && !netif.rest_card()
    }
}
