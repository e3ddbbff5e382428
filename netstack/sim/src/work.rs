//! What threads do besides touching pages: they lock ranges of bytes, wait for words and wake each other, and talk with
//! other nodes.

use crate::plan::Plan;
use darner_cluster::PortId;
use darner_coherence::NodeId;
use darner_coherence::locks::{Mode, Want, Wants};
use darner_coherence::parking::Place;
use darner_coherence::ranges::{ObjectId, Span};
use std::fmt;

/// The most ranges that a thread locks at once.
pub const MOST_LOCKED: usize = 3;

/// How long a thread waits, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// As long as it takes.
    Forever,
    /// So long at most.
    Within(u64),
    /// It calls it off after so long.
    Cancels(u64),
    /// Not for other locks.
    Try,
}

/// A range of bytes, and how it is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The first byte.
    pub start: u64,
    /// How many.
    pub bytes: u64,
    /// How.
    pub mode: Mode,
}

/// A lock that is taken, held, and given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock {
    /// The object.
    pub object: ObjectId,
    /// The ranges; those that have bytes in common with the first are left out.
    pub ranges: [Range; MOST_LOCKED],
    /// How long the thread waits.
    pub patience: Patience,
    /// For how many nanoseconds it keeps the lock.
    pub holds: u64,
}

impl Lock {
    /// The ranges, as they are asked for.
    #[must_use]
    pub fn wants(&self) -> Wants {
        let want = |range: &Range| Want {
            span: Span::new(self.object, range.start, range.start + range.bytes)
                .unwrap_or(Span::whole(self.object)),
            mode: range.mode,
        };
        let wants = self.ranges.map(|range| want(&range));
        Wants::new(&wants).unwrap_or_else(|_| Wants::one(wants[0].span, wants[0].mode))
    }
}

/// A word of cluster memory that counts something: threads take one each, and wait as long as there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word(pub u16);

impl Word {
    /// Whether threads wait for it somewhere else, as for a condition, and are moved to it.
    #[must_use]
    pub fn is_condition(self) -> bool {
        self.0 % 2 == 1
    }

    /// Where it is.
    #[must_use]
    pub fn place(self, plan: &Plan) -> Place {
        place_in(plan, self.0 % plan.nodes, u64::from(self.0) * 8)
    }

    /// Where threads wait for it.
    #[must_use]
    pub fn waits_at(self, plan: &Plan) -> Place {
        if !self.is_condition() {
            return self.place(plan);
        }
        // Every other condition has another home than its word.
        let home = (self.0 + self.0 / 2 % 2) % plan.nodes;
        place_in(plan, home, 1024 + u64::from(self.0) * 8)
    }
}

/// The place of a barrier.
#[must_use]
pub fn barrier(plan: &Plan, number: u16) -> Place {
    place_in(plan, number % plan.nodes, 2048 + u64::from(number) * 8)
}

fn place_in(plan: &Plan, node: u16, offset: u64) -> Place {
    Place(plan.slice_of(node).start * 4096 + offset)
}

/// What a thread does with a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WordOp {
    /// Takes one, and waits for it, so many nanoseconds at most if that is said.
    Take {
        /// How long.
        within: Option<u64>,
    },
    /// Adds so many, and wakes as many threads.
    Put {
        /// How many.
        count: u16,
    },
}

/// A transaction with another node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Talk {
    /// Which node, modulo how many there are.
    pub peer: u16,
    /// How many messages each side says after its first.
    pub says: u8,
    /// What else happens: bit 0, this side gives up instead of its last word; bit 1, the other does;
    /// bit 2, the other begins a part of it.
    pub kind: u8,
    /// How many nanoseconds it may take.
    pub within: Option<u64>,
}

/// A port by its number: those of a node come round again and again.
#[must_use]
pub fn port_id(plan: &Plan, number: u16) -> PortId {
    PortId::new(NodeId(number % plan.nodes), number.into())
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ObjectId { home, number } = self.object;
        write!(f, "lock object {number} of node {}:", home.0)?;
        for want in self.wants().as_slice() {
            let how = match want.mode {
                Mode::Shared => "shared",
                Mode::Exclusive => "exclusive",
            };
            write!(f, " {}..{} {how},", want.span.start(), want.span.end())?;
        }
        match self.patience {
            Patience::Forever => {}
            Patience::Try => write!(f, " without waiting,")?,
            Patience::Within(time) => write!(f, " within {time} ns,")?,
            Patience::Cancels(time) => write!(f, " given up after {time} ns,")?,
        }
        write!(f, " for {} ns", self.holds)
    }
}

/// The object with this number, of this node.
#[must_use]
pub fn object(home: u16, number: u32) -> ObjectId {
    ObjectId {
        home: NodeId(home),
        number,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Wishes;
    use std::collections::BTreeSet;

    #[test]
    fn places_differ() {
        for seed in 0..50 {
            let plan = Plan::drawn(seed, 1, &Wishes::default());
            let words = || (0..plan.words).map(Word);
            let conditions = words().filter(|word| word.is_condition());
            let places: Vec<Place> = words()
                .map(|word| word.place(&plan))
                .chain(conditions.map(|word| word.waits_at(&plan)))
                .chain((0..plan.words).map(|number| barrier(&plan, number)))
                .collect();
            let distinct: BTreeSet<Place> = places.iter().copied().collect();
            assert_eq!(distinct.len(), places.len(), "{plan:?}");
        }
    }
}
