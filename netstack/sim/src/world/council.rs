//! Who the members are: views as the nodes themselves agree on them.
//!
//! Each node runs the membership of the kernel beside its coherence, over connections of their own
//! between the same nodes. Its coherence begins with the first view that the node enters, hears
//! of each that follows, and does nothing while the node does not serve. A node that ends
//! starts anew a little later.

use super::{Happening, World};
use crate::machine::{Machine, Protocols};
use crate::network::{Arrival, Links};
use crate::oracle::{Risk, Wrong};
use crate::plan::Plan;
use crate::time::{MILLISECOND, Moment};
use darner_cluster::{
    Action, Address, ClusterId, Config, Event, FirstSlot, Identity, Incarnation, Limits, Member,
    MembershipNotice, Nanos, Node, Notice, Packet, Standing, Start, TieBreak, Times,
};
use darner_coherence::{Epoch, NodeId, PageIndex, Rights};
use std::num::NonZero;

/// Spans of time for a cluster that notices soon what is wrong.
const TIMES: Times = Times {
    heartbeat: Nanos(20 * MILLISECOND),
    suspect: Nanos(200 * MILLISECOND),
    lease: Nanos(160 * MILLISECOND),
    drift: Nanos(2 * MILLISECOND),
    retry: Nanos(30 * MILLISECOND),
    patience: Nanos(60 * MILLISECOND),
    partial: Nanos(600 * MILLISECOND),
    give_up: Nanos(20_000 * MILLISECOND),
};
/// How long it takes until a node that has ended starts anew, in nanoseconds.
const AGAIN: u64 = 50 * MILLISECOND;

/// What passes between the memberships of two nodes.
#[derive(Clone, Debug)]
enum Item {
    Up(Identity),
    Down(Identity),
    Packet(Packet),
}

/// What is under way, and on which connection of the two.
#[derive(Clone, Debug)]
struct Sent {
    connection: u32,
    item: Item,
}

/// The membership of a node.
#[derive(Clone, Debug)]
struct Councillor {
    node: Node,
    life: u64,
    /// The last life in which its coherence has said anything.
    spoke: u64,
    runs: bool,
    /// Whether the others have done with its coherence in this life.
    over: bool,
    /// Whether its threads have begun in this life.
    began: bool,
    /// How far its clock is ahead of the simulation's.
    ahead: u64,
    timer: Option<Nanos>,
    /// What is to happen to its coherence when it serves.
    stalled: Vec<Happening>,
}

/// The memberships of all nodes, and what passes between them.
#[derive(Clone, Debug)]
pub(super) struct Council {
    nodes: u16,
    /// The first view in which all nodes are members. Before, nothing is done: the slice of a slot
    /// that never had a member is not to be used.
    formed: Option<Epoch>,
    councillors: Vec<Councillor>,
    links: Links<Sent>,
    /// By pair of nodes, the lower one first: how many connections there were.
    connections: Vec<u32>,
    /// By pair of nodes: between which lives there is a connection.
    between: Vec<Option<(Identity, Identity)>>,
    /// By sender and receiver: on which connection the sender may send.
    ready: Vec<u32>,
}

impl Council {
    pub(super) fn new(plan: &Plan) -> Self {
        let pairs = usize::from(plan.nodes) * usize::from(plan.nodes);
        let councillor = |node| Councillor {
            node: Node::new(&configured(NodeId(node), 1, start(plan, NodeId(node)))),
            life: 1,
            spoke: 1,
            runs: true,
            over: false,
            began: false,
            ahead: u64::from(node) * 777 * MILLISECOND,
            timer: None,
            stalled: Vec::new(),
        };
        Self {
            nodes: plan.nodes,
            formed: None,
            councillors: (0..plan.nodes).map(councillor).collect(),
            links: Links::new(plan),
            connections: vec![0; pairs],
            between: vec![None; pairs],
            ready: vec![0; pairs],
        }
    }

    fn directed(&self, from: NodeId, to: NodeId) -> usize {
        usize::from(from.0) * usize::from(self.nodes) + usize::from(to.0)
    }

    fn pair(&self, one: NodeId, other: NodeId) -> usize {
        self.directed(one.min(other), one.max(other))
    }

    fn one(&self, node: NodeId) -> &Councillor {
        &self.councillors[usize::from(node.0)]
    }

    fn one_mut(&mut self, node: NodeId) -> &mut Councillor {
        &mut self.councillors[usize::from(node.0)]
    }

