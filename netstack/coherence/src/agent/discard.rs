//! Discards: ranges that the program has freed.
//!
//! A range is discarded piece by piece. A piece has one home, and begins when nothing is
//! under way for any of its pages: then the node's own copies are dropped, and the home is told.
//! From there on, that message is the answer to all that is asked about these pages.

use super::{Agent, Discarding};
use crate::event::Violation;
use crate::ids::{NodeId, PageIndex, RequestId, Time, Token};
use crate::message::{LONGEST_SPAN, Message};
use crate::outbox::Outbox;

use super::command::Command;

/// A discard that a thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct DiscardOp {
    token: Token,
    /// The piece under way, or the next one.
    first: PageIndex,
    /// Pages of the whole range, from `first` on.
    pages: u64,
    piece: Piece,
}

/// How far a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Piece {
    /// Not begun.
    Next,
    /// Copies of `left` of `run` pages are still here.
    Dropping { run: u8, left: u8 },
    /// The home has not answered for `left` of `run` pages.
    Sent { run: u8, left: u8 },
}

impl Agent {
    pub(crate) fn discard(
        &mut self,
        now: Time,
        token: Token,
        first: PageIndex,
        pages: u64,
        out: &mut Outbox,
    ) {
        self.discards.push(DiscardOp {
            token,
            first,
            pages,
            piece: Piece::Next,
        });
        self.start_discards(now, out);
    }

    /// Begins the pieces that can begin.
    pub(super) fn start_discards(&mut self, now: Time, out: &mut Outbox) {
        let next =
            |op: &DiscardOp| op.piece == Piece::Next && (op.pages == 0 || self.is_settled(op));
        let Some(position) = self.discards.iter().position(next) else {
            return;
        };
        let DiscardOp {
            token,
            first,
            pages,
            ..
        } = self.discards[position];
        if pages == 0 {
            self.discards.remove(position);
            out.wake(token, Ok(()));
            return self.start_discards(now, out);
        }
        let run = self.piece(first, pages);
        self.discards[position].piece = Piece::Dropping { run, left: run };
        let piece = (0..run).map(|distance| first.plus(distance.into()));
        for index in piece.clone() {
            self.pages.entry(index).or_default().discarding = Some(Discarding {
                token,
                sent: None,
                told: None,
            });
        }
        for index in piece {
            self.command(now, index, Command::Discard, out);
        }
    }

    /// How many pages from `first` on have the same home.
    fn piece(&self, first: PageIndex, pages: u64) -> u8 {
        let home = self.homes.home(first);
        let most = pages.min(LONGEST_SPAN.into());
        let same = |&distance: &u64| self.homes.home(first.plus(distance)) == home;
        (0..most).take_while(same).count() as u8
    }

    fn is_settled(&self, op: &DiscardOp) -> bool {
        let end = op.first.plus(self.piece(op.first, op.pages).into());
        !self.rebuilding.contains(&self.homes.home(op.first))
            && self.pages.range(op.first..end).all(|(_, page)| {
                page.pending.is_none()
                    && page.commands.is_empty()
                    && !page.leaving
                    && page.discarding.is_none()
            })
    }

    /// A copy that is to be discarded is gone.
    pub(super) fn dropped(&mut self, index: PageIndex, out: &mut Outbox) {
        let token = self
            .pages
            .get(&index)
            .and_then(|page| page.discarding)
            .map(|discarding| discarding.token);
        let op = self
            .discards
            .iter_mut()
            .find(|op| Some(op.token) == token && op.covers(index));
        let Some(op) = op else { return };
        let Piece::Dropping { run, left } = op.piece else {
            return;
        };
        op.piece = Piece::Dropping {
            run,
            left: left - 1,
        };
        let first = op.first;
        if left == 1 {
            op.piece = Piece::Sent { run, left: run };
            let token = op.token;
            self.send_piece(token, first, run, out);
        }
    }

    pub(super) fn send_discard(&mut self, first: PageIndex, run: u8, out: &mut Outbox) {
        let home = self.homes.home(first);
        let id = self.next_request(home);
        for distance in 0..run {
            let page = self.pages.get_mut(&first.plus(distance.into()));
            if let Some(discarding) = page.and_then(|page| page.discarding.as_mut()) {
                discarding.sent = Some(id);
                discarding.told = Some(home);
            }
        }
        out.send(
            home,
            Message::Discard {
                page: first,
                run,
                id,
            },
        );
    }

    pub(super) fn discarded(
        &mut self,
        now: Time,
        from: NodeId,
        first: PageIndex,
        mask: u64,
        id: RequestId,
        out: &mut Outbox,
    ) {
        let pages = (0..u64::from(LONGEST_SPAN))
            .filter(|distance| mask >> distance & 1 == 1)
            .map(|distance| first.plus(distance));
        for index in pages {
            let Some(page) = self.pages.get_mut(&index) else {
                continue;
            };
            let Some(discarding) = page
                .discarding
                .filter(|discarding| discarding.sent == Some(id))
            else {
                out.refuse(from, Violation::Unasked);
                continue;
            };
            page.discarding = None;
            let op = self
                .discards
                .iter_mut()
                .find(|op| op.token == discarding.token && op.covers(index));
            if let Some(op) = op
                && let Piece::Sent { run, left } = op.piece
            {
                op.piece = Piece::Sent {
                    run,
                    left: left - 1,
                };
                if left == 1 {
                    op.first = op.first.plus(run.into());
                    op.pages -= u64::from(run);
                    op.piece = Piece::Next;
                }
            }
            self.advance(now, index, out);
        }
    }

    /// Tells homes of a piece of `token`'s what they have not been told in this view, as far as they
    /// can be asked.
    ///
    /// Pages of the piece that are done may be another thread's to discard by now.
    fn send_piece(&mut self, token: Token, first: PageIndex, run: u8, out: &mut Outbox) {
        let mut distance = 0;
        while distance < run {
            let start = first.plus(distance.into());
            let home = self.homes.home(start);
            let untold = |index: PageIndex| {
                let discarding = self.pages.get(&index).and_then(|page| page.discarding);
                discarding.is_some_and(|discarding| {
                    discarding.token == token && discarding.sent.is_none()
                }) && self.homes.home(index) == home
                    && !self.rebuilding.contains(&home)
            };
            let together = (distance..run)
                .take_while(|&next| untold(first.plus(next.into())))
                .count() as u8;
            if together > 0 {
                self.send_discard(start, together, out);
            }
            distance += together.max(1);
        }
    }

    /// Tells homes again, or for the first time, when one of them has rebuilt its directory.
    pub(super) fn resume_discards(&mut self, out: &mut Outbox) {
        for op in self.discards.clone() {
            if let Piece::Sent { run, .. } = op.piece {
                self.send_piece(op.token, op.first, run, out);
            }
        }
    }
}

impl DiscardOp {
    fn covers(&self, index: PageIndex) -> bool {
        let run = match self.piece {
            Piece::Next => 0,
            Piece::Dropping { run, .. } | Piece::Sent { run, .. } => run,
        };
        (self.first..self.first.plus(run.into())).contains(&index)
    }
}
