//! The simulated cluster: what happens, in the order of virtual time.
//!
//! A `World` owns all nodes and everything between them, and is driven by one queue. What
//! happens at the same moment happens in the order in which it was put there. Nothing
//! in it looks at real time, at addresses or at hash maps, so a plan is played the same each time.

mod acts;
mod checks;
mod council;
mod faults;
mod locking;
mod outcasts;
mod threads;
mod users;
mod views;
mod waiting;

use crate::machine::{Life, Machine, Protocols};
use crate::network::{Arrival, Links, Load, UnderWay};
use crate::oracle::{Oracle, Violation, Wrong};
use crate::plan::{Agreement, Plan};
use crate::script::{Script, Source};
use crate::time::{MILLISECOND, Moment};
use darner_coherence::{Action, Event, Node, NodeId, Packet, PageIndex, Rights};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use threads::Thread;
use views::Views;

/// What has been done in an episode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events that were handled.
    pub steps: u64,
    /// Instructions and discards that completed.
    pub ops: u64,
    /// Packets sent from node to node.
    pub messages: u64,
    /// Pages of bytes that went with them.
    pub pages: u64,
    /// Faults that happened.
    pub faults: u64,
    /// Views that were decided after the first.
    pub views: u64,
    /// Threads that were told that a page is lost.
    pub lost: u64,
    /// Episodes that ended early, as no majority of the last view was left.
    pub extinct: u64,
}

impl Counts {
    /// The sum of two.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            steps: self.steps + other.steps,
            ops: self.ops + other.ops,
            messages: self.messages + other.messages,
            pages: self.pages + other.pages,
            faults: self.faults + other.faults,
            views: self.views + other.views,
            lost: self.lost + other.lost,
            extinct: self.extinct + other.extinct,
        }
    }
}

/// What the queue holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Happening {
    /// A link's next packet arrives.
    Arrives { from: NodeId, to: NodeId, era: u32 },
    /// What a membership's connection brings arrives.
    Heard { from: NodeId, to: NodeId, era: u32 },
    /// The timer of a node's membership goes off.
    CouncilTime { node: NodeId, life: u32 },
    /// A thread executes.
    Executes {
        thread: u32,
        incarnation: u32,
        turn: u32,
    },
    /// A thread does not wait for a lock any more.
    GivesUp {
        thread: u32,
        incarnation: u32,
        turn: u32,
    },
    /// The CPUs of a node have given up rights.
    Protected {
        at: Place,
        page: u32,
        rights: Rights,
    },
    /// A page's timer goes off.
    TimeOver { at: Place, page: u32 },
    /// A side of a transaction says the next thing.
    Speaks {
        node: NodeId,
        life: u32,
        handle: u64,
    },
    /// A side of a transaction begins a part of it.
    BeginsPart {
        node: NodeId,
        life: u32,
        parent: u64,
        peer: u16,
    },
    /// Threads of a node that may not serve mean to act on their locks.
    Acts { node: NodeId, life: u32 },
    /// Whoever serves a node's ports does something.
    Works { node: NodeId, life: u32 },
    /// A hint arrives.
    Hinted { to: NodeId, hint: u64 },
    /// The timer of a node's locks goes off.
    LockTime { at: Place },
    /// The timer of a node's waiting places goes off.
    ParkTime { at: Place },
    /// A node learns of its next view.
    Told { at: Place },
    /// Those who can decide on a view, as some have died.
    Decided,
    /// A node leaves.
    Leaves { at: Place },
    /// The others take a node that stands still for dead.
    Suspected { at: Place },
    /// A node is started anew.
    Started { node: NodeId },
    /// What is drawn next goes wrong.
    GoesWrong,
    /// A lost connection is there again.
    Joined { one: NodeId, other: NodeId },
    /// The minority of a partition notices.
    Fenced,
    /// The majority of a partition takes the others for dead.
    CutOff,
    /// A partition is over.
    Healed,
}

/// A node, from one start to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    node: NodeId,
    incarnation: u32,
}

/// An entry of the queue.
#[derive(Clone, Copy, Debug)]
struct Entry {
    at: Moment,
    order: u64,
    what: Happening,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// How far an episode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Threads work, and things go wrong.
    Work,
    /// What was begun ends.
    End,
    /// Every page is read once more.
    ReadBack,
}

/// The last steps, for whoever looks for what went wrong.
#[derive(Clone, Debug)]
struct Log {
    steps: usize,
    last: VecDeque<String>,
}

