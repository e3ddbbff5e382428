//! What a thread wants to lock.

use crate::ids::NodeId;
use crate::ranges::Span;
use arrayvec::ArrayVec;

/// The most ranges that can be locked at once.
pub const MOST_RANGES: usize = 8;

/// How a range is locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// Others may lock it shared, too.
    Shared,
    /// Nobody else may lock it.
    Exclusive,
}

/// A range, and how it is to be locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Want {
    /// The range.
    pub span: Span,
    /// How.
    pub mode: Mode,
}

/// Ranges that are locked at once, or not at all: in order, without a byte in common, and all of objects
/// of one home.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wants(ArrayVec<Want, MOST_RANGES>);

/// Why ranges cannot be locked at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BadWants {
    /// There are none.
    None,
    /// There are more than [`MOST_RANGES`].
    TooMany,
    /// Two have bytes in common.
    Overlap,
    /// Their objects name different homes: lock those of lower homes first, one home after the other.
    Apart,
}

impl Want {
    /// Whether the two cannot be held at the same time, unless by one lock.
    #[must_use]
    pub fn conflicts(self, other: Self) -> bool {
        let exclusive = self.mode == Mode::Exclusive || other.mode == Mode::Exclusive;
        exclusive && self.span.overlaps(other.span)
    }

    /// Whether whoever may have this may have `other`.
    #[must_use]
    pub fn includes(self, other: Self) -> bool {
        self.mode >= other.mode && self.span.contains(other.span)
    }
}

impl Wants {
    /// These ranges, in any order.
    ///
    /// # Errors
    ///
    /// What keeps them from being locked at once.
    pub fn new(wants: &[Want]) -> Result<Self, BadWants> {
        let mut sorted: ArrayVec<Want, MOST_RANGES> =
            wants.try_into().map_err(|_| BadWants::TooMany)?;
        sorted.sort_unstable();
        let Some(first) = sorted.first() else {
            return Err(BadWants::None);
        };
        let home = first.span.object().home;
        if sorted.iter().any(|want| want.span.object().home != home) {
            return Err(BadWants::Apart);
        }
        if sorted
            .windows(2)
            .any(|pair| pair[0].span.overlaps(pair[1].span))
        {
            return Err(BadWants::Overlap);
        }
        Ok(Self(sorted))
    }

    /// One range.
    #[must_use]
    pub fn one(span: Span, mode: Mode) -> Self {
        let mut wants = ArrayVec::new();
        wants.push(Want { span, mode });
        Self(wants)
    }

    /// The ranges, in order.
    #[must_use]
    pub fn as_slice(&self) -> &[Want] {
        &self.0
    }

    /// The node that the objects name as their home.
    #[must_use]
    pub fn named_home(&self) -> NodeId {
        self.0[0].span.object().home
    }

    /// Whether the two cannot be held at the same time.
    #[must_use]
    pub fn conflict(&self, other: &Self) -> bool {
        other.0.iter().any(|&want| self.conflicts(want))
    }

    /// Whether the two cannot be held at the same time.
    #[must_use]
    pub fn conflicts(&self, other: Want) -> bool {
        self.0.iter().any(|want| want.conflicts(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ranges::ObjectId;

    fn want(home: u16, start: u64, end: u64) -> Want {
        let object = ObjectId {
            home: NodeId(home),
            number: 0,
        };
        let span = Span::new(object, start, end).unwrap();
        Want {
            span,
            mode: Mode::Exclusive,
        }
    }

    #[test]
    fn ranges_that_cannot_be_locked_at_once_are_refused() {
        assert_eq!(Wants::new(&[]), Err(BadWants::None));
        assert_eq!(
            Wants::new(&[want(0, 0, 2), want(0, 1, 3)]),
            Err(BadWants::Overlap)
        );
        assert_eq!(
            Wants::new(&[want(0, 0, 2), want(1, 4, 5)]),
            Err(BadWants::Apart)
        );
        let many: alloc::vec::Vec<Want> = (0..9).map(|at| want(0, at, at + 1)).collect();
        assert_eq!(Wants::new(&many), Err(BadWants::TooMany));
        let sorted = Wants::new(&[want(0, 4, 5), want(0, 0, 4)]).unwrap();
        assert_eq!(sorted.as_slice(), [want(0, 0, 4), want(0, 4, 5)]);
    }
}
