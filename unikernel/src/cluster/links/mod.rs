//! The links to the other nodes ([`darner_link`] has what is said on them): to each, one for the
//! protocol of coherence and the calls between nodes, and one for bulk.
//!
//! The protocol of coherence needs the order between two nodes, also of packets with pages, and calls go
//! along: what one turn of the engine says to a node is in one envelope. So all that is on the first
//! link. *Bulk* is what nobody waits for and what may come late: freed memory, and hints.
//!
//! A node connects to all that come before it, and is connected to by those that come after. A
//! connection that breaks, or brings nothing for some time, is made again, and the sessions on it go
//! on. How long that may take is not decided here: who is silent for too long is given up by the engine.

mod greeting;
mod journal;
mod line;
mod message;
mod sealer;
mod wire;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};

use darner_cluster::Incarnation;
use darner_coherence::NodeId;
use darner_link::{
    Channel, ClusterKey, Identity, Limits, Link, Peer as Met, Reason, Refusal, Role, Seed,
};
use darner_netstack::{Listener, Reply, Request, Stack, Stream};

use self::greeting::{Called, End, Greeting, Greetings};
use self::journal::Journal;
use self::line::{Line, Overrun};
pub use self::message::Came;
use self::message::{ECHO, PACKET, RECORD};
pub use self::sealer::Sealer;
use self::wire::Wire;
use super::config::ClusterConfig;
use super::record::{Kind, Record};
use crate::abi::entropy;
use crate::layout::PAGE;
use crate::memory::frames;
use crate::net::WaitPoint;
use crate::time::catch_up;

/// Where nodes listen for each other.
pub const PORT: u16 = 7_447;
/// How long a connection may bring nothing, in ns. Nodes say at least that they are there, much
/// more often; and one that stands still for longer only has its connections made again.
const STALL: u64 = 4_000_000_000;
/// What part of the memory may be taken by what one node has not acknowledged.
const MEMORY_SHARE: u64 = 8;
/// Connections that may wait to be accepted, besides those of all nodes.
const STRANGERS: usize = 8;
const CHANNELS: [Channel; 2] = [Channel::Control, Channel::Bulk];

/// Whether anything was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// There was something to do.
    Something,
    /// There was not.
    Nothing,
}

impl Progress {
    /// Something, if one of them is.
    fn and(self, other: Self) -> Self {
        match self {
            Self::Something => Self::Something,
            Self::Nothing => other,
        }
    }
}

/// What a node is linked by.
struct Peer {
    lines: [Line; 2],
    cpus: u16,
    /// Which life of the node it is.
    incarnation: u64,
    /// Nothing more is to be had from it.
    is_over: bool,
    /// Why it was refused, or has refused this node, last.
    refusal: Option<Refusal>,
}

impl Peer {
    fn new() -> Self {
        Self {
            lines: CHANNELS.map(Line::new),
            cpus: 0,
            incarnation: 0,
            is_over: false,
            refusal: None,
        }
    }

    fn line(&mut self, channel: Channel) -> &mut Line {
        &mut self.lines[channel as usize - 1]
    }

    fn is_linked(&self) -> bool {
        self.lines.iter().all(|line| line.session.is_some())
    }

    /// Whether one of its sessions is with another machine.
    fn is_another(&self, met: &Met) -> bool {
        let mut sessions = self.lines.iter().filter_map(|line| line.session.as_ref());
        sessions.any(|session| {
            let sibling = CHANNELS.map(|channel| Met { channel, ..*met });
            !sibling.iter().any(|met| session.is_with(met))
        })
    }
}

/// All links of a node.
pub struct Links {
    me: Identity,
    key: ClusterKey,
    addresses: Vec<IpAddr>,
    peers: Vec<Peer>,
    greetings: Greetings,
    /// Connections that are to be closed.
    parted: Vec<Wire>,
    listener: Option<Listener<WaitPoint>>,
    journal: Journal,
    /// What is to be told before what comes.
    told: VecDeque<(NodeId, Came)>,
    is_leaving: bool,
    limits: Limits,
    /// When the connections were last looked at (monotonic ns).
    looked: u64,
}

impl Links {
    /// None yet.
    pub fn new(config: &ClusterConfig, key: ClusterKey, me: Identity) -> Self {
        let kept = usize::try_from(frames::total() / MEMORY_SHARE).unwrap_or(usize::MAX);
        Self {
            me,
            key,
            addresses: config.addresses.clone(),
            peers: (0..config.nodes).map(|_| Peer::new()).collect(),
            greetings: Greetings::default(),
            parted: Vec::new(),
            listener: None,
            journal: Journal::default(),
            told: VecDeque::new(),
            is_leaving: false,
            limits: Limits::keep(kept),
            looked: 0,
        }
    }

