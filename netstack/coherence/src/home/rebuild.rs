//! Rebuilding the directory from the agents' reports, when the view has changed.

use super::{Away, Home, Stage};
use crate::directory::{Directory, Record, State};
use crate::event::{Action, View, Violation};
use crate::homes::Slices;
use crate::ids::{Epoch, NodeId, PageIndex, Rights, Serial};
use crate::message::{Content, Message, Outcome, Reported, Written};
use crate::outbox::Outbox;
use crate::sharers::SharerSet;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

/// A directory that is being rebuilt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Rebuild {
    epoch: Epoch,
    /// Members whose reports are not complete.
    awaited: BTreeSet<NodeId>,
    reports: BTreeMap<PageIndex, Vec<(NodeId, Reported)>>,
    /// The slices before.
    before: Slices,
    /// What came early.
    early: Vec<(NodeId, Message)>,
}

impl Home {
    /// The view has changed: what comes until [`Home::drained`] was sent in the old one.
    pub(crate) fn view_changed(&mut self, view: &View) {
        let slices = core::mem::replace(&mut self.slices, view.slices.clone());
        let before = self.rebuild.take().map_or(slices, |interrupted| interrupted.before);
        self.members = view.members.clone();
        self.rebuild = Some(Rebuild {
            epoch: view.epoch,
            awaited: view.members.iter().copied().collect(),
            reports: BTreeMap::new(),
            before,
            early: Vec::new(),
        });
    }

    /// A message of the old view: what it says of bytes still counts, what it asks for does not.
    pub(crate) fn drain(&mut self, from: NodeId, message: Message, out: &mut Outbox) {
        match message {
            Message::Note { page, outcome } => self.drain_note(from, page, outcome),
            Message::WriteBack { page, .. } => self.drain_return(from, page, Content::Bytes, out),
            Message::Recalled { page, content } => self.drain_return(from, page, content, out),
            Message::Adopt { page, serial, clock, .. } if !self.owns(page) => self.take_in(page, serial, clock, out),
            _ => {}
        }
    }

    fn drain_note(&mut self, from: NodeId, page: PageIndex, outcome: Outcome) {
        let Some(&Stage::Forwarded { to, get, serial, .. }) = self.stage(page) else { return };
        if to != from {
            return;
        }
        self.end(page);
        let record = self.directory.get(page);
        let pair = SharerSet::of(from, self.grouping).with(get.node, self.grouping);
        let current = from == self.me || get.node == self.me;
        let state = match outcome {
            Outcome::Shared { written } if current || written == Written::Never => {
                State::Shared { sharers: pair, writer: None }
            }
            Outcome::Shared { .. } => State::Owned { sharers: pair, holder: from },
            Outcome::Gave { .. } => State::Exclusive { owner: get.node },
            Outcome::NotHeld => State::Idle,
        };
        self.directory.set(page, Record { state, serial, ..record });
    }

    fn drain_return(&mut self, from: NodeId, page: PageIndex, content: Content, out: &mut Outbox) {
        let record = self.directory.get(page);
        let holds = match record.state {
            State::Exclusive { owner } => owner == from,
            State::Owned { holder, .. } => holder == from,
            _ => false,
        };
        if holds && self.owns(page) {
            if content != Content::Nothing {
                out.push(Action::Store { page });
            }
            self.directory.set(page, Record { state: State::Idle, ..record });
        }
    }

    /// All of the old view's messages have come. Pages that had moved go back to the homes of
    /// their slices: those that moved here are returned, with a serial if their bytes are
    /// current here and are to be kept as copies of this node's.
    pub(crate) fn drained(&mut self) -> Vec<(PageIndex, Option<Serial>)> {
        for page in self.under_way() {
            self.adopted.remove(&page);
            if self.slices.home(page) == self.me {
                self.away.entry(page).or_insert(Away { to: self.me, stamp: self.clock });
            }
        }
        self.busy.clear();
        self.parked.clear();
        self.discards.clear();
        self.seen.clear();
        let adopted = core::mem::take(&mut self.adopted);
        let current = |page: PageIndex| {
            let record = self.directory.get(page);
            let here = matches!(record.state, State::Idle | State::Shared { .. });
            (page, here.then_some(self.clock))
        };
        adopted.into_iter().map(current).collect()
    }

