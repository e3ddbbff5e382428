//! The table of range records.

use super::span::{ObjectId, Span};
use crate::mutants::mutated;
use alloc::vec::Vec;
use arrayvec::ArrayVec;
use core::ops::Range;

/// What is known of a byte.
pub trait RangeState: Copy + Eq {
    /// What can be said of the bytes of two neighbouring records, and of those between them, if one
    /// record must do for both. Nothing, if that would say too much.
    fn merged(self, other: Self, gap: Gap) -> Option<Self>;
}

/// Whether there are bytes between two records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// One begins where the other ends.
    None,
    /// Bytes of which nothing is known are between them.
    Unknown,
}

/// The table has no room for a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// What came of an attempt to make room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room<S> {
    /// There is.
    Made,
    /// There would be, without this record: whoever relies on it must give it up first. It is
    /// another one each time.
    Recall(Span, S),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Record<S> {
    object: ObjectId,
    start: u64,
    end: u64,
    state: S,
}

/// How many records one change of one range can add: it may cut one into three.
const GROWTH: usize = 2;

/// Records of ranges of bytes, in order, in memory that is taken once.
///
/// A look-up is a binary search; a change moves the records behind it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RangeTable<S> {
    records: Vec<Record<S>>,
    capacity: usize,
    /// After which record the search for one to be thrown away goes on.
    hand: (ObjectId, u64),
}

/// Records that give way to others.
struct Change<S> {
    replaced: Range<usize>,
    fresh: ArrayVec<Record<S>, 3>,
}

impl<S> Record<S> {
    fn span(&self) -> Span {
        // A record has at least one byte, so this is always a span.
        Span::new(self.object, self.start, self.end).unwrap_or(Span::whole(self.object))
    }

    fn is_before(&self, object: ObjectId, offset: u64) -> bool {
        (self.object, self.end) <= (object, offset)
    }
}

