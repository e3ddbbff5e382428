//! Threads, each of which executes instructions that touch pages.

use super::acts::SOON;
use super::{Happening, Phase, World};
use crate::network::Load;
use crate::op::{Op, Touch};
use crate::oracle::{Risk, Wrong};
use crate::time::{Moment, SECOND};
use darner_coherence::{Access, Event, Failure, NodeId, PageIndex, Token};

/// How often one instruction may fault.
const MOST_FAULTS: u32 = 2_000;
/// How long a fault or a discard may take while nothing goes wrong, in nanoseconds.
const MOST_WAIT: u64 = 2 * SECOND;

/// A thread.
#[derive(Clone, Debug)]
pub(super) struct Thread {
    pub(super) node: NodeId,
    state: State,
    op: Option<Op>,
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
enum State {
    /// It has nothing to do.
    Idle,
    /// It will execute.
    Runs,
    /// It waits to be woken.
    Waits,
}

impl Thread {
    pub(super) fn new(node: NodeId) -> Self {
        Self {
            node,
            state: State::Idle,
            op: None,
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

    fn put_execution(&mut self, thread: u32, nanoseconds: u64) {
        let node = self.threads[thread as usize].node;
        let incarnation = self.machine(node).incarnation;
        let what = Happening::Executes {
            thread,
            incarnation,
        };
        self.put(self.now.after(nanoseconds), what);
    }

    pub(super) fn executes(&mut self, thread: u32, incarnation: u32) {
        let Thread { node, op, .. } = self.threads[thread as usize];
        let machine = self.machine(node);
        if !machine.is_up() || machine.incarnation != incarnation {
            return;
        }
        match op {
            Some(Op::Touch(touch)) => self.execute(thread, node, touch),
            Some(Op::Discard { first, pages }) => self.discard(thread, node, first, pages),
            None => {}
        }
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
        self.waits(thread);
        let token = self.token(thread);
        let event = Event::Fault {
            token,
            page,
            access,
        };
        self.handle(node, event, &Load::Nothing);
    }

    fn discard(&mut self, thread: u32, node: NodeId, first: PageIndex, pages: u64) {
        self.waits(thread);
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

    fn waits(&mut self, thread: u32) {
        let (now, disturbed) = (self.now, self.disturbed);
        let this = &mut self.threads[thread as usize];
        this.state = State::Waits;
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
            _ => {
                let node = self.threads[index].node;
                let takes = self.machine_mut(node).chance.within(SOON);
                self.put_execution(thread, takes);
            }
        }
    }

    fn check_wait(&mut self, index: usize) {
        let Thread {
            since,
            disturbed,
            op,
            node,
            ..
        } = self.threads[index];
        let waited = self.now.since(since);
        let excused = self.disturbed - disturbed;
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

    fn token(&self, thread: u32) -> Token {
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

    /// A thread that waits, if any does.
    pub(super) fn waiting(&self) -> Option<String> {
        let waits = |thread: &&Thread| !thread.is_idle() && self.machine(thread.node).is_up();
        self.threads
            .iter()
            .find(waits)
            .map(|thread| format!("{thread:?}"))
    }
}
