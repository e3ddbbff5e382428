//! UDP: who gets which datagram, and the way of those that programs send.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use smoltcp::socket::udp::UdpMetadata;
use smoltcp::wire::{IpEndpoint, IpListenEndpoint};

use super::address::{self, Place};
use super::classify::{Packet, Ports as PacketPorts};
use super::neighbours::Waiter;
use super::netif::{DATAGRAM, Netif};
use super::ports::{Ports, Sharing};
use super::random::Map;
use super::route::{self, Route};
use super::shared::Shared;
use super::table::{Kind, Table};
use super::timers::Timer;
use crate::Nanos;
use crate::checksum::Sum;
use crate::error::Error;
use crate::request::DatagramOptions;
use crate::socket::{Datagram, DatagramState, Datagrams, SocketId, Wait, Way};

/// Datagrams that one socket may send before others get their turn.
const TURN: usize = 64;

/// How long what a program has sent may take to go out once it is gone.
const FAREWELL: Nanos = 4_000_000_000;

/// All of UDP.
pub(super) struct Udp<W> {
    pub sockets: Table<Bound<W>>,
    ports: Ports,
    /// How many have joined a group, on an interface.
    groups: Map<(usize, IpAddr), usize>,
    /// Those with datagrams for which an interface needs an address first.
    unconfigured: Vec<SocketId>,
}

/// A UDP socket.
pub(super) struct Bound<W> {
    id: SocketId,
    pub state: Arc<DatagramState<W>>,
    pub place: Place,
    options: DatagramOptions,
    /// The only peer, when it is connected.
    pub peer: Option<SocketAddr>,
    /// What could not be sent yet. The queue waits behind it.
    pending: Option<Datagram>,
    /// The program is gone. Until then, what it has sent may go out.
    closing: Option<Nanos>,
    dirty: bool,
    timer: Option<Nanos>,
}

/// What has become of a datagram that was to be sent.
enum Sent {
    Gone,
    /// It waits for room in the card of that number.
    NoRoom(usize),
    /// It waits for a neighbour's hardware address.
    Asking,
    /// It waits for an interface's address.
    Unconfigured,
    Failed(Error),
}

impl<W: Wait> Bound<W> {
    fn make_dirty(&mut self, shared: &mut Shared) {
        if !self.dirty {
            self.dirty = true;
            shared.dirty.push_back(self.id);
        }
    }

    /// The way for a datagram to `target`, if it may be sent.
    fn way(&self, shared: &Shared, target: SocketAddr) -> Result<Route, Error> {
        if !self.place.speaks(target.ip()) || target.port() == 0 {
            return Err(Error::Invalid);
        }
        let source = self.place.specific().filter(|ip| shared.is_own(*ip));
        let route = shared.route(target, source)?;
        let broadcast = matches!(target.ip(), IpAddr::V4(v4)
            if route::is_broadcast(&shared.netifs[route.netif], v4));
        if broadcast && !self.options.broadcast {
            return Err(Error::BroadcastNotAllowed);
        }
        Ok(route)
    }

    /// Whether it takes datagrams from `remote` to `local`, and how well that fits.
    fn fits(&self, local: IpAddr, remote: SocketAddr) -> Option<u8> {
        if !self.place.covers(local) {
            return None;
        }
        match self.peer {
            Some(peer) if peer.port() != remote.port() || peer.ip() != remote.ip() => None,
            Some(_) => Some(2),
            None => Some(u8::from(self.place.specific().is_some())),
        }
    }
}

impl<W: Wait> Udp<W> {
    pub fn new() -> Self {
        Self {
            sockets: Table::new(Kind::Datagrams),
            ports: Ports::default(),
            groups: Map::default(),
            unconfigured: Vec::new(),
        }
    }

    /// Makes a socket.
    pub fn bind(
        &mut self,
        shared: &mut Shared,
        local: SocketAddr,
        only_v6: bool,
        sharing: Sharing,
    ) -> Result<Datagrams<W>, Error> {
        let mut place = Place::new(local, only_v6);
        let usable = |ip: IpAddr| {
            let to_many = |netif: &Netif| route::is_to_many(netif, ip);
            shared.is_own(ip) || shared.netifs.iter().any(to_many)
        };
        if place.specific().is_some_and(|ip| !usable(ip)) {
            return Err(Error::AddressNotAvailable);
        }
        // Its place is known when it has a name.
        let placeholder = SocketId(u64::MAX);
        self.ports
            .bind(placeholder, &mut place, sharing, &mut shared.random)?;
        let made = self.sockets.insert(|id| {
            Some(Bound {
                id,
                state: Arc::new(DatagramState::new(id, place.shown)),
                place,
                options: DatagramOptions::default(),
                peer: None,
                pending: None,
                closing: None,
                dirty: false,
                timer: None,
            })
        });
        let Some(bound) = made.and_then(|id| self.sockets.get(id)) else {
            self.ports.unbind(placeholder, place.port());
            return Err(Error::NoMemory);
        };
        self.ports.rename(placeholder, bound.id, place.port());
        let state = bound.state.clone();
        Ok(Datagrams { state })
    }

