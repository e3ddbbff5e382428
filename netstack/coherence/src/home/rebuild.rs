//! Rebuilding the directory from the agents' reports, when the view has changed.

use super::{Away, Home, Request, Stage, Then};
use crate::directory::{Directory, Record, State};
use crate::event::{Action, View, Violation};
use crate::homes::Slices;
use crate::ids::{Epoch, NodeId, PageIndex, RequestId, Rights, Serial};
use crate::message::{Content, Message, Outcome, Purpose, Reported, Written};
use crate::mutants::mutated;
use crate::outbox::{Local, Outbox};
use crate::pages::PageSet;
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
    /// Requests that got no answer.
    unserved: Vec<Unserved>,
    claims: BTreeMap<PageIndex, Claim>,
    /// What is said to be all zeros, by its last home: first page, number of pages.
    blank: Vec<(PageIndex, u64)>,
    /// What had been asked, once the old view's messages have come.
    asked: Option<Asked>,
    /// The slices before.
    before: Slices,
    /// Who was a member before, and has not been ever since.
    left: BTreeSet<NodeId>,
    /// What came early.
    early: Vec<(NodeId, Message)>,
    /// Whether the view had changed before this home had rebuilt its directory for another one.
    again: bool,
}

/// What had been asked in the view in which this home last served requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Asked {
    /// The last request of each node that was received.
    seen: BTreeMap<NodeId, RequestId>,
    /// Those who waited for a page.
    ungranted: BTreeSet<(PageIndex, NodeId)>,
}

/// A request that got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Unserved {
    page: PageIndex,
    node: NodeId,
    asked: NodeId,
    id: RequestId,
}

/// What a node says that was a page's home.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Claim {
    by: NodeId,
    owner: NodeId,
    granted: RequestId,
}

/// What becomes of the bytes of a page that had moved here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Inherited {
    /// They are current.
    Current(Serial),
    /// They are current if the owner has dropped its copy in silence.
    Claimed { owner: NodeId, granted: RequestId },
    /// They are old.
    Old,
}

impl Home {
    /// The view has changed: what comes until [`Home::drained`] was sent in the old one.
    pub(crate) fn view_changed(&mut self, view: &View) {
        if mutated!(CededUnheard) {
            self.served = self.slices.of(self.me);
        }
        let interrupted = self.rebuild.take();
        if let Some(interrupted) = &interrupted {
            self.take_in_early(&interrupted.early);
        }
        let again = interrupted.is_some();
        let slices = core::mem::replace(&mut self.slices, view.slices.clone());
        let (before, mut left, unserved, asked) = match interrupted {
            Some(interrupted) => (
                interrupted.before,
                interrupted.left,
                interrupted.unserved,
                interrupted.asked,
            ),
            None => (slices, BTreeSet::new(), Vec::new(), None),
        };
        let members = core::mem::replace(&mut self.members, view.members.clone());
        left.extend(
            members
                .iter()
                .filter(|&member| !view.members.contains(member)),
        );
        self.rebuild = Some(Rebuild {
            epoch: view.epoch,
            awaited: view.members.iter().copied().collect(),
            reports: BTreeMap::new(),
            claims: BTreeMap::new(),
            blank: Vec::new(),
            unserved,
            asked,
            before,
            left,
            early: Vec::new(),
            again,
        });
    }

    /// Takes pages that others have given to this home, and that it could not serve yet.
    fn take_in_early(&mut self, early: &[(NodeId, Message)]) {
        for (_, message) in early {
            if let Message::Adopt {
                page,
                serial,
                clock,
                ..
            } = *message
                && !self.owns(page)
            {
                self.take_in(page, serial, clock);
            }
        }
    }

