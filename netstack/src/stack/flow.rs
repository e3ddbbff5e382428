//! One TCP connection: smoltcp's socket, and the stack's ends of the program's rings.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use ringbuf::traits::{Consumer, Observer, Producer};
use ringbuf::{HeapCons, HeapProd};
use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::socket::tcp;
use smoltcp::wire::{IpProtocol, IpRepr, TcpControl, TcpRepr, TcpSeqNumber};

use super::address::bits;
use super::buffers::Share;
use super::classify::Segment;
use super::early::EarlyRetransmit;
use super::neighbours::Waiter;
use super::port::Position;
use super::ports::Use;
use super::shared::Shared;
use super::time_wait::Past;
use super::timers::Timer;
use crate::Nanos;
use crate::error::Error;
use crate::request::StreamOptions;
use crate::socket::{Phase, SocketId, StreamState, Wait};

const SECOND: Nanos = 1_000_000_000;
/// How long an acknowledgement may wait for something to go with.
const ACK_DELAY: smoltcp::time::Duration = smoltcp::time::Duration::from_millis(10);
/// How long a SYN is sent again.
const CONNECT: Nanos = 127 * SECOND;
/// How long a listener's SYN-ACK is sent again.
const ACCEPT: Nanos = 63 * SECOND;
/// How long data is sent again without a sign of life.
const DATA: Nanos = 924 * SECOND;
/// How long a connection that no program has any more may get nowhere.
const ORPHAN: Nanos = 60 * SECOND;
/// Probes of an idle connection that may stay unanswered.
const PROBES: u32 = 9;
/// Segments that one connection may send before others get their turn.
const SEGMENTS: usize = 64;
/// How long an RST may wait to be sent: for room, or for a way that there may never be.
const FAREWELL: Nanos = 10 * SECOND;
/// How long a connection in TIME-WAIT is certain to be kept by smoltcp, which has 10 s.
const TIME_WAIT: Nanos = 9 * SECOND;
/// When to try again what should have been possible now.
const RETRY: Nanos = 1_000_000;

/// What a connection's segments have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    netif: u32,
    ports: u32,
    local: u128,
    remote: u128,
}

impl Key {
    pub fn new(netif: usize, local: SocketAddr, remote: SocketAddr) -> Self {
        Self {
            netif: netif as u32,
            ports: u32::from(local.port()) << 16 | u32::from(remote.port()),
            local: bits(local.ip()),
            remote: bits(remote.ip()),
        }
    }
}

/// A connection.
pub(super) struct Flow<W> {
    pub id: SocketId,
    pub netif: usize,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    /// What its port counts as.
    pub uses: Use,
    neighbour: Option<IpAddr>,
    pub sockets: SocketSet<'static>,
    handle: SocketHandle,
    pub share: Share,
    options: StreamOptions,
    pub stage: Stage<W>,
    /// smoltcp's state when it was looked at last, and since when it has had it.
    seen: tcp::State,
    since: Nanos,
    /// It is among those that have to be looked at.
    pub dirty: bool,
    /// It is among those that wait for room in the card.
    stalled: bool,
    pub timer: Option<Nanos>,
    began: Nanos,
    /// When the last segment came.
    heard: Nanos,
    /// Since when something has been unanswered.
    unanswered: Option<Nanos>,
    /// Since when an RST has had to be sent.
    broken: Option<Nanos>,
    /// The end of output has been given to smoltcp.
    output_ended: bool,
    position: Position,
    early: EarlyRetransmit,
    /// smoltcp has nothing to do for it but to wait.
    rests: bool,
    /// Its SYN's sequence number, once that was sent.
    initial: Option<u32>,
    /// Why it ended, if smoltcp does not know.
    pub cause: Option<Error>,
}

/// Whose a connection is.
pub(super) enum Stage<W> {
    /// A SYN has come for a listener.
    Opening(SocketId),
    /// A program's, which may not have accepted it yet.
    Open(Ends<W>),
    /// No program's. What was written is still sent.
    Orphan(Orphan),
}

