//! What the protocol thread does for the cluster: it runs the protocol of coherence for this
//! node, and the calls between nodes.
//!
//! What happens (a thread's fault, a packet, a timer) is told to
//! [`darner_coherence::Node`]; what that wants done is done here, in its order, at once.
//! Nothing here waits.

mod departing;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;

use darner_abi::Direction;
use darner_cluster::{EndReason, FirstSlot, Incarnation, MembershipNotice, Slot, Standing, View};
use darner_coherence::{
    Access, Action, AgentLimits, Config, Dirt, Event, Failure, HomeLimits, Message, Node, NodeId,
    Packet, PageIndex, Rights, Token,
};
use darner_link::{ClusterKey, Identity, Refusal};
use darner_lwkt::message::ReplyTo;
use darner_lwkt::port::Received;
use darner_netstack::socket::Farewell;
use darner_netstack::{Request as StackRequest, Stack};
use darner_wire::{Header, Parsed, Said};

use self::departing::Departing;
use super::config::ClusterConfig;
use super::frames::{Frames, NoFrame};
use super::links::{Came, Links, Progress};
use super::members::{FORMATION, Members};
use super::record::{self, Kind, Record, Words, words};
use super::retirement::{self, Retirement};
use super::statistics::{Fault, Now, Served, Statistics};
use super::timers::Timers;
use super::{DETOUR, FIRST, Reply, Request, Requested, census, futex, nodes, servers};
use crate::layout::{self, PAGE};
use crate::net::WaitPoint;
use crate::sched::{self, Kernel};
use crate::time::uptime_ns;
use crate::{arch, control, panic, trace};

/// How long a page that has just arrived stays, in microseconds.
const HOLD: u64 = 300;
/// The most pages that one request names.
const RUN: u8 = 16;
/// Pages whose home may be elsewhere than their slice says.
const MOVED: usize = 4096;
/// Entries of the directory.
const RECORDS: usize = 1 << 16;

/// How long the end of the program may wait for the other nodes to be told, in ns.
const FAREWELL: u64 = 1_000_000_000;
/// How long it may take to tell another node why it is refused, in ns.
const TELLING: u64 = 300_000_000;
/// How long a card may take to send what it was given, in ns.
const LAST_FRAMES: u64 = 10_000_000;

type Answer = ReplyTo<Kernel, Reply>;

/// The node's part in the cluster.
pub struct Engine {
    config: &'static ClusterConfig,
    requests: Requested,
    members: Members,
    /// Coherence, once the cluster is formed.
    node: Option<Node>,
    /// This node may use and answer for cluster memory.
    is_serving: bool,
    frames: Frames,
    links: Links,
    /// For packets that come.
    packet: Vec<u8>,
    /// What has come while this node did not serve.
    put_off: VecDeque<(NodeId, PutOff)>,
    timers: Timers,
    /// Threads that wait until this node serves.
    waiting_ready: Vec<Answer>,
    /// Threads that wait for a page or a discard.
    waiting: BTreeMap<Token, (Answer, Option<Fault>)>,
    /// The thread whose fault is told to the protocol now.
    faulting: Option<Token>,
    statistics: Statistics,
    retirement: Retirement,
    departing: Departing,
    /// Calls that other nodes have not answered, and which.
    calls: BTreeMap<u64, (NodeId, Answer)>,
    last_call: u64,
    /// When this was last called ([`uptime_ns`]).
    stepped: u64,
    /// Until when the cluster has to be formed ([`uptime_ns`]).
    give_up: u64,
    /// Who waits for the others to be told that the program has ended, and until when.
    leaving: Option<(Answer, u64)>,
    /// The program has ended on the first node, or was lost with it, and this one ends.
    ending: Ending,
    /// What was lost, if that is why.
    loss: Option<&'static str>,
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

/// See [`Engine::put_off`].
enum PutOff {
    Packet(Vec<u8>),
    Record(Record),
}

impl Engine {
    /// `identity` and `key`: what this node says of itself to the others, and what proves it.
    pub(super) fn new(
        config: &'static ClusterConfig,
        key: ClusterKey,
        identity: Identity,
        requests: Requested,
    ) -> Self {
        nodes::init();
        let now = uptime_ns();
        Self {
            config,
            requests,
            links: Links::new(config, key, identity),
            members: Members::new(config, Incarnation(identity.incarnation)),
            node: None,
            is_serving: false,
            frames: Frames::default(),
            packet: Vec::new(),
            put_off: VecDeque::new(),
            timers: Timers::default(),
            waiting_ready: Vec::new(),
            waiting: BTreeMap::new(),
            faulting: None,
            statistics: Statistics::new(),
            retirement: Retirement::default(),
            departing: Departing::default(),
            calls: BTreeMap::new(),
            last_call: 0,
            stepped: now,
            give_up: now + FORMATION,
            leaving: None,
            ending: Ending::No,
            loss: None,
            refused: None,
        }
    }

