//! Range records against a plain map from bytes to what is known of them.

use darner_coherence::NodeId;
use darner_coherence::ranges::{Gap, ObjectId, RangeState, RangeTable, Room, Span};
use proptest::prelude::*;
use std::collections::BTreeMap;

/// What is known is a set; knowing more than is so does no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Set(u8);

/// What must not be said of bytes that it was not said of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Owned(u8);

impl RangeState for Set {
    fn merged(self, other: Self, _gap: Gap) -> Option<Self> {
        Some(Self(self.0 | other.0))
    }
}

impl RangeState for Owned {
    fn merged(self, other: Self, gap: Gap) -> Option<Self> {
        (gap == Gap::None).then_some(Self(self.0 & other.0))
    }
}

const BYTES: u64 = 40;

#[derive(Clone, Copy, Debug)]
enum Op {
    Set(Span, Option<u8>),
    Add(Span, u8),
    Take(Span, u8),
    MakeRoom(usize),
}

fn object(number: u32) -> ObjectId {
    let home = NodeId(1);
    ObjectId { home, number }
}

fn span() -> impl Strategy<Value = Span> {
    (0..3_u32, 0..BYTES, 1..12_u64).prop_map(|(number, start, length)| {
        Span::new(object(number), start, (start + length).min(BYTES)).expect("a byte")
    })
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (span(), proptest::option::of(1..4_u8)).prop_map(|(span, state)| Op::Set(span, state)),
        2 => (span(), 1..4_u8).prop_map(|(span, bits)| Op::Add(span, bits)),
        2 => (span(), 1..4_u8).prop_map(|(span, bits)| Op::Take(span, bits)),
        1 => (1..4_usize).prop_map(Op::MakeRoom),
    ]
}

type Oracle = BTreeMap<(u32, u64), u8>;

fn bytes(span: Span) -> impl Iterator<Item = (u32, u64)> {
    (span.start()..span.end()).map(move |offset| (span.object().number, offset))
}

fn contents<S: RangeState>(table: &RangeTable<S>, bits: fn(S) -> u8) -> Oracle {
    table
        .iter()
        .flat_map(|(span, state)| bytes(span).map(move |byte| (byte, bits(state))))
        .collect()
}

/// As many records as there must be, and no more than there may be.
fn check<S: RangeState>(table: &RangeTable<S>) -> Result<(), TestCaseError> {
    prop_assert!(table.len() <= table.capacity());
    let records: Vec<(Span, S)> = table.iter().collect();
    for pair in records.windows(2) {
        let ((left, one), (right, other)) = (pair[0], pair[1]);
        prop_assert!((left.object(), left.end()) <= (right.object(), right.start()));
        let touch = left.object() == right.object() && left.end() == right.start();
        prop_assert!(!touch || one != other, "two records say the same");
    }
    Ok(())
}

fn play<S: RangeState + std::fmt::Debug>(
    ops: &[Op],
    of: fn(u8) -> S,
    bits: fn(S) -> u8,
    may_stand_for: fn(Option<u8>, Option<u8>) -> bool,
) -> Result<(), TestCaseError> {
    let mut table = RangeTable::new(8);
    let mut oracle = Oracle::new();
    for &op in ops {
        let change = |known: Option<u8>| match op {
            Op::Set(_, state) => state,
            Op::Add(_, more) => Some(known.unwrap_or(0) | more),
            Op::Take(_, less) => known.map(|known| known & !less).filter(|&left| left != 0),
            Op::MakeRoom(_) => known,
        };
        let done = match op {
            Op::Set(span, state) => table.set(span, state.map(of)),
            Op::Add(span, _) | Op::Take(span, _) => {
                table.update(span, |known| change(known.map(bits)).map(of))
            }
            Op::MakeRoom(changes) => {
                make_room(&mut table, changes, &oracle, bits, may_stand_for)?;
                oracle = contents(&table, bits);
                Ok(())
            }
        };
        if let (Ok(()), Op::Set(span, _) | Op::Add(span, _) | Op::Take(span, _)) = (done, op) {
            for byte in bytes(span) {
                match change(oracle.get(&byte).copied()) {
                    Some(state) => oracle.insert(byte, state),
                    None => oracle.remove(&byte),
                };
            }
        }
        check(&table)?;
        prop_assert_eq!(contents(&table, bits), oracle.clone(), "after {:?}", op);
        look_up(&table, &oracle, bits)?;
    }
    Ok(())
}

fn look_up<S: RangeState>(
    table: &RangeTable<S>,
    oracle: &Oracle,
    bits: fn(S) -> u8,
) -> Result<(), TestCaseError> {
    for number in 0..3 {
        for offset in 0..BYTES {
            let known = table.get(object(number), offset).map(bits);
            prop_assert_eq!(known, oracle.get(&(number, offset)).copied());
        }
        let part = Span::new(object(number), 5, 20).expect("bytes");
        let covered = bytes(part).all(|byte| oracle.get(&byte).is_some_and(|bits| bits & 1 == 1));
        prop_assert_eq!(table.covers(part, |state| bits(state) & 1 == 1), covered);
    }
    Ok(())
}

/// Room is made by saying less, or more, as the state allows, and by what is thrown away.
fn make_room<S: RangeState + std::fmt::Debug>(
    table: &mut RangeTable<S>,
    changes: usize,
    oracle: &Oracle,
    bits: fn(S) -> u8,
    may_stand_for: fn(Option<u8>, Option<u8>) -> bool,
) -> Result<(), TestCaseError> {
    let mut oracle = oracle.clone();
    for _ in 0..=table.capacity() {
        let room = table.make_room(changes);
        let now = contents(table, bits);
        for byte in (0..3).flat_map(|number| (0..BYTES).map(move |offset| (number, offset))) {
            let (new, old) = (now.get(&byte).copied(), oracle.get(&byte).copied());
            prop_assert!(
                may_stand_for(new, old),
                "{:?} stands for {:?} at {:?}",
                new,
                old,
                byte
            );
        }
        match room {
            Room::Made => {
                prop_assert!(table.has_room(changes));
                return Ok(());
            }
            Room::Recall(span, state) => {
                let recorded: Vec<(Span, S)> = table.within(span).collect();
                prop_assert_eq!(recorded, vec![(span, state)]);
                table.set(span, None).expect("it needs no room");
                oracle = contents(table, bits);
            }
        }
    }
    prop_assert!(false, "there is still no room");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_table_is_a_map_from_bytes(ops in proptest::collection::vec(op(), 1..60)) {
        let more = |new: Option<u8>, old: Option<u8>| {
            old.is_none_or(|old| new.is_some_and(|new| new & old == old))
        };
        play(&ops, Set, |set: Set| set.0, more)?;
    }

    #[test]
    fn what_must_not_be_overstated_is_not(ops in proptest::collection::vec(op(), 1..60)) {
        let less = |new: Option<u8>, old: Option<u8>| {
            new.is_none_or(|new| old.is_some_and(|old| new & old == new))
        };
        play(&ops, Owned, |owned: Owned| owned.0, less)?;
    }
}