    /// Pages that have left, and may not have arrived.
    fn under_way(&self) -> Vec<PageIndex> {
        let left = |stage: &Option<Stage>| matches!(stage, Some(Stage::Adopting { .. } | Stage::Announcing { .. }));
        self.busy.iter().filter(|(_, busy)| left(&busy.stage)).map(|(&page, _)| page).collect()
    }

    pub(super) fn receive_rebuilding(&mut self, from: NodeId, message: Message, out: &mut Outbox) {
        let Some(rebuild) = &mut self.rebuild else { return };
        match message {
            Message::Report { page, copy } => rebuild.reports.entry(page).or_default().push((from, copy)),
            Message::ReportsEnd => {
                rebuild.awaited.remove(&from);
                if rebuild.awaited.is_empty() {
                    self.rebuild(out);
                }
            }
            Message::Get { .. } | Message::Discard { .. } | Message::WriteBack { .. } => {
                out.refuse(from, Violation::OutOfPlace);
            }
            other => rebuild.early.push((from, other)),
        }
    }

    fn rebuild(&mut self, out: &mut Outbox) {
        let Some(rebuild) = self.rebuild.take() else { return };
        let reported = rebuild.reports.values().flatten().map(|(_, copy)| copy.serial).max().unwrap_or_default();
        self.clock = self.clock.max(reported).max(Serial(u64::from(rebuild.epoch.0) << 32));
        let old = core::mem::replace(&mut self.directory, Directory::new(self.limits.records));
        self.directory.reset(self.clock);
        self.unreported(&old, &rebuild.before);
        for (&page, reports) in &rebuild.reports {
            self.reported(page, reports, &old, out);
        }
        for &member in &self.members {
            out.send(member, Message::Resume);
        }
        for (from, message) in rebuild.early {
            self.receive(from, message, out);
        }
    }

    /// What is to be thought of pages that nobody reports.
    fn unreported(&mut self, old: &Directory, before: &Slices) {
        let lost = Record { state: State::Lost, serial: self.clock, pattern: Default::default() };
        for (first, pages, record) in old.iter() {
            let gone = match record.state {
                State::Exclusive { owner } => !self.members.contains(&owner),
                State::Owned { .. } | State::Lost => true,
                State::Idle | State::Shared { .. } => false,
            };
            if gone && !crate::mutants::mutated!(LossNotNoticed) {
                self.directory.set_range(first, pages, lost);
            }
        }
        for (first, pages) in self.slices.gained(self.me, before) {
            self.directory.set_range(first, pages, lost);
        }
        for (page, _) in core::mem::take(&mut self.away) {
            self.directory.set(page, lost);
        }
    }

    /// What is to be thought of a page of which these copies are reported.
    fn reported(&mut self, page: PageIndex, reports: &[(NodeId, Reported)], old: &Directory, out: &mut Outbox) {
        let serial = self.clock;
        let owner = reports.iter().find(|(_, copy)| copy.rights == Rights::Write);
        let sharers = reports.iter().fold(SharerSet::EMPTY, |set, &(node, _)| set.with(node, self.grouping));
        let unreported = self.directory.get(page).state == State::Idle;
        let was_current = matches!(old.get(page).state, State::Idle | State::Shared { .. });
        let state = match owner {
            Some(&(owner, _)) => State::Exclusive { owner },
            None if unreported && was_current => State::Shared { sharers, writer: None },
            None => {
                let Some(&(holder, _)) = reports.first() else { return };
                out.send(holder, Message::Keep { page, serial });
                State::Owned { sharers, holder }
            }
        };
        self.directory.set(page, Record { state, serial, pattern: Default::default() });
    }
}
