//! What the protocol thread does for the cluster: it runs the protocol of coherence for this
//! node, and the calls between nodes.
//!
//! What happens (a thread's fault, a packet, a timer) is told to
//! [`darner_coherence::Node`]; what that wants done is done here, in its order, at once.
//! Nothing here waits.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use darner_coherence::{
    Action, AgentLimits, Config, Dirt, Epoch, Event, Failure, HomeLimits, Message, Node, NodeId,
    Packet, PageIndex, Slices, Time, Token, View,
};
use darner_link::{ClusterKey, Identity, Refusal};
use darner_lwkt::message::ReplyTo;
use darner_lwkt::port::Received;
use darner_netstack::socket::Farewell;
use darner_netstack::{Request as StackRequest, Stack};
use darner_wire::Header;

use super::config::ClusterConfig;
use super::frames::{Frames, NoFrame};
use super::links::{Came, Links, Progress};
use super::record::{self, Kind, Record, Words, words};
use super::timers::Timers;
use super::{CPUS, FIRST, Reply, Request, Requested, futex, servers};
use crate::layout::{self, PAGE};
use crate::net::WaitPoint;
use crate::sched::Kernel;
use crate::time::monotonic_ns;
use crate::{arch, panic};

/// How long a page that has just arrived stays, in microseconds.
const HOLD: u64 = 300;
/// The most pages that one request names.
const RUN: u8 = 16;
/// Pages whose home may be elsewhere than their slice says.
const MOVED: usize = 4096;
/// Entries of the directory.
const RECORDS: usize = 1 << 16;

/// How long all nodes may take to be linked, in ns.
const FORMATION: u64 = 90_000_000_000;
/// How often a node says that it is there, in ns.
const BEAT: u64 = 500_000_000;
/// How long a node that says nothing is waited for, in ns. A machine that has to share its host
/// with many may stand still for seconds.
const SILENCE: u64 = 20_000_000_000;
/// How long the end of the program may wait for the other nodes to be told, in ns.
const FAREWELL: u64 = 1_000_000_000;
/// How long it may take to tell another node why it is refused, in ns.
const TELLING: u64 = 300_000_000;
/// How long a card may take to send what it was given, in ns.
const LAST_FRAMES: u64 = 10_000_000;

type Answer = ReplyTo<Kernel, Reply>;

/// The node's part in the cluster.
pub struct Engine {
    requests: Requested,
    node: Node,
    frames: Frames,
    links: Links,
    /// For packets that come.
    packet: Vec<u8>,
    timers: Timers,
    /// Threads that wait for a page or a discard.
    waiting: BTreeMap<Token, Answer>,
    /// Calls that other nodes have not answered.
    calls: BTreeMap<u64, Answer>,
    last_call: u64,
    /// When something was last heard of each node (monotonic ns).
    heard: Vec<u64>,
    /// When this node says next that it is there.
    next_beat: u64,
    /// Threads that wait for all nodes to be linked.
    waiting_formed: Vec<Answer>,
    /// All nodes are linked, and the program's variables are shared.
    is_formed: bool,
    /// Until when they may be on their way (monotonic ns).
    give_up: u64,
    /// Who waits for the others to be told that the program has ended, and until when.
    leaving: Option<(Answer, u64)>,
    /// The program has ended on the first node, and this one ends.
    ending: Ending,
    /// This node cannot be of the cluster, and ends then (monotonic ns).
    refused: Option<(NodeId, Refusal, u64)>,
}

/// How far the end of a node is whose program has ended elsewhere.
enum Ending {
    /// It has not.
    No,
    /// It has. What has come for this node's links is to be confirmed yet.
    Due,
    /// That is under way, but does not hold up the end for longer than until then (monotonic ns).
    Parting(Arc<Farewell<WaitPoint>>, u64),
    /// It is confirmed. The card sends what it was given, until then.
    Sending(u64),
}

