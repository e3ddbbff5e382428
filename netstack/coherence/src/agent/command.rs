//! What is done with copies because others, or the node itself, want it.

use super::{Agent, Copy, Page};
use crate::event::{Action, Dirt, Violation};
use crate::ids::{Access, NodeId, PageIndex, RequestId, Rights, Serial, Time};
use crate::message::{
    Advice, Backing, Collector, Content, Grant, Message, Outcome, Purpose, Used, Written,
};
use crate::mutants::{guard, mutated};
use crate::outbox::Outbox;

/// Something to do with a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Command {
    Forward(Forward),
    Invalidate {
        home: NodeId,
        collector: Collector,
        seen: RequestId,
    },
    Recall {
        home: NodeId,
        purpose: Purpose,
        seen: RequestId,
    },
    Evict,
    /// It was pushed here, and is not wanted any longer.
    Consumed {
        used: Used,
    },
    Discard,
    /// Nothing any more: the view in which it was to be done is over.
    Cancelled,
}

/// A request to serve in a home's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Forward {
    pub(super) home: NodeId,
    pub(super) access: Access,
    pub(super) requester: NodeId,
    pub(super) id: RequestId,
    pub(super) serial: Serial,
    pub(super) acks: u16,
    pub(super) advice: Advice,
    pub(super) seen: RequestId,
}

impl Command {
    /// Which home says that it has granted all requests up to which one.
    fn granted(&self) -> Option<(NodeId, RequestId)> {
        match *self {
            Self::Forward(Forward { home, seen, .. })
            | Self::Invalidate { home, seen, .. }
            | Self::Recall { home, seen, .. } => Some((home, seen)),
            Self::Evict | Self::Consumed { .. } | Self::Discard | Self::Cancelled => None,
        }
    }

    /// What rights remain while and after it is done.
    fn leaves(&self, copy: Copy) -> Rights {
        match *self {
            Self::Forward(Forward {
                access: Access::Read,
                advice,
                ..
            }) => match (copy, advice) {
                (Copy::Exclusive { .. }, Advice::Migrate) => Rights::None,
                _ => Rights::Read,
            },
            Self::Recall {
                purpose: Purpose::Push | Purpose::Share,
                ..
            } => Rights::Read,
            Self::Cancelled => Rights::Write,
            _ => Rights::None,
        }
    }
}

impl Page {
    /// Whether a command has to wait.
    fn defers(&self, now: Time, command: &Command) -> bool {
        let granted = command.granted().is_some_and(|(home, seen)| {
            self.pending.is_some_and(|pending| {
                pending.home == home && pending.run > 0 && pending.id.at_or_before(seen)
            })
        });
        let held = self.copy.rights() != Rights::None
            && !self.leaving
            && match command {
                Command::Forward(_)
                | Command::Invalidate { .. }
                | Command::Recall {
                    purpose: Purpose::Share,
                    ..
                } => self.hold.lasts(now),
                // Whoever lets others go on has done what it wanted the page for.
                Command::Recall {
                    purpose: Purpose::Push,
                    ..
                } => self.hold.is_pinned(),
                Command::Recall { .. } => self.hold.is_timed(now),
                Command::Evict
                | Command::Consumed { .. }
                | Command::Discard
                | Command::Cancelled => false,
            };
        // Whether a write-back to another node is the answer is known when that has taken it, or not.
        let leaves_elsewhere = self.leaving
            && match *command {
                Command::Forward(Forward { home, .. }) | Command::Recall { home, .. } => {
                    home != self.left_to
                }
                _ => false,
            };
        granted && !mutated!(GrantOvertaken) || held && !mutated!(NoHold) || leaves_elsewhere
    }
}

impl Agent {
    pub(super) fn command(
        &mut self,
        now: Time,
        index: PageIndex,
        command: Command,
        out: &mut Outbox,
    ) {
        self.pages
            .entry(index)
            .or_default()
            .commands
            .push_back(command);
        self.advance(now, index, out);
    }

    /// Does what is to be done with a page, until something has to wait.
    pub(super) fn run_commands(&mut self, now: Time, index: PageIndex, out: &mut Outbox) {
        while let Some(page) = self.pages.get_mut(&index) {
            if page.protecting {
                return;
            }
            let Some(&command) = page.commands.front() else {
                return;
            };
            if page.defers(now, &command) {
                return self.arm(now, index, out);
            }
            let rights = command.leaves(page.copy);
            if page.mapped > rights && !self.is_answered(index) {
                return self.protect(index, rights, out);
            }
            self.finish(index, command, Dirt::Clean, out);
        }
    }