    /// Which life of a node there are sessions with. `None`: there are none, or no more.
    pub fn incarnation(&self, node: NodeId) -> Option<Incarnation> {
        let peer = self.peers.get(usize::from(node.0))?;
        let is_linked = peer.is_linked() && !peer.is_over;
        is_linked.then_some(Incarnation(peer.incarnation))
    }

    /// Whether nothing is to be waited for: there are sessions with the node, or there will be none.
    pub fn is_settled(&self, node: NodeId) -> bool {
        let peer = &self.peers[usize::from(node.0)];
        peer.is_over || peer.is_linked()
    }

    /// Closes the links to a node, for good.
    pub fn close(&mut self, node: NodeId) {
        let peer = &mut self.peers[usize::from(node.0)];
        peer.is_over = true;
        let wires = peer.lines.iter_mut().filter_map(Line::end);
        self.parted.extend(wires.map(Wire::abandoned));
    }

    /// Why a node and this one have refused each other last, if they have.
    pub fn refusal(&self, node: NodeId) -> Option<&Refusal> {
        self.peers.get(usize::from(node.0))?.refusal.as_ref()
    }

    /// CPUs of a node; 0 as long as it was not met.
    pub fn cpus(&self, node: NodeId) -> u16 {
        match node.0 == self.me.node {
            true => self.me.cpus,
            false => self.peers[usize::from(node.0)].cpus,
        }
    }

    /// Goes on making links, those that were lost as well. When to be called again at the latest.
    pub fn make(&mut self, stack: &mut Stack<WaitPoint>, now: u64) -> Option<u64> {
        self.listen(stack, now);
        while let Some(stream) = self.accept() {
            self.answer(stream, now);
        }
        self.give_up_silent(now);
        self.settle(now);
        self.connect(stack, now);
        for wire in self.parted.drain(..) {
            wire.close(stack, now);
        }
        let calls = self.waiting_calls().map(|(_, line)| line.call_at);
        calls.chain(self.greetings.deadline()).min()
    }

