//! Nodes that do not serve, and those that the others have gone on without and that have yet to learn of it.
//!
//! Their coherence stands still, but their threads run on, and some of them hold range locks. Whoever means to act on one has
//! the node's membership look at the time, and then asks the locks.

use super::threads::State;
use super::{Happening, World};
use crate::op::Op;
use crate::oracle::Wrong;
use crate::time::MILLISECOND;
use crate::work::object;
use darner_coherence::locks::{Action, Event, Patience, Want, Wants};
use darner_coherence::ranges::Span;
use darner_coherence::{NodeId, Token, View};

/// The longest time between two acts, in nanoseconds: some are soon after others have got the lock.
const BETWEEN: u64 = 100 * MILLISECOND;
/// Names no thread.
const OUTCAST: Token = Token(u64::MAX);

impl World {
    /// A node serves, or does not, as its membership says. Its locks are told in any case, even if the others go on
    /// without it.
    pub(super) fn tell_locks(&mut self, node: NodeId, event: Event) {
        if self.machine(node).is_up() {
            self.handle_lock(node, event);
        } else {
            self.tell_outcast(node, event);
        }
        self.put_act(node);
    }

    /// A node learns of a view before the one that it is not in.
    pub(super) fn outcast_enters(&mut self, node: NodeId, view: View) {
        self.tell_outcast(node, Event::View(view));
    }

    /// Has a node's threads act on the locks that they hold, a little later, if it does not serve then.
    pub(super) fn put_act(&mut self, node: NodeId) {
        let Some(who) = self.identity(node).filter(|_| self.plan.workload.lock > 0) else {
            return;
        };
        let takes = self.machine_mut(node).chance.within(0..BETWEEN);
        let life = who.incarnation.0 as u32;
        self.put(self.now.after(takes), Happening::Acts { node, life });
    }

    /// Threads of a node mean to act on their locks.
    pub(super) fn acts(&mut self, node: NodeId, life: u32) {
        self.council_time(node, life);
        let same = |who: &darner_cluster::Identity| who.incarnation.0 as u32 == life;
        if self.identity(node).filter(same).is_none() || self.may_serve(node) {
            return;
        }
        let locks = &self.machine(node).locks;
        let held = locks.agent().held();
        let acted = held.filter(|&(token, _)| locks.may_act(token));
        let acted: Vec<Wants> = acted.map(|(_, wants)| wants.clone()).collect();
        for wants in acted {
            self.complain_of_act(node, &wants, "acts on");
        }
        if !self.machine(node).is_up() {
            self.locks_again(node);
        }
        self.put_act(node);
    }

    /// A thread of a node that the others go on without locks what the node has a lease on.
    fn locks_again(&mut self, node: NodeId) {
        let homes = 0..self.plan.locked_homes;
        let objects =
            homes.flat_map(|home| (0..self.plan.objects).map(move |number| object(home, number)));
        let leases = self.machine(node).locks.agent().leases();
        let leased = objects.flat_map(|object| leases.within(Span::whole(object)));
        let leased: Vec<Want> = leased.map(|(span, lease)| lease.mode.of(span)).collect();
        if leased.is_empty() {
            return;
        }
        let want = self.machine_mut(node).chance.one_of(&leased);
        let wants = Wants::one(want.span, want.mode);
        let lock = Event::Lock {
            token: OUTCAST,
            wants: wants.clone(),
            patience: Patience::Try,
        };
        if self
            .tell_outcast(node, lock)
            .contains(&Action::Granted { token: OUTCAST })
        {
            self.complain_of_act(node, &wants, "is granted");
        }
        self.tell_outcast(node, Event::Unlock { token: OUTCAST });
    }

    /// What the locks want done of a node that nobody hears any more.
    fn tell_outcast(&mut self, node: NodeId, event: Event) -> Vec<Action> {
        let now = self.now;
        let machine = self.machine_mut(node);
        let time = machine.clock.read(now);
        let mut actions = Vec::new();
        machine.locks.handle(time, event, &mut actions);
        actions
    }

    fn complain_of_act(&mut self, node: NodeId, wants: &Wants, does: &str) {
        let holds = |thread: &&super::threads::Thread| {
            let elsewhere = thread.node != node && self.machine(thread.node).is_up();
            let conflicts =
                matches!(thread.op, Some(Op::Lock(other)) if other.wants().conflict(wants));
            thread.state == State::Holds && elsewhere && conflicts
        };
        let other = self.threads.iter().find(holds).cloned();
        self.complain(Wrong::ActsUnfenced, || {
            format!("{node:?} does not serve, and {does} {wants:?}; of others holds it {other:?}")
        });
    }
}