    fn clock(&self, now: Moment, node: NodeId) -> Nanos {
        Nanos(now.0 + self.one(node).ahead)
    }

    pub(super) fn identity(&self, node: NodeId) -> Identity {
        Identity {
            node,
            incarnation: Incarnation(self.one(node).life),
        }
    }

    pub(super) fn runs(&self, node: NodeId) -> bool {
        self.one(node).runs
    }

    /// Whether a node's coherence may do anything.
    fn serves(&self, now: Moment, node: NodeId) -> bool {
        let clock = self.clock(now, node);
        self.one(node).runs && self.one(node).node.membership().serves(clock)
    }

    pub(super) fn block(&mut self, from: NodeId, to: NodeId) {
        self.links.block(from, to);
    }
}

/// Node 0 founds the cluster; the others ask all others to be taken in.
fn start(plan: &Plan, node: NodeId) -> Start {
    match node {
        NodeId(0) => Start::Found {
            cluster: ClusterId(plan.seed | 1),
            tie_break: TieBreak::Lowest,
        },
        _ => join(plan, node),
    }
}

fn join(plan: &Plan, node: NodeId) -> Start {
    let others = (0..plan.nodes).filter(|&other| other != node.0);
    Start::Join {
        seeds: others.map(address).collect(),
    }
}

fn address(node: u16) -> Address {
    Address {
        ip: [0; 16],
        port: node,
    }
}

fn configured(node: NodeId, life: u64, start: Start) -> Config {
    Config {
        me: Member {
            node,
            incarnation: Incarnation(life),
            address: address(node.0),
            standing: Standing::Active,
        },
        start,
        times: TIMES,
        limits: Limits::default(),
    }
}

impl World {
    /// All nodes start.
    pub(super) fn open_council(&mut self) {
        for node in (0..self.plan.nodes).map(NodeId) {
            self.counsel(node, Event::Started);
        }
    }

    /// Whether what is to happen to a node's coherence has to wait; then it is kept.
    pub(super) fn stalls(&mut self, node: NodeId, what: Happening) -> bool {
        let now = self.now;
        let Some(council) = &mut self.council else {
            return false;
        };
        let begun = self.machines[usize::from(node.0)].is_up();
        let serves = begun && council.serves(now, node);
        let one = council.one_mut(node);
        let stalls = one.runs && !one.over && !serves;
        if stalls {
            one.stalled.push(what);
        }
        stalls
    }

    /// Whether what a node's coherence sends is for the other node that there is, not for one before.
    pub(super) fn reaches(&self, from: NodeId, to: NodeId, epoch: Epoch) -> bool {
        let receiver = self.machine(to);
        let Some(council) = &self.council else {
            return receiver.is_up() && epoch >= receiver.joined;
        };
        let view = council.one(from).node.membership().view();
        let meant = view.is_some_and(|view| view.has(council.identity(to)));
        meant && council.one(to).runs && !council.one(to).over
    }

    /// Whether a node's coherence may do anything.
    pub(super) fn may_serve(&self, node: NodeId) -> bool {
        let council = self.council.as_ref();
        council.is_none_or(|council| council.serves(self.now, node))
    }

    /// Has something happen to a node's membership, and everything done that it wants done.
    pub(super) fn counsel(&mut self, node: NodeId, event: Event) {
        self.with_council(
            node,
            |node, now, actions| node.handle(now, event, actions),
            |_, ()| {},
        );
    }

    /// Does something with what a node has of the cluster, if it runs; sees to the result, and then does everything
    /// that is wanted for it.
    pub(super) fn with_council<T>(
        &mut self,
        node: NodeId,
        what: impl FnOnce(&mut Node, Nanos, &mut Vec<Action>) -> T,
        first: impl FnOnce(&mut Self, &T),
    ) -> Option<T> {
        let now = self.now;
        let council = self.council.as_mut()?;
        let clock = council.clock(now, node);
        let councillor = council.one_mut(node);
        if !councillor.runs {
            return None;
        }
        let mut actions = Vec::new();
        let result = what(&mut councillor.node, clock, &mut actions);
        first(self, &result);
        for action in actions {
            self.remember_more(|| format!("{action:?}"));
            self.obey(node, action);
        }
        Some(result)
    }

    /// What a node's clock shows.
    pub(super) fn council_clock(&self, node: NodeId) -> Nanos {
        let council = self.council.as_ref();
        council.map_or(Nanos(0), |council| council.clock(self.now, node))
    }

