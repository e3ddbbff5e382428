//! What threads do: instructions that touch pages, and frees.

use crate::chance::{Chance, Stream};
use crate::plan::{Plan, Workload};
use crate::time::{MICROSECOND, MILLISECOND};
use crate::work::{Lock, Patience, Range, Talk, Word, WordOp, object};
use darner_coherence::locks::Mode;
use darner_coherence::{Access, PageIndex};
use std::collections::VecDeque;
use std::fmt;

/// The most pages that one instruction touches.
pub const MOST_TOUCHED: usize = 3;

/// What a thread does at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// One instruction, which needs all of its pages at once.
    Touch(Touch),
    /// Frees a range.
    Discard {
        /// The first page.
        first: PageIndex,
        /// How many.
        pages: u64,
    },
    /// Locks ranges of bytes, and unlocks them later.
    Lock(Lock),
    /// Uses a word that threads wait for.
    Word(Word, WordOp),
    /// Comes to a barrier.
    Meet {
        /// Which.
        barrier: u16,
        /// How many nanoseconds it waits at most.
        within: u64,
    },
    /// Has a transaction with another node.
    Talk(Talk),
    /// Asks a port.
    Call {
        /// Which.
        port: u16,
        /// How many nanoseconds it waits at most.
        within: Option<u64>,
    },
    /// Opens a port at its node, or has it move there.
    Bring {
        /// Which.
        port: u16,
    },
}

/// An instruction's pages, in the order in which it touches them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    pages: [(PageIndex, Access); MOST_TOUCHED],
    count: u8,
}

impl Touch {
    /// An instruction that touches one page.
    #[must_use]
    pub fn one(page: PageIndex, access: Access) -> Self {
        Self {
            pages: [(page, access); MOST_TOUCHED],
            count: 1,
        }
    }

    /// The same instruction with a page more, if it does not touch it yet and there is room.
    #[must_use]
    pub fn and(mut self, page: PageIndex, access: Access) -> Self {
        let room = usize::from(self.count) < MOST_TOUCHED;
        if room && self.iter().all(|(touched, _)| touched != page) {
            self.pages[usize::from(self.count)] = (page, access);
            self.count += 1;
        }
        self
    }

    /// Its pages, and what it does to them.
    pub fn iter(self) -> impl Iterator<Item = (PageIndex, Access)> {
        self.pages.into_iter().take(usize::from(self.count))
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Discard { first, pages } => write!(f, "free {pages} from page {}", first.0),
            Self::Lock(lock) => write!(f, "{lock}"),
            Self::Word(Word(word), WordOp::Put { count }) => {
                write!(f, "put {count} to word {word}")
            }
            Self::Word(Word(word), WordOp::Take { within }) => match within {
                Some(within) => write!(f, "take from word {word} within {within} ns"),
                None => write!(f, "take from word {word}"),
            },
            Self::Talk(talk) => write!(f, "{talk:?}"),
            Self::Call { port, within } => write!(f, "ask port {port}, within {within:?} ns"),
            Self::Bring { port } => write!(f, "bring port {port} here"),
            Self::Meet { barrier, within } => {
                write!(f, "come to barrier {barrier}, wait {within} ns")
            }
            Self::Touch(touch) => {
                for (place, (page, access)) in touch.iter().enumerate() {
                    let and = if place > 0 { " and " } else { "" };
                    let verb = match access {
                        Access::Read => "read",
                        Access::Write => "write",
                    };
                    write!(f, "{and}{verb} page {}", page.0)?;
                }
                Ok(())
            }
        }
    }
}

/// Draws what a thread does.
#[derive(Clone, Debug)]
pub struct Habit {
    chance: Chance,
    node: u16,
    /// What it has begun, and goes on with.
    going_on: VecDeque<Op>,
}

impl Habit {
    /// That of a thread of a node.
    #[must_use]
    pub fn new(plan: &Plan, thread: u32, node: u16) -> Self {
        Self {
            chance: Chance::new(plan.seed, Stream::Thread(thread)),
            node,
            going_on: VecDeque::new(),
        }
    }

    /// What it does next, and how many nanoseconds it thinks before.
    pub fn next(&mut self, plan: &Plan) -> (u64, Op) {
        let thinks = self.chance.within(0..plan.workload.think + 1);
        let op = match self.going_on.pop_front() {
            Some(op) => op,
            None => self.begin(plan),
        };
        (thinks, op)
    }

    /// What it does when told that a page is lost: nothing, or it frees it.
    pub fn mourn(&mut self, page: PageIndex) {
        if self.chance.percent(50) {
            self.going_on.push_front(Op::Discard {
                first: page,
                pages: 1,
            });
        }
    }

    fn begin(&mut self, plan: &Plan) -> Op {
        let Workload {
            single,
            several,
            update,
            stream,
            discard,
            lock,
            word,
            meet,
            talk,
            call,
            ..
        } = plan.workload;
        let kinds = [
            (single, Self::single as fn(&mut Self, &Plan) -> Op),
            (several, Self::several),
            (update, Self::update),
            (stream, Self::stream),
            (discard, Self::discard),
            (lock, Self::lock),
            (word, Self::word),
            (meet, Self::meet),
            (talk, Self::talk),
            (call, Self::call),
        ];
        self.chance.weighted(&kinds)(self, plan)
    }

