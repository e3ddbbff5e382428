//! Who is in the cluster, as one node sees it.
//!
//! # The algorithm
//!
//! Views are a chain: each names its successor's voters. The successor of a view is decided by single-decree Paxos
//! (Lamport, "The Part-Time Parliament"; "Paxos Made Simple") in which the view's members are both proposers and acceptors. Paxos, as
//! there is no log to replicate, only one value for each epoch, and as what must survive is
//! exactly what Paxos keeps: a value that may have been chosen. Raft would add a leader, terms and a log that nobody
//! reads. A chain of single decisions in which each decides the next one's voters is also the simplest reconfiguration
//! to be sure of: an epoch's voters never change.
//!
//! Nothing is stored. A node that restarts has forgotten its promises, so it does not come back as who it was: it has a
//! new [`Incarnation`](crate::Incarnation), which is no member until a view takes it in, and its old life counts as a voter that is silent. A slot's new
//! life is not taken in before a view without the old one.
//!
//! # Why no two halves serve
//!
//! A member serves while it has a *lease* from a quorum of its view. It stamps its heartbeats; a member that gets one and has accepted
//! no successor of the view *grants*: it echoes the stamp, and will accept no view without
//! the sender for the length of a lease. The sender serves until a lease after the latest stamp that a quorum has
//! echoed, less what clocks may drift.
//!
//! * **A view without p is decided: p has stopped.** A quorum has accepted the view. Each has waited for the end of what
//!   it granted p; and the quorum that p has its lease from has a member in common with it. The member granted nothing
//!   after it had accepted.
//! * **p is a view behind.** Voters of the new view that were none in the old one never granted p anything. So whoever
//!   enters a view acts as though it had granted all other members at that moment; all leases of the view before were granted before
//!   it was decided, by the same intersection.
//! * **p enters a view with a lease of the one before.** It may use it up. Being in this view it is covered by the point before.
//!
//! A member that lags and still serves in the old view is no harm: it is a member of the new one, and
//! the coherence protocol waits until it has said all that it had to say in the old one.
//!
//! # Who is taken for dead
//!
//! A proposer leaves out those whom it does not hear and nobody in its quorum hears. So a broken link between two nodes
//! evicts nobody at first. If it stays broken for long ([`Times::partial`](crate::Times::partial)), all who hear both choose the same one
//! of the two (`connectivity.rs`) and hear it no more.
//!
//! # Liveness
//!
//! Whoever has a reason (someone dead, joining, draining, leaving, or a value that it has accepted and that may be decided)
//! proposes, the lowest member at once, each next one later by [`Times::patience`](crate::Times::patience).
//! Everything is asked again until answered; any message may be lost, doubled, or late. Messages of old views are answered with the views that followed.
//!
//! # Two nodes
//!
//! With [`TieBreak::Lowest`](crate::TieBreak::Lowest), exactly half the members decide if the lowest is among them. So of two nodes the lower one goes
//! on when the other dies, after [`Times::suspect`](crate::Times::suspect); the higher one stops when the lower one dies,
//! and ends after [`Times::give_up`](crate::Times::give_up). With `Strict` either stops.
//!
//! # Who may touch it
//!
//! One thread of the node at a time; it owns no time, no links and no threads.

mod acceptor;
mod admission;
mod connectivity;
mod inside;
mod joining;
mod lease;
mod peers;
mod proposer;
mod wishes;

use crate::config::{Config, Start, Times};
use crate::event::{EndReason, MembershipNotice, StopReason};
use crate::ids::{Identity, Nanos};
use crate::message::{MembershipMessage, Message};
use crate::outbox::Outbox;
use crate::view::{Member, View};
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use darner_coherence::Epoch;
use inside::Inside;
use joining::Joining;

/// Who is in the cluster, as one node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Membership {
    me: Member,
    times: Times,
    phase: Phase,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Phase {
    New(Start),
    Joining(Joining),
    Inside(Box<Inside>),
    Ended(EndReason),
}

/// What becomes of a node's membership.
enum Turn {
    Stay,
    Enter(View),
    End(EndReason),
}

