//! Who the members are: views as an agreement of the living would give them.
//!
//! The simulator itself decides, as if it were a majority that always agrees. Nodes learn of a view
//! one after another, and each learns of all of them, in order.

use super::{Happening, Place, World};
use crate::machine::Protocols;
use crate::network::{Load, UnderWay};
use crate::oracle::Risk;
use crate::plan::{Agreement, Plan};
use crate::time::{MILLISECOND, Moment};
use darner_coherence::{
    Epoch, Event, Grant, LONGEST_RUN, Message, NodeId, PageIndex, Rights, Slices, View, locks,
    parking,
};
use std::collections::{BTreeMap, VecDeque};

/// How long it takes at most until a node learns of a view, in nanoseconds.
const NEWS: u64 = 2 * MILLISECOND;

/// The views.
#[derive(Clone, Debug)]
pub(super) struct Views {
    /// The latest.
    pub(super) latest: View,
    /// The homes of the slices, by node of origin.
    homes: Vec<NodeId>,
    untold: BTreeMap<NodeId, VecDeque<View>>,
    settling: bool,
    /// Pages that nodes that have died were about to discard.
    orphans: Vec<PageIndex>,
}

impl Views {
    pub(super) fn new(plan: &Plan) -> Self {
        let homes: Vec<NodeId> = (0..plan.nodes).map(NodeId).collect();
        let (epoch, members) = match plan.agreement {
            Agreement::Given => (Epoch(1), homes.clone()),
            Agreement::Theirs => (Epoch(0), Vec::new()),
        };
        Self {
            latest: View {
                epoch,
                members,
                slices: slices(plan, &homes),
            },
            homes,
            untold: BTreeMap::new(),
            settling: false,
            orphans: Vec::new(),
        }
    }

    /// A change of view is under way.
    pub(super) fn begin_settling(&mut self) {
        self.settling = true;
    }

    /// Whether a change of view is under way, or about to be.
    pub(super) fn is_settling(&self) -> bool {
        self.settling
    }

    pub(super) fn orphan(&mut self, pages: impl Iterator<Item = PageIndex>) {
        self.orphans.extend(pages);
    }

    /// Gives the slices of those who are no members to those members who have the fewest.
    fn inherit(&mut self) {
        let homes =
            |homes: &[NodeId], member: NodeId| homes.iter().filter(|&&home| home == member).count();
        for slice in 0..self.homes.len() {
            if !self.latest.members.contains(&self.homes[slice]) {
                let heir = self.latest.members.iter().copied();
                let heir = heir.min_by_key(|&member| homes(&self.homes, member));
                self.homes[slice] = heir.unwrap_or(self.homes[slice]);
            }
        }
    }
}

fn slices(plan: &Plan, homes: &[NodeId]) -> Slices {
    let starts = homes
        .iter()
        .zip(0..)
        .map(|(&home, node)| (PageIndex(plan.slice_of(node).start), home));
    Slices::new(starts.collect()).expect("slices in order, the first at page 0")
}

impl World {
    /// Whether those who would remain could decide on a view.
    pub(super) fn can_do_without(&self, goes: impl Fn(NodeId) -> bool) -> bool {
        let members = &self.views.latest.members;
        let remain = members
            .iter()
            .filter(|&&member| self.machine(member).is_up() && !goes(member))
            .count();
        remain * 2 > members.len()
    }

    /// A node dies, and its links with it.
    pub(super) fn kill(&mut self, node: NodeId) {
        for page in self.oracle.all() {
            if self.is_at_risk(node, page) {
                self.oracle.endanger(page, Risk::Untold);
            }
            let rights = self.machine(node).frame(page).rights;
            self.oracle.rights_change(page, node, rights, Rights::None);
        }
        self.machine_mut(node).die();
        self.links.died(node);
        self.kill_threads(node);
        self.views.untold.remove(&node);
        self.views.settling = true;
    }

    /// Whether the bytes of a page may die with a node: it has them, they are on their way
    /// to or from it, it has asked for them, or it is their home, or will be.
    fn is_at_risk(&self, node: NodeId, page: PageIndex) -> bool {
        let dead = &self.machine(node).node;
        let others = || self.machines.iter().filter(|machine| machine.is_up());
        self.machine(node).frame(page).value.is_some()
            || dead.agent().has_bytes(page)
            || dead.agent().awaits(page)
            || dead.home().owns(page)
            || self.views.latest.slices.home(page) == node
            || others().any(|other| {
                let home = other.node.home();
                home.is_moving(page) || home.owns(page) && home.may_hold(node, page)
            })
            || self
                .links
                .of(node)
                .filter_map(UnderWay::message)
                .any(|message| brings(message, page))
    }

    /// A message to a node that has died is gone, and with it the bytes that it brings.
    pub(super) fn sent_in_vain(&mut self, message: &Message) {
        let risk = self.next_risk();
        for page in self.oracle.all() {
            if brings(message, page) {
                self.oracle.endanger(page, risk);
            }
        }
    }

