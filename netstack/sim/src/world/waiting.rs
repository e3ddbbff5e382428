//! Threads that wait for words and at barriers, and what must be true of that.
//!
//! A word is one count for all nodes: that memory is coherent is checked elsewhere.

use super::threads::{State, Thread};
use super::{Happening, World};
use crate::network::UnderWay;
use crate::op::Op;
use crate::oracle::Wrong;
use crate::plan::Plan;
use crate::work::{Word, WordOp, barrier};
use darner_coherence::parking::{Action, Ending, Event, Generation, Reason};
use darner_coherence::{NodeId, Token};

/// What words count, and who came to barriers.
#[derive(Clone, Debug)]
pub(super) struct Words {
    counts: Vec<u64>,
    barriers: Vec<Barrier>,
}

/// Who came to a barrier, and was let through.
#[derive(Clone, Copy, Debug, Default)]
struct Barrier {
    came: u64,
    through: u64,
}

/// How many threads a barrier is for.
const PARTIES: u32 = 3;

impl Words {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            counts: vec![0; plan.words.into()],
            barriers: vec![Barrier::default(); plan.words.into()],
        }
    }

    pub(super) fn count(&self, word: Word) -> u64 {
        self.counts[usize::from(word.0)]
    }
}

impl World {
    /// Has something happen to a node's waiting places, and everything done that they want done.
    pub(super) fn handle_parking(&mut self, node: NodeId, event: Event) {
        if !self.machine(node).is_up() {
            return;
        }
        let now = self.now;
        let machine = self.machine_mut(node);
        let time = machine.clock.read(now);
        let mut actions = Vec::new();
        machine.parking.handle(time, event, &mut actions);
        for action in actions {
            self.remember_more(|| format!("{action:?}"));
            match action {
                Action::Send { to, packet } => self.post(node, to, UnderWay::Parking(packet)),
                Action::Recheck { token } => self.looks_again(token),
                Action::Ended { token, how } => self.waited(token, how),
                Action::Woke { .. } => {}
                Action::SetTimer { at } => {
                    let due = self.now.after(self.machine(node).clock.until(self.now, at));
                    let at = self.place(node);
                    self.put(due, Happening::ParkTime { at });
                }
                Action::Refused { from, why } => self.refused(node, from, why),
            }
        }
    }

    /// One step of a thread that uses a word.
    pub(super) fn use_word(&mut self, thread: u32, node: NodeId, word: Word, op: WordOp) {
        let state = self.threads[thread as usize].state;
        match (state, op) {
            (State::Runs, WordOp::Take { .. }) => self.look(thread, node, word),
            (State::Looked(generation), WordOp::Take { within }) => {
                self.wait_for(thread, node, word, generation, within);
            }
            (State::LooksAgain, WordOp::Take { .. }) => {
                self.threads[thread as usize].state = State::WaitsForWord;
                if self.words.count(word) > 0 {
                    let token = self.token(thread);
                    let why = Reason::Changed;
                    self.handle_parking(node, Event::Withdraw { token, why });
                }
            }
            (State::Runs, WordOp::Put { count }) => {
                self.add(word, count.into());
                self.threads[thread as usize].state = State::Changed;
                self.put_execution_soon(thread);
            }
            (State::Changed, WordOp::Put { count }) => {
                self.release(node);
                self.wake(node, word, count.into());
                self.threads[thread as usize].state = State::Runs;
                self.completes(thread);
            }
            _ => {}
        }
    }

    fn add(&mut self, word: Word, more: u64) {
        self.words.counts[usize::from(word.0)] += more;
    }

    /// Nobody waits for what is there, when nobody is about to look and nothing is said any more.
    pub(super) fn check_words(&mut self) {
        let word_of = |thread: &Thread| match thread.op {
            Some(Op::Word(word, _)) => Some(word),
            _ => None,
        };
        let waits = |thread: &&Thread| {
            let is_there = word_of(thread).is_some_and(|word| self.words.count(word) > 0);
            thread.state == State::WaitsForWord && is_there
        };
        let is_in_vain = |thread: &&Thread| {
            let word = word_of(thread);
            let about_to = |other: &Thread| other.state != State::WaitsForWord;
            let mut others = self.threads.iter();
            !others.any(|other| word_of(other) == word && about_to(other))
        };
        let in_vain = self.threads.iter().filter(waits).find(is_in_vain);
        let said = |under_way: &UnderWay| matches!(under_way, UnderWay::Parking(_));
        if let Some(thread) = in_vain
            && !self.links.all().any(said)
        {
            let what = format!("nobody wakes {thread:?}, and what it waits for is there");
            self.complain(Wrong::NeverCompletes, || what);
        }
    }

    fn look(&mut self, thread: u32, node: NodeId, word: Word) {
        let place = word.waits_at(&self.plan);
        let generation = self.machine(node).parking.agent().generation(place);
        let count = &mut self.words.counts[usize::from(word.0)];
        if *count > 0 {
            *count -= 1;
            return self.completes(thread);
        }
        self.threads[thread as usize].state = State::Looked(generation);
        self.put_execution_soon(thread);
    }