    /// Whether a write-back or a discard under way is the answer to what others ask.
    fn is_answered(&self, index: PageIndex) -> bool {
        self.pages.get(&index).is_some_and(|page| page.leaving)
    }

    fn protect(&mut self, index: PageIndex, rights: Rights, out: &mut Outbox) {
        if let Some(page) = self.pages.get_mut(&index) {
            page.protecting = true;
            page.mapped = rights;
            out.push(Action::Protect {
                page: index,
                rights,
            });
        }
    }

    pub(crate) fn protected(&mut self, now: Time, index: PageIndex, dirt: Dirt, out: &mut Outbox) {
        let Some(page) = self.pages.get_mut(&index) else {
            return;
        };
        if !page.protecting {
            return;
        }
        page.protecting = false;
        if let Some(&command) = page.commands.front() {
            self.finish(index, command, dirt, out);
        }
        self.advance(now, index, out);
    }

    /// Does the first command, now that the rights that it takes are gone.
    fn finish(&mut self, index: PageIndex, command: Command, dirt: Dirt, out: &mut Outbox) {
        let Some(page) = self.pages.get_mut(&index) else {
            return;
        };
        page.commands.pop_front();
        if let (Some((..)), Some(access)) = (command.granted(), page.ahead.take()) {
            self.streams.wasted(index, access);
        }
        // What another home asks than the one that is told, it answers for itself: nothing is left.
        let told = page
            .discarding
            .map(|discarding| discarding.told.unwrap_or(self.homes.home(index)));
        let discards = told.is_some() && told == command.granted().map(|(home, _)| home);
        let answered = page.leaving && !mutated!(LeavingAnswersTwice) || discards;
        match command {
            Command::Forward(_) | Command::Recall { .. } if answered => {}
            Command::Forward(forward) => self.serve(index, forward, dirt, out),
            Command::Invalidate { collector, .. } => {
                self.consumed(index, out);
                self.drop_copy(index, out);
                out.send(
                    collector.node,
                    Message::Acked {
                        page: index,
                        id: collector.id,
                    },
                );
            }
            Command::Recall { home, purpose, .. } => {
                self.give_back(index, home, purpose, dirt, out)
            }
            Command::Evict => self.evict_now(index, dirt, out),
            Command::Consumed { used } => self.drop_consumed(index, used, out),
            Command::Discard => {
                self.drop_copy(index, out);
                self.dropped(index, out);
            }
            Command::Cancelled => self.inherit(index, dirt),
        }
    }

    /// Serves a request in the home's place.
    fn serve(&mut self, index: PageIndex, forward: Forward, dirt: Dirt, out: &mut Outbox) {
        let Some(page) = self.pages.get(&index) else {
            return;
        };
        let copy = page.copy;
        let backing = self.newer(index, copy.backing(), dirt);
        let written = match (dirt, backing) {
            (Dirt::Dirty, _) => Written::Here,
            (Dirt::Clean, Backing::Older) => Written::Before,
            (Dirt::Clean, Backing::Current) => Written::Never,
        };
        let whole = forward.access == Access::Write
            || forward.advice == Advice::Migrate && written == Written::Here;
        match copy {
            Copy::None | Copy::Kept { .. } | Copy::Claimed { .. } => {
                out.send(
                    forward.home,
                    Message::Note {
                        page: index,
                        outcome: Outcome::NotHeld,
                    },
                );
            }
            Copy::Shared { .. } | Copy::Exclusive { .. } if whole => {
                self.hand_over(index, forward, backing, written, out)
            }
            Copy::Shared { .. } | Copy::Exclusive { .. } => {
                self.share(index, forward, backing, written, out)
            }
        }
    }

    fn hand_over(
        &mut self,
        index: PageIndex,
        forward: Forward,
        backing: Backing,
        written: Written,
        out: &mut Outbox,
    ) {
        self.answer(index, forward, Rights::Write, backing, out);
        out.send(
            forward.home,
            Message::Note {
                page: index,
                outcome: Outcome::Gave { written },
            },
        );
        self.drop_copy(index, out);
    }

