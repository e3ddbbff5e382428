//! Objects, and ranges of their bytes.

use crate::ids::NodeId;

/// An object that has bytes: its home, and its number there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    /// The node that looks after it, as long as that is a member. Then the next member in order does.
    pub home: NodeId,
    /// Which of the objects of that node it is.
    pub number: u32,
}

impl ObjectId {
    /// The node that looks after the object when `members`, in order, are in the cluster.
    #[must_use]
    pub fn home_among(self, members: &[NodeId]) -> Option<NodeId> {
        let next = members.partition_point(|&member| member < self.home);
        members.get(next).or(members.first()).copied()
    }
}

/// Bytes of an object, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    object: ObjectId,
    start: u64,
    end: u64,
}

impl Span {
    /// The bytes from `start` up to, but without, `end`; nothing if there are none.
    #[must_use]
    pub fn new(object: ObjectId, start: u64, end: u64) -> Option<Self> {
        (start < end).then_some(Self { object, start, end })
    }

    /// All bytes that an object may have.
    #[must_use]
    pub fn whole(object: ObjectId) -> Self {
        Self {
            object,
            start: 0,
            end: u64::MAX,
        }
    }

    /// The object.
    #[must_use]
    pub fn object(self) -> ObjectId {
        self.object
    }

    /// The first byte.
    #[must_use]
    pub fn start(self) -> u64 {
        self.start
    }

    /// The byte after the last.
    #[must_use]
    pub fn end(self) -> u64 {
        self.end
    }

    /// Whether the two have a byte in common.
    #[must_use]
    pub fn overlaps(self, other: Self) -> bool {
        self.object == other.object && self.start < other.end && other.start < self.end
    }

    /// Whether all of `other` is in this.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.object == other.object && self.start <= other.start && other.end <= self.end
    }

    /// What the two have in common.
    #[must_use]
    pub fn common(self, other: Self) -> Option<Self> {
        if self.object != other.object {
            return None;
        }
        Self::new(
            self.object,
            self.start.max(other.start),
            self.end.min(other.end),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_member_looks_after_the_objects_of_one_that_left() {
        let object = ObjectId {
            home: NodeId(2),
            number: 0,
        };
        let home = |members: &[u16]| {
            let members: alloc::vec::Vec<NodeId> = members.iter().copied().map(NodeId).collect();
            object.home_among(&members)
        };
        assert_eq!(home(&[0, 2, 3]), Some(NodeId(2)));
        assert_eq!(home(&[0, 3]), Some(NodeId(3)));
        assert_eq!(home(&[0, 1]), Some(NodeId(0)));
        assert_eq!(home(&[]), None);
    }
}