/// After how many steps it is looked whether all is done, where that is not plain from the queue.
const DONE_EVERY: u64 = 64;
/// After how many steps it is looked whether there still is a cluster.
const EXTINCT_EVERY: u64 = 1024;
/// What is still to be done when nothing is begun any more takes less steps than this,
const LAST_STEPS: u64 = 400_000;
/// and than this more for each pair of nodes, each of which says something to the other at each change of view.
const LAST_STEPS_OF_PAIR: u64 = 500;

/// The cluster.
#[derive(Clone, Debug)]
pub struct World {
    plan: Plan,
    now: Moment,
    queue: BinaryHeap<Reverse<Entry>>,
    order: u64,
    machines: Vec<Machine>,
    links: Links<UnderWay>,
    /// The nodes' memberships, if they agree on views themselves.
    council: Option<council::Council>,
    threads: Vec<Thread>,
    /// Those who use transactions and ports.
    users: users::Users,
    /// Hints under way, and who gave them.
    hints: BTreeMap<u64, (NodeId, Packet)>,
    /// What words count, and who came to barriers.
    words: waiting::Words,
    oracle: Oracle,
    views: Views,
    source: Source,
    next_fault: Option<crate::fault::Fault>,
    partition: Option<u64>,
    counts: Counts,
    violation: Option<Violation>,
    phase: Phase,
    read_back: VecDeque<PageIndex>,
    /// Faults last until then.
    disturbed_until: Moment,
    /// How many nanoseconds were disturbed so far.
    disturbed: u64,
    /// Where each page was last found to have its home.
    homes: Vec<NodeId>,
    /// Pages that the step had to do with.
    touched: Vec<PageIndex>,
    /// Rights that are given up at once.
    at_once: VecDeque<(PageIndex, Rights)>,
    scratch: Vec<Action>,
    log: Option<Log>,
}

impl World {
    /// A cluster in which what happens is drawn.
    #[must_use]
    pub fn drawn(plan: Plan) -> Self {
        let source = Source::chance(&plan);
        Self::new(plan, source)
    }

    /// The same, and written down.
    #[must_use]
    pub fn recorded(plan: Plan) -> Self {
        let source = Source::recorded(&plan);
        Self::new(plan, source)
    }

    /// A cluster in which what happens is written down.
    #[must_use]
    pub fn scripted(plan: Plan, script: &Script) -> Self {
        let source = Source::script(&plan, script);
        Self::new(plan, source)
    }

    fn new(plan: Plan, source: Source) -> Self {
        let views = Views::new(&plan);
        let machines = (0..plan.nodes).map(|me| {
            let protocols = Protocols::new(&plan, NodeId(me), views.latest.clone());
            Machine::new(&plan, protocols)
        });
        let threads = (0..plan.nodes).flat_map(|node| (0..plan.threads).map(move |_| node));
        let mut world = Self {
            now: Moment(0),
            queue: BinaryHeap::new(),
            order: 0,
            machines: machines.collect(),
            links: Links::new(&plan),
            council: (plan.agreement == Agreement::Theirs).then(|| council::Council::new(&plan)),
            threads: threads.map(|node| Thread::new(NodeId(node))).collect(),
            words: waiting::Words::new(&plan),
            hints: BTreeMap::new(),
            users: users::Users::default(),
            oracle: Oracle::new(plan.span(), plan.nodes),
            homes: (0..plan.span())
                .map(|page| views.latest.slices.home(PageIndex(page)))
                .collect(),
            views,
            source,
            next_fault: None,
            partition: None,
            counts: Counts::default(),
            violation: None,
            phase: Phase::Work,
            read_back: VecDeque::new(),
            disturbed_until: Moment(0),
            disturbed: 0,
            touched: Vec::new(),
            at_once: VecDeque::new(),
            scratch: Vec::new(),
            log: None,
            plan,
        };
        world.begin();
        world
    }

    fn begin(&mut self) {
        if self.council.is_some() {
            for machine in &mut self.machines {
                machine.life = Life::Down;
            }
            self.open_council();
        } else {
            for thread in 0..self.threads.len() as u32 {
                self.next_op(thread);
            }
            self.draw_fault();
        }
    }

    /// Has so many of the last steps remembered, which costs time.
    pub fn remember(&mut self, steps: usize) {
        self.log = (steps > 0).then(|| Log {
            steps,
            last: VecDeque::new(),
        });
    }

    /// The last steps, if they are remembered.
    pub fn remembered(&self) -> impl Iterator<Item = &str> {
        let log = self.log.iter();
        log.flat_map(|log| &log.last).map(String::as_str)
    }

    /// What it was made with.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What has been done so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// What is wrong, if anything is.
    #[must_use]
    pub fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// The node as it is, whether it lives or not.
    #[must_use]
    pub fn node(&self, node: NodeId) -> &Node {
        &self.machine(node).node
    }