    /// A message of the old view: what it says of bytes still counts, what it asks for does not.
    pub(crate) fn drain(&mut self, from: NodeId, message: Message, out: &mut Outbox) {
        match message {
            Message::Note { page, outcome } => self.drain_note(from, page, outcome),
            Message::Unserved { page, asked, id } => {
                if let Some(rebuild) = &mut self.rebuild {
                    rebuild.unserved.push(Unserved {
                        page,
                        node: from,
                        asked,
                        id,
                    });
                }
            }
            Message::WriteBack { page, .. } => self.drain_return(from, page, Content::Bytes, out),
            Message::Recalled { page, content } => self.drain_return(from, page, content, out),
            Message::Adopt {
                page,
                serial,
                clock,
                ..
            } if !self.owned(page) || self.is_announcing(page) => {
                self.end(page);
                out.push(Action::Store { page });
                self.take_in(page, serial, clock);
                // Of a slice that this home has only just got, nothing is current but what is here.
                if !self.had_slice_of(page) {
                    self.adopted.insert(page);
                }
            }
            _ => {}
        }
    }

    /// Whether this node was a page's home in the old view.
    fn owned(&self, page: PageIndex) -> bool {
        let slice = self.had_slice_of(page) && !self.away.contains_key(&page);
        slice || self.adopted.contains(&page)
    }

    fn had_slice_of(&self, page: PageIndex) -> bool {
        let before = self.rebuild.as_ref().map(|rebuild| &rebuild.before);
        before.is_some_and(|slices| slices.home(page) == self.me)
    }

    fn drain_note(&mut self, from: NodeId, page: PageIndex, outcome: Outcome) {
        let Some(&Stage::Forwarded {
            to, get, serial, ..
        }) = self.stage(page)
        else {
            return;
        };
        if to != from {
            return;
        }
        self.end(page);
        let record = self.directory.get(page);
        let pair = SharerSet::of(from, self.grouping).with(get.node, self.grouping);
        let current = from == self.me || get.node == self.me;
        let state = match outcome {
            Outcome::Shared { written } if current || written == Written::Never => State::Shared {
                sharers: pair,
                writer: None,
            },
            Outcome::Shared { .. } => State::Owned {
                sharers: pair,
                holder: from,
            },
            Outcome::Gave { .. } => State::Exclusive { owner: get.node },
            Outcome::NotHeld => State::Idle,
        };
        self.directory.set(
            page,
            Record {
                state,
                serial,
                ..record
            },
        );
    }

    fn drain_return(&mut self, from: NodeId, page: PageIndex, content: Content, out: &mut Outbox) {
        let record = self.directory.get(page);
        let holds = match record.state {
            State::Exclusive { owner } => owner == from,
            State::Owned { holder, .. } => holder == from,
            _ => false,
        };
        // It comes before the note that tells who had the page: what the note says is over.
        let overtakes = self.overtakes(from, page);
        if (holds || overtakes) && self.owned(page) {
            if overtakes {
                self.end(page);
            }
            if content != Content::Nothing {
                out.push(Action::Store { page });
            }
            // What was dropped for a discard is gone, even if nobody asks for zeros again.
            let dropped = match self.stage(page) {
                Some(Stage::Recalling { then, .. }) => then.purpose() == Purpose::Drop,
                _ => false,
            };
            let shared = matches!(record.state, State::Owned { .. });
            let state = match content {
                Content::Nothing if dropped || shared => State::Lost,
                _ => State::Idle,
            };
            self.directory.set(page, Record { state, ..record });
        }
    }

