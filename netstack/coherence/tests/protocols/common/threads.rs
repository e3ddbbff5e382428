//! Threads, each of which executes instructions that touch pages.

use super::{Expected, World};
use darner_coherence::{Access, Event, Failure, NodeId, PageIndex, Rights, Token};

/// What a thread does.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Op {
    /// One instruction that touches these pages, in this order, and needs all of them.
    Touch(Vec<(PageIndex, Access)>),
    /// Frees a range.
    Discard(PageIndex, u64),
    /// Loads a variable.
    Load(Variable),
    /// Stores to a variable.
    Store(Variable, u16),
}

/// One of the four numbers of 16 bits that a page has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Variable {
    pub page: PageIndex,
    pub lane: u8,
}

impl Variable {
    fn of(self, frame: u64) -> u16 {
        (frame >> (16 * self.lane)) as u16
    }

    fn within(self, frame: u64, value: u16) -> u64 {
        let shift = 16 * self.lane;
        frame & !(0xffff << shift) | u64::from(value) << shift
    }
}

impl Op {
    /// The pages that it touches, and for what.
    fn touches(&self) -> Vec<(PageIndex, Access)> {
        match self {
            Self::Touch(pages) => pages.clone(),
            Self::Load(variable) => vec![(variable.page, Access::Read)],
            Self::Store(variable, _) => vec![(variable.page, Access::Write)],
            Self::Discard(..) => Vec::new(),
        }
    }
}

/// What became of a load or store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    Loaded(u16),
    Stored,
    Lost,
}

/// Where a thread is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum At {
    /// About to execute its next instruction, for the first time or again.
    Runs,
    /// Waiting to be woken.
    Waits,
    /// Done, or given up because a page is lost.
    Done,
}

/// A thread.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Thread {
    pub node: NodeId,
    pub token: Token,
    pub ops: Vec<Op>,
    pub at: At,
    /// How often the current instruction has faulted.
    pub faults: u32,
    pub most_faults: u32,
    /// The last instruction that it is done with.
    pub done: Option<Op>,
    /// What became of its loads and stores, so far.
    pub outcomes: Vec<Outcome>,
}

impl World {
    pub fn spawn(&mut self, node: NodeId, mut ops: Vec<Op>) -> usize {
        ops.reverse();
        let token = Token(self.threads.len() as u64 + 1);
        let at = if ops.is_empty() { At::Done } else { At::Runs };
        self.threads.push(Thread {
            node,
            token,
            ops,
            at,
            faults: 0,
            most_faults: 0,
            done: None,
            outcomes: Vec::new(),
        });
        self.threads.len() - 1
    }

    /// Threads that can execute.
    pub fn runnable(&self) -> Vec<usize> {
        (0..self.threads.len())
            .filter(|&thread| self.threads[thread].at == At::Runs)
            .collect()
    }

    pub fn all_done(&self) -> bool {
        self.threads.iter().all(|thread| thread.at == At::Done)
    }

    /// Whether a thread at this node has been woken, and not had the time for an instruction.
    ///
    /// The hold time is long enough for that.
    pub fn holds_for_thread(&self, node: NodeId) -> bool {
        self.threads
            .iter()
            .any(|thread| thread.node == node && thread.at == At::Runs && thread.faults > 0)
    }

    /// A thread executes its instruction, or faults.
    pub fn execute(&mut self, index: usize) {
        let Thread {
            node,
            token,
            ref ops,
            ..
        } = self.threads[index];
        let Some(op) = ops.last().cloned() else {
            return;
        };
        let missing = op
            .touches()
            .into_iter()
            .find(|&(page, access)| self.rights(node, page) < needs(access));
        if let Some((page, access)) = missing {
            let thread = &mut self.threads[index];
            thread.at = At::Waits;
            thread.faults += 1;
            thread.most_faults = thread.most_faults.max(thread.faults);
            return self.fault(node, token, page, access);
        }
        match op {
            Op::Touch(pages) => {
                for (page, access) in pages {
                    self.touch(node, page, access);
                }
                self.next_op(index);
            }
            Op::Load(variable) => {
                let loaded = variable.of(self.touch(node, variable.page, Access::Read));
                self.threads[index].outcomes.push(Outcome::Loaded(loaded));
                self.next_op(index);
            }
            Op::Store(variable, value) => {
                let before = self.touch(node, variable.page, Access::Read);
                self.write(node, variable.page, variable.within(before, value));
                self.threads[index].outcomes.push(Outcome::Stored);
                self.next_op(index);
            }
            Op::Discard(first, pages) => {
                self.threads[index].at = At::Waits;
                for distance in 0..pages {
                    self.discarding.entry(first.plus(distance)).or_default().0 += 1;
                }
                self.event(
                    node,
                    Event::Discard {
                        token,
                        first,
                        pages,
                    },
                );
            }
        }
    }