    /// Which life of a node runs, if one does and nodes agree on views themselves.
    pub(super) fn identity(&self, node: NodeId) -> Option<Identity> {
        let council = self.council.as_ref()?;
        council.runs(node).then(|| council.identity(node))
    }

    fn obey(&mut self, node: NodeId, action: Action) {
        match action {
            Action::Send { to, packet } => self.say(node, to, packet),
            Action::Connect { to } => self.connect(node, NodeId(to.port)),
            Action::Disconnect { peer } => self.disconnect(node, peer),
            Action::SetTimer { at } => self.set_council_timer(node, at),
            Action::Notify(Notice::Membership(notice)) => self.noticed(node, notice),
            Action::Notify(Notice::Transaction(notice)) => self.transaction(node, notice),
            Action::Notify(Notice::Port(notice)) => self.port(node, notice),
        }
    }

    fn set_council_timer(&mut self, node: NodeId, at: Nanos) {
        let Some(council) = &mut self.council else {
            return;
        };
        let councillor = council.one_mut(node);
        councillor.timer = Some(at);
        let due = Moment(at.0.saturating_sub(councillor.ahead)).max(self.now);
        if at != Nanos::NEVER {
            let life = councillor.life as u32;
            self.put(due, Happening::CouncilTime { node, life });
        }
    }

    /// The time of a membership's timer may have come.
    pub(super) fn council_time(&mut self, node: NodeId, life: u32) {
        let now = self.now;
        let Some(council) = &mut self.council else {
            return;
        };
        let clock = council.clock(now, node);
        let councillor = council.one_mut(node);
        let due = councillor.timer.is_some_and(|at| at <= clock);
        if councillor.life as u32 == life && due {
            councillor.timer = None;
            self.counsel(node, Event::TimeOver);
        }
    }

    fn send_item(&mut self, from: NodeId, to: NodeId, item: Item) {
        let now = self.now;
        let Some(council) = &mut self.council else {
            return;
        };
        let connection = council.connections[council.pair(from, to)];
        let sent = Sent { connection, item };
        let Arrival { at, from, to, era } = council.links.send(now, &self.plan, (from, to), sent);
        self.put(at, Happening::Heard { from, to, era });
    }

    fn say(&mut self, from: NodeId, to: NodeId, packet: Packet) {
        let Some(council) = &self.council else { return };
        let connection = council.connections[council.pair(from, to)];
        let ready = council.ready[council.directed(from, to)] == connection;
        if ready && council.between[council.pair(from, to)].is_some() {
            self.send_item(from, to, Item::Packet(packet));
        }
    }

    /// What a membership's connection brings.
    pub(super) fn heard(&mut self, from: NodeId, to: NodeId, era: u32) {
        let Some(council) = &mut self.council else {
            return;
        };
        let Some(Sent { connection, item }) = council.links.arrive(from, to, era) else {
            return;
        };
        if connection != council.connections[council.pair(from, to)] || !council.runs(to) {
            return;
        }
        let event = match item {
            Item::Up(peer) => {
                let back = council.directed(to, from);
                council.ready[back] = connection;
                Event::LinkUp { peer }
            }
            Item::Down(peer) => Event::LinkDown { peer },
            Item::Packet(packet) => Event::Received { from, packet },
        };
        self.counsel(to, event);
    }

    fn connect(&mut self, one: NodeId, other: NodeId) {
        let Some(council) = &mut self.council else {
            return;
        };
        let ends = Some((
            council.identity(one.min(other)),
            council.identity(one.max(other)),
        ));
        let pair = council.pair(one, other);
        let blocked = council.links.is_blocked(one, other) || council.links.is_blocked(other, one);
        if !council.runs(other) || blocked || council.between[pair] == ends {
            return;
        }
        council.connections[pair] += 1;
        council.between[pair] = ends;
        let (me, peer) = (council.identity(one), council.identity(other));
        self.send_item(one, other, Item::Up(me));
        self.send_item(other, one, Item::Up(peer));
    }

    fn disconnect(&mut self, node: NodeId, peer: Identity) {
        let Some(council) = &mut self.council else {
            return;
        };
        let pair = council.pair(node, peer.node);
        let is_it = council.between[pair].is_some_and(|(low, high)| low == peer || high == peer);
        if is_it {
            council.between[pair] = None;
            let me = council.identity(node);
            self.send_item(node, peer.node, Item::Down(me));
        }
    }

