//! Threads, each of which executes instructions that touch pages.

use super::acts::SOON;
use super::{Happening, Phase, World};
use crate::machine::Machine;
use crate::network::Load;
use crate::op::{Op, Touch};
use crate::oracle::{Risk, Wrong};
use crate::time::{Moment, SECOND};
use crate::work::{Patience, Talk};
use darner_coherence::parking::Generation;
use darner_coherence::{Access, Event, Failure, NodeId, PageIndex, Token};

/// How often one instruction may fault.
const MOST_FAULTS: u32 = 2_000;
/// How long a fault or a discard may take while nothing goes wrong, in nanoseconds.
const MOST_WAIT: u64 = 2 * SECOND;

/// A thread.
#[derive(Clone, Debug)]
pub(super) struct Thread {
    pub(super) node: NodeId,
    pub(super) state: State,
    pub(super) op: Option<Op>,
    /// Counts what it was to execute: only the last counts.
    pub(super) turn: u32,
    /// How often the current instruction has faulted.
    faults: u32,
    /// What it waits for, if that is a page.
    pub(super) wants: Option<PageIndex>,
    since: Moment,
    /// How long the cluster had been disturbed by then.
    disturbed: u64,
}

/// Where a thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It has nothing to do.
    Idle,
    /// It will execute.
    Runs,
    /// It waits for a page, or for a discard.
    Waits,
    /// It waits for a lock.
    WaitsForLock,
    /// It holds a lock.
    Holds,
    /// It has looked at its word, at which there was nothing.
    Looked(Generation),
    /// It waits for its word to change.
    WaitsForWord,
    /// It is to look at its word again, while it waits for it.
    LooksAgain,
    /// It has changed a word, and not woken anybody yet.
    Changed,
    /// It waits at a barrier.
    WaitsAtBarrier,
    /// It waits for the end of a transaction, or for an answer.
    WaitsForEnd,
}

impl Thread {
    pub(super) fn new(node: NodeId) -> Self {
        Self {
            node,
            state: State::Idle,
            op: None,
            turn: 0,
            faults: 0,
            wants: None,
            since: Moment(0),
            disturbed: 0,
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.state == State::Idle
    }
}

impl World {
    /// A thread that is not in an instruction takes up the next, if there is one.
    pub(super) fn next_op(&mut self, thread: u32) {
        let next = match self.phase {
            Phase::Work => self.source.op(&self.plan, thread),
            Phase::End => None,
            Phase::ReadBack => self.next_read_back(thread),
        };
        let this = &mut self.threads[thread as usize];
        this.faults = 0;
        this.wants = None;
        this.op = next.map(|(_, op)| op);
        match next {
            Some((thinks, _)) => {
                this.state = State::Runs;
                self.put_execution(thread, thinks);
            }
            None => this.state = State::Idle,
        }
    }

    fn next_read_back(&mut self, thread: u32) -> Option<(u64, Op)> {
        let node = self.threads[thread as usize].node;
        if !self.machine(node).is_up() {
            return None;
        }
        let page = self.read_back.pop_front()?;
        Some((0, Op::Touch(Touch::one(page, Access::Read))))
    }

    pub(super) fn put_execution(&mut self, thread: u32, nanoseconds: u64) {
        let this = &mut self.threads[thread as usize];
        this.turn = this.turn.wrapping_add(1);
        let turn = this.turn;
        let node = this.node;
        let incarnation = self.machine(node).incarnation;
        let what = Happening::Executes {
            thread,
            incarnation,
            turn,
        };
        self.put(self.now.after(nanoseconds), what);
    }

    pub(super) fn put_execution_soon(&mut self, thread: u32) {
        let node = self.threads[thread as usize].node;
        let takes = self.machine_mut(node).chance.within(SOON);
        self.put_execution(thread, takes);
    }

    /// Has a thread give up what it waits for, if it still does then.
    pub(super) fn put_giving_up(&mut self, thread: u32, nanoseconds: u64) {
        let Thread { node, turn, .. } = self.threads[thread as usize];
        let what = Happening::GivesUp {
            thread,
            incarnation: self.machine(node).incarnation,
            turn,
        };
        self.put(self.now.after(nanoseconds), what);
    }