    fn single(&mut self, plan: &Plan) -> Op {
        let page = self.page(plan);
        Op::Touch(Touch::one(page, self.access(plan)))
    }

    fn several(&mut self, plan: &Plan) -> Op {
        let mut touch = Touch::one(self.page(plan), self.access(plan));
        for _ in 0..self.chance.within(1..MOST_TOUCHED as u64) {
            touch = touch.and(self.page(plan), self.access(plan));
        }
        Op::Touch(touch)
    }

    fn update(&mut self, plan: &Plan) -> Op {
        let page = self.page(plan);
        self.going_on
            .push_back(Op::Touch(Touch::one(page, Access::Write)));
        Op::Touch(Touch::one(page, Access::Read))
    }

    fn stream(&mut self, plan: &Plan) -> Op {
        let first = self.page(plan).0;
        let access = self.access(plan);
        let end = (first + self.chance.within(2..20)).min(plan.pages);
        let touch = |page| Op::Touch(Touch::one(PageIndex(page), access));
        self.going_on.extend((first + 1..end).map(touch));
        touch(first)
    }

    fn discard(&mut self, plan: &Plan) -> Op {
        let first = self.page(plan);
        let pages = self.chance.within(1..5).min(plan.pages - first.0);
        Op::Discard { first, pages }
    }

    fn lock(&mut self, plan: &Plan) -> Op {
        let home = self.chance.within(0..plan.nodes.into()) as u16;
        let number = self.chance.within(0..plan.objects.into()) as u32;
        let patience = match self.chance.within(0..8) {
            0 => Patience::Try,
            1 => Patience::Within(self.wait()),
            2 => Patience::Cancels(self.wait()),
            _ => Patience::Forever,
        };
        Op::Lock(Lock {
            object: object(home % plan.locked_homes, number),
            ranges: std::array::from_fn(|_| self.range(plan)),
            patience,
            holds: self.wait(),
        })
    }

    fn range(&mut self, plan: &Plan) -> Range {
        let mode = match self.chance.percent(plan.workload.writes) {
            true => Mode::Exclusive,
            false => Mode::Shared,
        };
        Range {
            start: self.chance.within(0..16),
            bytes: self.chance.within(1..5),
            mode,
        }
    }

    /// How long a lock is held, or something is waited for that may not come: as a rule not long, but now and then
    /// longer than a change of view takes.
    fn wait(&mut self) -> u64 {
        let most = self.chance.one_of(&[50 * MICROSECOND, 5 * MILLISECOND]);
        self.chance.within(0..most)
    }

    fn word(&mut self, plan: &Plan) -> Op {
        let word = Word(self.chance.within(0..plan.words.into()) as u16);
        let op = match self.chance.within(0..20) {
            0..10 => WordOp::Put { count: 1 },
            10 => WordOp::Put { count: 3 },
            11..14 => WordOp::Take {
                within: Some(self.wait()),
            },
            _ => WordOp::Take { within: None },
        };
        Op::Word(word, op)
    }

    fn meet(&mut self, plan: &Plan) -> Op {
        Op::Meet {
            barrier: self.chance.within(0..plan.words.into()) as u16,
            within: MILLISECOND + self.wait(),
        }
    }

    fn talk(&mut self, plan: &Plan) -> Op {
        Op::Talk(Talk {
            peer: self.chance.within(0..plan.nodes.into()) as u16,
            says: self.chance.within(0..4) as u8,
            kind: self.chance.one_of(&[0, 0, 0, 1, 2, 3, 4, 4, 5, 6]),
            within: self.chance.percent(30).then(|| self.wait()),
        })
    }

    fn call(&mut self, plan: &Plan) -> Op {
        let port = self.chance.within(0..plan.words.into()) as u16;
        if self.chance.percent(15) {
            return Op::Bring { port };
        }
        let within = self.chance.percent(30).then(|| self.wait());
        Op::Call { port, within }
    }

    fn access(&mut self, plan: &Plan) -> Access {
        match self.chance.percent(plan.workload.writes) {
            true => Access::Write,
            false => Access::Read,
        }
    }

    /// A page: one of this node's own slice, one of its neighbours', one of the few that all
    /// want, or any.
    fn page(&mut self, plan: &Plan) -> PageIndex {
        let Workload {
            own,
            neighbours,
            hot,
            any,
            ..
        } = plan.workload;
        let kinds = [
            (own, Where::Own),
            (neighbours, Where::Neighbour),
            (hot, Where::Hot),
            (any, Where::Any),
        ];
        let range = match self.chance.weighted(&kinds) {
            Where::Own => plan.slice_of(self.node),
            Where::Neighbour => {
                let step = self.chance.one_of(&[1, plan.nodes - 1]);
                plan.slice_of((self.node + step) % plan.nodes)
            }
            Where::Hot => 0..plan.workload.hot_pages.min(plan.pages),
            Where::Any => 0..plan.pages,
        };
        PageIndex(self.chance.within(range))
    }
}

#[derive(Clone, Copy)]
enum Where {
    Own,
    Neighbour,
    Hot,
    Any,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_touches_a_page_once() {
        let touch = Touch::one(PageIndex(1), Access::Read)
            .and(PageIndex(1), Access::Write)
            .and(PageIndex(2), Access::Write);
        assert_eq!(touch.iter().count(), 2);
        assert_eq!(Op::Touch(touch).to_string(), "read page 1 and write page 2");
    }
}
