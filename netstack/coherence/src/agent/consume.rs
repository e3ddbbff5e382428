//! Copies to read, and when they are dropped again (self-invalidation: Lebeck and Wood, 1995).
//!
//! A page that others write and this node reads, round after round, has to be invalidated here before it is written again, and
//! that be answered. So the agent learns how many times its node waits for others between the first touch of a copy and
//! its end. When that was the same number twice, it drops the next copy by itself as the node waits for that time, and
//! tells the home by a hint. If the page was wanted once more before it changed, that was wrong, and is not done again for a
//! while: the home then says that the bytes here are still current.
//!
//! A copy may also have been pushed by the home before anybody here asked. One that nobody touches is dropped too, and the hint
//! says so.

use super::{Agent, Command, Copy};
use crate::adaptation::Adaptation;
use crate::event::Action;
use crate::ids::{Access, PageIndex, Rights, Serial, Time};
use crate::message::{Backing, Message, Used};
use crate::outbox::Outbox;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// How many pages are remembered.
const REMEMBERED: usize = 1024;
/// The most times that the same is counted.
const MOST: u8 = 3;
/// How many copies are kept to their end after one was dropped in error.
const PENANCE: u8 = 32;

/// The pages that were read here, or pushed here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Consumed(BTreeMap<PageIndex, Life>);

/// A page's copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Life {
    now: Stage,
    /// How many times the node waited for others between the first touch and the end.
    length: u8,
    /// How often in a row that was so.
    seen: u8,
    /// Copies that are not to be dropped.
    penance: u8,
}

/// Where a copy is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// Not touched, though the node waited for others so many times.
    Untouched { waits: u8 },
    /// Touched, and since then the node waited for others so many times.
    Touched { waits: u8 },
    /// Dropped by the agent itself.
    Dropped,
    /// At its end.
    Over,
}

impl Life {
    fn new() -> Self {
        Self {
            now: Stage::Over,
            length: 0,
            seen: 0,
            penance: 0,
        }
    }

    fn touched(&mut self) {
        if let Stage::Untouched { .. } | Stage::Over = self.now {
            self.now = Stage::Touched { waits: 0 };
        }
    }

    /// Another has written the page, or is about to: whether the copy was of use.
    fn ended(&mut self) -> Used {
        let used = match self.now {
            Stage::Untouched { .. } => Used::No,
            _ => Used::Yes,
        };
        match self.now {
            Stage::Touched { waits } => {
                let same = waits == self.length;
                self.seen = if same { self.seen + 1 } else { 1 }.min(MOST);
                self.length = waits;
            }
            // The hint came too late: the other was writing already.
            Stage::Dropped => self.length = self.length.saturating_sub(1).max(1),
            Stage::Untouched { .. } | Stage::Over => {}
        }
        self.now = Stage::Over;
        self.penance = self.penance.saturating_sub(1);
        used
    }

    /// A copy has come; `same`, if its bytes are those that were here before.
    fn came(&mut self, same: bool) {
        if matches!(self.now, Stage::Dropped) && same {
            self.penance = PENANCE;
            self.seen = 0;
        }
        self.now = Stage::Over;
    }

    /// The node waits for others: whether the copy is to be dropped now, and was of use.
    fn waits(&mut self, adaptation: Adaptation) -> Option<Used> {
        match &mut self.now {
            Stage::Untouched { waits } => {
                *waits = waits.saturating_add(1);
                // It may have come while the node was waiting already.
                (*waits > 2).then_some(Used::No)
            }
            Stage::Touched { waits } => {
                *waits = waits.saturating_add(1);
                let known = match adaptation {
                    Adaptation::Off => false,
                    Adaptation::Careful => {
                        self.seen >= 2 && self.penance == 0 && *waits == self.length
                    }
                    Adaptation::Eager => true,
                };
                known.then_some(Used::Yes)
            }
            Stage::Dropped | Stage::Over => None,
        }
    }
}

impl Consumed {
    /// A page is touched for the first time since it came.
    pub(super) fn touched(&mut self, index: PageIndex) {
        self.life(index).touched();
    }

    fn life(&mut self, index: PageIndex) -> &mut Life {
        if self.0.len() >= REMEMBERED && !self.0.contains_key(&index) {
            self.0.pop_first();
        }
        self.0.entry(index).or_insert_with(Life::new)
    }

    fn ended(&mut self, index: PageIndex) -> Used {
        self.0.get_mut(&index).map_or(Used::Yes, Life::ended)
    }

    /// A page is granted; `same`, if its bytes are those that were here before.
    pub(super) fn came(&mut self, index: PageIndex, same: bool) {
        if let Some(life) = self.0.get_mut(&index) {
            life.came(same);
        }
    }

    fn pushed(&mut self, index: PageIndex, same: bool) {
        let life = self.life(index);
        life.came(same);
        life.now = Stage::Untouched { waits: 0 };
    }