    /// Has a socket talk with one peer only.
    pub fn connect(
        &mut self,
        shared: &mut Shared,
        id: SocketId,
        peer: Option<SocketAddr>,
    ) -> Result<SocketAddr, Error> {
        let bound = self.sockets.get_mut(id).ok_or(Error::Invalid)?;
        let Some(peer) = peer else {
            bound.peer = None;
            bound.state.set_peer(None);
            return Ok(bound.place.shown);
        };
        let target = address::destination(peer);
        if !bound.place.speaks(target.ip()) {
            return Err(Error::Invalid);
        }
        let route = shared.route(target, bound.place.specific())?;
        bound.peer = Some(target);
        bound.state.set_peer(Some(bound.place.show(target)));
        let local = SocketAddr::new(route.source, bound.place.port());
        Ok(bound.place.show(local))
    }

    /// Whether a socket could send to `peer` now, or when an interface has its address.
    pub fn check(&self, shared: &Shared, id: SocketId, peer: SocketAddr) -> Result<(), Error> {
        let bound = self.sockets.get(id).ok_or(Error::Invalid)?;
        match bound.way(shared, address::destination(peer)) {
            Ok(_) | Err(Error::NotConfigured) => Ok(()),
            Err(error) => Err(error),
        }
    }

    pub fn set_options(&mut self, id: SocketId, options: DatagramOptions) -> Result<(), Error> {
        let bound = self.sockets.get_mut(id).ok_or(Error::Invalid)?;
        bound.options = options;
        Ok(())
    }

    /// The program's side has changed something.
    pub fn attend(&mut self, shared: &mut Shared, id: SocketId) {
        if let Some(bound) = self.sockets.get_mut(id) {
            bound.make_dirty(shared);
        }
    }

    /// The program has no use for a socket any more. What it has sent before goes out, if that
    /// is possible soon.
    pub fn close(&mut self, shared: &mut Shared, id: SocketId) {
        let Some(bound) = self.sockets.get_mut(id) else {
            return;
        };
        self.ports.unbind(id, bound.place.port());
        let until = shared.now + FAREWELL;
        bound.closing = Some(until);
        let timer = Timer::Socket(id);
        shared.timers.set(&mut bound.timer, Some(until), timer);
        self.service(shared, id);
    }

    /// The program ends: closes all sockets.
    pub fn close_all(&mut self, shared: &mut Shared) {
        let all: Vec<_> = self.sockets.iter().map(|(id, _)| id).collect();
        for id in all {
            self.close(shared, id);
        }
    }

    /// Whether no socket is left.
    pub fn is_done(&self) -> bool {
        self.sockets.iter().next().is_none()
    }

    /// A socket's deadline has come.
    pub fn timer_fired(&mut self, id: SocketId) {
        self.sockets.remove(id);
    }

    fn remove(&mut self, shared: &mut Shared, id: SocketId) {
        if let Some(mut bound) = self.sockets.remove(id) {
            let timer = Timer::Socket(id);
            shared.timers.set(&mut bound.timer, None, timer);
        }
    }

    /// Joins a group on an interface.
    pub fn join(&mut self, shared: &mut Shared, netif: usize, group: IpAddr) -> Result<(), Error> {
        let members = self.groups.entry((netif, group)).or_default();
        if *members == 0
            && netif != 0
            && shared.netifs[netif]
                .interface
                .join_multicast_group(group)
                .is_err()
        {
            self.groups.remove(&(netif, group));
            return Err(Error::NoMemory);
        }
        *members += 1;
        Ok(())
    }

    /// Leaves it.
    pub fn leave(&mut self, shared: &mut Shared, netif: usize, group: IpAddr) -> Result<(), Error> {
        let Some(members) = self.groups.get_mut(&(netif, group)) else {
            return Err(Error::AddressNotAvailable);
        };
        *members -= 1;
        if *members == 0 {
            self.groups.remove(&(netif, group));
            if netif != 0 {
                // Whether it was a member is known.
                let _ = shared.netifs[netif].interface.leave_multicast_group(group);
            }
        }
        Ok(())
    }