impl Membership {
    /// A node that has not started.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            me: config.me,
            times: config.times,
            phase: Phase::New(config.start.clone()),
        }
    }

    /// Who the node is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.me.identity()
    }

    /// The view that the node is in.
    #[must_use]
    pub fn view(&self) -> Option<&View> {
        match &self.phase {
            Phase::Inside(inside) => Some(&inside.view),
            _ => None,
        }
    }

    /// The number of the view that the node is in, or 0.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.view().map_or(Epoch(0), |view| view.epoch)
    }

    /// Whether the node may use and answer for cluster memory at this time.
    #[must_use]
    pub fn serves(&self, now: Nanos) -> bool {
        match &self.phase {
            Phase::Inside(inside) => inside.serves(now),
            _ => false,
        }
    }

    /// Why the node is in no cluster any more, if so.
    #[must_use]
    pub fn ended(&self) -> Option<EndReason> {
        match self.phase {
            Phase::Ended(why) => Some(why),
            _ => None,
        }
    }

    /// When [`Membership::advance`] has to be called next.
    #[must_use]
    pub(crate) fn deadline(&self, now: Nanos) -> Nanos {
        match &self.phase {
            Phase::New(_) | Phase::Ended(_) => Nanos::NEVER,
            Phase::Joining(joining) => joining.deadline(&self.times),
            Phase::Inside(inside) => inside.deadline(now),
        }
    }

    pub(crate) fn start(&mut self, now: Nanos, out: &mut Outbox) {
        let Phase::New(start) = &self.phase else {
            return;
        };
        match start.clone() {
            Start::Found { cluster, tie_break } => {
                let view = View::founded(cluster, tie_break, self.me);
                self.turn(now, Turn::Enter(view), out);
            }
            Start::Join { seeds } => self.phase = Phase::Joining(Joining::new(seeds, now)),
        }
        self.advance(now, out);
    }

    pub(crate) fn drain(&mut self, now: Nanos, out: &mut Outbox) {
        if let Phase::Inside(inside) = &mut self.phase {
            inside.want_to_drain(out);
        }
        self.advance(now, out);
    }

    pub(crate) fn leave(&mut self, now: Nanos, out: &mut Outbox) {
        match &mut self.phase {
            Phase::New(_) | Phase::Joining(_) => self.turn(now, Turn::End(EndReason::Left), out),
            Phase::Inside(inside) => inside.want_to_leave(out),
            Phase::Ended(_) => {}
        }
        self.advance(now, out);
    }

    /// The node has not listened for a while.
    pub(crate) fn stood_still(&mut self, now: Nanos) {
        if let Phase::Inside(inside) = &mut self.phase {
            inside.listen_anew(now);
        }
    }

    pub(crate) fn link_up(&mut self, now: Nanos, peer: Identity, out: &mut Outbox) {
        match &mut self.phase {
            Phase::Joining(joining) => joining.link_up(self.me, peer, out),
            Phase::Inside(inside) => inside.link_up(now, peer, out),
            Phase::New(_) | Phase::Ended(_) => {}
        }
        self.advance(now, out);
    }

    pub(crate) fn link_down(&mut self, peer: Identity) {
        match &mut self.phase {
            Phase::Joining(joining) => joining.link_down(peer),
            Phase::Inside(inside) => inside.link_down(peer),
            Phase::New(_) | Phase::Ended(_) => {}
        }
    }

    /// Takes note of a message of `from`, sent in its view `epoch`.
    pub(crate) fn receive(
        &mut self,
        now: Nanos,
        from: Identity,
        epoch: Epoch,
        message: MembershipMessage,
        out: &mut Outbox,
    ) {
        let turn = match &mut self.phase {
            Phase::Joining(joining) => joining.receive(self.me, message, out),
            Phase::Inside(inside) => inside.receive(now, from, epoch, message, out),
            Phase::New(_) | Phase::Ended(_) => Turn::Stay,
        };
        self.turn(now, turn, out);
        self.advance(now, out);
    }

    /// Does what is due.
    pub(crate) fn advance(&mut self, now: Nanos, out: &mut Outbox) {
        loop {
            let turn = match &mut self.phase {
                Phase::New(_) | Phase::Ended(_) => return,
                Phase::Joining(joining) => joining.advance(now, self.me, &self.times, out),
                Phase::Inside(inside) => inside.advance(now, out),
            };
            if matches!(turn, Turn::Stay) {
                return;
            }
            self.turn(now, turn, out);
        }
    }

    fn turn(&mut self, now: Nanos, turn: Turn, out: &mut Outbox) {
        match turn {
            Turn::Stay => {}
            Turn::Enter(view) => self.enter(now, view, out),
            Turn::End(why) => self.end(why, out),
        }
    }

    fn enter(&mut self, now: Nanos, view: View, out: &mut Outbox) {
        if !view.has(self.me.identity()) {
            let left = matches!(&self.phase, Phase::Inside(inside) if inside.is_leaving());
            let why = if left {
                EndReason::Left
            } else {
                EndReason::Evicted
            };
            return self.end(why, out);
        }
        out.set_epoch(view.epoch);
        out.notify(MembershipNotice::View(view.clone()));
        match &mut self.phase {
            Phase::Inside(inside) => inside.install(now, view, out),
            phase => {
                let linked = match phase {
                    Phase::Joining(joining) => joining.linked(),
                    _ => BTreeSet::new(),
                };
                let mut inside = Inside::new(self.me, self.times, view, linked, now);
                inside.greet(now, out);
                self.phase = Phase::Inside(Box::new(inside));
            }
        }
    }

    fn end(&mut self, why: EndReason, out: &mut Outbox) {
        if let Phase::Inside(inside) = &self.phase
            && inside.told_serving()
        {
            out.notify(MembershipNotice::Stopped {
                why: StopReason::Ended,
            });
        }
        self.phase = Phase::Ended(why);
        out.notify(MembershipNotice::Ended { why });
    }
}

fn say(to: Identity, message: MembershipMessage, out: &mut Outbox) {
    out.send(to, Message::Membership(message));
}