    /// All of the old view's messages have come. Pages that had moved go back to the homes of
    /// their slices: those that moved here are returned, with what becomes of their bytes as
    /// copies of this node's. `awaits` tells of pages that this node's agent has asked for, and
    /// not got.
    pub(crate) fn drained(
        &mut self,
        awaits: impl Fn(PageIndex) -> bool,
    ) -> Vec<(PageIndex, Inherited)> {
        let given = self.given();
        for &page in &given {
            self.adopted.remove(&page);
            if self.slices.home(page) == self.me || self.served.contains(page) {
                self.away.entry(page).or_insert(Away {
                    to: self.me,
                    stamp: self.clock,
                });
            }
        }
        let left = self.rebuild.as_ref().map(|rebuild| rebuild.left.clone());
        let ceded = self.cede(&left.unwrap_or_default());
        let granted = self.granted_to_owners(&ceded);
        let ungranted = self.ungranted();
        let seen = core::mem::take(&mut self.seen);
        if let Some(rebuild) = &mut self.rebuild {
            rebuild.asked.get_or_insert(Asked { seen, ungranted });
        }
        self.busy.clear();
        self.parked.clear();
        self.discards.clear();
        self.produced.clear();
        self.ways.clear();
        let adopted = core::mem::take(&mut self.adopted);
        let asked = self
            .rebuild
            .as_ref()
            .and_then(|rebuild| rebuild.asked.as_ref());
        let waits = |page| asked.is_some_and(|asked| asked.ungranted.contains(&(page, self.me)));
        let rebuild = self.rebuild.as_ref();
        // An owner that was away may have written what died with it. And what one that was not had to say
        // against a claim, it may have said in a view that came to nothing.
        let silent = |owner| {
            rebuild.is_some_and(|rebuild| {
                let left = rebuild.left.contains(&owner) && !mutated!(ClaimOfTheDeadsPage);
                left || rebuild.again
            })
        };
        let inherited = |page: PageIndex| match self.directory.get(page).state {
            State::Idle | State::Shared { .. } => Inherited::Current(self.clock),
            State::Exclusive { owner } if owner == self.me => {
                if !awaits(page) || waits(page) {
                    Inherited::Current(self.clock)
                } else {
                    Inherited::Old
                }
            }
            State::Exclusive { owner } if silent(owner) => Inherited::Old,
            State::Exclusive { owner } => Inherited::Claimed {
                owner,
                granted: granted.get(&page).copied().unwrap_or_default(),
            },
            State::Owned { .. } | State::Lost => Inherited::Old,
        };
        let adopted = adopted.into_iter().chain(ceded);
        let adopted = adopted.map(|page| (page, inherited(page)));
        let given = given.into_iter().map(|page| (page, Inherited::Old));
        adopted.chain(given).collect()
    }

    /// For each page that has moved here, or is ceded, and has an owner: the owner's last request that was granted.
    fn granted_to_owners(&self, ceded: &[PageIndex]) -> BTreeMap<PageIndex, RequestId> {
        let owned = |&page: &PageIndex| match self.directory.get(page).state {
            State::Exclusive { owner } => Some((page, self.seen_by(owner, page))),
            _ => None,
        };
        let all = self.adopted.iter().chain(ceded);
        all.filter_map(owned).collect()
    }

    /// Who waits for which page.
    fn ungranted(&self) -> BTreeSet<(PageIndex, NodeId)> {
        let getter = |request: &Request| match request {
            Request::Get(get) => Some(get.node),
            _ => None,
        };
        let parked = self
            .parked
            .iter()
            .filter_map(|(page, request)| Some((*page, getter(request)?)));
        let queued = self.busy.iter().flat_map(|(&page, busy)| {
            let served = match busy.stage {
                Some(
                    Stage::Forwarded { get, .. }
                    | Stage::Clearing { get }
                    | Stage::Recalling {
                        then: Then::Serve(get),
                        ..
                    },
                ) => Some(get.node),
                _ => None,
            };
            busy.waiting
                .iter()
                .filter_map(getter)
                .chain(served)
                .map(move |node| (page, node))
        });
        parked.chain(queued).collect()
    }

    /// Pages that were given to other homes, which have them if they live and have not been away.
    fn given(&self) -> Vec<PageIndex> {
        let stayed = |node: &NodeId| {
            let rebuild = self.rebuild.as_ref();
            rebuild.is_none_or(|rebuild| !rebuild.left.contains(node))
        };
        let stayed: Vec<NodeId> = self.members.iter().copied().filter(stayed).collect();
        self.busy
            .keys()
            .copied()
            .filter(|&page| self.owns(page) && !self.keeps(page, &stayed))
            .collect()
    }