    /// What happened, if it was written down.
    #[must_use]
    pub fn into_script(self) -> Script {
        self.source.into_record()
    }

    /// Plays to the end, or until something is wrong.
    ///
    /// # Errors
    ///
    /// What was wrong.
    pub fn play(&mut self) -> Result<Counts, Violation> {
        while self.step() {}
        self.result()
    }

    /// Plays until that many operations more have been done; what has been done in all.
    ///
    /// # Errors
    ///
    /// What was wrong.
    pub fn play_ops(&mut self, ops: u64) -> Result<Counts, Violation> {
        let end = self.counts.ops + ops;
        while self.counts.ops < end && self.step() {}
        self.result()
    }

    fn result(&self) -> Result<Counts, Violation> {
        match &self.violation {
            Some(violation) => Err(violation.clone()),
            None => Ok(self.counts),
        }
    }

    /// Has the next thing happen; whether there was one, and nothing is wrong.
    fn step(&mut self) -> bool {
        if self.violation.is_some() {
            return false;
        }
        let Some(Reverse(entry)) = self.queue.pop() else {
            return self.next_phase();
        };
        self.pass_time(entry.at);
        if let Some(stands) = self.node_of(entry.what)
            && self.machine(stands).stands_until > self.now
        {
            let at = self.machine(stands).stands_until;
            self.put(at, entry.what);
            return true;
        }
        if let Some(node) = self.coherence_of(entry.what)
            && self.stalls(node, entry.what)
        {
            return true;
        }
        self.remember_step(entry.what);
        self.counts.steps += 1;
        self.touched.clear();
        self.happen(entry.what);
        self.check_step();
        if self.counts.steps == self.plan.steps {
            self.phase = Phase::End;
        }
        if self.phase != Phase::Work
            && self.counts.steps.is_multiple_of(DONE_EVERY)
            && self.council_is_done()
        {
            return self.next_phase();
        }
        if self.counts.steps.is_multiple_of(EXTINCT_EVERY) && self.is_extinct() {
            self.counts.extinct += 1;
            return false;
        }
        if self.counts.steps > self.plan.steps.saturating_add(self.last_steps()) {
            let what = self.unfinished();
            self.complain(Wrong::NeverQuiet, || what);
        }
        true
    }

    fn last_steps(&self) -> u64 {
        let nodes = u64::from(self.plan.nodes);
        LAST_STEPS + nodes * nodes * LAST_STEPS_OF_PAIR
    }

    fn next_phase(&mut self) -> bool {
        match self.phase {
            Phase::Work | Phase::End => {
                self.check_quiet();
                self.phase = Phase::ReadBack;
                self.read_back = (0..self.plan.pages).map(PageIndex).collect();
                self.wake_everybody();
                for thread in 0..self.threads.len() {
                    if self.threads[thread].is_idle() {
                        self.next_op(thread as u32);
                    }
                }
                self.violation.is_none()
            }
            Phase::ReadBack => {
                self.check_quiet();
                false
            }
        }
    }