    fn next_op(&mut self, index: usize) {
        let thread = &mut self.threads[index];
        thread.done = thread.ops.pop();
        thread.faults = 0;
        thread.at = if thread.ops.is_empty() {
            At::Done
        } else {
            At::Runs
        };
    }

    /// Reads a page, checks what is read, and writes another number if it is to be written.
    fn touch(&mut self, node: NodeId, page: PageIndex, access: Access) -> u64 {
        let frame = self.machines[usize::from(node.0)]
            .frames
            .get(&page)
            .copied();
        let Some(value) = frame else {
            self.complain(format!("{page:?} is mapped at {node:?} without a frame"));
            return 0;
        };
        if !self.discarding.contains_key(&page) {
            self.check_read(node, page, value);
        }
        if access == Access::Write {
            self.last_value += 1;
            self.write(node, page, self.last_value);
        }
        value
    }

    fn write(&mut self, node: NodeId, page: PageIndex, value: u64) {
        let machine = self.machine(node);
        machine.frames.insert(page, value);
        machine.written.insert(page);
        self.expected.insert(page, Expected::Known(value));
        if let Some((_, written)) = self.discarding.get_mut(&page) {
            *written = true;
        }
    }

    fn check_read(&mut self, node: NodeId, page: PageIndex, value: u64) {
        match self.expect(page) {
            Expected::Known(expected) if expected != value => {
                self.complain(format!(
                    "{node:?} reads {value} in {page:?}, last written was {expected}"
                ));
            }
            Expected::ZeroOr(expected) if value != 0 && value != expected => {
                self.complain(format!(
                    "{node:?} reads {value} in {page:?}, not 0 or {expected}"
                ));
            }
            _ => {
                self.expected.insert(page, Expected::Known(value));
            }
        }
    }

    pub fn expect(&self, page: PageIndex) -> Expected {
        self.expected
            .get(&page)
            .copied()
            .unwrap_or(Expected::Known(0))
    }

    pub(super) fn woken(&mut self, token: Token, result: Result<(), Failure>) {
        let Some(index) = self.threads.iter().position(|thread| thread.token == token) else {
            return;
        };
        if self.threads[index].at != At::Waits {
            return self.complain(format!("{token:?} is woken, and did not wait"));
        }
        self.threads[index].at = At::Runs;
        if result.is_ok() {
            self.raced_a_discard.remove(&index);
        }
        match (self.threads[index].ops.last().cloned(), result) {
            (Some(Op::Discard(first, pages)), _) => {
                for distance in 0..pages {
                    self.discard_over(first.plus(distance));
                }
                self.next_op(index);
            }
            (Some(op), Err(Failure::Lost)) => {
                self.told_of_loss(index, &op);
                self.next_op(index);
            }
            _ => {}
        }
    }

    fn told_of_loss(&mut self, index: usize, op: &Op) {
        let node = self.threads[index].node;
        let may_be =
            |page: &PageIndex| self.lost.contains(page) || self.discarding.contains_key(page);
        let raced = self.raced_a_discard.remove(&index);
        if !raced && !op.touches().iter().any(|(page, _)| may_be(page)) {
            self.complain(format!(
                "{node:?} is told of a loss by {op:?}; there is none"
            ));
        }
        if matches!(op, Op::Load(_) | Op::Store(..)) {
            self.threads[index].outcomes.push(Outcome::Lost);
        }
    }

    fn discard_over(&mut self, page: PageIndex) {
        let Some((count, written)) = self.discarding.get_mut(&page) else {
            return;
        };
        *count -= 1;
        let written = *written;
        if *count == 0 {
            self.discarding.remove(&page);
            let waits = |index: &usize| {
                let thread = &self.threads[*index];
                let touches = |op: &Op| op.touches().iter().any(|&(touched, _)| touched == page);
                thread.at == At::Waits && thread.ops.last().is_some_and(touches)
            };
            let raced: Vec<usize> = (0..self.threads.len()).filter(waits).collect();
            self.raced_a_discard.extend(raced);
            let after = match self.expect(page) {
                Expected::Known(value) | Expected::ZeroOr(value) if written => {
                    Expected::ZeroOr(value)
                }
                _ => Expected::Known(0),
            };
            self.expected.insert(page, after);
        }
    }
}

fn needs(access: Access) -> Rights {
    access.needs()
}