    /// Does all that there is to do. Whether the stack has to look at what was done; and when this
    /// is to be called again at the latest (monotonic ns).
    pub fn step(&mut self, stack: &mut Stack<WaitPoint>, now: u64) -> (Progress, Option<u64>) {
        let link_deadline = self.links.make(stack, now);
        self.listen(now);
        self.members.advance(&mut self.links);
        self.heed(now);
        if self.members.take_link_change() {
            self.count_cpus();
        }
        let mut departs = None;
        if self.is_ready() {
            self.work(now);
            departs = self.depart(now);
        } else if self.node.is_none() && uptime_ns() > self.give_up {
            self.not_formed();
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
        let timer = self.timers.next().filter(|_| self.is_ready());
        let timer = timer.map(|at| self.retirement.deadline(at, now));
        let deadlines = link_deadline
            .into_iter()
            .chain(timer)
            .chain(leave)
            .chain(refused)
            .chain(departs)
            .chain(end);
        (progress, deadlines.chain(self.members.deadline()).min())
    }

    /// Whether threads and other nodes are served.
    fn is_ready(&self) -> bool {
        self.node.is_some() && self.is_serving
    }

    /// Whether there are links to all members, so that it is known how many CPUs they have.
    fn is_linked(&self) -> bool {
        let mut members = self
            .members
            .view()
            .map_or(&[][..], |view| &view.members)
            .iter();
        members.all(|member| member.node == self.config.me || self.links.is_settled(member.node))
    }

    /// Does what threads want before anything else is looked at: what that has to say to other nodes
    /// goes out by the stack's next step.
    pub fn begin(&mut self, stack: &mut Stack<WaitPoint>, now: u64) {
        if self.is_ready() && self.serve(now) == Progress::Something {
            self.links.flush(stack, now);
        }
    }

    /// Takes what threads ask for.
    fn serve(&mut self, now: u64) -> Progress {
        let mut progress = Progress::Nothing;
        while let Ok(Some(Received::Message(message))) = self.requests.get() {
            let (request, reply_to) = message.into_parts();
            self.request(request, reply_to, now);
            progress = Progress::Something;
        }
        progress
    }

    /// Does what threads want, and what is due.
    fn work(&mut self, now: u64) {
        self.serve(now);
        if !self.waiting_ready.is_empty() && self.is_linked() {
            for answer in self.waiting_ready.drain(..) {
                let _ = answer.reply(Reply::Done);
            }
        }
        self.give_back();
        let over = self.retirement.time(now, HOLD);
        while let Some(page) = self.timers.take(over) {
            self.happens(now, Event::TimeOver { page }, None);
        }
    }

    /// Gives back what the program has freed and other nodes have allocated, as far as they take
    /// it now.
    fn give_back(&mut self) {
        let mut left = Vec::new();
        for (address, layout) in super::calls::take_freed() {
            let owner = nodes::owner_of(address as u64);
            if nodes::is_gone(owner) {
                continue;
            }
            if !self.links.has_room(owner, Kind::Free) {
                left.push((address, layout));
                continue;
            }
            let words = [address, layout.size(), layout.align()].map(|word| word as u64);
            self.send(owner, Kind::Free, 0, record::words(words));
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
            if let Some(loss) = self.loss {
                panic::lost(format_args!("{loss}"));
            }
            panic::claim_last_words();
            panic::end(0);
        }
        Some((now + LAST_FRAMES).min(until))
    }

    /// Takes all that has come by the links.
    fn listen(&mut self, now: u64) {
        let uptime = uptime_ns();
        if uptime - self.stepped > self.config.silence / 4 {
            self.members.stood_still(&mut self.links);
        }
        self.stepped = uptime;
        self.take_put_off(now);
        let mut packet = core::mem::take(&mut self.packet);
        while let Some((from, came)) = self.links.next(&mut packet, now) {
            match came {
                Came::Packet => self.packet(from, &packet, now),
                Came::Record(record) => self.record(from, record),
                // The program has ended, which was said there.
                Came::Gone if from == FIRST => self.ending = Ending::Due,
                // Others end as this one does.
                Came::Gone if !matches!(self.ending, Ending::No) => {}
                Came::Gone if nodes::has_departed(from) => self.links.close(from),
                Came::Gone => self.cut(from, "has ended"),
                Came::Overrun => self.cut(from, "does not take what is sent to it"),
                // The other node is told first.
                Came::Refused(refusal) if self.node.is_none() => {
                    self.refused = Some((from, refusal, now + TELLING));
                }
                Came::Refused(refusal) => {
                    let why =
                        alloc::format!("and this one do not know each other any more: {refusal}");
                    self.cut(from, &why);
                }
                Came::Garbage => self.cut(from, "sends what makes no sense"),
            }
            self.take_put_off(now);
        }
        self.packet = packet;
    }

    /// Whether what comes has to wait: this node does not serve, or something that came before waits.
    fn has_to_wait(&self) -> bool {
        !self.is_ready() || !self.put_off.is_empty()
    }

    /// Takes what has come before this node served, in that order.
    fn take_put_off(&mut self, now: u64) {
        while self.is_ready()
            && let Some((from, put_off)) = self.put_off.pop_front()
        {
            match put_off {
                PutOff::Packet(bytes) => match darner_wire::parse_coherence(&bytes) {
                    Ok(parsed) => self.coherent(from, parsed, now),
                    Err(_) => unreachable!("it was parsed when it came"),
                },
                PutOff::Record(record) => self.serve_record(from, record),
            }
        }
    }

    /// Hears no more of a node. The members agree on whether it is gone.
    fn cut(&mut self, node: NodeId, why: &str) {
        log::error!("node {} {why}", node.0);
        self.links.close(node);
    }

    /// Does what follows from what the members have agreed on.
    fn heed(&mut self, now: u64) {
        while let Some(notice) = self.members.take_notice() {
            match notice {
                MembershipNotice::View(view) => self.enter(&view, now),
                MembershipNotice::Serving { .. } => self.set_serving(true),
                MembershipNotice::Stopped { .. } => self.set_serving(false),
                MembershipNotice::JoinRefused { why } => {
                    log::warn!("a node of the cluster does not take this one in: {why:?}");
                }
                MembershipNotice::Ended { why } => self.ended(why),
            }
        }
    }

    /// This node is no member any more.
    fn ended(&mut self, why: EndReason) {
        if why == EndReason::Left {
            control::record(format_args!("drained"));
            self.links.leave();
            self.ending = Ending::Due;
        }
    }

    fn set_serving(&mut self, is_serving: bool) {
        self.is_serving = is_serving;
        let detour = self.config.me != FIRST || !is_serving;
        DETOUR.store(detour.into(), Ordering::Release);
    }

    /// The cluster's members are these from now on.
    fn enter(&mut self, view: &View, now: u64) {
        let slots = view.slots.iter();
        let move_home = |slot: &Slot| nodes::set_home(slot.node, slot.home);
        if slots.filter(|slot| move_home(slot)).count() > 0 {
            futex::homes_moved();
        }
        for member in &view.members {
            nodes::set_draining(member.node, member.standing == Standing::Draining);
        }
        let slots = view.slots.iter().map(|slot| slot.node);
        let gone = slots.filter(|&node| view.member(node).is_none() && !nodes::is_gone(node));
        let gone: Vec<NodeId> = gone.collect();
        for &node in &gone {
            nodes::set_gone(node);
            // One that was drained is still to hear that it has left, and says so then.
            if !nodes::has_departed(node) {
                self.links.close(node);
            }
        }
        if gone.contains(&FIRST) {
            // The others are to hear of it first: this node may be needed for their majority.
            self.loss = Some(
                "node 0 is gone (it has not been heard of for too long), and with it the program's first thread \
                 and its files",
            );
            self.ending = Ending::Due;
            return;
        }
        let coherent = view.coherent(slice_start);
        if self.node.is_some() {
            self.happens(now, Event::View(coherent), None);
        } else if self.missing(Some(view)).is_empty() {
            self.form(view, coherent, now);
        }
        for node in gone {
            self.lost(node);
        }
    }

    /// All are there that the program waits for: from now on its variables are the same memory on
    /// all nodes.
    fn form(&mut self, view: &View, coherent: darner_coherence::View, now: u64) {
        let config = self.config;
        let mut node = Node::new(Config {
            me: config.me,
            nodes: config.nodes,
            view: view.before_first(config.me, FirstSlot::Fresh, slice_start),
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
        for node in 0..config.nodes {
            let first = slice_start(NodeId(node));
            trace::pages(trace::Pages::Slice, first.0, node.into());
        }
        for &(start, end) in super::variables() {
            for address in (start..end).step_by(PAGE as usize) {
                self.frames.adopt(address);
            }
        }
        arch::tlb::shootdown_all();
        let mut actions = Vec::new();
        for &(start, end) in super::variables() {
            let (first, pages) = (PageIndex(start / PAGE), (end - start) / PAGE);
            trace::pages(trace::Pages::Replicated, first.0, pages);
            if config.is_founder() {
                node.replicate(first, pages, &mut actions);
            } else {
                // Others may have written to them meanwhile.
                actions.extend((0..pages).map(|page| Action::Free {
                    page: first.plus(page),
                }));
            }
        }
        self.node = Some(node);
        self.carry_out(now, actions, None);
        self.happens(now, Event::View(coherent), None);
    }

    /// A node is gone, and the program goes on if it needs nothing that was there.
    fn lost(&mut self, node: NodeId) {
        match nodes::has_departed(node) {
            true => log::info!("node {} has been drained, and has left", node.0),
            false => log::warn!(
                "node {} is gone: it has not been heard of for too long",
                node.0
            ),
        }
        if self.config.me == FIRST {
            census::gone(node);
        }
        futex::node_gone(node);
        let calls = self.calls.extract_if(.., |_, &mut (to, _)| to == node);
        for (_, (_, answer)) in calls {
            let _ = answer.reply(Reply::Gone);
        }
    }

    /// Says how many CPUs the members have.
    fn count_cpus(&self) {
        let members = self.members.view().map_or(&[][..], |view| &view.members);
        for member in members {
            let cpus = match member.standing {
                Standing::Active => self.links.cpus(member.node),
                Standing::Draining => 0,
            };
            nodes::set_cpus(member.node, cpus);
        }
    }

    /// Nodes that the program waits for and that have not been members up to `view`.
    fn missing(&self, view: Option<&View>) -> Vec<u16> {
        let has_been = |&node: &u16| view.is_some_and(|view| view.slot(NodeId(node)).is_some());
        let founders = 0..self.config.founders;
        founders.filter(|node| !has_been(node)).collect()
    }

    /// Ends this node: others have not come.
    fn not_formed(&self) -> ! {
        let missing = self.missing(self.members.view());
        let mut refusals = missing
            .iter()
            .filter_map(|&node| self.links.refusal(NodeId(node)));
        let why = refusals.next();
        let why = why.map_or(String::new(), |refusal| alloc::format!("; {refusal}"));
        panic::refuse(format_args!(
            "found no link to nodes {missing:?} of the cluster for 90 s; start all nodes, with the same addresses \
             (cluster.address=IP), the same key (cluster.key=HEX) and the same program{why}"
        ))
    }

    /// What the program may do with a page at this moment.
    fn mapped(&self, page: PageIndex) -> Rights {
        let node = self.node.as_ref();
        node.map_or(Rights::None, |node| node.agent().mapped(page))
    }

    fn request(&mut self, request: Request, reply_to: Answer, now: u64) {
        match request {
            Request::Fault {
                thread,
                address,
                access,
                since,
                progress,
            } => {
                let token = Token(thread.kept.tid.into());
                let page = PageIndex(address / PAGE);
                self.retirement.waits(token);
                let fault = Fault {
                    address,
                    page,
                    access,
                    before: self.mapped(page),
                    since,
                    thread,
                };
                self.statistics.faulted(progress);
                if progress == retirement::Progress::Retired {
                    self.happens(now, Event::Retired { token }, None);
                }
                self.waiting.insert(token, (reply_to, Some(fault)));
                self.faulting = Some(token);
                let wish = match access {
                    Access::Read => trace::Pages::Read,
                    Access::Write => trace::Pages::Write,
                };
                trace::pages(wish, page.0, 1);
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
                trace::pages(trace::Pages::Discarded, first.0, pages);
                let event = Event::Discard {
                    token,
                    first,
                    pages,
                };
                self.happens(now, event, None);
            }
            Request::Call { to, .. } if nodes::is_gone(to) => {
                let _ = reply_to.reply(Reply::Gone);
            }
            Request::Prefetch {
                first,
                pages,
                access,
            } => {
                let wish = match access {
                    Access::Read => trace::Pages::ReadAhead,
                    Access::Write => trace::Pages::WriteAhead,
                };
                trace::pages(wish, first.0, pages);
                let event = Event::Prefetch {
                    first,
                    pages,
                    access,
                };
                self.happens(now, event, None);
            }
            Request::Call { to, kind, words } => {
                self.last_call += 1;
                self.calls.insert(self.last_call, (to, reply_to));
                self.send(to, kind, self.last_call, words);
            }
            Request::Tell { to, kind, words } => self.send(to, kind, 0, words),
            Request::Answer { to, call, words } => self.send(to, Kind::Answer, call, words),
            Request::Ready => self.waiting_ready.push(reply_to),
            Request::Leave => {
                self.links.leave();
                self.leaving = Some((reply_to, now + FAREWELL));
            }
            Request::Drain { node } => self.drain(node, reply_to),
            Request::Empty => self.empty(reply_to),
            Request::Resign => self.resign(),
            Request::Statistics { first } => {
                let _ = reply_to.reply(Reply::Words(self.counted(first)));
            }
            Request::Sample(mut sample) => {
                self.statistics.tell(&mut sample);
                let _ = reply_to.reply(Reply::Sample(sample));
            }
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

    fn packet(&mut self, from: NodeId, bytes: &[u8], now: u64) {
        let said = match darner_wire::parse(bytes) {
            Ok(said) => said,
            Err(refusal) => {
                log::error!(
                    "node {} sends a packet that breaks a rule: {refusal}",
                    from.0
                );
                return self.cut(from, "sends what makes no sense");
            }
        };
        let parsed = match said {
            Said::Cluster(packet) => {
                self.members.received(from, packet, &mut self.links);
                return self.heed(now);
            }
            Said::Coherence(parsed) => parsed,
            Said::Locks(_) | Said::Parking(_) => {
                return self.cut(
                    from,
                    "speaks of locks and waiting places, which this one has none of",
                );
            }
        };
        if self.has_to_wait() {
            let bytes = PutOff::Packet(bytes.to_vec());
            return self.put_off.push_back((from, bytes));
        }
        self.coherent(from, parsed, now);
    }

    /// A packet of coherence.
    fn coherent(&mut self, from: NodeId, parsed: Parsed<'_>, now: u64) {
        let Parsed { packet, pages } = parsed;
        let came = Payload {
            message: packet.message.clone(),
            bytes: pages,
        };
        self.statistics.packet(Direction::Received, &packet.message);
        self.happens(now, Event::Received { from, packet }, Some(&came));
    }

    fn record(&mut self, from: NodeId, record: Record) {
        if self.has_to_wait() {
            return self.put_off.push_back((from, PutOff::Record(record)));
        }
        self.serve_record(from, record);
    }

    fn serve_record(&mut self, from: NodeId, record: Record) {
        if nodes::is_gone(from) {
            return;
        }
        let Record { kind, call, words } = record;
        self.statistics.call(Direction::Received, kind);
        match kind {
            Kind::Answer => {
                if let Some((_, answer)) = self.calls.remove(&call) {
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
            Kind::Began | Kind::Ended => census::note(kind, words[0] as sched::Tid),
            Kind::Over => servers::give(servers::Work::Over(words[0] as i32)),
            Kind::Statistics => {
                let numbers = self.counted(words[0]);
                self.answer(from, call, numbers);
            }
            Kind::Echo => {
                let kind = Kind::Answer;
                self.statistics.call(Direction::Sent, kind);
                self.links.send_echo(from, &Record { kind, call, words });
            }
            Kind::Departs => self.departs(from, call),
            Kind::Spawn | Kind::Join | Kind::Delegate | Kind::Free | Kind::Place | Kind::Drain => {
                servers::give(servers::Work::Asked { from, record });
            }
        }
    }

    /// Tells the protocol what happens, and does what it wants done.
    fn happens(&mut self, now: u64, event: Event, came: Option<&Payload<'_>>) {
        let Some(node) = &mut self.node else { return };
        let mut actions = Vec::new();
        let time = self.retirement.time(now, HOLD);
        node.handle(time, event, &mut actions);
        self.carry_out(now, actions, came);
    }

    fn carry_out(&mut self, now: u64, actions: Vec<Action>, came: Option<&Payload<'_>>) {
        let mut protected = VecDeque::new();
        self.act_all(actions, came, &mut protected);
        while let Some((page, dirt)) = protected.pop_front() {
            let mut actions = Vec::new();
            let event = Event::Protected { page, dirt };
            if let Some(node) = &mut self.node {
                let time = self.retirement.time(now, HOLD);
                node.handle(time, event, &mut actions);
            }
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
                    trace::pages(
                        trace::Pages::Protected,
                        page.0,
                        (dirt == Dirt::Dirty).into(),
                    );
                    self.statistics.protected(dirt, is_own(page));
                    protected.push_back((page, dirt));
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
                        self.retirement.resumes(token, fault.thread);
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
        let Some(header) = encode(&packet) else {
            return;
        };
        // Never written, so all zeros.
        const ZEROS: &[u8; PAGE as usize] = &[0; PAGE as usize];
        let carried = packet.message.carried();
        let pages = carried.map(|page| &self.frames.bytes(page).unwrap_or(ZEROS)[..]);
        let pieces: Vec<&[u8]> = [header.bytes()].into_iter().chain(pages).collect();
        self.statistics.packet(Direction::Sent, &packet.message);
        self.links.send(to, pieces.into_iter());
    }

    fn send_hint(&mut self, to: NodeId, packet: Packet) {
        if let Some(header) = encode(&packet) {
            self.statistics.packet(Direction::Sent, &packet.message);
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

/// Where a node's slice of cluster memory begins: the first one's at address 0, so it has the image,
/// too.
fn slice_start(node: NodeId) -> PageIndex {
    match node {
        FIRST => PageIndex(0),
        NodeId(node) => PageIndex(layout::slice(node).heap / PAGE),
    }
}

/// Whether this node is the home of a page, as its slice says.
fn is_own(page: PageIndex) -> bool {
    nodes::owner_of(page.0 * PAGE).0 == super::me()
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