/// The stack's ends.
pub(super) struct Ends<W> {
    pub state: Arc<StreamState<W>>,
    pub received: HeapProd<u8>,
    pub to_send: HeapCons<u8>,
}

/// What is left of a connection when its program is gone.
pub(super) struct Orphan {
    to_send: HeapCons<u8>,
    /// When it last got on.
    since: Nanos,
    /// Bytes that had to be sent then.
    left: usize,
}

/// What has to be done with a connection that has been looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing.
    Stays,
    /// It is established, and a listener's.
    Established,
    /// It is over.
    Ended,
}

/// How a new connection begins.
pub(super) struct Beginning<W> {
    pub netif: usize,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub uses: Use,
    pub neighbour: Option<IpAddr>,
    pub options: StreamOptions,
    pub share: Share,
    pub stage: Stage<W>,
}

impl<W: Wait> Flow<W> {
    pub fn new(
        id: SocketId,
        beginning: Beginning<W>,
        mut socket: tcp::Socket<'static>,
        now: Nanos,
    ) -> Self {
        // On loopback nothing gets lost, and nobody else has to be given room.
        let (control, delay) = match beginning.netif {
            0 => (tcp::CongestionControl::None, None),
            _ => (tcp::CongestionControl::Reno, Some(ACK_DELAY)),
        };
        socket.set_congestion_control(control);
        socket.set_ack_delay(delay);
        let mut sockets = SocketSet::new(Vec::with_capacity(1));
        let seen = socket.state();
        let handle = sockets.add(socket);
        let mut flow = Self {
            id,
            netif: beginning.netif,
            local: beginning.local,
            remote: beginning.remote,
            uses: beginning.uses,
            neighbour: beginning.neighbour,
            sockets,
            handle,
            share: beginning.share,
            options: beginning.options,
            stage: beginning.stage,
            seen,
            since: now,
            dirty: false,
            stalled: false,
            timer: None,
            began: now,
            heard: now,
            unanswered: None,
            broken: None,
            output_ended: false,
            position: Position::default(),
            early: EarlyRetransmit::default(),
            rests: false,
            initial: None,
            cause: None,
        };
        flow.set_options(beginning.options);
        flow
    }

    pub fn key(&self) -> Key {
        Key::new(self.netif, self.local, self.remote)
    }

