//! TCP: who gets which segment, and what programs may do with connections and listeners.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use foldhash::fast::FixedState;
use ringbuf::HeapRb;
use ringbuf::traits::Split;
use smoltcp::socket::tcp;
use smoltcp::wire::{IpEndpoint, IpListenEndpoint};

use super::address::{self, Place};
use super::buffers::Share;
use super::classify::{Packet, Segment};
use super::flow::{Beginning, Ends, Flow, Key, Outcome, Stage};
use super::icmp::Refusal;
use super::ports::{Ports, Sharing, Use};
use super::random::Map;
use super::route::Route;
use super::shared::Shared;
use super::table::{Kind, Table};
use super::time_wait::TimeWait;
use super::timers::Timer;
use crate::Nanos;
use crate::error::Error;
use crate::request::{Binding, StreamOptions};
use crate::socket::{Listener, ListenerState, Phase, SocketId, Stream, StreamState, Wait};

/// Connections that may wait to be accepted, at most.
const BACKLOG: usize = 4096;

/// All of TCP.
pub(super) struct Tcp<W> {
    pub flows: Table<Box<Flow<W>>>,
    by_key: Map<Key, SocketId>,
    pub listeners: Table<Listening<W>>,
    bindings: Table<Place>,
    ports: Ports,
    pub time_wait: TimeWait,
}

/// A listener.
pub(super) struct Listening<W> {
    pub state: Arc<ListenerState<W>>,
    pub place: Place,
    options: StreamOptions,
    backlog: usize,
    /// Its connections that are not established yet.
    opening: usize,
}

impl<W: Wait> Tcp<W> {
    pub fn new(seed: u64) -> Self {
        Self {
            flows: Table::new(Kind::Flow),
            by_key: Map::with_hasher(FixedState::with_seed(seed)),
            listeners: Table::new(Kind::Listener),
            bindings: Table::new(Kind::Binding),
            ports: Ports::default(),
            time_wait: TimeWait::new(seed),
        }
    }

    /// Reserves a port.
    pub fn bind(
        &mut self,
        shared: &mut Shared,
        local: SocketAddr,
        only_v6: bool,
        sharing: Sharing,
    ) -> Result<Binding, Error> {
        let mut place = Place::new(local, only_v6);
        if place.specific().is_some_and(|ip| !shared.is_own(ip)) {
            return Err(Error::AddressNotAvailable);
        }
        let id = self
            .bindings
            .insert(|_| Some(place))
            .ok_or(Error::NoMemory)?;
        if let Err(error) = self.ports.bind(id, &mut place, sharing, &mut shared.random) {
            self.bindings.remove(id);
            return Err(error);
        }
        if let Some(kept) = self.bindings.get_mut(id) {
            *kept = place;
        }
        Ok(Binding {
            id,
            local: place.shown,
        })
    }

    /// Gives a reserved port up.
    pub fn unbind(&mut self, binding: &Binding) -> Option<Place> {
        let place = self.bindings.remove(binding.id)?;
        self.ports.unbind(binding.id, place.port());
        Some(place)
    }

    /// Listens on a reserved port.
    pub fn listen(
        &mut self,
        binding: &Binding,
        backlog: usize,
        options: StreamOptions,
    ) -> Result<Listener<W>, Error> {
        let place = self.bindings.remove(binding.id).ok_or(Error::Invalid)?;
        let backlog = backlog.clamp(1, BACKLOG);
        let made = self.listeners.insert(|id| {
            Some(Listening {
                state: Arc::new(ListenerState::new(id, place.shown, backlog)),
                place,
                options,
                backlog,
                opening: 0,
            })
        });
        let listening = made.and_then(|id| self.listeners.get(id));
        let Some(listening) = listening else {
            self.ports.unbind(binding.id, place.port());
            return Err(Error::NoMemory);
        };
        let state = listening.state.clone();
        self.ports.rename(binding.id, state.id, place.port());
        Ok(Listener { state })
    }

