//! What the protocol thread does for the cluster: it runs the protocol of coherence for this
//! node, and the calls between nodes.
//!
//! What happens (a thread's fault, a packet, a timer) is told to
//! [`darner_coherence::Node`]; what that wants done is done here, in its order, at once.
//! Nothing here waits.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use darner_abi::Direction;
use darner_coherence::{
    Action, AgentLimits, Config, Dirt, Epoch, Event, Failure, HomeLimits, Message, Node, NodeId,
    Packet, PageIndex, Slices, Time, Token, View,
};
use darner_lwkt::message::ReplyTo;
use darner_lwkt::port::Received;
use darner_netstack::Stack;

use super::config::ClusterConfig;
use super::frames::{Frames, NoFrame};
use super::links::{Came, Links, Progress};
use super::record::{self, Kind, Record, Words, words};
use super::retirement::Retirement;
use super::statistics::{Fault, Now, Served, Statistics};
use super::timers::Timers;
use super::{CPUS, FIRST, Reply, Request, Requested, futex, home_of, servers};
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
    waiting: BTreeMap<Token, (Answer, Option<Fault>)>,
    /// The thread whose fault is told to the protocol now.
    faulting: Option<Token>,
    statistics: Statistics,
    retirement: Retirement,
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
}

impl Engine {
    pub(super) fn new(config: &ClusterConfig, requests: Requested) -> Self {
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
        let cpus = arch::percpu::online() as u16;
        Self {
            requests,
            node,
            frames: Frames::default(),
            links: Links::new(config, cpus),
            packet: Vec::new(),
            timers: Timers::default(),
            waiting: BTreeMap::new(),
            faulting: None,
            statistics: Statistics::default(),
            retirement: Retirement::default(),
            calls: BTreeMap::new(),
            last_call: 0,
            heard: members.iter().map(|_| 0).collect(),
            next_beat: 0,
            waiting_formed: Vec::new(),
            is_formed: false,
            give_up: monotonic_ns() + FORMATION,
        }
    }

    /// Does all that there is to do. Whether the stack has to look at what was done; and when this
    /// is to be called again at the latest (monotonic ns).
    pub fn step(&mut self, stack: &mut Stack<WaitPoint>, now: u64) -> (Progress, Option<u64>) {
        let mut link_deadline = None;
        if !self.is_formed {
            if !self.links.missing().is_empty() {
                link_deadline = Some(self.links.make(stack, now));
            }
            let missing = self.links.missing();
            if missing.is_empty() {
                self.form(now);
            } else if now > self.give_up {
                not_formed(&missing);
            }
        }
        while let Ok(Some(Received::Message(message))) = self.requests.get() {
            let (request, reply_to) = message.into_parts();
            self.request(request, reply_to, now);
        }
        self.receive(now);
        for (address, layout) in super::calls::take_freed() {
            let address = address as u64;
            let words = words([address, layout.size() as u64, layout.align() as u64]);
            self.send(super::home_of(address), Kind::Free, 0, words);
        }
        let over = self.time(now);
        while let Some(page) = self.timers.take(over) {
            self.happens(now, Event::TimeOver { page }, None);
        }
        if self.is_formed && now >= self.next_beat {
            self.beat(now);
        }
        let progress = self.links.flush(stack, now);
        let timer = self.timers.next();
        let timer = timer.map(|at| self.retirement.deadline(at, now));
        let beat = self.is_formed.then_some(self.next_beat);
        let deadlines = link_deadline.into_iter().chain(timer).chain(beat);
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
            Request::Fault {
                thread,
                page,
                access,
                since,
                progress,
            } => {
                let token = Token(thread.kept.tid.into());
                self.retirement.waits(token);
                let fault = Fault {
                    page,
                    access,
                    before: self.node.agent().mapped(page),
                    since,
                    thread,
                };
                self.statistics.faulted(progress);
                self.waiting.insert(token, (reply_to, Some(fault)));
                self.faulting = Some(token);
                let event = Event::Fault {
                    token,
                    page,
                    access,
                };
                self.happens(now, event, None);
                self.faulting = None;
            }
            Request::Discard { tid, first, pages } => {
                let token = Token(tid.into());
                self.statistics.discarded();
                self.waiting.insert(token, (reply_to, None));
                let event = Event::Discard {
                    token,
                    first,
                    pages,
                };
                self.happens(now, event, None);
            }
            Request::Prefetch {
                first,
                pages,
                access,
            } => {
                let event = Event::Prefetch {
                    first,
                    pages,
                    access,
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
            Request::Statistics { of, first } if of == self.node.id() => {
                let _ = reply_to.reply(Reply::Words(self.counted(first)));
            }
            Request::Statistics { of, first } => {
                self.last_call += 1;
                self.calls.insert(self.last_call, reply_to);
                self.send(of, Kind::Statistics, self.last_call, words([first]));
            }
            Request::Formed if self.is_formed => {
                let _ = reply_to.reply(Reply::Done);
            }
            Request::Formed => self.waiting_formed.push(reply_to),
        }
    }

    /// The numbers at `first` and behind it; what is of a moment is of that when the first was asked for.
    fn counted(&mut self, first: u64) -> Words {
        if first == 0 {
            let mut now = Now::default();
            self.frames
                .pages()
                .for_each(|page| now.add(page, is_own(page)));
            self.statistics.set_now(now);
        }
        self.statistics.part(first)
    }

    fn answer<const COUNT: usize>(&mut self, to: NodeId, call: u64, results: [u64; COUNT]) {
        self.send(to, Kind::Answer, call, words(results));
    }

    fn send(&mut self, to: NodeId, kind: Kind, call: u64, words: Words) {
        self.statistics.call(Direction::Sent, kind);
        self.links.send_record(to, &Record { kind, call, words });
    }

    /// Takes all that has come by the links.
    fn receive(&mut self, now: u64) {
        let mut packet = core::mem::take(&mut self.packet);
        while let Some((from, came)) = self.links.next(&mut packet) {
            // What has come may have put the clock forward.
            self.heard[usize::from(from.0)] = monotonic_ns().max(now);
            match came {
                Came::Packet => self.packet(from, &packet, now),
                Came::Record(record) => self.record(from, record),
                // It closes its links when the program has ended, which was said there.
                Came::Gone if from == FIRST => {
                    panic::claim_last_words();
                    panic::end(0);
                }
                Came::Gone => gone(from, "has closed its links"),
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
        let header_bytes = bytes.len() - came.bytes.len();
        self.statistics
            .packet(Direction::Received, &packet.message, header_bytes);
        self.happens(now, Event::Received { from, packet }, Some(&came));
    }

    fn record(&mut self, from: NodeId, record: Record) {
        let Record { kind, call, words } = record;
        self.statistics.call(Direction::Received, kind);
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
            Kind::Statistics => {
                let numbers = self.counted(words[0]);
                self.answer(from, call, numbers);
            }
            Kind::Spawn | Kind::Join | Kind::Delegate | Kind::Free => {
                servers::give(servers::Work::Asked { from, record });
            }
        }
    }

    /// The protocol's time.
    fn time(&mut self, now: u64) -> Time {
        self.retirement.time(now, HOLD)
    }

    /// Tells the protocol what happens, and does what it wants done.
    fn happens(&mut self, now: u64, event: Event, came: Option<&Payload<'_>>) {
        let mut actions = Vec::new();
        let time = self.time(now);
        self.node.handle(time, event, &mut actions);
        self.carry_out(now, actions, came);
    }

    fn carry_out(&mut self, now: u64, actions: Vec<Action>, came: Option<&Payload<'_>>) {
        let mut protected = VecDeque::new();
        self.act_all(actions, came, &mut protected);
        while let Some((page, dirt)) = protected.pop_front() {
            let mut actions = Vec::new();
            let event = Event::Protected { page, dirt };
            let time = self.time(now);
            self.node.handle(time, event, &mut actions);
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
                    let dirt = self.frames.protect(page, rights);
                    self.statistics.protected(dirt, is_own(page));
                    protected.push_back((page, dirt));
                }
                action => self.act(action, came),
            }
        }
    }

