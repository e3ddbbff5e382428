//! Any sequence of calls does what a simple model says, which keeps each block that is
//! allocated and looks at every frame.

use std::collections::BTreeMap;
use std::ops::Range;

use darner_frames::{Buddy, Frame, FreeError, MAX_ORDER, Order};
use proptest::prelude::*;

mod common;

use common::{Memory, table};

/// What is allocated.
struct Model {
    segments: Vec<Range<Frame>>,
    blocks: BTreeMap<Frame, Order>,
}

impl Model {
    fn total(&self) -> u64 {
        self.segments.iter().map(|s| s.end - s.start).sum()
    }

    fn free_frames(&self) -> u64 {
        self.total() - self.blocks.values().map(|order| 1 << order).sum::<u64>()
    }

    fn block_with(&self, frame: Frame) -> Option<(Frame, Order)> {
        let (&start, &order) = self.blocks.range(..=frame).next_back()?;
        (frame < start + (1 << order)).then_some((start, order))
    }

    /// Whether all frames of the block are in one segment and free.
    fn is_free(&self, frame: Frame, order: Order) -> bool {
        let end = frame + (1 << order);
        self.segments
            .iter()
            .any(|s| s.start <= frame && end <= s.end)
            && (frame..end).all(|frame| self.block_with(frame).is_none())
    }

    fn can_allocate(&self, order: Order) -> bool {
        let size = 1usize << order;
        self.segments.iter().any(|s| {
            (s.start.next_multiple_of(size as u64)..s.end)
                .step_by(size)
                .any(|frame| self.is_free(frame, order))
        })
    }

    /// `Err` without a reason where two may be given.
    fn free(&mut self, frame: Frame, order: Order) -> Result<(), Option<FreeError>> {
        if order > MAX_ORDER || !frame.is_multiple_of(1 << order) {
            return Err(Some(FreeError::NotABlock));
        }
        if !self.segments.iter().any(|s| s.contains(&frame)) {
            return Err(Some(FreeError::NotOurs));
        }
        let (start, mut whole) = self.block_with(frame).ok_or(None)?;
        if whole < order {
            let end = frame + (1 << order);
            // What is not of one segment is not one block.
            let segment = |s: &Range<Frame>| s.start <= frame && end <= s.end;
            if !self.segments.iter().any(segment)
                || (frame..end).any(|frame| self.block_with(frame).is_none())
            {
                return Err(Some(FreeError::PartlyFree));
            }
            self.blocks.retain(|start, _| !(frame..end).contains(start));
            return Ok(());
        }
        self.blocks.remove(&start);
        // Halves, as long as the block to free is in one of them.
        while whole > order {
            whole -= 1;
            let half = frame >> whole << whole;
            self.blocks.insert(half ^ (1 << whole), whole);
        }
        Ok(())
    }
}

/// The blocks that a run of frames has when all are free.
fn whole_blocks(segment: &Range<Frame>) -> Vec<Order> {
    let mut orders = Vec::new();
    let mut at = segment.start;
    while at < segment.end {
        let order = (0..=MAX_ORDER)
            .rev()
            .find(|order| at.is_multiple_of(1 << order) && at + (1 << order) <= segment.end)
            .unwrap();
        orders.push(order);
        at += 1 << order;
    }
    orders
}

#[derive(Clone, Debug)]
enum Call {
    Allocate(Order),
    /// One of the blocks that are allocated, whole.
    Free(prop::sample::Index),
    /// A part of one, or more than it.
    FreeOther(prop::sample::Index, u64, Order),
    /// Anything.
    Wild(Frame, Order),
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        4 => (0..12u32).prop_map(Call::Allocate),
        8 => (0..3u32).prop_map(Call::Allocate),
        6 => any::<prop::sample::Index>().prop_map(Call::Free),
        3 => (any::<prop::sample::Index>(), 0..64u64, 0..8u32)
            .prop_map(|(index, offset, order)| Call::FreeOther(index, offset, order)),
        2 => (0..6000u64, 0..30u32).prop_map(|(frame, order)| Call::Wild(frame, order)),
    ]
}

/// Segments without overlap, in any order, from gaps and lengths. Some touch.
fn segments() -> impl Strategy<Value = Vec<Range<Frame>>> {
    prop::collection::vec((0..40u64, prop_oneof![1..50u64, 1..1500u64]), 1..5)
        .prop_map(|gaps| {
            let mut at = 0;
            gaps.into_iter()
                .map(|(gap, length)| {
                    let start = at + gap;
                    at = start + length;
                    start..at
                })
                .collect::<Vec<_>>()
        })
        .prop_shuffle()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn does_as_the_model(segments in segments(), calls in prop::collection::vec(call(), 0..300)) {
        let mut buddy = Buddy::new(Memory::new().0);
        for segment in &segments {
            buddy.add(segment.clone(), table(segment.end - segment.start)).unwrap();
        }
        let mut model = Model { segments, blocks: BTreeMap::new() };
        prop_assert_eq!(buddy.total(), model.total());
        for call in calls {
            let (frame, order) = match call {
                Call::Allocate(order) => {
                    let possible = buddy.largest_free();
                    let block = buddy.allocate(order);
                    prop_assert_eq!(block.is_some(), model.can_allocate(order));
                    prop_assert!(block.is_some() || possible < Some(order));
                    if let Some(frame) = block {
                        prop_assert!(frame.is_multiple_of(1 << order));
                        prop_assert!(model.is_free(frame, order), "{} was not free", frame);
                        model.blocks.insert(frame, order);
                    }
                    prop_assert_eq!(buddy.free_frames(), model.free_frames());
                    continue;
                }
                Call::Free(_) | Call::FreeOther(..) if model.blocks.is_empty() => continue,
                Call::Free(index) => {
                    let (&frame, &order) = model.blocks.iter().nth(index.index(model.blocks.len())).unwrap();
                    (frame, order)
                }
                Call::FreeOther(index, offset, order) => {
                    let (&frame, _) = model.blocks.iter().nth(index.index(model.blocks.len())).unwrap();
                    ((frame + offset) >> order << order, order)
                }
                Call::Wild(frame, order) => (frame, order),
            };
            match (buddy.free(frame, order), model.free(frame, order)) {
                (Ok(()), Ok(())) => (),
                (Err(found), Err(Some(expected))) => prop_assert_eq!(found, expected),
                (Err(FreeError::AlreadyFree | FreeError::NotOurs), Err(None)) => (),
                (found, expected) => prop_assert!(false, "{:?}, not {:?}", found, expected),
            }
            prop_assert_eq!(buddy.free_frames(), model.free_frames());
        }
        // All that is free again is as it was: the same blocks, and no others.
        for (frame, order) in std::mem::take(&mut model.blocks) {
            prop_assert_eq!(buddy.free(frame, order), Ok(()));
            prop_assert_eq!(buddy.free(frame, order), Err(FreeError::AlreadyFree));
        }
        prop_assert_eq!(buddy.free_frames(), model.total());
        let mut orders: Vec<_> = model.segments.iter().flat_map(whole_blocks).collect();
        orders.sort_unstable();
        prop_assert!(buddy.largest_free() <= orders.last().copied());
        while let Some(order) = orders.pop() {
            prop_assert!(buddy.allocate(order).is_some(), "no block of order {}", order);
        }
        prop_assert_eq!(buddy.largest_free(), None);
    }
}