    pub(super) fn executes(&mut self, thread: u32, incarnation: u32, turn: u32) {
        let Thread {
            node,
            op,
            turn: last,
            state,
            ..
        } = self.threads[thread as usize];
        let machine = self.machine(node);
        if !machine.is_up() || machine.incarnation != incarnation || turn != last {
            return;
        }
        match op {
            Some(Op::Touch(touch)) => self.execute(thread, node, touch),
            Some(Op::Discard { first, pages }) => self.discard(thread, node, first, pages),
            Some(Op::Lock(_)) if state == State::Holds => self.unlock(thread, node),
            Some(Op::Lock(lock)) => self.lock(thread, node, lock),
            Some(Op::Word(word, op)) => self.use_word(thread, node, word, op),
            Some(Op::Meet { barrier, within }) => self.meet(thread, node, barrier, within),
            Some(Op::Talk(talk)) => self.talk(thread, node, talk),
            Some(Op::Call { port, within }) => self.call(thread, node, port, within),
            Some(Op::Bring { port }) => {
                self.bring_port(port, node);
                self.completes(thread);
            }
            None => {}
        }
    }

    /// A thread has done what it was doing.
    pub(super) fn completes(&mut self, thread: u32) {
        self.counts.ops += 1;
        self.next_op(thread);
    }

    fn execute(&mut self, thread: u32, node: NodeId, touch: Touch) {
        let machine = self.machine(node);
        let missing = touch
            .iter()
            .find(|&(page, access)| machine.frame(page).rights < access.needs());
        let Some((page, access)) = missing else {
            for (page, access) in touch.iter() {
                self.access(node, page, access);
            }
            self.counts.ops += 1;
            // A node that does not say so must be right, too.
            if self.counts.ops.is_multiple_of(2) {
                let token = self.token(thread);
                self.handle(node, Event::Retired { token }, &Load::Nothing);
            }
            return self.next_op(thread);
        };
        let this = &mut self.threads[thread as usize];
        this.faults += 1;
        this.wants = Some(page);
        if this.faults > MOST_FAULTS {
            self.complain(Wrong::FaultsAgain, || {
                format!("thread {thread} at {node:?} has faulted {MOST_FAULTS} times: {touch:?}")
            });
        }
        self.waits(thread, State::Waits);
        let token = self.token(thread);
        let event = Event::Fault {
            token,
            page,
            access,
        };
        self.handle(node, event, &Load::Nothing);
    }

    fn discard(&mut self, thread: u32, node: NodeId, first: PageIndex, pages: u64) {
        self.waits(thread, State::Waits);
        for distance in 0..pages {
            self.oracle.discard_begins(first.plus(distance));
        }
        let token = self.token(thread);
        let event = Event::Discard {
            token,
            first,
            pages,
        };
        self.handle(node, event, &Load::Nothing);
    }

    fn access(&mut self, node: NodeId, page: PageIndex, access: Access) {
        let value = self.machine(node).frame(page).value.unwrap_or(0);
        if self.oracle.allows(page, value) {
            self.oracle.read(page, value);
        } else {
            let truth = *self.oracle.page(page);
            self.complain(Wrong::StaleRead, || {
                format!("{node:?} reads {value} in {page:?}, expected {truth:?}")
            });
        }
        if access == Access::Write {
            let value = self.oracle.write(page);
            let frame = self.machine_mut(node).frame_mut(page);
            frame.value = Some(value);
            frame.dirty = true;
        }
        self.proven(node, page);
    }

    /// A page that a node of the latest view can use is not lost.
    fn proven(&mut self, node: NodeId, page: PageIndex) {
        if let Risk::Since(epoch) = self.oracle.page(page).risk
            && !self.views.is_settling()
            && self.machine(node).node.epoch() >= epoch
        {
            self.oracle.page_mut(page).risk = Risk::None;
        }
    }

    pub(super) fn waits(&mut self, thread: u32, state: State) {
        let (now, disturbed) = (self.now, self.disturbed);
        let this = &mut self.threads[thread as usize];
        this.state = state;
        this.since = now;
        this.disturbed = disturbed;
    }