    /// The risk of what happens now: it ends with the view that tells of all deaths so far.
    pub(super) fn next_risk(&self) -> Risk {
        let members = &self.views.latest.members;
        match members.iter().all(|&member| self.machine(member).is_up()) {
            true => Risk::Since(self.views.latest.epoch),
            false => Risk::Untold,
        }
    }

    /// When the view changes, pages that have moved go back to the homes of their slices. One that
    /// had an owner which dropped it unwritten is lost then: nobody can say that there is no newer
    /// copy.
    pub(super) fn endanger_moved(&mut self) {
        for page in self.oracle.all() {
            let home = self.home_of(page);
            if home != Some(self.views.latest.slices.home(page)) {
                self.oracle.endanger(page, Risk::Untold);
            }
        }
    }

    /// A view without those who have died, if any have.
    pub(super) fn decide(&mut self) {
        let living = |member: &NodeId| self.machine(*member).is_up();
        let members: Vec<NodeId> = self
            .views
            .latest
            .members
            .iter()
            .copied()
            .filter(living)
            .collect();
        if members.len() < self.views.latest.members.len() {
            self.announce(members);
        }
    }

    fn announce(&mut self, members: Vec<NodeId>) {
        self.counts.views += 1;
        self.views.settling = true;
        self.endanger_moved();
        self.views.latest.members = members;
        self.views.latest.epoch.0 += 1;
        self.views.inherit();
        self.views.latest.slices = slices(&self.plan, &self.views.homes);
        let view = self.views.latest.clone();
        self.oracle.told_in(view.epoch);
        for &member in &view.members {
            let untold = self.views.untold.entry(member).or_default();
            untold.push_back(view.clone());
            let takes = self.machine_mut(member).chance.within(0..NEWS);
            let at = self.place(member);
            self.put(self.now.after(takes), Happening::Told { at });
        }
    }

    /// A node learns of the next view.
    pub(super) fn told(&mut self, at: Place) {
        if !self.lives(at) {
            return;
        }
        let node = at.node;
        let Some(views) = self.views.untold.get_mut(&node) else {
            return;
        };
        let view = views.pop_front();
        if views.is_empty() {
            self.views.untold.remove(&node);
        }
        let Some(view) = view else { return };
        self.enters(node, view);
    }

    /// A node that has died is there again, and becomes a member.
    pub(super) fn started(&mut self, node: NodeId) {
        if self.council.is_some() {
            return self.restart_council(node);
        }
        if self.machine(node).is_up() {
            return;
        }
        if self.partition.is_some() || self.views.latest.members.contains(&node) {
            let later = self.now.after(10 * MILLISECOND);
            return self.put(later, Happening::Started { node });
        }
        self.links.started(node);
        let before = self.views.latest.clone();
        let joins = Epoch(before.epoch.0 + 1);
        let protocols = Protocols::new(&self.plan, node, before);
        self.machine_mut(node).start(protocols, joins);
        let mut members = self.views.latest.members.clone();
        members.push(node);
        members.sort_unstable();
        self.announce(members);
        self.views.untold.remove(&node);
        let view = self.views.latest.clone();
        self.tell_view(node, view);
        self.start_threads(node);
    }

    /// A node's protocols are told of a view.
    pub(super) fn tell_view(&mut self, node: NodeId, view: View) {
        self.handle(node, Event::View(view.clone()), &Load::Nothing);
        self.handle_lock(node, locks::Event::View(view.clone()));
        self.handle_parking(node, parking::Event::View(view));
    }

    /// Notes when a change of view is over.
    pub(super) fn settle(&mut self) {
        let rebuilds = |machine: &crate::machine::Machine| {
            machine.is_up() && !machine.node.home().is_quiet_about_views()
        };
        let members = &self.views.latest.members;
        let behind = |&member: &NodeId| {
            let machine = self.machine(member);
            !machine.is_up() || machine.node.epoch() < self.views.latest.epoch
        };
        if members.iter().any(behind) || self.machines.iter().any(rebuilds) {
            return;
        }
        self.views.settling = false;
        for page in std::mem::take(&mut self.views.orphans) {
            self.oracle.discard_dies(page, self.views.latest.epoch);
        }
    }

    /// From when on a node is taken for dead that has been silent since now.
    pub(super) fn suspicion(&self) -> Moment {
        self.now.after(10 * MILLISECOND)
    }
}

/// Whether a message carries the bytes of a page, or did before they were found to be zeros.
fn brings(message: &Message, page: PageIndex) -> bool {
    match *message {
        Message::Grant(Grant {
            page: first, mask, ..
        }) => {
            let distance = page.0.wrapping_sub(first.0);
            distance < LONGEST_RUN.into() && mask >> distance & 1 == 1
        }
        Message::WriteBack { page: brought, .. }
        | Message::Recalled { page: brought, .. }
        | Message::Adopt { page: brought, .. } => brought == page,
        _ => false,
    }
}