    pub(super) fn receive_rebuilding(&mut self, from: NodeId, message: Message, out: &mut Outbox) {
        let Some(rebuild) = &mut self.rebuild else {
            return;
        };
        match message {
            Message::Report { page, copy } => {
                rebuild.reports.entry(page).or_default().push((from, copy))
            }
            Message::Unserved { page, asked, id } => rebuild.unserved.push(Unserved {
                page,
                node: from,
                asked,
                id,
            }),
            Message::Claim {
                page,
                owner,
                granted,
            } => {
                let by = from;
                rebuild
                    .claims
                    .entry(page)
                    .or_insert(Claim { by, owner, granted });
            }
            Message::Blank { page, pages } => rebuild.blank.push((page, pages)),
            Message::ReportsEnd => {
                rebuild.awaited.remove(&from);
                if rebuild.awaited.is_empty() {
                    self.rebuild(out);
                }
            }
            Message::Get { .. } | Message::Discard { .. } | Message::WriteBack { .. } => {
                out.refuse(from, Violation::OutOfPlace);
            }
            Message::Adopt { page, .. } => {
                rebuild.early.push((from, message));
                out.push(Action::Store { page });
                // Or this node's agent, when it gives up a copy that it has kept, would free the frame with the bytes.
                out.tell(Local::HomeCame { page });
            }
            other => rebuild.early.push((from, other)),
        }
    }

    fn rebuild(&mut self, out: &mut Outbox) {
        let Some(rebuild) = self.rebuild.take() else {
            return;
        };
        let reported = rebuild
            .reports
            .values()
            .flatten()
            .map(|(_, copy)| copy.serial)
            .max()
            .unwrap_or_default();
        self.clock = self
            .clock
            .max(reported)
            .max(Serial(u64::from(rebuild.epoch.0) << 32));
        let old = core::mem::replace(
            &mut self.directory,
            Directory::new(self.limits.records, self.grouping),
        );
        self.directory.reset(self.clock);
        self.served = self.slices.of(self.me);
        self.unreported(&old, &rebuild);
        self.died_on_the_way(&old, &rebuild);
        self.claimed(&rebuild, out);
        for &page in rebuild.claims.keys() {
            self.lets_write(page);
        }
        for (&page, reports) in &rebuild.reports {
            self.lets_write(page);
            self.reported(page, reports, &old, out);
        }
        for &member in &self.members {
            out.send(member, Message::Resume);
        }
        for (from, message) in rebuild.early {
            match message {
                Message::Adopt {
                    page,
                    serial,
                    clock,
                    ..
                } => self.adopt_stored(from, page, serial, clock, out),
                other => self.receive(from, other, out),
            }
        }
    }

    /// What is to be thought of pages that nobody reports.
    fn unreported(&mut self, old: &Directory, rebuild: &Rebuild) {
        let lost = Record {
            state: State::Lost,
            serial: self.clock,
            pattern: Default::default(),
        };
        let mine = self.slices.of(self.me);
        for (first, pages, record) in old.iter() {
            let gone = match record.state {
                // One that lives and has no copy has written it back, or never wrote.
                State::Exclusive { owner } | State::Owned { holder: owner, .. } => {
                    rebuild.left.contains(&owner)
                }
                State::Lost => true,
                State::Idle | State::Shared { .. } => false,
            };
            if gone && !mutated!(LossNotNoticed) {
                for (first, pages) in mine.within(first, pages) {
                    self.directory.set_range(first, pages, lost);
                }
            }
        }
        for (first, pages) in self.slices.gained(self.me, &rebuild.before) {
            self.directory.set_range(first, pages, lost);
            self.blank(first, pages, rebuild);
        }
        for (page, _) in core::mem::take(&mut self.away) {
            if self.slices.home(page) == self.me {
                self.directory.set(page, lost);
            }
        }
    }

    /// Pages of a range that this home has got are not lost if the last home says that they are all zeros. Which that was, this
    /// node may not know: it may have missed views in which it was not this one.
    fn blank(&mut self, first: PageIndex, pages: u64, rebuild: &Rebuild) {
        let end = first.plus(pages);
        for &(start, count) in &rebuild.blank {
            let ends = PageIndex(start.0.saturating_add(count)).min(end);
            let start = start.max(first);
            if start < ends {
                let idle = Record {
                    state: State::Idle,
                    serial: self.clock,
                    pattern: Default::default(),
                };
                self.directory.set_range(start, ends.0 - start.0, idle);
            }
        }
    }