    pub fn socket(&self) -> &tcp::Socket<'static> {
        self.sockets.get(self.handle)
    }

    pub fn socket_mut(&mut self) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(self.handle)
    }

    /// smoltcp's socket, of a connection that is over.
    pub fn take_socket(&mut self) -> Option<tcp::Socket<'static>> {
        match self.sockets.remove(self.handle) {
            smoltcp::socket::Socket::Tcp(socket) => Some(socket),
            _ => None,
        }
    }

    /// smoltcp's state.
    pub fn tcp_state(&self) -> tcp::State {
        self.socket().state()
    }

    pub fn set_options(&mut self, options: StreamOptions) {
        self.options = options;
        let socket = self.socket_mut();
        socket.set_nagle_enabled(!options.nodelay);
        // smoltcp panics when it is told zero.
        socket.set_hop_limit(Some(options.ttl.max(1)));
        let interval = options.keep_alive.map(|interval| {
            let millis = interval.max(Duration::from_secs(1)).as_millis();
            smoltcp::time::Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX >> 20))
        });
        if socket.keep_alive() != interval {
            socket.set_keep_alive(interval);
        }
    }

    /// A segment for it has come, and is the interface's first frame.
    pub fn ingress(&mut self, shared: &mut Shared, segment: &Segment) {
        let now = shared.now;
        let netif = &mut shared.netifs[self.netif];
        self.position.is_closed = segment.window == 0;
        netif.notes.position = self.position;
        netif.ingress(Some(&mut self.sockets), now);
        self.position = core::mem::take(&mut netif.notes.position);
        self.early.heard(segment, self.position.next, now);
        self.heard = now;
        self.unanswered = None;
        self.look(now);
        self.make_dirty(shared);
    }

    /// Notes how smoltcp's state has changed. Called after each thing that may have changed it,
    /// since a connection that ends forgets why.
    pub fn look(&mut self, now: Nanos) {
        let state = self.tcp_state();
        if state == self.seen {
            return;
        }
        if state == tcp::State::Closed && self.cause.is_none() {
            self.cause = match self.seen {
                tcp::State::SynSent => Some(Error::ConnectionRefused),
                tcp::State::LastAck | tcp::State::Closing | tcp::State::TimeWait => None,
                _ => Some(Error::ConnectionReset),
            };
        }
        self.seen = state;
        self.since = now;
    }

    /// Ends it at once: with an RST if the other end knows of it.
    pub fn abort(&mut self, cause: Option<Error>) {
        self.cause = self.cause.or(cause);
        let state = self.tcp_state();
        match state {
            // In SYN-SENT the other end has nothing to forget, in TIME-WAIT it has forgotten.
            tcp::State::Listen | tcp::State::SynSent | tcp::State::TimeWait => self.vanish(),
            tcp::State::Closed => {}
            _ => self.socket_mut().abort(),
        }
        self.seen = tcp::State::Closed;
    }

    /// Ends it without a word.
    pub fn vanish(&mut self) {
        self.sockets.remove(self.handle);
        let unused = || tcp::SocketBuffer::new(Vec::new());
        self.handle = self.sockets.add(tcp::Socket::new(unused(), unused()));
        self.seen = tcp::State::Closed;
    }

    /// The program is gone, after it has closed or when it never took the connection.
    pub fn orphan(&mut self, linger: Option<Duration>, now: Nanos) {
        let Stage::Open(ends) = &self.stage else {
            return;
        };
        let unread = !ends.received.is_empty() || self.socket().recv_queue() > 0;
        let connecting = ends.state.phase() == Phase::Connecting;
        if unread || connecting || linger == Some(Duration::ZERO) {
            self.abort(None);
        }
        let unused = Stage::Opening(self.id);
        if let Stage::Open(ends) = core::mem::replace(&mut self.stage, unused) {
            self.stage = Stage::Orphan(Orphan {
                left: usize::MAX,
                to_send: ends.to_send,
                since: now,
            });
        }
    }

    /// Moves what can be moved, and tells both sides how far it is.
    pub fn service(&mut self, shared: &mut Shared) -> Outcome {
        self.dirty = false;
        let now = shared.now;
        if let Stage::Open(ends) = &self.stage {
            ends.state.attended();
        }
        if self.is_astray(shared) {
            self.cause = self.cause.or(Some(Error::ConnectionAborted));
            self.vanish();
        }
        self.check_deadlines(now);
        self.announce();
        self.deliver();
        self.collect(now);
        let ready = self.neighbour.is_none_or(|neighbour| {
            let netif = &mut shared.netifs[self.netif];
            netif
                .neighbours
                .is_ready(neighbour, Waiter::Socket(self.id), now)
        });
        let retry = if ready && !self.is_kept_for_reading(now) {
            self.send_again_early(shared);
            self.send(shared)
        } else {
            Retry::Later
        };
        self.look(now);
        self.end();
        let outcome = self.outcome();
        if outcome != Outcome::Ended {
            self.set_timer(shared, retry);
        }
        outcome
    }

    fn outcome(&self) -> Outcome {
        let state = self.tcp_state();
        let opening = matches!(self.stage, Stage::Opening(_));
        match state {
            // smoltcp forgets the other end once it has sent the RST.
            tcp::State::Closed if self.socket().remote_endpoint().is_none() => {
                if self.has_to_be_read() {
                    Outcome::Stays
                } else {
                    Outcome::Ended
                }
            }
            // An RST for a connection in SYN-RECEIVED.
            tcp::State::Listen => Outcome::Ended,
            tcp::State::Closed | tcp::State::SynSent | tcp::State::SynReceived => Outcome::Stays,
            _ if opening => Outcome::Established,
            _ => Outcome::Stays,
        }
    }

    /// Whether it has ended well, but for what its program has not read.
    pub fn has_to_be_read(&self) -> bool {
        let open = matches!(self.stage, Stage::Open(_));
        open && self.cause.is_none() && self.socket().can_recv()
    }

    /// What has to be kept of it, if it is over but for TIME-WAIT.
    pub fn past(&self) -> Option<Past> {
        let over = self.seen == tcp::State::TimeWait && self.rests && !self.has_to_be_read();
        over.then_some(Past {
            id: self.id,
            local: self.local,
            remote: self.remote,
            next: self.position.next?,
            expected: self.position.acknowledged?,
            until: 0,
        })
    }

    /// Whether smoltcp must not be let end TIME-WAIT, which would lose what is still to be read.
    fn is_kept_for_reading(&self, now: Nanos) -> bool {
        self.seen == tcp::State::TimeWait && self.has_to_be_read() && now >= self.since + TIME_WAIT
    }

    /// Whether its interface has no longer the address that its segments come from.
    pub fn is_astray(&self, shared: &Shared) -> bool {
        self.netif != 0 && !shared.netifs[self.netif].has(self.local.ip())
    }

    /// Ends what has taken too long.
    fn check_deadlines(&mut self, now: Nanos) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        let is_orphan = matches!(self.stage, Stage::Orphan(_));
        match self.tcp_state() {
            tcp::State::Closed => self.vanish(),
            // All has been sent and confirmed. An RST would take the end of input away from a
            // program at the other end that has not come to it yet.
            tcp::State::FinWait2 if is_orphan => self.vanish(),
            _ => self.abort(Some(Error::TimedOut)),
        }
    }

    /// When it will have taken too long.
    fn deadline(&self) -> Option<Nanos> {
        let state = self.tcp_state();
        match state {
            tcp::State::Closed => return self.broken.map(|since| since + FAREWELL),
            tcp::State::TimeWait => return None,
            _ => {}
        }
        let silence = self.unanswered.map(|since| since + DATA);
        match &self.stage {
            Stage::Opening(_) => Some(self.began + ACCEPT),
            Stage::Orphan(orphan) => Some(orphan.since + ORPHAN),
            Stage::Open(_) if state == tcp::State::SynSent => Some(self.began + CONNECT),
            Stage::Open(_) => match self.options.keep_alive {
                Some(interval) => {
                    let interval = interval.max(Duration::from_secs(1)) * (PROBES + 1);
                    let interval = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX >> 1);
                    let dead = self.heard.saturating_add(interval);
                    Some(silence.map_or(dead, |silence| silence.min(dead)))
                }
                None => silence,
            },
        }
    }

    /// Tells a program that its connection is established.
    fn announce(&mut self) {
        let Stage::Open(ends) = &self.stage else {
            return;
        };
        let connected = !matches!(
            self.seen,
            tcp::State::SynSent | tcp::State::SynReceived | tcp::State::Closed
        );
        if connected && ends.state.phase() == Phase::Connecting {
            ends.state.set_connected();
        }
    }

    /// Gives the program what has arrived.
    fn deliver(&mut self) {
        let handle = self.handle;
        let socket: &mut tcp::Socket<'static> = self.sockets.get_mut(handle);
        match &mut self.stage {
            Stage::Open(ends) => {
                let mut delivered = false;
                // Twice, since both rings may wrap around.
                while socket.can_recv() {
                    if ends.received.is_full() {
                        if ends.state.wait_for_room(&ends.received) {
                            break;
                        }
                        continue;
                    }
                    let moved = socket.recv(|bytes| {
                        let taken = ends.received.push_slice(bytes);
                        (taken, taken)
                    });
                    if !matches!(moved, Ok(1..)) {
                        break;
                    }
                    delivered = true;
                }
                if !socket.can_recv() {
                    ends.state.has_room();
                }
                let ended = matches!(
                    self.seen,
                    tcp::State::CloseWait
                        | tcp::State::LastAck
                        | tcp::State::Closing
                        | tcp::State::TimeWait
                );
                if ended && !socket.can_recv() && !ends.state.is_end_of_input() {
                    ends.state.set_end_of_input();
                } else if delivered {
                    ends.state.readers.wake();
                }
            }
            // What nobody will read is answered with an RST.
            Stage::Orphan(_) if socket.can_recv() => self.abort(None),
            _ => {}
        }
    }

    /// Takes from the program what is to be sent, and ends output when it has.
    fn collect(&mut self, now: Nanos) {
        let handle = self.handle;
        let socket: &mut tcp::Socket<'static> = self.sockets.get_mut(handle);
        // What was written before the end is in the ring when the end is seen.
        let (to_send, ending) = match &mut self.stage {
            Stage::Opening(_) => return,
            Stage::Open(ends) => (&mut ends.to_send, ends.state.is_end_of_output()),
            Stage::Orphan(orphan) => (&mut orphan.to_send, true),
        };
        let mut taken = 0;
        while socket.can_send() && !to_send.is_empty() {
            let moved = socket.send(|bytes| {
                let moved = to_send.pop_slice(bytes);
                (moved, moved)
            });
            match moved {
                Ok(moved @ 1..) => taken += moved,
                _ => break,
            }
        }
        if ending && !self.output_ended && to_send.is_empty() && socket.may_send() {
            socket.close();
            self.output_ended = true;
        }
        let left = to_send.occupied_len() + socket.send_queue();
        match &mut self.stage {
            Stage::Open(ends) if taken > 0 => ends.state.writers.wake(),
            Stage::Orphan(orphan) if left < orphan.left => {
                orphan.left = left;
                orphan.since = now;
            }
            _ => {}
        }
        self.look(now);
    }

    /// Whether segments may be sent again early: those with the program's bytes, by a card.
    fn may_be_early(&self) -> bool {
        let has_bytes = matches!(self.seen, tcp::State::Established | tcp::State::CloseWait);
        has_bytes && self.netif != 0
    }

    /// If a segment seems to be lost, has smoltcp send it again. It does so after three
    /// acknowledgements that say the same, before which its count has to begin anew: another window
    /// does that.
    fn send_again_early(&mut self, shared: &mut Shared) {
        let now = shared.now;
        if !self.may_be_early() {
            return;
        }
        let (Some((number, window)), Some(expected)) =
            (self.early.take_due(now), self.position.acknowledged)
        else {
            return;
        };
        let netif = &mut shared.netifs[self.netif];
        for window in [window - 1, window, window, window, window] {
            let segment = TcpRepr {
                src_port: self.remote.port(),
                dst_port: self.local.port(),
                control: TcpControl::None,
                seq_number: TcpSeqNumber(expected as i32),
                ack_number: Some(TcpSeqNumber(number as i32)),
                window_len: window,
                window_scale: None,
                max_seg_size: None,
                sack_permitted: false,
                sack_ranges: [None; 3],
                timestamp: None,
                payload: &[],
            };
            let (remote, local) = (self.remote.ip().into(), self.local.ip().into());
            let packet = IpRepr::new(remote, local, IpProtocol::Tcp, segment.buffer_len(), 64);
            netif.notes.position = self.position;
            netif.pretend(&mut self.sockets, &(packet, segment), now);
            self.position = core::mem::take(&mut netif.notes.position);
        }
    }

    /// Sends segments until there are none, or no room, or it is the others' turn.
    fn send(&mut self, shared: &mut Shared) -> Retry {
        let netif = &mut shared.netifs[self.netif];
        netif.notes.no_room = false;
        for _ in 0..SEGMENTS {
            netif.notes.position = self.position;
            let sent = netif.egress(Some(&mut self.sockets), shared.now);
            self.position = core::mem::take(&mut netif.notes.position);
            if sent {
                if self.seen == tcp::State::SynSent {
                    self.initial = netif.notes.segment.map(|segment| segment.sequence);
                }
                continue;
            }
            if netif.notes.no_room {
                return Retry::WithRoom;
            }
            // smoltcp may just have found out that it does not know the neighbour any more.
            return match self.neighbour {
                Some(ip)
                    if !netif
                        .neighbours
                        .is_ready(ip, Waiter::Socket(self.id), shared.now) =>
                {
                    Retry::Later
                }
                _ => Retry::WhenDue,
            };
        }
        Retry::Now
    }

    /// Tells a program that its connection is over.
    fn end(&mut self) {
        let Stage::Open(ends) = &self.stage else {
            return;
        };
        if ends.state.phase() == Phase::Over {
            return;
        }
        let socket = self.socket();
        match self.seen {
            tcp::State::Closed if !self.has_to_be_read() => ends.state.set_over(self.cause),
            tcp::State::TimeWait if !socket.can_recv() => ends.state.set_over(None),
            _ => {}
        }
    }

    fn set_timer(&mut self, shared: &mut Shared, retry: Retry) {
        let now = shared.now;
        self.watch(now);
        if let Some(next) = self.position.next {
            self.early.sent(next, now);
        }
        self.rests = false;
        let netif = &mut shared.netifs[self.netif];
        let mut deadline = self.deadline();
        let early = self.early.deadline().filter(|_| self.may_be_early());
        deadline = deadline.into_iter().chain(early).min();
        let sooner = |at: Nanos| Some(deadline.map_or(at, |deadline| deadline.min(at)));
        match retry {
            Retry::Later => {}
            Retry::Now => self.make_dirty(shared),
            Retry::WithRoom => {
                if !self.stalled {
                    self.stalled = true;
                    netif.stalled.push_back(self.id);
                }
            }
            Retry::WhenDue => {
                let due = netif.poll_at(&self.sockets, now);
                self.rests = due.is_none_or(|at| at > now + SECOND);
                if let Some(at) = due {
                    deadline = sooner(if at <= now { now + RETRY } else { at });
                }
            }
        }
        let timer = Timer::Socket(self.id);
        shared.timers.set(&mut self.timer, deadline, timer);
    }

    /// Notes since when the other end has owed an answer.
    fn watch(&mut self, now: Nanos) {
        let owes = self.socket().send_queue() > 0
            || matches!(
                self.seen,
                tcp::State::FinWait1 | tcp::State::Closing | tcp::State::LastAck
            );
        let says_farewell =
            self.seen == tcp::State::Closed && self.socket().remote_endpoint().is_some();
        self.broken = says_farewell.then(|| self.broken.unwrap_or(now));
        self.unanswered = if owes {
            self.unanswered.or(Some(now))
        } else {
            None
        };
    }

    /// It is its turn among those that have waited for room in the card.
    pub fn has_room(&mut self, shared: &mut Shared) {
        self.stalled = false;
        self.make_dirty(shared);
    }

    /// It has to be looked at in this step.
    pub fn make_dirty(&mut self, shared: &mut Shared) {
        if !self.dirty {
            self.dirty = true;
            shared.dirty.push_back(self.id);
        }
    }

    /// Somebody says that the segment with that sequence number did not arrive. Whoever knows
    /// the number of a SYN has seen it; anything later would say too much for too little.
    pub fn refused(&mut self, sequence: u32, error: Error, shared: &mut Shared) {
        if self.tcp_state() == tcp::State::SynSent && self.initial == Some(sequence) {
            self.abort(Some(error));
            self.make_dirty(shared);
        }
    }

    /// The neighbour that segments are handed to has not answered.
    pub fn neighbour_failed(&mut self, shared: &mut Shared) {
        match self.tcp_state() {
            tcp::State::SynSent => self.abort(Some(Error::HostUnreachable)),
            // There is nobody to send the RST to.
            tcp::State::Closed => self.vanish(),
            _ => {}
        }
        self.make_dirty(shared);
    }
}

/// When smoltcp's socket has to be looked at again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retry {
    /// When its time has come.
    WhenDue,
    /// At once: its turn was over.
    Now,
    /// When the card has room.
    WithRoom,
    /// When somebody says so.
    Later,
}