    /// Two nodes lose their connection, and both are told.
    pub(super) fn lose_connection(&mut self, one: NodeId, other: NodeId) {
        let Some(council) = &mut self.council else {
            return;
        };
        let pair = council.pair(one, other);
        council.connections[pair] += 1;
        if council.between[pair].take().is_none() {
            return;
        }
        for (node, peer) in [(one, other), (other, one)] {
            let Some(council) = &self.council else { return };
            let peer = council.identity(peer);
            self.counsel(node, Event::LinkDown { peer });
        }
    }

    /// What waited while nothing passed between two nodes is sent again.
    pub(super) fn reopen(&mut self, from: NodeId, to: NodeId) {
        let now = self.now;
        let Some(council) = &mut self.council else {
            return;
        };
        for arrival in council.links.unblock(now, &self.plan, from, to) {
            let Arrival { at, from, to, era } = arrival;
            self.put(at, Happening::Heard { from, to, era });
        }
    }

    fn noticed(&mut self, node: NodeId, notice: MembershipNotice) {
        match notice {
            MembershipNotice::View(view) => self.entered(node, &view),
            MembershipNotice::Serving { .. } => {
                self.tell_locks(node, darner_coherence::locks::Event::Serving);
                self.serves_again(node);
            }
            MembershipNotice::Stopped { .. } => {
                self.tell_locks(node, darner_coherence::locks::Event::Stopped);
            }
            MembershipNotice::JoinRefused { .. } => {}
            MembershipNotice::Ended { .. } => self.ended(node),
        }
    }

    /// A node enters a view.
    fn entered(&mut self, node: NodeId, view: &darner_cluster::View) {
        let pages = self.plan.slice_of(0).end as u32;
        let pages = NonZero::new(pages).unwrap_or(NonZero::<u32>::MIN);
        let coherent = view.for_coherence(pages);
        let latest = self.views.latest.epoch;
        if coherent.epoch > latest {
            self.agreed(coherent.clone());
        } else if coherent.epoch == latest && coherent != self.views.latest {
            let other = self.views.latest.clone();
            return self.complain(Wrong::TwoViews, || {
                format!("{node:?} enters {coherent:?}, others have entered {other:?}")
            });
        }
        if self
            .council
            .as_ref()
            .is_some_and(|council| council.one(node).over)
        {
            // It follows the views up to the one that it is not in. Nobody hears of what it does.
            return self.outcast_enters(node, coherent);
        }
        self.forget_the_past(node, view);
        if self.machine(node).is_up() {
            return self.enters(node, coherent);
        }
        let before = self.before(node, view, pages);
        self.links.started(node);
        if let Some(council) = &mut self.council {
            let one = council.one_mut(node);
            one.spoke = one.life;
        }
        let joined = coherent.epoch;
        let protocols = Protocols::new(&self.plan, node, before);
        self.machine_mut(node).start(protocols, joined);
        self.enters(node, coherent);
    }

    /// A node that enters a view hears no more of lives that are over in it: it closes its links to them.
    fn forget_the_past(&mut self, node: NodeId, view: &darner_cluster::View) {
        let Some(council) = &self.council else {
            return;
        };
        for (other, one) in (0..).map(NodeId).zip(&council.councillors) {
            let spoke = Identity {
                node: other,
                incarnation: Incarnation(one.spoke),
            };
            if view.is_past(spoke) {
                self.links.renew(other, node);
            }
        }
    }

    /// The view before a node's first, as its coherence is to take it: it was the home of nothing, so
    /// the slices that it inherits are lost, but for that of a slot which nobody had before.
    fn before(
        &self,
        node: NodeId,
        view: &darner_cluster::View,
        pages: NonZero<u32>,
    ) -> darner_coherence::View {
        let council = self.council.as_ref();
        let slot = match council.is_some_and(|council| council.one(node).life == 1) {
            true => FirstSlot::Fresh,
            false => FirstSlot::Used,
        };
        let pages = u64::from(pages.get());
        view.before_first(node, slot, |slot| PageIndex(u64::from(slot.0) * pages))
    }

    /// There is a new view: those who are not in it are dead for the others, and must have stopped.
    fn agreed(&mut self, view: darner_coherence::View) {
        let gone: Vec<NodeId> = (0..self.plan.nodes)
            .map(NodeId)
            .filter(|&node| self.machine(node).is_up() && !view.members.contains(&node))
            .collect();
        for node in gone {
            let now = self.now;
            let serves = self
                .council
                .as_ref()
                .is_some_and(|council| council.serves(now, node));
            if serves {
                let epoch = view.epoch;
                self.complain(Wrong::ServesOutside, || {
                    format!("{node:?} serves, and is not in view {epoch:?}")
                });
            }
            self.kill(node);
            if let Some(council) = &mut self.council {
                council.one_mut(node).over = true;
            }
            self.put_act(node);
        }
        if let Some(council) = &mut self.council
            && council.formed.is_none()
            && view.members.len() == usize::from(council.nodes)
        {
            council.formed = Some(view.epoch);
            self.draw_fault();
        }
        self.counts.views += 1;
        self.views.begin_settling();
        self.endanger_moved();
        self.views.latest = view;
        if let Risk::Since(epoch) = self.next_risk() {
            self.oracle.told_in(epoch);
        }
    }