    fn pass_time(&mut self, at: Moment) {
        if self.views.is_settling() {
            self.disturbed_until = self.disturbed_until.max(at.after(MILLISECOND));
        }
        let until = at.min(self.disturbed_until);
        self.disturbed += until.since(self.now);
        self.now = at;
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Arrives { from, to, era } => self.arrives(from, to, era),
            Happening::Heard { from, to, era } => self.heard(from, to, era),
            Happening::CouncilTime { node, life } => self.council_time(node, life),
            Happening::Executes {
                thread,
                incarnation,
                turn,
            } => self.executes(thread, incarnation, turn),
            Happening::GivesUp {
                thread,
                incarnation,
                turn,
            } => self.gives_up(thread, incarnation, turn),
            Happening::Speaks { node, life, handle } => self.speaks(node, life, handle),
            Happening::BeginsPart {
                node,
                life,
                parent,
                peer,
            } => self.begins_part(node, life, parent, peer),
            Happening::Works { node, life } => self.works(node, life),
            Happening::Acts { node, life } => self.acts(node, life),
            Happening::Hinted { to, hint } => {
                if let Some((from, packet)) = self.hints.remove(&hint) {
                    self.handle(to, Event::Received { from, packet }, &Load::Nothing);
                }
            }
            Happening::LockTime { at } => {
                if self.lives(at) {
                    self.handle_lock(at.node, darner_coherence::locks::Event::TimeOver);
                }
            }
            Happening::ParkTime { at } => {
                if self.lives(at) {
                    self.handle_parking(at.node, darner_coherence::parking::Event::TimeOver);
                }
            }
            Happening::Protected { at, page, rights } => {
                if self.lives(at) {
                    self.protected(at.node, PageIndex(page.into()), rights);
                }
            }
            Happening::TimeOver { at, page } => {
                if self.lives(at) {
                    let page = PageIndex(page.into());
                    self.handle(at.node, Event::TimeOver { page }, &Load::Nothing);
                }
            }
            Happening::Told { at } => self.told(at),
            Happening::Decided => self.decide(),
            Happening::Leaves { at } => self.leaves(at),
            Happening::Suspected { at } => self.suspected(at),
            Happening::Started { node } => self.started(node),
            Happening::GoesWrong => self.goes_wrong(),
            Happening::Joined { one, other } => self.join_links(one, other),
            Happening::Fenced => self.fence(),
            Happening::CutOff => self.cut_off(),
            Happening::Healed => self.heal(),
        }
    }

    fn arrives(&mut self, from: NodeId, to: NodeId, era: u32) {
        let Some(came) = self.links.arrive(from, to, era) else {
            return;
        };
        self.remember_more(|| format!("{came:?}"));
        match came {
            UnderWay::Pages { packet, load } => {
                self.handle(to, Event::Received { from, packet }, &load);
            }
            UnderWay::Locks(packet) => {
                let event = darner_coherence::locks::Event::Received { from, packet };
                self.handle_lock(to, event);
            }
            UnderWay::Parking(packet) => {
                let event = darner_coherence::parking::Event::Received { from, packet };
                self.handle_parking(to, event);
            }
        }
    }

    fn protected(&mut self, node: NodeId, page: PageIndex, rights: Rights) {
        let dirt = self.give_up_rights(node, page, rights);
        self.handle(node, Event::Protected { page, dirt }, &Load::Nothing);
    }

    /// Whose doing something is, if it is a node's that may stand still.
    fn node_of(&self, what: Happening) -> Option<NodeId> {
        match what {
            Happening::Heard { to, .. } => Some(to),
            Happening::CouncilTime { node, .. }
            | Happening::Speaks { node, .. }
            | Happening::BeginsPart { node, .. }
            | Happening::Works { node, .. }
            | Happening::Acts { node, .. } => Some(node),
            Happening::Leaves { at } => Some(at.node),
            _ => self.coherence_of(what),
        }
    }

    /// Whose coherence, or threads, something is about.
    fn coherence_of(&self, what: Happening) -> Option<NodeId> {
        match what {
            Happening::Arrives { to, .. } | Happening::Hinted { to, .. } => Some(to),
            Happening::Executes { thread, .. } | Happening::GivesUp { thread, .. } => {
                Some(self.threads[thread as usize].node)
            }
            Happening::Protected { at, .. }
            | Happening::TimeOver { at, .. }
            | Happening::LockTime { at }
            | Happening::ParkTime { at }
            | Happening::Told { at } => Some(at.node),
            _ => None,
        }
    }

    fn put(&mut self, at: Moment, what: Happening) {
        self.order += 1;
        let order = self.order;
        self.queue.push(Reverse(Entry { at, order, what }));
    }

    fn put_arrival(&mut self, arrival: Arrival) {
        let Arrival { at, from, to, era } = arrival;
        self.put(at, Happening::Arrives { from, to, era });
    }

    fn machine(&self, node: NodeId) -> &Machine {
        &self.machines[usize::from(node.0)]
    }

    fn machine_mut(&mut self, node: NodeId) -> &mut Machine {
        &mut self.machines[usize::from(node.0)]
    }

    fn place(&self, node: NodeId) -> Place {
        let incarnation = self.machine(node).incarnation;
        Place { node, incarnation }
    }

    fn lives(&self, at: Place) -> bool {
        let machine = self.machine(at.node);
        machine.is_up() && machine.incarnation == at.incarnation
    }

    fn remember_step(&mut self, what: Happening) {
        if let Some(log) = &mut self.log {
            if log.last.len() == log.steps {
                log.last.pop_front();
            }
            log.last.push_back(format!("{} ns: {what:?}", self.now.0));
        }
    }

    /// Adds to what is remembered of this step.
    fn remember_more(&mut self, what: impl FnOnce() -> String) {
        if let Some(step) = self.log.as_mut().and_then(|log| log.last.back_mut()) {
            *step += ": ";
            *step += &what();
        }
    }

    #[cold]
    fn complain(&mut self, kind: Wrong, what: impl FnOnce() -> String) {
        if self.violation.is_none() {
            let what = what();
            self.violation = Some(Violation { kind, what });
        }
    }
}