    fn dropped(&mut self, index: PageIndex) {
        if let Some(life) = self.0.get_mut(&index) {
            life.now = Stage::Dropped;
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Agent {
    /// A copy to read has come that nobody here asked for. It is taken only if there is nothing else to do with the page.
    pub(super) fn pushed(&mut self, index: PageIndex, serial: Serial, out: &mut Outbox) {
        let page = self.pages.entry(index).or_default();
        let idle = page.copy.rights() == Rights::None
            && page.pending.is_none()
            && page.waiters.is_empty()
            && page.commands.is_empty()
            && !page.protecting
            && !page.leaving
            && page.discarding.is_none();
        if !idle {
            return;
        }
        let same = page.copy.serial() == Some(serial);
        page.copy = Copy::Shared {
            serial,
            backing: Backing::Current,
        };
        page.ahead = Some(Access::Read);
        out.push(Action::Store { page: index });
        self.consumed.pushed(index, same);
    }

    /// The node waits for others: drops the copies whose end has come.
    pub(crate) fn release_all(&mut self, now: Time, out: &mut Outbox) {
        let adaptation = self.adaptation;
        let over: Vec<(PageIndex, Used)> = self
            .consumed
            .0
            .iter_mut()
            .filter_map(|(&index, life)| Some((index, life.waits(adaptation)?)))
            .collect();
        for (index, used) in over {
            let shared = |page: &super::Page| {
                matches!(
                    page.copy,
                    Copy::Shared {
                        backing: Backing::Current,
                        ..
                    }
                ) && page.pending.is_none()
                    && page.waiters.is_empty()
                    && page.commands.is_empty()
                    && !page.protecting
                    && !page.leaving
                    && page.discarding.is_none()
            };
            let page = self.pages.get(&index).filter(|page| shared(page));
            let home = self.homes.home(index);
            // A home that rebuilds its directory may count on a copy that was reported to it.
            let serves = home != self.me && !self.rebuilding.contains(&home);
            if page.is_some() && serves {
                self.command(now, index, Command::Consumed { used }, out);
            }
        }
    }

    /// A copy is at its end. If it was pushed here in vain, the home is told.
    pub(super) fn consumed(&mut self, index: PageIndex, out: &mut Outbox) {
        if self.consumed.ended(index) == Used::No {
            let copy = self.pages.get(&index).map(|page| page.copy);
            let serial = copy.and_then(Copy::serial).unwrap_or_default();
            self.tell_dropped(index, serial, Used::No, out);
        }
    }

    /// Drops a copy that was pushed, and tells the home.
    pub(super) fn drop_consumed(&mut self, index: PageIndex, used: Used, out: &mut Outbox) {
        let copy = self.pages.get(&index).map(|page| page.copy);
        let Some(Copy::Shared { serial, .. }) = copy else {
            return;
        };
        self.consumed.dropped(index);
        self.release(index);
        if let Some(page) = self.pages.get_mut(&index) {
            page.copy = Copy::Kept { serial };
        }
        self.tell_dropped(index, serial, used, out);
    }

    fn tell_dropped(&mut self, index: PageIndex, serial: Serial, used: Used, out: &mut Outbox) {
        let home = self.homes.home(index);
        let seen = self.sent.get(&home).copied().unwrap_or_default();
        out.hint(
            home,
            Message::Dropped {
                page: index,
                serial,
                seen,
                used,
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A round: a copy comes, is touched, and ends after the node has waited so many times, if it is not dropped before.
    fn round(life: &mut Life, waits: u8) -> Option<Used> {
        life.came(false);
        life.now = Stage::Untouched { waits: 0 };
        life.touched();
        let dropped = (0..waits).find_map(|_| life.waits(Adaptation::Careful));
        match dropped {
            Some(_) => life.now = Stage::Dropped,
            None => {
                life.ended();
            }
        }
        dropped
    }

    #[test]
    fn what_ended_twice_after_as_long_is_dropped_then() {
        let mut life = Life::new();
        assert_eq!(
            [1, 1, 1].map(|waits| round(&mut life, waits)),
            [None, None, Some(Used::Yes)]
        );
        let mut life = Life::new();
        assert_eq!([2, 3, 4].map(|waits| round(&mut life, waits)), [None; 3]);
    }

    #[test]
    fn what_was_dropped_too_early_is_kept_for_a_while() {
        let mut life = Life::new();
        for _ in 0..3 {
            round(&mut life, 1);
        }
        life.came(true);
        assert_eq!((0..26).find_map(|_| round(&mut life, 1)), None);
        assert!((0..30).any(|_| round(&mut life, 1).is_some()));
    }

    #[test]
    fn what_was_dropped_too_late_is_dropped_earlier() {
        let mut life = Life::new();
        for _ in 0..2 {
            round(&mut life, 2);
        }
        assert_eq!(life.length, 2);
        round(&mut life, 2);
        life.ended();
        assert_eq!(round(&mut life, 1), Some(Used::Yes));
    }

    #[test]
    fn what_is_not_touched_is_not_wanted() {
        let mut life = Life::new();
        life.now = Stage::Untouched { waits: 0 };
        assert_eq!(
            [(); 3].map(|()| life.waits(Adaptation::Careful)),
            [None, None, Some(Used::No)]
        );
    }
}