impl<S: RangeState> RangeTable<S> {
    /// A table of at most `capacity` records, at least 8.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.max(8);
        Self {
            records: Vec::with_capacity(capacity),
            capacity,
            hand: (ObjectId::default(), 0),
        }
    }

    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether nothing is known of any byte.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The most records there can be.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The bytes of memory that the records take at most.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.capacity * size_of::<Record<S>>()
    }

    /// What is known of a byte.
    #[must_use]
    pub fn get(&self, object: ObjectId, offset: u64) -> Option<S> {
        let record = self.records.get(self.first_after(object, offset))?;
        (record.object == object && record.start <= offset).then_some(record.state)
    }

    /// The records that have bytes in `span`, in order, without what is outside.
    pub fn within(&self, span: Span) -> impl Iterator<Item = (Span, S)> {
        let first = self.first_after(span.object(), span.start());
        let cut = move |record: &Record<S>| Some((record.span().common(span)?, record.state));
        self.records[first..].iter().map_while(cut)
    }

    /// Whether something is known of every byte of `span`, of which `suffices` says that it will do.
    #[must_use]
    pub fn covers(&self, span: Span, suffices: impl Fn(S) -> bool) -> bool {
        let mut next = span.start();
        for (piece, state) in self.within(span) {
            if piece.start() != next || !suffices(state) {
                return false;
            }
            next = piece.end();
        }
        next == span.end()
    }

    /// Whether `changes` ranges can be set, whatever they are.
    #[must_use]
    pub fn has_room(&self, changes: usize) -> bool {
        self.records.len() + changes * GROWTH <= self.capacity
    }

    /// Sees to it that `changes` ranges can be set.
    ///
    /// As long as there is no room, merges two neighbours of an object: those of which the same is known
    /// first, and of these the nearest. If no two can be merged, names a record.
    pub fn make_room(&mut self, changes: usize) -> Room<S> {
        while !self.has_room(changes) {
            if !self.merge_nearest() {
                return self
                    .victim()
                    .map_or(Room::Made, |(span, state)| Room::Recall(span, state));
            }
        }
        Room::Made
    }

    /// Replaces what is known of the bytes of `span`.
    ///
    /// # Errors
    ///
    /// [`Full`], with nothing changed, if there is no room: see [`make_room`](Self::make_room).
    pub fn set(&mut self, span: Span, state: Option<S>) -> Result<(), Full> {
        let change = self.plan(span, state);
        let left = self.records.len() - change.replaced.len();
        if left + change.fresh.len() > self.capacity {
            return Err(Full);
        }
        self.records
            .splice(change.replaced, change.fresh.iter().copied());
        Ok(())
    }

    /// Replaces what is known of the bytes of `span`, piece by piece.
    ///
    /// # Errors
    ///
    /// [`Full`], with nothing changed, if there is no room for so many pieces.
    pub fn update(
        &mut self,
        span: Span,
        change: impl Fn(Option<S>) -> Option<S>,
    ) -> Result<(), Full> {
        let pieces = self.within(span).count();
        // The gaps between the pieces, before and after them may become records, and two may be cut.
        if self.records.len() + pieces + 1 + GROWTH > self.capacity {
            return Err(Full);
        }
        self.replace_each(span, change);
        Ok(())
    }

    /// As [`update`](Self::update), beyond the capacity if need be.
    pub(crate) fn replace_each(&mut self, span: Span, change: impl Fn(Option<S>) -> Option<S>) {
        let mut next = span.start();
        while let Some(rest) = Span::new(span.object(), next, span.end()) {
            let (end, state) = match self.within(rest).next() {
                Some((piece, state)) if piece.start() == next => (piece.end(), Some(state)),
                Some((piece, _)) => (piece.start(), None),
                None => (span.end(), None),
            };
            if let Some(piece) = Span::new(span.object(), next, end) {
                let changed = change(state);
                if changed != state {
                    self.replace(piece, changed);
                }
            }
            next = end;
        }
    }

    /// As [`set`](Self::set), beyond the capacity if need be.
    pub(crate) fn replace(&mut self, span: Span, state: Option<S>) {
        let change = self.plan(span, state);
        self.records
            .splice(change.replaced, change.fresh.iter().copied());
    }

    /// Which records give way to which others if `span` has a new state.
    fn plan(&self, span: Span, state: Option<S>) -> Change<S> {
        let (object, start, end) = (span.object(), span.start(), span.end());
        let first = self.first_after(object, start);
        let overlapping = self.records[first..]
            .partition_point(|record| (record.object, record.start) < (object, end));
        let mut replaced = first..first + overlapping;
        let inside = &self.records[replaced.clone()];
        let mut left = inside.first().copied().filter(|left| left.start < start);
        let mut right = inside.last().copied().filter(|right| right.end > end);
        if left.is_none() {
            left = self.neighbour(first.wrapping_sub(1), state, |left| {
                (left.object, left.end) == (object, start)
            });
            replaced.start -= usize::from(left.is_some());
        }
        if right.is_none() {
            right = self.neighbour(replaced.end, state, |right| {
                (right.object, right.start) == (object, end)
            });
            replaced.end += usize::from(right.is_some());
        }
        let same = |record: &Record<S>| Some(record.state) == state;
        let grown = state.map(|state| Record {
            object,
            start: left.filter(same).map_or(start, |left| left.start),
            end: right.filter(same).map_or(end, |right| right.end),
            state,
        });
        let head = left.filter(|left| !same(left));
        let tail = right.filter(|right| !same(right) && !mutated!(TailOfCutRecordForgotten));
        let parts = [
            head.map(|left| Record { end: start, ..left }),
            grown,
            tail.map(|right| Record {
                start: end,
                ..right
            }),
        ];
        let fresh = parts.into_iter().flatten().collect();
        Change { replaced, fresh }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.records.clear();
    }

    /// All records, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Span, S)> {
        self.records
            .iter()
            .map(|record| (record.span(), record.state))
    }

    /// The index of the first record that does not end before this byte.
    fn first_after(&self, object: ObjectId, offset: u64) -> usize {
        self.records
            .partition_point(|record| record.is_before(object, offset))
    }

    /// A record that can be one with its neighbour of this state.
    fn neighbour(
        &self,
        index: usize,
        state: Option<S>,
        touches: impl Fn(&Record<S>) -> bool,
    ) -> Option<Record<S>> {
        let record = self.records.get(index).copied()?;
        let same = Some(record.state) == state && !mutated!(NeighboursStayApart);
        (same && touches(&record)).then_some(record)
    }

    /// Merges the two neighbours of one object that lose least by it.
    fn merge_nearest(&mut self) -> bool {
        let pairs = self.records.windows(2).filter_map(|pair| {
            let (left, right) = (pair[0], pair[1]);
            if left.object != right.object {
                return None;
            }
            let distance = right.start - left.end;
            let gap = if distance == 0 {
                Gap::None
            } else {
                Gap::Unknown
            };
            let state = left.state.merged(right.state, gap)?;
            let merged = Record {
                end: right.end,
                state,
                ..left
            };
            Some(((left.state != right.state, distance), merged))
        });
        let best = pairs.min_by_key(|&(cost, _)| cost);
        if let Some((_, merged)) = best {
            self.replace(merged.span(), Some(merged.state));
        }
        best.is_some()
    }

    fn victim(&mut self) -> Option<(Span, S)> {
        let (object, start) = self.hand;
        let next = self
            .records
            .partition_point(|record| (record.object, record.start) <= (object, start));
        let record = *self.records.get(next).or(self.records.first())?;
        self.hand = (record.object, record.start);
        Some((record.span(), record.state))
    }
}
