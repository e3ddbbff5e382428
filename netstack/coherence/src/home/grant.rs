//! Grants: who gets what, and who has to give it up.

use super::{Get, Home, OwnCopy, Stage};
use crate::adaptation::Adaptation;
use crate::directory::{Pattern, Record, State};
use crate::event::Action;
use crate::ids::{Access, NodeId, PageIndex, Rights, Serial};
use crate::message::{
    Advice, Backing, Collector, Content, Grant, Message, Outcome, Purpose, Written,
};
use crate::mutants::{guard, mutated};
use crate::outbox::Outbox;
use crate::sharers::SharerSet;
use alloc::vec::Vec;

impl Home {
    /// Serves a request for a run of pages.
    ///
    /// The pages behind the first come along if this home can grant them there and then, from
    /// bytes that are current; it never asks anybody for them.
    pub(super) fn serve_run(&mut self, page: PageIndex, run: u8, get: Get, out: &mut Outbox) {
        let run = if self.make_room(usize::from(run)) {
            run
        } else {
            1
        };
        self.make_way(page, run, get, out);
        let Some(rights) = self.grants_at_once(page, get).filter(|_| run > 1) else {
            return self.serve_get(page, get, OwnCopy::Possible, out);
        };
        let alone = self.content(get, self.directory.get(page));
        let serial = self.tick();
        let mut mask = 1;
        self.take(page, get.node, rights, serial);
        for distance in 1..u64::from(run) {
            let next = page.plus(distance);
            if self.may_come_along(next, get.node, rights) {
                self.take(next, get.node, rights, serial);
                mask |= 1 << distance;
            }
        }
        let content = if mask == 1 || get.node == self.me {
            alone
        } else {
            Content::Bytes
        };
        let backing = Backing::Current;
        let grant = Grant {
            page,
            mask,
            id: get.id,
            rights,
            serial,
            acks: 0,
            backing,
            content,
        };
        out.send(get.node, Message::Grant(grant));
    }

    /// What the first page of a run can be granted with without anybody else's help.
    fn grants_at_once(&self, page: PageIndex, get: Get) -> Option<Rights> {
        match (self.directory.get(page).state, get.access) {
            (State::Idle, _) => Some(Rights::Write),
            (State::Exclusive { owner }, _) if owner == get.node => Some(Rights::Write),
            (State::Shared { sharers, .. }, _) if self.only(sharers, get.node) => {
                Some(Rights::Write)
            }
            (State::Shared { .. }, Access::Read) => Some(Rights::Read),
            _ => None,
        }
    }

    fn may_come_along(&self, page: PageIndex, node: NodeId, rights: Rights) -> bool {
        if !self.owns(page) || self.is_busy(page) && !mutated!(BusyPagesMayComeAlong) {
            return false;
        }
        match self.directory.get(page).state {
            State::Idle => true,
            State::Shared { sharers, .. } => rights == Rights::Read || self.only(sharers, node),
            State::Exclusive { .. } | State::Owned { .. } => mutated!(OwnedPagesMayComeAlong),
            State::Lost => false,
        }
    }