impl Engine {
    /// `identity` and `key`: what this node says of itself to the others, and what proves it.
    pub(super) fn new(
        config: &ClusterConfig,
        key: ClusterKey,
        identity: Identity,
        requests: Requested,
    ) -> Self {
        let members: Vec<NodeId> = (0..config.nodes).map(NodeId).collect();
        let view = View {
            epoch: Epoch(1),
            members: members.clone(),
            slices: slices(&members),
        };
        let node = Node::new(Config {
            me: config.me,
            nodes: config.nodes,
            view,
            home: HomeLimits {
                records: RECORDS,
                moved: MOVED,
            },
            agent: AgentLimits {
                hold: HOLD,
                run: RUN,
                moved: MOVED,
            },
        });
        Self {
            requests,
            node,
            frames: Frames::default(),
            links: Links::new(config, key, identity),
            packet: Vec::new(),
            timers: Timers::default(),
            waiting: BTreeMap::new(),
            calls: BTreeMap::new(),
            last_call: 0,
            heard: members.iter().map(|_| 0).collect(),
            next_beat: 0,
            waiting_formed: Vec::new(),
            is_formed: false,
            give_up: monotonic_ns() + FORMATION,
            leaving: None,
            ending: Ending::No,
            refused: None,
        }
    }

    /// Does all that there is to do. Whether the stack has to look at what was done; and when this
    /// is to be called again at the latest (monotonic ns).
    pub fn step(&mut self, stack: &mut Stack<WaitPoint>, now: u64) -> (Progress, Option<u64>) {
        let mut link_deadline = self.links.make(stack, now);
        if !self.is_formed {
            let missing = self.links.missing();
            if missing.is_empty() {
                self.form(now);
            } else if now > self.give_up {
                not_formed(&missing, &self.links);
            } else {
                link_deadline = link_deadline.into_iter().chain([self.give_up]).min();
            }
        }
        while let Ok(Some(Received::Message(message))) = self.requests.get() {
            let (request, reply_to) = message.into_parts();
            self.request(request, reply_to, now);
        }
        self.receive(now);
        self.give_back();
        while let Some(page) = self.timers.take(time(now)) {
            self.happens(now, Event::TimeOver { page }, None);
        }
        if self.is_formed && now >= self.next_beat {
            self.beat(now);
        }
        let progress = self.links.flush(stack, now);
        let leave = self.leave_when_all_know(now);
        if let Some((node, refusal, at)) = &self.refused
            && now >= *at
        {
            refused(*node, refusal);
        }
        let refused = self.refused.as_ref().map(|&(_, _, at)| at);
        let end = self.end_when_all_is_confirmed(stack, now);
        let timer = self.timers.next().map(|at| at.0.saturating_mul(1000));
        let beat = self.is_formed.then_some(self.next_beat);
        let deadlines = link_deadline
            .into_iter()
            .chain(timer)
            .chain(beat)
            .chain(leave)
            .chain(refused)
            .chain(end);
        (progress, deadlines.min())
    }

    /// All are there: from now on the program's variables are the same memory on all nodes.
    fn form(&mut self, now: u64) {
        self.is_formed = true;
        self.heard.fill(now);
        self.next_beat = now + BEAT;
        let cpus = self.links.cpus();
        CPUS.store(
            cpus.iter().map(|&cpus| usize::from(cpus)).sum(),
            core::sync::atomic::Ordering::Relaxed,
        );
        super::calls::set_cpus(&cpus);
        for &(start, end) in super::variables() {
            for address in (start..end).step_by(PAGE as usize) {
                self.frames.adopt(address);
            }
        }
        arch::tlb::shootdown_all();
        for &(start, end) in super::variables() {
            let mut actions = Vec::new();
            self.node
                .replicate(PageIndex(start / PAGE), (end - start) / PAGE, &mut actions);
            self.carry_out(now, actions, None);
        }
        for answer in self.waiting_formed.drain(..) {
            let _ = answer.reply(Reply::Done);
        }
    }

    /// Gives back what the program has freed and other nodes have allocated, as far as they take
    /// it now.
    fn give_back(&mut self) {
        let mut left = Vec::new();
        for (address, layout) in super::calls::take_freed() {
            let home = super::home_of(address as u64);
            if !self.links.has_room(home, Kind::Free) {
                left.push((address, layout));
                continue;
            }
            let words = [address, layout.size(), layout.align()].map(|word| word as u64);
            self.send(home, Kind::Free, 0, record::words(words));
        }
        super::calls::put_back(left);
    }