    fn is_member(&self, group: IpAddr) -> bool {
        self.groups.keys().any(|(_, joined)| *joined == group)
    }

    /// Whom a datagram is for: the best socket, or all that fit if it is for many.
    fn receivers(&self, to_many: bool, local: SocketAddr, remote: SocketAddr) -> Receivers {
        let mut receivers = Receivers::default();
        for (id, _) in self.ports.bound(local.port()) {
            let bound = self.sockets.get(id);
            let Some(fit) = bound.and_then(|bound| bound.fits(local.ip(), remote)) else {
                continue;
            };
            if to_many {
                receivers.others.extend(receivers.best.replace((fit, id)));
            } else if receivers.best.is_none_or(|(best, _)| fit >= best) {
                receivers.best = Some((fit, id));
            }
        }
        receivers
    }

    /// A datagram has come, and is the interface's first frame. False: it is no socket's.
    pub fn ingress(
        &mut self,
        shared: &mut Shared,
        index: usize,
        packet: &Packet,
        ports: &PacketPorts,
    ) -> bool {
        let netif = &mut shared.netifs[index];
        let to_many = route::is_to_many(netif, packet.destination);
        let local = SocketAddr::new(packet.destination, ports.destination);
        let remote = SocketAddr::new(packet.source, ports.source);
        let receivers = self.receivers(to_many, local, remote);
        let Some((_, best)) = receivers.best else {
            if to_many {
                netif.release();
            }
            return to_many;
        };
        let socket = netif.datagram();
        socket.close();
        // Where it is bound was looked at; smoltcp looks whether the interface has the address.
        let bound = socket.bind(IpListenEndpoint {
            addr: None,
            port: local.port(),
        });
        if bound.is_err() {
            netif.release();
            return true;
        }
        netif.datagram_ingress(shared.now);
        let Ok((data, _)) = netif.datagram().recv() else {
            return true;
        };
        let peer = address::with_scope(remote, index);
        for (_, id) in receivers.others {
            self.deliver(id, peer, copy(data), &mut shared.counters.datagrams_dropped);
        }
        self.deliver(
            best,
            peer,
            copy(data),
            &mut shared.counters.datagrams_dropped,
        );
        true
    }

    fn deliver(&self, id: SocketId, peer: SocketAddr, data: Option<Box<[u8]>>, dropped: &mut u64) {
        let Some(bound) = self.sockets.get(id) else {
            return;
        };
        let delivered = data.is_some_and(|data| {
            let peer = bound.place.show(peer);
            bound.state.deliver(Datagram { peer, data })
        });
        *dropped += u64::from(!delivered);
    }

    /// Sends what a socket has to send.
    pub fn service(&mut self, shared: &mut Shared, id: SocketId) {
        let Some(bound) = self.sockets.get_mut(id) else {
            return;
        };
        bound.dirty = false;
        bound.state.attended();
        for _ in 0..TURN {
            let Some(bound) = self.sockets.get_mut(id) else {
                return;
            };
            let waiting = bound.pending.take();
            let Some(datagram) = waiting.or_else(|| bound.state.next_to_send()) else {
                if bound.closing.is_some() {
                    self.remove(shared, id);
                }
                return;
            };
            let sent = self.send(shared, id, &datagram);
            let Some(bound) = self.sockets.get_mut(id) else {
                return;
            };
            match sent {
                Sent::Gone => continue,
                Sent::Failed(error) => {
                    bound.state.set_error(error);
                    continue;
                }
                Sent::Asking => {}
                Sent::NoRoom(netif) => {
                    let stalled = &mut shared.netifs[netif].stalled;
                    if !stalled.contains(&id) {
                        stalled.push_back(id);
                    }
                }
                Sent::Unconfigured => self.unconfigured.push(id),
            }
            bound.pending = Some(datagram);
            return;
        }
        self.attend(shared, id);
    }