    /// Begins a connection.
    pub fn connect(
        &mut self,
        shared: &mut Shared,
        binding: Option<&Binding>,
        remote: SocketAddr,
        options: StreamOptions,
    ) -> Result<Stream<W>, Error> {
        let place = match binding {
            Some(binding) => Some(self.unbind(binding).ok_or(Error::Invalid)?),
            None => None,
        };
        let shown = place.unwrap_or(Place::new(
            SocketAddr::new(address::unspecified_like(remote.ip()), 0),
            false,
        ));
        let target = address::destination(remote);
        if target.port() == 0 {
            return Err(Error::ConnectionRefused);
        }
        if !shown.speaks(target.ip()) && !shown.covers(target.ip()) {
            return Err(Error::Invalid);
        }
        let route = shared.route(target, shown.specific())?;
        if route.neighbour.is_none() && route.netif != 0 {
            // A group or a broadcast address.
            return Err(Error::NetworkUnreachable);
        }
        let port = self.port_for(shared, place, &route, target)?;
        let local = SocketAddr::new(route.source, port);
        let stream = self.begin(shared, local, target, shown, &route, options)?;
        shared.counters.connects += 1;
        Ok(stream)
    }

    fn port_for(
        &self,
        shared: &mut Shared,
        place: Option<Place>,
        route: &Route,
        remote: SocketAddr,
    ) -> Result<u16, Error> {
        let is_free = |port: u16| {
            let local = SocketAddr::new(route.source, port);
            local != remote
                && !self
                    .by_key
                    .contains_key(&Key::new(route.netif, local, remote))
        };
        match place {
            Some(place) if is_free(place.port()) => Ok(place.port()),
            Some(_) => Err(Error::AddressInUse),
            None => self
                .ports
                .for_connection(&mut shared.random, is_free)
                .ok_or(Error::NoPorts),
        }
    }

    fn begin(
        &mut self,
        shared: &mut Shared,
        local: SocketAddr,
        remote: SocketAddr,
        shown: Place,
        route: &Route,
        options: StreamOptions,
    ) -> Result<Stream<W>, Error> {
        let (share, mut socket) = shared.budget.take(&options).ok_or(Error::NoMemory)?;
        let context = shared.netifs[route.netif].interface.context();
        let from = IpListenEndpoint::from(IpEndpoint::from(local));
        let begun = socket.connect(context, IpEndpoint::from(remote), from);
        let rings = Rings::new(&share);
        let (Ok(()), Some(rings)) = (begun, rings) else {
            shared.budget.give(&share, socket);
            return Err(Error::NoMemory);
        };
        let mut stream = None;
        let id = self.insert(shared, (share, socket), |id, share| {
            let (ends, program) = rings.split(StreamState::new(
                id,
                shown.show(local),
                shown.show(remote),
                Phase::Connecting,
            ));
            stream = Some(program);
            Beginning {
                netif: route.netif,
                local,
                remote,
                uses: Use::Connected,
                neighbour: route.neighbour,
                options,
                share,
                stage: Stage::Open(ends),
            }
        });
        let id = id.ok_or(Error::NoMemory)?;
        self.attend(shared, id);
        stream.ok_or(Error::NoMemory)
    }