    /// Lets the program end once the other nodes have heard of it, or cannot be told. When to look
    /// again at the latest.
    fn leave_when_all_know(&mut self, now: u64) -> Option<u64> {
        let is_known = self.links.is_parted();
        let leaving = self.leaving.take_if(|(_, until)| is_known || now >= *until);
        if let Some((answer, _)) = leaving {
            let _ = answer.reply(Reply::Done);
        }
        self.leaving.as_ref().map(|&(_, until)| until)
    }

    /// Ends this node once the program has ended. Its connections end first: the first node waits for
    /// that, as for those of any other. When to look again at the latest.
    fn end_when_all_is_confirmed(&mut self, stack: &mut Stack<WaitPoint>, now: u64) -> Option<u64> {
        if matches!(self.ending, Ending::Due) {
            self.links.stop();
            let farewell = Arc::new(Farewell::new());
            let _ = stack.request(StackRequest::Finish(farewell.clone()), now);
            self.ending = Ending::Parting(farewell, now + FAREWELL);
        }
        let until = match &self.ending {
            Ending::No | Ending::Due => return None,
            // What was given to the card last is lost when the machine is switched off at once.
            Ending::Parting(farewell, until) if farewell.is_over() => {
                let until = (*until).min(now + LAST_FRAMES);
                self.ending = Ending::Sending(until);
                until
            }
            Ending::Parting(_, until) | Ending::Sending(until) => *until,
        };
        if now >= until {
            panic::claim_last_words();
            panic::end(0);
        }
        Some((now + LAST_FRAMES).min(until))
    }

    /// Says that this node is there, and looks whether the others are.
    fn beat(&mut self, now: u64) {
        // Who has stood still for so long has not listened, either.
        let has_stood_still = now > self.next_beat + SILENCE / 4;
        self.next_beat = now + BEAT;
        let me = self.node.id();
        for node in (0..self.heard.len() as u16).map(NodeId) {
            if node == me {
                continue;
            }
            let heard = &mut self.heard[usize::from(node.0)];
            if has_stood_still {
                *heard = now;
            } else if now.saturating_sub(*heard) > SILENCE {
                gone(node, "has not been heard of for 20 s");
            }
            self.send(node, Kind::Heartbeat, 0, Words::default());
        }
    }

    fn request(&mut self, request: Request, reply_to: Answer, now: u64) {
        match request {
            Request::Fault { tid, page, access } => {
                let token = Token(tid.into());
                self.waiting.insert(token, reply_to);
                let event = Event::Fault {
                    token,
                    page,
                    access,
                };
                self.happens(now, event, None);
            }
            Request::Discard { tid, first, pages } => {
                let token = Token(tid.into());
                self.waiting.insert(token, reply_to);
                let event = Event::Discard {
                    token,
                    first,
                    pages,
                };
                self.happens(now, event, None);
            }
            Request::Call { to, kind, words } => {
                self.last_call += 1;
                self.calls.insert(self.last_call, reply_to);
                self.send(to, kind, self.last_call, words);
            }
            Request::Tell { to, kind, words } => self.send(to, kind, 0, words),
            Request::Answer { to, call, words } => self.send(to, Kind::Answer, call, words),
            Request::Leave => {
                self.links.leave();
                self.leaving = Some((reply_to, now + FAREWELL));
            }
            Request::Formed if self.is_formed => {
                let _ = reply_to.reply(Reply::Done);
            }
            Request::Formed => self.waiting_formed.push(reply_to),
        }
    }

    fn answer<const COUNT: usize>(&mut self, to: NodeId, call: u64, results: [u64; COUNT]) {
        self.send(to, Kind::Answer, call, words(results));
    }

    fn send(&mut self, to: NodeId, kind: Kind, call: u64, words: Words) {
        self.links.send_record(to, &Record { kind, call, words });
    }