    pub(super) fn woken(&mut self, token: Token, result: Result<(), Failure>) {
        let Some(index) = self.thread_of(token) else {
            return self.complain(Wrong::WokenInVain, || {
                format!("found {token:?} woken, which is no thread")
            });
        };
        let thread = index as u32;
        if self.threads[index].state != State::Waits {
            return self.complain(Wrong::WokenInVain, || {
                format!("thread {thread} is woken, and did not wait")
            });
        }
        self.check_wait(index);
        self.threads[index].state = State::Runs;
        match (self.threads[index].op, result) {
            (Some(Op::Discard { first, pages }), _) => {
                for distance in 0..pages {
                    self.oracle.discard_ends(first.plus(distance));
                }
                self.counts.ops += 1;
                self.next_op(thread);
            }
            (Some(Op::Touch(_)), Err(Failure::Lost)) => {
                self.counts.lost += 1;
                if let Some(page) = self.threads[index].wants {
                    self.source.mourn(thread, page);
                }
                self.next_op(thread);
            }
            _ => self.put_execution_soon(thread),
        }
    }

    pub(super) fn check_wait(&mut self, index: usize) {
        let Thread {
            since,
            disturbed,
            op,
            node,
            ..
        } = self.threads[index];
        let waited = self.now.since(since);
        let patience = match op {
            Some(Op::Lock(lock)) => match lock.patience {
                Patience::Within(time) | Patience::Cancels(time) => time,
                Patience::Forever | Patience::Try => 0,
            },
            Some(Op::Talk(Talk { within, .. }) | Op::Call { within, .. }) => within.unwrap_or(0),
            _ => 0,
        };
        let excused = self.disturbed - disturbed + patience;
        if waited.saturating_sub(excused) > MOST_WAIT {
            self.complain(Wrong::NeverCompletes, || {
                format!("a thread at {node:?} waited {waited} ns for {op:?}, of which {excused} were disturbed")
            });
        }
    }

    /// The threads of a node are gone, and with them what they were about to do.
    pub(super) fn kill_threads(&mut self, node: NodeId) {
        for thread in self.threads.iter_mut().filter(|thread| thread.node == node) {
            if let (State::Waits, Some(Op::Discard { first, pages })) = (thread.state, thread.op) {
                self.views
                    .orphan((0..pages).map(|distance| first.plus(distance)));
            }
            *thread = Thread::new(node);
        }
    }

    /// The threads of a node begin.
    pub(super) fn start_threads(&mut self, node: NodeId) {
        for thread in 0..self.threads.len() {
            if self.threads[thread].node == node {
                self.next_op(thread as u32);
            }
        }
    }

    pub(super) fn token(&self, thread: u32) -> Token {
        let node = self.threads[thread as usize].node;
        Token(u64::from(self.machine(node).incarnation) << 32 | u64::from(thread))
    }

    /// The thread that a token is of, if it still lives.
    pub(super) fn thread_of(&self, token: Token) -> Option<usize> {
        let index = (token.0 & u64::from(u32::MAX)) as usize;
        let node = self.threads.get(index)?.node;
        let incarnation = u64::from(self.machine(node).incarnation);
        (token.0 >> 32 == incarnation).then_some(index)
    }

    /// A thread that waits for what should have come, if any does.
    pub(super) fn waiting(&self) -> Option<String> {
        let may_rest = |thread: usize| match self.phase {
            Phase::ReadBack => self.threads[thread].is_idle(),
            Phase::Work | Phase::End => self.may_rest(thread),
        };
        (0..self.threads.len())
            .find(|&thread| !may_rest(thread) && self.machine(self.threads[thread].node).is_up())
            .map(|thread| format!("{:?}", self.threads[thread]))
    }

    /// Whether something is under way at a node, apart from threads that wait for words.
    pub(super) fn is_busy(&self, machine: &Machine) -> bool {
        let parked = machine.parking.is_quiet()
            || self.phase != Phase::ReadBack && machine.parking.home().is_quiet();
        !(machine.node.is_quiet() && machine.locks.is_quiet() && parked)
    }
}