    fn send(&self, shared: &mut Shared, id: SocketId, datagram: &Datagram) -> Sent {
        let Some(bound) = self.sockets.get(id) else {
            return Sent::Gone;
        };
        let target = address::destination(datagram.peer);
        let route = match bound.way(shared, target) {
            Ok(route) => route,
            Err(Error::NotConfigured) => return Sent::Unconfigured,
            Err(error) => return Sent::Failed(error),
        };
        bound.state.set_way(Way::of(route.netif));
        let ip = target.ip();
        let from = SocketAddr::new(route.source, bound.place.port());
        if ip.is_multicast() {
            // On loopback, all members are on this node.
            let loops = bound.options.multicast_loop && route.netif != 0;
            if loops && self.is_member(ip) {
                let local = Route { netif: 0, ..route };
                transmit(shared, &local, id, from, target, 1, &datagram.data);
            }
            return match bound.options.multicast_ttl {
                0 => Sent::Gone,
                ttl => transmit(shared, &route, id, from, target, ttl, &datagram.data),
            };
        }
        let ttl = bound.options.ttl.max(1);
        transmit(shared, &route, id, from, target, ttl, &datagram.data)
    }

    /// The neighbour that a socket's datagram was to be handed to has not answered.
    pub fn neighbour_failed(&mut self, shared: &mut Shared, id: SocketId) {
        if let Some(bound) = self.sockets.get_mut(id) {
            bound.make_dirty(shared);
        }
    }

    /// An interface has got an address, or none of them waits for one any more.
    pub fn configured(&mut self, shared: &mut Shared) {
        for id in core::mem::take(&mut self.unconfigured) {
            self.attend(shared, id);
        }
    }

    /// A router or host has said that what `local` sent to `remote` did not arrive.
    pub fn refused(&self, local: SocketAddr, remote: SocketAddr, error: Error) {
        for (id, _) in self.ports.bound(local.port()) {
            let Some(bound) = self.sockets.get(id) else {
                continue;
            };
            // Only one who is connected can know which datagram it was.
            if bound.peer.is_some() && bound.fits(local.ip(), remote).is_some() {
                bound.state.set_error(error);
            }
        }
    }
}

/// Whom a datagram is for. The best is kept apart so that one receiver takes no memory.
#[derive(Default)]
struct Receivers {
    best: Option<(u8, SocketId)>,
    others: Vec<(u8, SocketId)>,
}

/// Has an interface send a datagram.
fn transmit(
    shared: &mut Shared,
    route: &Route,
    id: SocketId,
    from: SocketAddr,
    to: SocketAddr,
    ttl: u8,
    data: &[u8],
) -> Sent {
    let now = shared.now;
    let netif = &mut shared.netifs[route.netif];
    let headers = if to.is_ipv4() { 28 } else { 48 };
    let pieces = headers + data.len() > netif.mtu();
    // smoltcp cuts up IPv4 only.
    if data.len() > DATAGRAM || (pieces && to.is_ipv6()) {
        return Sent::Failed(Error::MessageTooLong);
    }
    let waiter = Waiter::Socket(id);
    if let Some(neighbour) = route.neighbour {
        if netif.neighbours.is_silent(neighbour, now) {
            return Sent::Failed(Error::HostUnreachable);
        }
        if !netif.neighbours.is_ready(neighbour, waiter, now) {
            return Sent::Asking;
        }
    }
    if !netif.finish_pieces(now) || !netif.has_room() {
        return Sent::NoRoom(route.netif);
    }
    let socket = netif.datagram();
    socket.close();
    socket.set_hop_limit(Some(ttl));
    let mut meta = UdpMetadata::from(IpEndpoint::from(to));
    meta.local_address = Some(from.ip().into());
    let bound = socket.bind(IpListenEndpoint::from(IpEndpoint::from(from)));
    if bound.is_err() || socket.send_slice(data, meta).is_err() {
        return Sent::Failed(Error::Invalid);
    }
    netif.notes.datagram_sum = pieces.then(|| Sum::new().with(data));
    let sent = netif.datagram_egress(now);
    netif.notes.datagram_sum = None;
    if sent {
        netif.datagrams_sent += 1;
        // What does not fit now is sent when there is room again.
        netif.finish_pieces(now);
        return Sent::Gone;
    }
    match route.neighbour {
        // smoltcp has forgotten the neighbour.
        Some(neighbour) => {
            netif.neighbours.lost(neighbour, now);
            netif.neighbours.is_ready(neighbour, waiter, now);
            Sent::Asking
        }
        None => Sent::NoRoom(route.netif),
    }
}

/// A copy; `None`: there is no memory.
fn copy(data: &[u8]) -> Option<Box<[u8]>> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(data.len()).ok()?;
    copy.extend_from_slice(data);
    Some(copy.into_boxed_slice())
}