    fn act(&mut self, action: Action, came: Option<&Payload<'_>>) {
        match action {
            Action::Send { to, packet } | Action::Hint { to, packet } => {
                self.send_packet(to, packet);
            }
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
                self.statistics.mapped(page, rights);
            }
            Action::Protect { .. } => unreachable!("the caller does these"),
            Action::Free { page } => self.frames.free(page),
            Action::Wake { token, result } => {
                if let Some((answer, fault)) = self.waiting.remove(&token) {
                    let reply = match result {
                        Ok(()) => Reply::Done,
                        Err(Failure::Lost) => Reply::Lost,
                    };
                    if let Some(fault) = fault {
                        let served = match self.faulting == Some(token) {
                            true => Served::Here,
                            false => Served::Away,
                        };
                        self.statistics
                            .served(&fault, served, result, is_own(fault.page));
                        self.retirement.resumes(token, fault.thread, monotonic_ns());
                    }
                    let _ = answer.reply(reply);
                }
            }
            Action::SetTimer { page, at } => {
                self.statistics.held();
                self.timers.set(page, at);
            }
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
        let header = match darner_wire::encode(&packet) {
            Ok(header) => header,
            Err(refusal) => {
                log::error!("cannot say {packet:?}: {refusal}");
                return;
            }
        };
        self.statistics
            .packet(Direction::Sent, &packet.message, header.bytes().len());
        self.links.send(to, header.framed());
        for page in packet.message.carried() {
            match self.frames.bytes(page) {
                Some(bytes) => self.links.send_more(to, bytes),
                // Never written, so all zeros.
                None => self.links.send_more(to, &[0; PAGE as usize]),
            }
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

/// Whether this node is the home of a page, as its slice says.
fn is_own(page: PageIndex) -> bool {
    home_of(page.0 * PAGE).0 == super::me()
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
fn not_formed(missing: &[NodeId]) -> ! {
    let missing: Vec<u16> = missing.iter().map(|node| node.0).collect();
    panic::refuse(format_args!(
        "found no link to nodes {missing:?} of the cluster for 90 s; start all nodes, with the same addresses \
         (cluster.address=IP) and the same program"
    ))
}

fn no_memory() -> ! {
    panic::lost(format_args!(
        "there is no memory left for a page of the cluster; give the VMs more memory"
    ))
}