    fn listen(&mut self, stack: &mut Stack<WaitPoint>, now: u64) {
        if self.listener.is_some() {
            return;
        }
        let bind = Request::Bind {
            local: SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)),
            reuse: true,
            only_v6: false,
        };
        let Reply::Bound(binding) = stack.request(bind, now) else {
            return;
        };
        let listen = Request::Listen {
            binding,
            backlog: 2 * self.peers.len() + STRANGERS,
            options: wire::options(),
        };
        if let Reply::Listening(listener) = stack.request(listen, now) {
            self.listener = Some(listener);
        }
    }

    fn accept(&self) -> Option<Stream<WaitPoint>> {
        self.listener.as_ref()?.state.accept()
    }

    fn answer(&mut self, stream: Stream<WaitPoint>, now: u64) {
        let wire = Wire::new(stream, now);
        match self.greeting(wire, None, now) {
            Ok(greeting) => {
                let leaves = self.greetings.answer(greeting, &self.addresses);
                self.parted.extend(leaves.map(|greeting| greeting.wire));
            }
            Err(wire) => self.parted.push(wire),
        }
    }

    /// A new link; the connection is given back when nothing makes random bytes for it.
    fn greeting(&self, wire: Wire, called: Called, now: u64) -> Result<Greeting, Wire> {
        let role = match called {
            Some((NodeId(node), channel)) => Role::Calls { node, channel },
            None => Role::Answers,
        };
        let mut seed = [0; 32];
        if let Err(error) = entropy::fill(&mut seed) {
            log::error!("no link can be made, since nothing makes random bytes: {error:?}");
            return Err(wire);
        }
        let link = Link::new(self.me, role, &self.key, Seed::new(seed), now);
        Ok(Greeting {
            wire,
            link: Box::new(link),
            called,
            begun: now,
        })
    }

    /// Channels of nodes before this one that have no connection, nor one in the making.
    fn waiting_calls(&self) -> impl Iterator<Item = (NodeId, &Line)> {
        let nodes = (0..self.me.node).map(NodeId).zip(&self.peers);
        let wanted = nodes.filter(|(_, peer)| !peer.is_over && !self.is_leaving);
        let lines = wanted.flat_map(|(node, peer)| peer.lines.iter().map(move |line| (node, line)));
        lines.filter(|&(node, line)| {
            line.wire.is_none() && !self.greetings.is_calling((node, line.channel))
        })
    }

    /// Connects to nodes before this one.
    fn connect(&mut self, stack: &mut Stack<WaitPoint>, now: u64) {
        let due = self.waiting_calls();
        let due = due.filter(|(_, line)| now >= line.call_at);
        let due: Vec<_> = due.map(|(node, line)| (node, line.channel)).collect();
        for (node, channel) in due {
            let index = usize::from(node.0);
            self.peers[index].line(channel).calls(now);
            let connect = Request::Connect {
                binding: None,
                remote: SocketAddr::from((self.addresses[index], PORT)),
                options: wire::options(),
            };
            let Reply::Stream(stream) = stack.request(connect, now) else {
                continue;
            };
            let wire = Wire::new(stream, now);
            match self.greeting(wire, Some((node, channel)), now) {
                Ok(greeting) => self.greetings.call(greeting),
                Err(wire) => self.parted.push(wire),
            }
        }
    }

    /// Parts from connections by which nothing comes any more, so that they are made again.
    fn give_up_silent(&mut self, now: u64) {
        // Who has stood still has not listened, either.
        let has_stood_still = now.saturating_sub(self.looked) > STALL / 4;
        self.looked = now;
        for peer in &mut self.peers[..usize::from(self.me.node)] {
            let Some(control) = &mut peer.line(Channel::Control).wire else {
                continue;
            };
            if has_stood_still {
                control.forgive_silence(now);
            } else if now.saturating_sub(control.heard()) > STALL {
                self.parted
                    .extend(peer.lines.iter_mut().filter_map(Line::part));
            }
        }
        while let Some(greeting) = self.greetings.take_unanswered(now.saturating_sub(STALL)) {
            self.parted.push(greeting.wire);
        }
    }

    /// Finds out who is at the other ends.
    fn settle(&mut self, now: u64) {
        while let Some((greeting, end)) = self.greetings.next_end(now) {
            match end {
                End::Met(met) => self.admit(greeting, &met, now),
                End::Refused(refusal) => self.refused(greeting, refusal, now),
                End::Broken => self.parted.push(greeting.wire),
            }
        }
    }

    fn admit(&mut self, greeting: Greeting, met: &Met, now: u64) {
        catch_up(met.time);
        let node = met.node;
        let peer = &mut self.peers[usize::from(node)];
        let mut greeting = greeting;
        let reason = match () {
            () if peer.is_another(met) => Some(Reason::NodeTaken { node }),
            () if peer.is_over => Some(Reason::SessionLost),
            () => None,
        };
        if let Some(reason) = reason {
            let refusal = greeting.link.refuse(reason);
            return self.refused(greeting, refusal, now);
        }
        peer.cpus = met.cpus;
        peer.incarnation = met.incarnation;
        let Greeting { wire, link, .. } = greeting;
        match peer.line(met.channel).attach(met, link, wire, self.limits) {
            Ok(before) => self.parted.extend(before),
            Err(_) => unreachable!("the session is with that node"),
        }
    }

    fn refused(&mut self, mut greeting: Greeting, refusal: Refusal, now: u64) {
        self.journal.refused(greeting.wire.remote(), &refusal, now);
        let count = greeting.wire.write(greeting.link.output());
        greeting.link.sent(count);
        self.parted.push(greeting.wire);
        let Some((node, _)) = greeting.called else {
            return;
        };
        let peer = &mut self.peers[usize::from(node.0)];
        peer.refusal = Some(refusal);
        if is_for_good(refusal.reason()) && !peer.is_over {
            peer.is_over = true;
            self.told.push_back((node, Came::Refused(refusal)));
        }
    }

    /// Sends a packet, which is all of `pieces`, one after the other.
    pub fn send<'a>(&mut self, to: NodeId, pieces: impl Iterator<Item = &'a [u8]> + Clone) {
        let message = [&[PACKET][..]].into_iter().chain(pieces);
        self.put(to, Channel::Control, message);
    }

    /// As [`Self::send`], of what may come late.
    pub fn send_hint<'a>(&mut self, to: NodeId, pieces: impl Iterator<Item = &'a [u8]> + Clone) {
        let message = [&[PACKET][..]].into_iter().chain(pieces);
        self.put(to, Channel::Bulk, message);
    }

    /// Sends a call or an answer.
    pub fn send_record(&mut self, to: NodeId, record: &Record) {
        let bytes = record.encode();
        let message = [&[RECORD][..], &bytes].into_iter();
        self.put(to, channel_of(record.kind), message);
    }

    /// Sends an answer, and as many bytes as a page has behind it.
    pub fn send_echo(&mut self, to: NodeId, record: &Record) {
        const ZEROS: &[u8] = &[0; PAGE as usize];
        let bytes = record.encode();
        let message = [&[ECHO][..], &bytes, ZEROS].into_iter();
        self.put(to, Channel::Control, message);
    }

    /// Whether a record of that kind would be taken at once: what nobody waits for has to wait
    /// until the node has received what was sent to it before.
    pub fn has_room(&self, to: NodeId, kind: Kind) -> bool {
        const BYTES: usize = 1 + super::record::BYTES;
        let peer = self.peers.get(usize::from(to.0));
        let line = peer.map(|peer| &peer.lines[channel_of(kind) as usize - 1]);
        line.is_some_and(|line| line.has_room(BYTES))
    }

    fn put<'a>(
        &mut self,
        to: NodeId,
        channel: Channel,
        message: impl Iterator<Item = &'a [u8]> + Clone,
    ) {
        let Some(peer) = self.peers.get_mut(usize::from(to.0)) else {
            return;
        };
        if !peer.is_over && peer.line(channel).send(message) == Err(Overrun) {
            peer.is_over = true;
            self.told.push_back((to, Came::Overrun));
        }
    }

    /// The next thing that has come, and from whom. A packet is put into `packet`.
    pub fn next(&mut self, packet: &mut Vec<u8>, now: u64) -> Option<(NodeId, Came)> {
        if let Some(told) = self.told.pop_front() {
            return Some(told);
        }
        if self.is_leaving {
            self.ignore(now);
            return None;
        }
        for (node, peer) in (0..).map(NodeId).zip(&mut self.peers) {
            if peer.is_over {
                continue;
            }
            for line in &mut peer.lines {
                match line.next(packet, now) {
                    Ok(Some(came)) => return Some((node, came)),
                    Ok(None) if line.wire.as_ref().is_some_and(Wire::is_over) => {
                        log::debug!("the connection to node {} is lost", node.0);
                        self.parted.extend(line.part());
                    }
                    Ok(None) => {}
                    Err(refusal) => {
                        let address = self.addresses[usize::from(node.0)];
                        self.parted.extend(line.part());
                        if let Some(came) = what_follows(&refusal) {
                            peer.is_over = true;
                            peer.refusal = Some(refusal);
                            if !matches!(came, Came::Gone) {
                                self.journal.refused(address, &refusal, now);
                            }
                            return Some((node, came));
                        }
                        self.journal.refused(address, &refusal, now);
                    }
                }
            }
        }
        None
    }

    /// Takes what still comes, and forgets it: a connection with something unread would be broken
    /// off, and what this node has said lost.
    fn ignore(&mut self, now: u64) {
        for line in self.peers.iter_mut().flat_map(|peer| &mut peer.lines) {
            let Some(wire) = &mut line.wire else { continue };
            wire.discard(now);
            if wire.is_over() {
                self.parted.extend(line.part());
            }
        }
    }

    /// Hands over to the stack what there is to be sent. Whether there was anything that it has
    /// to look at.
    pub fn flush(&mut self, stack: &mut Stack<WaitPoint>, now: u64) -> Progress {
        let mut progress = self.greetings.show(stack, now);
        for line in self.peers.iter_mut().flat_map(|peer| &mut peer.lines) {
            progress = progress.and(line.flush(stack, now));
        }
        for wire in self.parted.drain(..) {
            wire.close(stack, now);
            progress = Progress::Something;
        }
        progress
    }

    /// Says to all nodes that this one has ended, behind all that was said.
    pub fn leave(&mut self) {
        self.stop();
        let lines = self.peers.iter_mut().flat_map(|peer| &mut peer.lines);
        lines.for_each(Line::leave);
    }

    /// Makes no more links, and listens to nobody.
    pub fn stop(&mut self) {
        self.is_leaving = true;
    }

    /// Whether no connection is left: who is told that this node has ended ends its own.
    pub fn is_parted(&self) -> bool {
        let mut lines = self.peers.iter().flat_map(|peer| &peer.lines);
        lines.all(|line| line.wire.is_none())
    }
}

/// What a record goes by.
fn channel_of(kind: Kind) -> Channel {
    match kind {
        Kind::Free => Channel::Bulk,
        _ => Channel::Control,
    }
}

/// Whether the nodes have proved to each other that they have the key, and cannot be of one
/// cluster.
fn is_for_good(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::Version { .. }
            | Reason::ClusterSize { .. }
            | Reason::NodeOutOfRange { .. }
            | Reason::NodeTaken { .. }
            | Reason::Itself { .. }
            | Reason::OtherNode { .. }
            | Reason::Channel { .. }
            | Reason::Image { .. }
            | Reason::Features { .. }
            | Reason::SessionLost
    )
}

/// What it means for a node that a link of its session is refused. `None`: bytes were changed on the way, and
/// another link will do.
fn what_follows(refusal: &Refusal) -> Option<Came> {
    match refusal {
        Refusal::There(Reason::Leaving) => Some(Came::Gone),
        Refusal::Here(reason) | Refusal::There(reason) => match reason {
            Reason::Forged { .. } | Reason::Length { .. } => None,
            _ => Some(Came::Garbage),
        },
    }
}