    /// Takes all that has come by the links.
    fn receive(&mut self, now: u64) {
        let mut packet = core::mem::take(&mut self.packet);
        while let Some((from, came)) = self.links.next(&mut packet, now) {
            // What has come may have put the clock forward.
            self.heard[usize::from(from.0)] = monotonic_ns().max(now);
            match came {
                Came::Packet => self.packet(from, &packet, now),
                Came::Record(record) => self.record(from, record),
                // The program has ended, which was said there.
                Came::Gone if from == FIRST => self.ending = Ending::Due,
                // Others end as this one does.
                Came::Gone if !matches!(self.ending, Ending::No) => {}
                Came::Gone => gone(from, "has ended"),
                Came::Overrun => gone(from, "does not take what is sent to it"),
                Came::Refused(refusal) if self.is_formed => {
                    gone(
                        from,
                        &alloc::format!("and this one do not know each other any more: {refusal}"),
                    );
                }
                // The other node is told first.
                Came::Refused(refusal) => self.refused = Some((from, refusal, now + TELLING)),
                Came::Garbage => gone(from, "sends what makes no sense"),
            }
        }
        self.packet = packet;
    }

    fn packet(&mut self, from: NodeId, bytes: &[u8], now: u64) {
        let parsed = match darner_wire::parse_coherence(bytes) {
            Ok(parsed) => parsed,
            Err(refusal) => {
                log::error!(
                    "node {} sends a packet that breaks a rule: {refusal}",
                    from.0
                );
                gone(from, "sends what makes no sense")
            }
        };
        let came = Payload {
            message: parsed.packet.message.clone(),
            bytes: parsed.pages,
        };
        let packet = parsed.packet;
        self.happens(now, Event::Received { from, packet }, Some(&came));
    }

    fn record(&mut self, from: NodeId, record: Record) {
        let Record { kind, call, words } = record;
        match kind {
            Kind::Answer => {
                if let Some(answer) = self.calls.remove(&call) {
                    let _ = answer.reply(Reply::Words(words));
                }
            }
            Kind::FutexWait => {
                futex::enlist(from, words);
                self.answer(from, call, []);
            }
            Kind::FutexCancel => {
                let struck = futex::strike(from, words);
                self.answer(from, call, [struck.into()]);
            }
            Kind::FutexWake => {
                let [address, count, ..] = words;
                let woken = futex::wake_here(address as usize, count as usize, |node, ticket| {
                    self.send(node, Kind::FutexWoken, 0, record::words([ticket]));
                });
                self.answer(from, call, [woken as u64]);
            }
            Kind::FutexWoken => futex::woken(words[0]),
            Kind::Heartbeat => {}
            Kind::Spawn | Kind::Join | Kind::Delegate | Kind::Free => {
                servers::give(servers::Work::Asked { from, record });
            }
        }
    }

    /// Tells the protocol what happens, and does what it wants done.
    fn happens(&mut self, now: u64, event: Event, came: Option<&Payload<'_>>) {
        let mut actions = Vec::new();
        self.node.handle(time(now), event, &mut actions);
        self.carry_out(now, actions, came);
    }

    fn carry_out(&mut self, now: u64, actions: Vec<Action>, came: Option<&Payload<'_>>) {
        let mut protected = VecDeque::new();
        self.act_all(actions, came, &mut protected);
        while let Some((page, dirt)) = protected.pop_front() {
            let mut actions = Vec::new();
            let event = Event::Protected { page, dirt };
            self.node.handle(time(now), event, &mut actions);
            self.act_all(actions, came, &mut protected);
        }
    }

    fn act_all(
        &mut self,
        actions: Vec<Action>,
        came: Option<&Payload<'_>>,
        protected: &mut VecDeque<(PageIndex, Dirt)>,
    ) {
        for action in actions {
            match action {
                Action::Protect { page, rights } => {
                    protected.push_back((page, self.frames.protect(page, rights)));
                }
                action => self.act(action, came),
            }
        }
    }