    fn wait_for(
        &mut self,
        thread: u32,
        node: NodeId,
        word: Word,
        generation: Generation,
        within: Option<u64>,
    ) {
        self.waits(thread, State::WaitsForWord);
        let event = Event::Wait {
            token: self.token(thread),
            place: word.waits_at(&self.plan),
            generation,
            deadline: within.map(|within| self.time_in(node, within)),
        };
        self.handle_parking(node, event);
    }

    /// Wakes those who wait for a word; those who wait for it elsewhere are moved to it before.
    fn wake(&mut self, node: NodeId, word: Word, count: u32) {
        let place = word.place(&self.plan);
        if word.is_condition() {
            let requeue = Event::Requeue {
                place: word.waits_at(&self.plan),
                count: 0,
                moved: count,
                to: place,
                token: None,
            };
            self.handle_parking(node, requeue);
        }
        let wake = Event::Wake {
            place,
            count,
            token: None,
        };
        self.handle_parking(node, wake);
    }

    pub(super) fn meet(&mut self, thread: u32, node: NodeId, number: u16, within: u64) {
        self.waits(thread, State::WaitsAtBarrier);
        self.words.barriers[usize::from(number)].came += 1;
        let event = Event::Arrive {
            token: self.token(thread),
            place: barrier(&self.plan, number),
            parties: PARTIES,
            deadline: Some(self.time_in(node, within)),
        };
        self.handle_parking(node, event);
    }

    /// The thread that waits for a word or at a barrier.
    fn waiter(&self, token: Token) -> Option<usize> {
        let index = self.thread_of(token)?;
        let waits = matches!(
            self.threads[index].state,
            State::WaitsForWord | State::LooksAgain | State::WaitsAtBarrier
        );
        waits.then_some(index)
    }

    fn looks_again(&mut self, token: Token) {
        match self.waiter(token) {
            Some(index) if self.threads[index].state != State::WaitsAtBarrier => {
                self.threads[index].state = State::LooksAgain;
                self.put_execution_soon(index as u32);
            }
            _ => self.complain(Wrong::WokenInVain, || {
                format!("{token:?} is to look at its word again, and does not wait for one")
            }),
        }
    }

    fn waited(&mut self, token: Token, how: Ending) {
        let Some(index) = self.waiter(token) else {
            return self.complain(Wrong::WokenInVain, || {
                format!("{token:?} is woken ({how:?}), and does not wait")
            });
        };
        let thread = index as u32;
        let op = self.threads[index].op;
        self.threads[index].state = State::Runs;
        match op {
            Some(Op::Meet { barrier, .. }) => {
                self.met(thread, barrier, how);
                self.completes(thread);
            }
            Some(Op::Word(_, WordOp::Take { within })) => {
                let timed_out = Ending::Withdrawn(Reason::TimedOut);
                let is_over = how == Ending::NoRoom || how == timed_out;
                let may_be = match how {
                    Ending::Woken | Ending::HomeDied | Ending::NoRoom => true,
                    Ending::Withdrawn(Reason::Changed) => true,
                    Ending::Withdrawn(Reason::TimedOut) => within.is_some(),
                    Ending::Withdrawn(Reason::Cancelled) | Ending::Mismatch => false,
                };
                if !may_be {
                    self.complain(Wrong::WokenInVain, || {
                        format!("thread {thread} waited for {op:?}: {how:?}")
                    });
                }
                match is_over {
                    true => self.completes(thread),
                    false => self.put_execution_soon(thread),
                }
            }
            _ => {}
        }
    }

    fn met(&mut self, thread: u32, number: u16, how: Ending) {
        let barrier = &mut self.words.barriers[usize::from(number)];
        match how {
            Ending::Woken => barrier.through += 1,
            Ending::Withdrawn(_) | Ending::NoRoom => barrier.came -= 1,
            Ending::HomeDied | Ending::Mismatch => {}
        }
        let &mut Barrier { came, through } = barrier;
        let parties = u64::from(PARTIES);
        if through > came / parties * parties || how == Ending::Mismatch {
            self.complain(Wrong::BarrierOpens, || {
                format!("thread {thread} is through barrier {number} ({how:?}) as one of {through}, {came} came")
            });
        }
    }

    /// Whether a thread has nothing to do, or waits for what is not there.
    pub(super) fn may_rest(&self, thread: usize) -> bool {
        let thread = &self.threads[thread];
        match (thread.state, thread.op) {
            (State::Idle, _) => true,
            (State::WaitsForWord, Some(Op::Word(word, _))) => self.words.count(word) == 0,
            _ => false,
        }
    }

    /// Puts to all words what everybody who waits for them can take.
    pub(super) fn wake_everybody(&mut self) {
        let node = self.machines.iter().find(|machine| machine.is_up());
        let Some(node) = node.map(|machine| machine.node.id()) else {
            return;
        };
        for word in (0..self.plan.words).map(Word) {
            self.add(word, self.threads.len() as u64);
            self.wake(node, word, self.threads.len() as u32);
        }
    }
}
