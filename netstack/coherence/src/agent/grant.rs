//! Grants, as the requester sees them.

use super::{Agent, Copy, Granted};
use crate::event::{Action, Violation};
use crate::ids::{NodeId, PageIndex, RequestId, Rights, Time};
use crate::message::{Content, Grant};
use crate::mutants::mutated;
use crate::outbox::Outbox;
use alloc::vec::Vec;

impl Agent {
    pub(super) fn grant(&mut self, now: Time, from: NodeId, grant: Grant, out: &mut Outbox) {
        let index = grant.page;
        let Some(page) = self.pages.get_mut(&index) else {
            return out.refuse(from, Violation::Unasked);
        };
        let Some(pending) = &mut page.pending else {
            return out.refuse(from, Violation::Unasked);
        };
        if pending.id != grant.id || pending.run == 0 || pending.granted.is_some() {
            return out.refuse(from, Violation::Unasked);
        }
        let granted = Granted {
            rights: grant.rights,
            serial: grant.serial,
            backing: grant.backing,
        };
        self.consumed.came(index, grant.content == Content::Nothing);
        pending.granted = Some(granted);
        pending.acks += i32::from(grant.acks);
        if grant.content != Content::Nothing {
            out.push(Action::Store { page: index });
        }
        let along = self.came_along(now, index, grant, granted, out);
        self.complete(now, index, out);
        for next in along {
            self.advance(now, next, out);
        }
    }

    /// Settles the pages that were asked for along with the first one; all of them, granted
    /// or not, are pending no more.
    fn came_along(
        &mut self,
        now: Time,
        index: PageIndex,
        grant: Grant,
        granted: Granted,
        out: &mut Outbox,
    ) -> Vec<PageIndex> {
        let Some(pending) = self.pages.get(&index).and_then(|page| page.pending) else {
            return Vec::new();
        };
        let mut along = Vec::new();
        for distance in 1..pending.run {
            let next = index.plus(distance.into());
            let Some(page) = self.pages.get_mut(&next) else {
                continue;
            };
            let asked = page.pending.is_some_and(|asked| {
                asked.run == 0 && asked.id == grant.id && asked.home == pending.home
            });
            if !asked {
                continue;
            }
            page.pending = None;
            if grant.mask & 1 << distance != 0 {
                page.copy = copy_of(granted);
                if grant.content != Content::Nothing {
                    out.push(Action::Store { page: next });
                }
                self.hold_ahead(now, next, pending.access);
            }
            along.push(next);
        }
        along
    }

    pub(super) fn acked(
        &mut self,
        now: Time,
        from: NodeId,
        index: PageIndex,
        id: RequestId,
        out: &mut Outbox,
    ) {
        let pending = self
            .pages
            .get_mut(&index)
            .and_then(|page| page.pending.as_mut());
        match pending {
            Some(pending) if pending.id == id && pending.run > 0 => {
                pending.acks -= 1;
                self.complete(now, index, out);
            }
            _ => out.refuse(from, Violation::Unasked),
        }
    }

    /// Takes what was granted, when all sharers have answered too.
    fn complete(&mut self, now: Time, index: PageIndex, out: &mut Outbox) {
        let Some(page) = self.pages.get_mut(&index) else {
            return;
        };
        let Some(pending) = page.pending else { return };
        let Some(granted) = pending.granted else {
            return;
        };
        if pending.acks != 0 && !mutated!(AcksIgnored) {
            return;
        }
        page.pending = None;
        page.copy = copy_of(granted);
        if page.waiters.is_empty() {
            self.hold_ahead(now, index, pending.access);
        }
        self.advance(now, index, out);
    }
}

fn copy_of(granted: Granted) -> Copy {
    let Granted {
        rights,
        serial,
        backing,
    } = granted;
    match rights {
        Rights::Write => Copy::Exclusive { serial, backing },
        _ => Copy::Shared { serial, backing },
    }
}