    fn share(
        &mut self,
        index: PageIndex,
        forward: Forward,
        backing: Backing,
        written: Written,
        out: &mut Outbox,
    ) {
        self.answer(index, forward, Rights::Read, Backing::Current, out);
        out.send(
            forward.home,
            Message::Note {
                page: index,
                outcome: Outcome::Shared { written },
            },
        );
        if let Some(page) = self.pages.get_mut(&index) {
            let serial = forward.serial;
            page.copy = Copy::Shared { serial, backing };
        }
        self.map(index, Rights::Read, out);
    }

    fn answer(
        &mut self,
        index: PageIndex,
        forward: Forward,
        rights: Rights,
        backing: Backing,
        out: &mut Outbox,
    ) {
        let grant = Grant {
            page: index,
            mask: 1,
            id: forward.id,
            rights,
            serial: forward.serial,
            acks: forward.acks,
            backing,
            content: Content::Bytes,
        };
        out.send(forward.requester, Message::Grant(grant));
    }

    fn give_back(
        &mut self,
        index: PageIndex,
        home: NodeId,
        purpose: Purpose,
        dirt: Dirt,
        out: &mut Outbox,
    ) {
        let Some(page) = self.pages.get(&index) else {
            return;
        };
        let copy = page.copy;
        let newer = self.newer(index, copy.backing(), dirt) == Backing::Older;
        let wanted = matches!(purpose, Purpose::Return | Purpose::Share);
        let returns = wanted && newer && !mutated!(RecalledBytesDropped);
        let content = if returns {
            Content::Bytes
        } else {
            Content::Nothing
        };
        out.send(
            home,
            Message::Recalled {
                page: index,
                content,
            },
        );
        match (purpose, copy.serial()) {
            (Purpose::Push | Purpose::Share, Some(serial)) if copy.rights() != Rights::None => {
                if let Some(page) = self.pages.get_mut(&index) {
                    let backing = Backing::Current;
                    page.copy = Copy::Shared { serial, backing };
                }
                self.map(index, Rights::Read, out);
            }
            (Purpose::Share, _) => {}
            (Purpose::Return, Some(serial)) => {
                self.release(index);
                if let Some(page) = self.pages.get_mut(&index) {
                    page.copy = Copy::Kept { serial };
                }
            }
            _ => self.drop_copy(index, out),
        }
    }

    fn evict_now(&mut self, index: PageIndex, dirt: Dirt, out: &mut Outbox) {
        let Some(page) = self.pages.get(&index) else {
            return;
        };
        let copy = page.copy;
        // A home that knows an owner learns only so that it has no copy any more.
        let owns = matches!(copy, Copy::Exclusive { .. }) && !self.homes.is_here(index);
        let newer =
            self.newer(index, copy.backing(), dirt) == Backing::Older || self.departs && owns;
        let keeps = matches!(copy, Copy::Shared { .. } | Copy::Exclusive { .. });
        if keeps && guard!(CleanWrittenBackToo, newer) && !mutated!(DirtyDroppedSilently) {
            if let Some(page) = self.pages.get_mut(&index) {
                page.leaving = true;
            }
            self.write_back(index, out);
        } else {
            self.drop_copy(index, out);
        }
    }

    fn drop_copy(&mut self, index: PageIndex, out: &mut Outbox) {
        self.release(index);
        let Some(page) = self.pages.get_mut(&index) else {
            return;
        };
        let had = page.copy != Copy::None;
        page.copy = Copy::None;
        if had && !page.leaving {
            self.free(index, out);
        }
    }

    /// What was written stays written, though nobody asks for it any more.
    fn inherit(&mut self, index: PageIndex, dirt: Dirt) {
        let Some(page) = self.pages.get(&index) else {
            return;
        };
        let newer = self.newer(index, page.copy.backing(), dirt);
        if let Some(page) = self.pages.get_mut(&index) {
            match &mut page.copy {
                Copy::Shared { backing, .. } | Copy::Exclusive { backing, .. } => *backing = newer,
                Copy::None | Copy::Kept { .. } | Copy::Claimed { .. } => {}
            }
        }
    }

    pub(super) fn keep(
        &mut self,
        from: NodeId,
        index: PageIndex,
        serial: Serial,
        out: &mut Outbox,
    ) {
        match self.pages.get_mut(&index) {
            Some(page)
                if page.copy.rights() == Rights::Read
                    || matches!(page.copy, Copy::Claimed { .. }) =>
            {
                page.copy = Copy::Shared {
                    serial,
                    backing: Backing::Older,
                };
            }
            // A discard under way drops it, and will say so.
            Some(page) if page.discarding.is_some() => {}
            _ => out.refuse(from, Violation::Unasked),
        }
    }
}