    /// A node may use cluster memory, from now on or again: what had to wait happens.
    fn serves_again(&mut self, node: NodeId) {
        let Some(council) = &mut self.council else {
            return;
        };
        let stalled = std::mem::take(&mut council.one_mut(node).stalled);
        for what in stalled {
            self.put(self.now, what);
        }
    }

    /// A node's membership has ended.
    fn ended(&mut self, node: NodeId) {
        self.crash_council(node);
        if self.machine(node).is_up() {
            self.kill(node);
        } else {
            // It may be in a view that it has never heard of, and have been told things in it.
            self.links.died(node);
        }
        self.put(self.now.after(AGAIN), Happening::Started { node });
    }

    /// A node's membership dies with it.
    pub(super) fn crash_council(&mut self, node: NodeId) {
        let Some(council) = &mut self.council else {
            return;
        };
        let identity = council.identity(node);
        self.users.died(identity);
        let councillor = council.one_mut(node);
        councillor.runs = false;
        councillor.timer = None;
        councillor.stalled.clear();
        let others: Vec<NodeId> = (0..council.nodes).map(NodeId).collect();
        for other in others {
            let Some(council) = &mut self.council else {
                return;
            };
            let pair = council.pair(node, other);
            let told = self.machines[usize::from(node.0)].chance.percent(50);
            if council.between[pair].is_some() && told {
                council.between[pair] = None;
                self.send_item(node, other, Item::Down(identity));
            }
        }
    }

    /// A node's membership starts anew, as another life.
    pub(super) fn restart_council(&mut self, node: NodeId) {
        let Some(council) = &mut self.council else {
            return;
        };
        let councillor = council.one_mut(node);
        if councillor.runs {
            return;
        }
        councillor.life += 1;
        councillor.runs = true;
        councillor.over = false;
        councillor.began = false;
        let config = configured(node, councillor.life, join(&self.plan, node));
        councillor.node = Node::new(&config);
        self.counsel(node, Event::Started);
    }

    /// Whether the cluster is gone for good: all nodes want to join one, and none is in any. A view may leave
    /// out a node that lives while one that is in it dies: then no majority of it is left, and all give up.
    pub(super) fn is_extinct(&self) -> bool {
        let Some(council) = &self.council else {
            return false;
        };
        let mut all = council.councillors.iter();
        council.formed.is_some() && all.all(|one| one.node.membership().view().is_none())
    }

    /// Whether everybody is there, and nothing is under way.
    pub(super) fn council_is_done(&self) -> bool {
        let Some(council) = &self.council else {
            return false;
        };
        let serves = |machine: &Machine| {
            let node = machine.node.id();
            machine.is_up()
                && council.serves(self.now, node)
                && machine.stands_until <= self.now
                && council.one(node).stalled.is_empty()
                && machine.node.is_quiet()
        };
        (0..self.threads.len()).all(|thread| self.may_rest(thread))
            && self.users.under_way().is_none()
            && !self.views.is_settling()
            && self.links.is_empty()
            && self.machines.iter().all(serves)
    }

    /// What a node that has just been told of a view has, and that it is told.
    pub(super) fn enters(&mut self, node: NodeId, view: darner_coherence::View) {
        for page in self.oracle.all() {
            if self.machine(node).frame(page).rights != Rights::None {
                let truth = self.oracle.page_mut(page);
                truth.survives = truth.survives.max(view.epoch);
            }
        }
        let epoch = view.epoch;
        self.tell_view(node, view);
        self.begin_threads(node, epoch);
    }

    /// A node's threads begin when it is in a view since the cluster has formed.
    fn begin_threads(&mut self, node: NodeId, epoch: Epoch) {
        let Some(council) = &mut self.council else {
            return;
        };
        let formed = council.formed.is_some_and(|formed| epoch >= formed);
        let one = council.one_mut(node);
        if formed && !one.began {
            one.began = true;
            self.start_threads(node);
        }
    }
}