    fn act(&mut self, action: Action, came: Option<&Payload<'_>>) {
        match action {
            Action::Send { to, packet } => self.send_packet(to, packet),
            Action::Hint { to, packet } => self.send_hint(to, packet),
            Action::Store { page } => {
                let stored = match came.and_then(|came| came.page(page)) {
                    Some(bytes) => self.frames.store(page, bytes),
                    None => self.frames.store_zeros(page),
                };
                stored.unwrap_or_else(|NoFrame| no_memory());
            }
            Action::Zero { page } => self.frames.zero(page),
            Action::Map { page, rights } => {
                let mapped = self.frames.map(page, rights);
                mapped.unwrap_or_else(|NoFrame| no_memory());
            }
            Action::Protect { .. } => unreachable!("the caller does these"),
            Action::Free { page } => self.frames.free(page),
            Action::Wake { token, result } => {
                if let Some(answer) = self.waiting.remove(&token) {
                    let reply = match result {
                        Ok(()) => Reply::Done,
                        Err(Failure::Lost) => Reply::Lost,
                    };
                    let _ = answer.reply(reply);
                }
            }
            Action::SetTimer { page, at } => self.timers.set(page, at),
            Action::Refused { from, why } => {
                log::warn!(
                    "node {} says what the protocol does not allow: {why:?}",
                    from.0
                );
            }
            Action::NotMoved { page, why } => {
                log::warn!("the home of page {:#x} is not moved: {why:?}", page.0);
            }
        }
    }

    fn send_packet(&mut self, to: NodeId, packet: Packet) {
        let Some(header) = encode(&packet) else {
            return;
        };
        // Never written, so all zeros.
        const ZEROS: &[u8; PAGE as usize] = &[0; PAGE as usize];
        let carried = packet.message.carried();
        let pages = carried.map(|page| &self.frames.bytes(page).unwrap_or(ZEROS)[..]);
        let pieces: Vec<&[u8]> = [header.bytes()].into_iter().chain(pages).collect();
        self.links.send(to, pieces.into_iter());
    }

    fn send_hint(&mut self, to: NodeId, packet: Packet) {
        if let Some(header) = encode(&packet) {
            self.links.send_hint(to, [header.bytes()].into_iter());
        }
    }
}

fn encode(packet: &Packet) -> Option<Header> {
    match darner_wire::encode(packet) {
        Ok(header) => Some(header),
        Err(refusal) => {
            log::error!("cannot say {packet:?}: {refusal}");
            None
        }
    }
}

/// The bytes that came with a message.
struct Payload<'a> {
    message: Message,
    bytes: &'a [u8],
}

impl Payload<'_> {
    /// Those of one page.
    fn page(&self, page: PageIndex) -> Option<&[u8]> {
        let index = self.message.carried().position(|carried| carried == page)?;
        self.bytes.chunks_exact(PAGE as usize).nth(index)
    }
}

/// The homes of pages: the first node's slice begins at address 0, so it has the image, too.
fn slices(members: &[NodeId]) -> Slices {
    let start = |node: NodeId| match node {
        FIRST => 0,
        NodeId(node) => layout::slice(node).heap,
    };
    let slices = members
        .iter()
        .map(|&node| (PageIndex(start(node) / PAGE), node));
    Slices::new(slices.collect()).expect("slices are in order, and the first begins at 0")
}

/// Protocol time.
fn time(now: u64) -> Time {
    Time(now / 1000)
}

/// Ends this node: the program cannot go on without one of its nodes, whose memory and threads
/// are gone with it.
fn gone(node: NodeId, why: &str) -> ! {
    panic::lost(format_args!(
        "node {} {why}: what of the program's memory and threads was there is lost, so the program ends",
        node.0
    ))
}

/// Ends this node: others have not come.
fn not_formed(missing: &[NodeId], links: &Links) -> ! {
    let refusal = missing.iter().find_map(|&node| links.refusal(node));
    let missing: Vec<u16> = missing.iter().map(|node| node.0).collect();
    let why = refusal.map_or(String::new(), |refusal| alloc::format!("; {refusal}"));
    panic::refuse(format_args!(
        "found no link to nodes {missing:?} of the cluster for 90 s; start all nodes, with the same addresses \
         (cluster.address=IP), the same key (cluster.key=HEX) and the same program{why}"
    ))
}

/// Ends this node: it cannot be one of those.
fn refused(node: NodeId, refusal: &Refusal) -> ! {
    panic::refuse(format_args!(
        "this node and node {} cannot be of one cluster: {refusal}",
        node.0
    ))
}

fn no_memory() -> ! {
    panic::lost(format_args!(
        "there is no memory left for a page of the cluster; give the VMs more memory"
    ))
}
