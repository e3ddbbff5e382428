//! Range locks: threads that lock, hold and unlock, and what must be true of that.

use super::threads::State;
use super::{Happening, World};
use crate::network::UnderWay;
use crate::op::Op;
use crate::oracle::Wrong;
use crate::time::MICROSECOND;
use crate::work::{Lock, Patience};
use darner_coherence::locks::{self, Action, Denial, Event};
use darner_coherence::{NodeId, Time, Token};

impl World {
    /// Has something happen to a node's locks, and everything done that they want done.
    pub(super) fn handle_lock(&mut self, node: NodeId, event: Event) {
        if !self.machine(node).is_up() {
            return;
        }
        let now = self.now;
        let machine = self.machine_mut(node);
        let time = machine.clock.read(now);
        let mut actions = Vec::new();
        machine.locks.handle(time, event, &mut actions);
        for action in actions {
            self.remember_more(|| format!("{action:?}"));
            match action {
                Action::Send { to, packet } => self.post(node, to, UnderWay::Locks(packet)),
                Action::Granted { token } => self.granted(token),
                Action::Denied { token, why } => self.denied(token, why),
                Action::SetTimer { at } => {
                    let due = self.now.after(self.machine(node).clock.until(self.now, at));
                    let at = self.place(node);
                    self.put(due, Happening::LockTime { at });
                }
                Action::Refused { from, why } => self.refused(node, from, why),
            }
        }
    }

    /// What a node's clock will show in so many nanoseconds.
    pub(super) fn time_in(&mut self, node: NodeId, nanoseconds: u64) -> Time {
        let now = self.now;
        let Time(shows) = self.machine_mut(node).clock.read(now);
        Time(shows + nanoseconds.div_ceil(MICROSECOND))
    }

    pub(super) fn lock(&mut self, thread: u32, node: NodeId, lock: Lock) {
        self.waits(thread, State::WaitsForLock);
        let token = self.token(thread);
        let patience = match lock.patience {
            Patience::Forever => locks::Patience::Forever,
            Patience::Try => locks::Patience::Try,
            Patience::Within(time) => locks::Patience::Until(self.time_in(node, time)),
            Patience::Cancels(time) => {
                self.put_giving_up(thread, time);
                locks::Patience::Forever
            }
        };
        let event = Event::Lock {
            token,
            wants: lock.wants(),
            patience,
        };
        self.handle_lock(node, event);
    }

    pub(super) fn unlock(&mut self, thread: u32, node: NodeId) {
        self.release(node);
        let token = self.token(thread);
        self.threads[thread as usize].state = State::Runs;
        self.handle_lock(node, Event::Unlock { token });
        self.completes(thread);
    }

    /// Tells a node that adapts that a thread lets others go on.
    pub(super) fn release(&mut self, node: NodeId) {
        if self.plan.adaptation != darner_coherence::Adaptation::Off {
            let event = darner_coherence::Event::Release;
            self.handle(node, event, &crate::network::Load::Nothing);
        }
    }

    /// A thread does not wait for its lock any more.
    pub(super) fn gives_up(&mut self, thread: u32, incarnation: u32, turn: u32) {
        let this = &self.threads[thread as usize];
        let node = this.node;
        let machine = self.machine(node);
        if this.turn == turn && machine.is_up() && machine.incarnation == incarnation {
            let token = self.token(thread);
            self.handle_lock(node, Event::Cancel { token });
        }
    }

    /// The thread that waits for a lock, and the lock.
    fn waits_for_lock(&mut self, token: Token) -> Option<(usize, Lock)> {
        let index = self.thread_of(token)?;
        match (self.threads[index].state, self.threads[index].op) {
            (State::WaitsForLock, Some(Op::Lock(lock))) => Some((index, lock)),
            _ => None,
        }
    }

    fn granted(&mut self, token: Token) {
        let Some((index, lock)) = self.waits_for_lock(token) else {
            return self.complain(Wrong::WokenInVain, || {
                format!("{token:?} is granted a lock, and does not wait for one")
            });
        };
        let wants = lock.wants();
        let holds = |thread: &&super::threads::Thread| {
            thread.state == State::Holds && self.machine(thread.node).is_up()
        };
        let conflict = self.threads.iter().filter(holds).find(
            |thread| matches!(thread.op, Some(Op::Lock(other)) if other.wants().conflict(&wants)),
        );
        if let Some(other) = conflict {
            let what = format!("thread {index} is granted {lock}, and {other:?} holds its lock");
            self.complain(Wrong::LocksConflict, || what);
        }
        self.check_wait(index);
        self.threads[index].state = State::Holds;
        self.put_execution(index as u32, lock.holds);
    }

    fn denied(&mut self, token: Token, why: Denial) {
        let Some((index, lock)) = self.waits_for_lock(token) else {
            return self.complain(Wrong::WokenInVain, || {
                format!("{token:?} is denied a lock, and does not wait for one")
            });
        };
        let may_be = match why {
            Denial::NoRoom => true,
            Denial::WouldBlock => lock.patience == Patience::Try,
            Denial::TimedOut => matches!(lock.patience, Patience::Within(_)),
            Denial::Cancelled => matches!(lock.patience, Patience::Cancels(_)),
            Denial::TokenInUse | Denial::Expelled => false,
        };
        if !may_be {
            self.complain(Wrong::WokenInVain, || {
                format!("thread {index} wants to {lock}, and is denied it: {why:?}")
            });
        }
        self.check_wait(index);
        self.threads[index].state = State::Runs;
        self.completes(index as u32);
    }
}