    /// The pages that this home gets with this view, and so has no bytes of but as copies.
    pub(crate) fn coming(&self) -> PageSet {
        let mut coming = self.slices.of(self.me);
        let before = self.rebuild.as_ref().map(|rebuild| &rebuild.before);
        let had = before.unwrap_or(&self.slices).of(self.me);
        for (first, pages) in had.iter() {
            coming.remove(first, pages);
        }
        coming
    }

    /// Pages that were given to nodes that live, by nodes that died before the bytes had arrived.
    fn died_on_the_way(&mut self, old: &Directory, rebuild: &Rebuild) {
        let Some(asked) = &rebuild.asked else { return };
        let unserved = rebuild
            .unserved
            .iter()
            .filter(|unserved| unserved.asked == self.me);
        for &Unserved { page, node, id, .. } in unserved {
            let seen = asked
                .seen
                .get(&node)
                .is_some_and(|&seen| id.at_or_before(seen));
            let granted = seen && !asked.ungranted.contains(&(page, node));
            if granted
                && old.get(page).state == (State::Exclusive { owner: node })
                && !mutated!(LossOnTheWayNotNoticed)
            {
                let lost = Record {
                    state: State::Lost,
                    serial: self.clock,
                    pattern: Default::default(),
                };
                self.directory.set(page, lost);
            }
        }
    }

    /// Pages that had moved, of which nobody has a copy but the node that was their home.
    ///
    /// That node gets it back, unless the owner waits for what it was given, which then died on the way.
    fn claimed(&mut self, rebuild: &Rebuild, out: &mut Outbox) {
        let serial = self.clock;
        for (&page, &Claim { by, owner, granted }) in &rebuild.claims {
            let waits = |unserved: &Unserved| {
                let get = unserved.asked == by && unserved.id.at_or_before(granted);
                let write_back = unserved.asked == owner;
                (unserved.page, unserved.node) == (page, owner) && (get || write_back)
            };
            let on_the_way = rebuild.unserved.iter().any(waits) && !mutated!(ClaimOfWhatIsOnTheWay);
            let lost = self.directory.get(page).state == State::Lost;
            if lost && !rebuild.reports.contains_key(&page) && !on_the_way {
                out.send(by, Message::Keep { page, serial });
                let state = State::Owned {
                    sharers: SharerSet::of(by, self.grouping),
                    holder: by,
                };
                self.directory.set(
                    page,
                    Record {
                        state,
                        serial,
                        pattern: Default::default(),
                    },
                );
            }
        }
    }

    /// What is to be thought of a page of which these copies are reported.
    fn reported(
        &mut self,
        page: PageIndex,
        reports: &[(NodeId, Reported)],
        old: &Directory,
        out: &mut Outbox,
    ) {
        let serial = self.clock;
        let owner = reports
            .iter()
            .find(|(_, copy)| copy.rights == Rights::Write);
        let sharers = reports.iter().fold(SharerSet::EMPTY, |set, &(node, _)| {
            set.with(node, self.grouping)
        });
        // A node has one frame of a page, so what this node has as a copy it has as the home.
        let here = reports.iter().any(|&(node, _)| node == self.me);
        let unreported = self.directory.get(page).state == State::Idle;
        let was_current = matches!(old.get(page).state, State::Idle | State::Shared { .. });
        let state = match owner {
            Some(&(owner, _)) => State::Exclusive { owner },
            None if here || unreported && was_current => State::Shared {
                sharers,
                writer: None,
            },
            None => {
                let Some(&(holder, _)) = reports.first() else {
                    return;
                };
                out.send(holder, Message::Keep { page, serial });
                State::Owned { sharers, holder }
            }
        };
        self.directory.set(
            page,
            Record {
                state,
                serial,
                pattern: Default::default(),
            },
        );
    }
}