    /// Notes a grant from this home's own bytes.
    fn take(&mut self, page: PageIndex, node: NodeId, rights: Rights, serial: Serial) {
        let record = self.directory.get(page);
        let state = match (rights, record.state) {
            (Rights::Read, State::Shared { sharers, writer }) => State::Shared {
                sharers: sharers.with(node, self.grouping),
                writer,
            },
            (Rights::Read, _) => State::Shared {
                sharers: SharerSet::of(node, self.grouping),
                writer: None,
            },
            _ => State::Exclusive { owner: node },
        };
        let serial = if rights == Rights::Write {
            self.lets_write(page);
            serial
        } else {
            record.serial
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

    pub(super) fn serve_get(&mut self, page: PageIndex, get: Get, own: OwnCopy, out: &mut Outbox) {
        let record = self.seen_from(get, self.directory.get(page));
        match record.state {
            State::Lost => out.send(get.node, Message::Lost { page, id: get.id }),
            State::Idle => self.grant_exclusive(page, get, record, 0, out),
            State::Exclusive { owner } if owner == get.node => {
                self.grant_exclusive(page, get, record, 0, out)
            }
            State::Exclusive { owner } => self.forward(page, owner, get, record, 0, out),
            State::Shared { sharers, .. } if self.only(sharers, get.node) => {
                self.grant_exclusive(page, get, record, 0, out);
            }
            State::Shared { sharers, writer } => match get.access {
                Access::Read => self.grant_shared(
                    page,
                    get,
                    Record {
                        state: self.shared_with(sharers, writer, get.node),
                        ..record
                    },
                    out,
                ),
                Access::Write => self.take_from_sharers(page, get, record, own, out),
            },
            State::Owned { sharers, holder } => match get.access {
                Access::Read if self.has_current(get, record) => {
                    let state = State::Owned {
                        sharers: sharers.with(get.node, self.grouping),
                        holder,
                    };
                    self.grant_shared(page, get, Record { state, ..record }, out);
                }
                // To read it here makes this home's bytes current at once.
                Access::Read if get.node == self.me => {
                    self.forward(page, holder, get, record, 0, out);
                }
                Access::Read => self.fetch(page, holder, get, out),
                Access::Write => self.take_from_sharers(page, get, record, own, out),
            },
        }
    }

    /// Invalidates all copies but the requester's, and has the page granted to it.
    fn take_from_sharers(
        &mut self,
        page: PageIndex,
        get: Get,
        record: Record,
        own: OwnCopy,
        out: &mut Outbox,
    ) {
        let (State::Shared { sharers, .. } | State::Owned { sharers, .. }) = record.state else {
            return;
        };
        let record = match own {
            OwnCopy::Possible => Record {
                pattern: self.learned(record, get.node),
                ..record
            },
            OwnCopy::Gone => record,
        };
        let own_may_hold = own == OwnCopy::Possible
            && get.node != self.me
            && sharers.contains(self.me, self.grouping)
            && !self.has_discarded(self.me, page);
        if own_may_hold && !mutated!(OwnCopyKept) {
            self.directory.set(page, record);
            self.produced.in_vain(page);
            self.begin(page, Stage::Clearing { get });
            return out.send(
                self.me,
                Message::Recall {
                    page,
                    purpose: Purpose::Drop,
                    seen: self.seen_by(self.me, page),
                },
            );
        }
        if get.node == self.me && self.adaptation != Adaptation::Off {
            self.produced
                .rewritten(page, sharers.without(self.me, self.grouping), self.grouping);
        }
        let upgrade = self.has_current(get, record);
        let holder = match record.state {
            State::Owned { holder, .. } if !upgrade => Some(holder),
            _ => None,
        };
        let others: Vec<NodeId> = sharers
            .iter(self.grouping)
            .filter(|&node| node != get.node && node != self.me && Some(node) != holder)
            .filter(|&node| self.members.contains(&node) && !self.has_discarded(node, page))
            .collect();
        let collector = Collector {
            node: get.node,
            id: get.id,
        };
        for &node in &others {
            if !mutated!(SharerNotInvalidated) {
                out.send(
                    node,
                    Message::Invalidate {
                        page,
                        collector,
                        seen: self.seen_by(node, page),
                    },
                );
            }
        }
        let sent = if mutated!(SharerNotInvalidated) || mutated!(AcksNotAwaited) {
            0
        } else {
            others.len() as u16
        };
        match holder {
            Some(holder) => self.forward(page, holder, get, record, sent, out),
            None => self.grant_exclusive(page, get, record, sent, out),
        }
    }

    fn forward(
        &mut self,
        page: PageIndex,
        to: NodeId,
        get: Get,
        record: Record,
        acks: u16,
        out: &mut Outbox,
    ) {
        let whole = matches!(record.state, State::Exclusive { .. }) || get.access == Access::Write;
        let serial = if whole && !mutated!(ForwardKeepsSerial) {
            self.tick()
        } else {
            record.serial
        };
        let migrates = get.access == Access::Read && record.pattern.migrates() && whole;
        self.directory.set(page, record);
        self.begin(
            page,
            Stage::Forwarded {
                to,
                get,
                acks,
                serial,
            },
        );
        let message = Message::Forward {
            page,
            access: get.access,
            requester: get.node,
            id: get.id,
            serial,
            acks,
            advice: if migrates {
                Advice::Migrate
            } else {
                Advice::Share
            },
            seen: self.seen_by(to, page),
        };
        out.send(to, message);
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "what a forward leaves behind, taken apart"
    )]
    pub(super) fn noted(
        &mut self,
        page: PageIndex,
        from: NodeId,
        outcome: Outcome,
        get: Get,
        acks: u16,
        serial: Serial,
        out: &mut Outbox,
    ) {
        let record = self.directory.get(page);
        let read = get.access == Access::Read;
        match outcome {
            Outcome::Shared { written } => {
                let pattern = match record.state {
                    State::Exclusive { .. } if written != Written::Here => record.pattern.less(),
                    _ => record.pattern,
                };
                let current = written == Written::Never || from == self.me || get.node == self.me;
                let state = self.after_sharing(record.state, from, get.node, current, written);
                self.directory.set(
                    page,
                    Record {
                        state,
                        serial,
                        pattern,
                    },
                );
            }
            Outcome::Gave { written } => {
                let sign = read && written == Written::Here;
                let pattern = if sign {
                    record.pattern.more()
                } else {
                    record.pattern
                };
                self.directory.set(
                    page,
                    Record {
                        state: State::Exclusive { owner: get.node },
                        serial,
                        pattern,
                    },
                );
            }
            Outcome::NotHeld => {
                let state = match record.state {
                    State::Owned { sharers, holder } => State::Shared {
                        sharers: sharers.without(from, self.grouping),
                        writer: Some(holder),
                    },
                    _ => State::Idle,
                };
                self.grant_home_bytes(page, get, acks, Record { state, ..record }, out);
            }
        }
    }

    fn after_sharing(
        &self,
        before: State,
        from: NodeId,
        reader: NodeId,
        current: bool,
        written: Written,
    ) -> State {
        let pair = SharerSet::of(from, self.grouping).with(reader, self.grouping);
        let (sharers, writer) = match before {
            State::Owned { sharers, holder } => (sharers.union(pair, self.grouping), Some(holder)),
            _ => (pair, (written == Written::Here).then_some(from)),
        };
        if current || mutated!(HomeBytesTakenForCurrent) {
            State::Shared { sharers, writer }
        } else {
            State::Owned {
                sharers,
                holder: from,
            }
        }
    }

    /// Serves a request that was forwarded in vain, from this home's bytes, which are current.
    pub(super) fn grant_home_bytes(
        &mut self,
        page: PageIndex,
        get: Get,
        acks: u16,
        record: Record,
        out: &mut Outbox,
    ) {
        match (get.access, record.state) {
            (Access::Read, State::Shared { sharers, writer }) => {
                self.grant_shared(
                    page,
                    get,
                    Record {
                        state: self.shared_with(sharers, writer, get.node),
                        ..record
                    },
                    out,
                );
            }
            _ => self.grant_exclusive(page, get, record, acks, out),
        }
    }

    fn grant_exclusive(
        &mut self,
        page: PageIndex,
        get: Get,
        record: Record,
        acks: u16,
        out: &mut Outbox,
    ) {
        let content = self.content(get, record);
        let backing = match record.state {
            State::Owned { .. } => Backing::Older,
            _ => Backing::Current,
        };
        let serial = if mutated!(GrantKeepsSerial) {
            record.serial
        } else {
            self.tick()
        };
        self.lets_write(page);
        self.directory.set(
            page,
            Record {
                state: State::Exclusive { owner: get.node },
                serial,
                ..record
            },
        );
        let rights = Rights::Write;
        out.send(
            get.node,
            Message::Grant(Grant {
                page,
                mask: 1,
                id: get.id,
                rights,
                serial,
                acks,
                backing,
                content,
            }),
        );
    }

    fn grant_shared(&mut self, page: PageIndex, get: Get, record: Record, out: &mut Outbox) {
        let content = self.content(get, record);
        if !mutated!(ReaderNotRecorded) {
            self.directory.set(page, record);
        }
        let (rights, backing, serial) = (Rights::Read, Backing::Current, record.serial);
        out.send(
            get.node,
            Message::Grant(Grant {
                page,
                mask: 1,
                id: get.id,
                rights,
                serial,
                acks: 0,
                backing,
                content,
            }),
        );
    }

    /// What has to be sent to a requester: nothing to this node itself, which has the frame.
    fn content(&self, get: Get, record: Record) -> Content {
        if get.node == self.me || self.has_current(get, record) {
            Content::Nothing
        } else {
            Content::Bytes
        }
    }

    /// Whether the bytes that a requester has are current.
    fn has_current(&self, get: Get, record: Record) -> bool {
        let exclusive = matches!(record.state, State::Exclusive { .. });
        let holder = matches!(record.state, State::Owned { holder, .. } if holder == get.node);
        get.have.is_some_and(|have| {
            holder || guard!(SerialNotCompared, have >= record.serial) && !exclusive
        })
    }

    /// What a request says of the page: a holder that asks, and has no bytes, has written
    /// them back, though there was no room to note it.
    fn seen_from(&self, get: Get, record: Record) -> Record {
        match record.state {
            State::Owned { sharers, holder } if holder == get.node && get.have.is_none() => {
                Record {
                    state: State::Shared {
                        sharers,
                        writer: Some(holder),
                    },
                    ..record
                }
            }
            _ => record,
        }
    }

    fn only(&self, sharers: SharerSet, node: NodeId) -> bool {
        sharers.without(node, self.grouping).is_empty()
    }

    fn shared_with(&self, sharers: SharerSet, writer: Option<NodeId>, node: NodeId) -> State {
        State::Shared {
            sharers: sharers.with(node, self.grouping),
            writer,
        }
    }

    /// What a write to a shared page says of how it is used.
    fn learned(&self, record: Record, node: NodeId) -> Pattern {
        let (sharers, writer) = match record.state {
            State::Shared {
                sharers,
                writer: Some(writer),
            } => (sharers, writer),
            State::Owned { sharers, holder } => (sharers, holder),
            _ => return record.pattern,
        };
        if writer == node {
            return record.pattern.again();
        }
        let pair = SharerSet::of(writer, self.grouping).with(node, self.grouping);
        if sharers == pair {
            record.pattern.more()
        } else {
            record.pattern.by_another()
        }
    }

    /// This node's own agent has given its copy up.
    pub(super) fn cleared(&mut self, page: PageIndex, get: Get, out: &mut Outbox) {
        let record = self.directory.get(page);
        let state = match record.state {
            State::Shared { sharers, writer } => State::Shared {
                sharers: sharers.without(self.me, self.grouping),
                writer,
            },
            State::Owned { sharers, holder } => State::Owned {
                sharers: sharers.without(self.me, self.grouping),
                holder,
            },
            other => other,
        };
        self.directory.set(page, Record { state, ..record });
        self.serve_get(page, get, OwnCopy::Gone, out);
    }

    /// Puts zeros in place of a page's bytes, which makes all copies old.
    pub(super) fn zero(&mut self, page: PageIndex, rest: State, out: &mut Outbox) {
        let serial = self.tick();
        self.directory.set(
            page,
            Record {
                state: rest,
                serial,
                pattern: Pattern::default(),
            },
        );
        if rest == State::Idle {
            self.written.remove(page, 1);
            if !self.directory.has_room(self.busy.len()) {
                self.directory.forget(page);
            }
        }
        if !mutated!(DiscardKeepsBytes) {
            out.push(Action::Zero { page });
        }
    }
}