    /// Puts a connection into the tables. `None`: there is no memory.
    fn insert(
        &mut self,
        shared: &mut Shared,
        buffers: (Share, tcp::Socket<'static>),
        begin: impl FnOnce(SocketId, Share) -> Beginning<W>,
    ) -> Option<SocketId> {
        let now = shared.now;
        let mut buffers = Some(buffers);
        let room = self.by_key.try_reserve(1).is_ok();
        let id = if room {
            self.flows.insert(|id| {
                let (share, socket) = buffers.take()?;
                Some(Box::new(Flow::new(id, begin(id, share), socket, now)))
            })
        } else {
            None
        };
        if let Some((share, socket)) = buffers {
            shared.budget.give(&share, socket);
        }
        let flow = self.flows.get(id?)?;
        self.by_key.insert(flow.key(), flow.id);
        self.ports.add(flow.local.port(), flow.uses);
        id
    }

    /// A segment has come, and is the interface's first frame.
    pub fn ingress(
        &mut self,
        shared: &mut Shared,
        netif: usize,
        packet: &Packet,
        segment: &Segment,
    ) {
        let ports = segment.ports;
        let local = SocketAddr::new(packet.destination, ports.destination);
        let remote = SocketAddr::new(packet.source, ports.source);
        let key = Key::new(netif, local, remote);
        if let Some(&id) = self.by_key.get(&key)
            && let Some(flow) = self.flows.get_mut(id)
        {
            flow.ingress(shared, segment);
            return;
        }
        if self.time_wait.get(&key).is_some() {
            if !segment.flags.is_opening() {
                let netif = &mut shared.netifs[netif];
                self.time_wait.ingress(&key, segment, netif, shared.now);
                return;
            }
            // A new connection comes in its place.
            self.forget(&key);
        }
        let listener = if segment.flags.is_opening() {
            self.listener(local)
        } else {
            None
        };
        match listener {
            Some(listener) => self.open(shared, netif, listener, (local, remote), segment),
            None => shared.netifs[netif].ingress(None, shared.now),
        }
    }

    /// Somebody says that a segment did not arrive.
    pub fn refused(&mut self, shared: &mut Shared, netif: usize, refusal: &Refusal, sequence: u32) {
        let key = Key::new(netif, refusal.local, refusal.remote);
        let flow = self.by_key.get(&key).and_then(|id| self.flows.get_mut(*id));
        if let Some(flow) = flow {
            flow.refused(sequence, refusal.error, shared);
        }
    }

    /// The listener for new connections to `local`.
    fn listener(&self, local: SocketAddr) -> Option<SocketId> {
        let bound = self.ports.bound(local.port());
        let mut fitting = bound.filter(|(id, place)| {
            super::table::kind(*id) == Kind::Listener && place.covers(local.ip())
        });
        let first = fitting.next()?;
        let specific = |(_, place): &(SocketId, &Place)| place.specific().is_some();
        if specific(&first) {
            return Some(first.0);
        }
        // Another one may be for this very address, or for this family only.
        let better = fitting.find(specific);
        Some(better.unwrap_or(first).0)
    }

    /// Begins a connection for a listener with the SYN that is the interface's first frame.
    fn open(
        &mut self,
        shared: &mut Shared,
        netif: usize,
        listener: SocketId,
        ends: (SocketAddr, SocketAddr),
        segment: &Segment,
    ) {
        if self
            .try_open(shared, netif, listener, ends, segment)
            .is_none()
        {
            shared.counters.refused_for_room += 1;
            shared.netifs[netif].release();
        }
    }

    fn try_open(
        &mut self,
        shared: &mut Shared,
        netif: usize,
        listener: SocketId,
        (local, remote): (SocketAddr, SocketAddr),
        segment: &Segment,
    ) -> Option<()> {
        let listening = self.listeners.get(listener)?;
        if listening.opening + listening.state.accepted.len() >= listening.backlog {
            return None;
        }
        let options = listening.options;
        // A peer without a way back gets no answer.
        let route = shared.route(remote, None).ok()?;
        let (share, mut socket) = shared.budget.take(&options)?;
        if socket.listen(IpEndpoint::from(local)).is_err() {
            shared.budget.give(&share, socket);
            return None;
        }
        let id = self.insert(shared, (share, socket), |_, share| Beginning {
            netif,
            local,
            remote,
            uses: Use::Accepted,
            neighbour: (netif == route.netif).then_some(route.neighbour).flatten(),
            options,
            share,
            stage: Stage::Opening(listener),
        })?;
        let flow = self.flows.get_mut(id)?;
        flow.ingress(shared, segment);
        self.listeners.get_mut(listener)?.opening += 1;
        Some(())
    }

    /// Looks at a connection.
    pub fn service(&mut self, shared: &mut Shared, id: SocketId) {
        let Some(flow) = self.flows.get_mut(id) else {
            return;
        };
        match flow.service(shared) {
            Outcome::Stays => self.note_time_wait(shared, id),
            Outcome::Established => self.accept(shared, id),
            Outcome::Ended => self.remove(shared, id),
        }
    }

    /// A connection in TIME-WAIT needs its port, but no memory.
    fn note_time_wait(&mut self, shared: &mut Shared, id: SocketId) {
        let Some(flow) = self.flows.get(id) else {
            return;
        };
        let key = flow.key();
        let Some(past) = flow.past() else {
            return;
        };
        self.remove(shared, id);
        self.ports.add(past.local.port(), Use::TimeWait);
        if let Some(gone) = self.time_wait.keep(key, past, shared.now) {
            self.ports.remove(gone.local.port(), Use::TimeWait);
        }
    }

    fn forget(&mut self, key: &Key) {
        if let Some(gone) = self.time_wait.remove(key) {
            self.ports.remove(gone.local.port(), Use::TimeWait);
        }
    }

    /// Forgets connections that have been in TIME-WAIT for long enough.
    pub fn expire(&mut self, now: Nanos) {
        self.time_wait.timer = None;
        while let Some(gone) = self.time_wait.expire(now) {
            self.ports.remove(gone.local.port(), Use::TimeWait);
        }
    }

    /// Tells the timers when the next connection leaves TIME-WAIT.
    pub fn set_timer(&mut self, shared: &mut Shared) {
        let deadline = self.time_wait.deadline();
        let slot = &mut self.time_wait.timer;
        shared.timers.set(slot, deadline, Timer::TimeWait);
    }

    /// A listener's connection is established: it waits to be accepted.
    fn accept(&mut self, shared: &mut Shared, id: SocketId) {
        let accepted = self.try_accept(id);
        let Some(flow) = self.flows.get_mut(id) else {
            return;
        };
        if accepted.is_some() {
            shared.counters.accepts += 1;
        } else {
            shared.counters.refused_for_room += 1;
            flow.abort(None);
        }
        flow.make_dirty(shared);
    }

    fn try_accept(&mut self, id: SocketId) -> Option<()> {
        let flow = self.flows.get_mut(id)?;
        let Stage::Opening(listener) = flow.stage else {
            return None;
        };
        let listening = self.listeners.get_mut(listener)?;
        let rings = Rings::new(&flow.share)?;
        let (ends, program) = rings.split(StreamState::new(
            id,
            listening.place.show(flow.local),
            listening.place.show(flow.remote),
            Phase::Connected,
        ));
        listening.opening -= 1;
        flow.stage = Stage::Open(ends);
        listening.state.accepted.push(program).ok()?;
        listening.state.waiters.wake();
        Some(())
    }

    /// The program's side has changed something.
    pub fn attend(&mut self, shared: &mut Shared, id: SocketId) {
        if let Some(flow) = self.flows.get_mut(id) {
            flow.make_dirty(shared);
        }
    }

    /// There is room in the card that it has waited for.
    pub fn has_room(&mut self, shared: &mut Shared, id: SocketId) {
        if let Some(flow) = self.flows.get_mut(id) {
            flow.has_room(shared);
        }
    }

    /// Changes a connection's options.
    pub fn set_options(
        &mut self,
        shared: &mut Shared,
        id: SocketId,
        options: StreamOptions,
    ) -> Result<(), Error> {
        let flow = self.flows.get_mut(id).ok_or(Error::NotConnected)?;
        flow.set_options(options);
        flow.make_dirty(shared);
        Ok(())
    }

    /// The program has no use for a connection or a listener any more.
    pub fn close(&mut self, shared: &mut Shared, id: SocketId, linger: Option<Duration>) {
        if let Some(flow) = self.flows.get_mut(id) {
            flow.orphan(linger, shared.now);
            flow.make_dirty(shared);
        } else if let Some(listening) = self.listeners.remove(id) {
            self.ports.unbind(id, listening.place.port());
            self.abandon(shared, id, &listening);
        }
    }

    /// The program ends: closes all connections and listeners.
    pub fn close_all(&mut self, shared: &mut Shared) {
        let flows = self.flows.iter().map(|(id, _)| id);
        let listeners = self.listeners.iter().map(|(id, _)| id);
        let all: Vec<_> = listeners.chain(flows).collect();
        for id in all {
            self.close(shared, id, None);
        }
    }

    /// Whether no connection is left, but for those in TIME-WAIT.
    pub fn is_done(&self) -> bool {
        self.flows.iter().next().is_none()
    }

    /// Breaks off what a listener has not given away.
    fn abandon(&mut self, shared: &mut Shared, listener: SocketId, listening: &Listening<W>) {
        while let Some(stream) = listening.state.accepted.pop() {
            self.close(shared, stream.state.id, Some(Duration::ZERO));
        }
        let opening = |flow: &Flow<W>| matches!(flow.stage, Stage::Opening(id) if id == listener);
        let ids: Vec<_> = self
            .flows
            .iter()
            .filter(|(_, flow)| opening(flow))
            .map(|(id, _)| id)
            .collect();
        for id in ids {
            if let Some(flow) = self.flows.get_mut(id) {
                flow.abort(None);
                flow.make_dirty(shared);
            }
        }
    }

    /// An interface's addresses have changed: connections from addresses that are gone end.
    pub fn readdressed(&mut self, shared: &mut Shared) {
        for (_, flow) in self.flows.iter_mut() {
            if flow.is_astray(shared) {
                flow.make_dirty(shared);
            }
        }
    }

    /// The neighbour that a connection's segments are handed to has not answered.
    pub fn neighbour_failed(&mut self, shared: &mut Shared, id: SocketId) {
        if let Some(flow) = self.flows.get_mut(id) {
            flow.neighbour_failed(shared);
        }
    }

    /// A connection's deadline has come.
    pub fn timer_fired(&mut self, shared: &mut Shared, id: SocketId) {
        if let Some(flow) = self.flows.get_mut(id) {
            flow.timer = None;
            flow.make_dirty(shared);
        }
    }

    fn remove(&mut self, shared: &mut Shared, id: SocketId) {
        let Some(mut flow) = self.flows.remove(id) else {
            return;
        };
        let key = flow.key();
        if self.by_key.get(&key) == Some(&id) {
            self.by_key.remove(&key);
        }
        self.ports.remove(flow.local.port(), flow.uses);
        shared.timers.set(&mut flow.timer, None, Timer::Socket(id));
        let share = core::mem::take(&mut flow.share);
        if let Some(socket) = flow.take_socket() {
            shared.budget.give(&share, socket);
        }
        match &flow.stage {
            Stage::Opening(listener) => {
                if let Some(listening) = self.listeners.get_mut(*listener) {
                    listening.opening -= 1;
                }
            }
            Stage::Open(ends) if ends.state.phase() != Phase::Over => {
                ends.state.set_over(flow.cause);
            }
            _ => {}
        }
        if matches!(flow.cause, Some(Error::ConnectionReset | Error::TimedOut)) {
            shared.counters.broken += 1;
        }
    }
}

/// The rings between a connection and its program.
struct Rings {
    received: HeapRb<u8>,
    to_send: HeapRb<u8>,
}

impl Rings {
    /// `None`: there is no memory.
    fn new(share: &Share) -> Option<Self> {
        Some(Self {
            received: HeapRb::try_new(share.received_ring).ok()?,
            to_send: HeapRb::try_new(share.to_send_ring).ok()?,
        })
    }

    fn split<W: Wait>(self, state: StreamState<W>) -> (Ends<W>, Stream<W>) {
        let state = Arc::new(state);
        let (produces, consumes) = self.received.split();
        let (program_produces, takes) = self.to_send.split();
        let ends = Ends {
            state: state.clone(),
            received: produces,
            to_send: takes,
        };
        let program = Stream {
            state,
            received: consumes,
            to_send: program_produces,
        };
        (ends, program)
    }
}
