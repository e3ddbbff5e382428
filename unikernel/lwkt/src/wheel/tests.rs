//! The wheel against an ordered map, and as a hardware timer would drive it.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::{SEARCHED, Timed, Timer, Wheel};
use crate::machine::Nanos;

struct Sleeper {
    number: usize,
    timer: Timer<Sleeper>,
}

// SAFETY: returns a field, always the same.
unsafe impl Timed for Sleeper {
    fn timer(&self) -> &Timer<Self> {
        &self.timer
    }
}

#[allow(clippy::arc_with_non_send_sync, reason = "wheels own an Arc")]
fn sleepers(count: usize) -> Vec<Arc<Sleeper>> {
    (0..count)
        .map(|number| {
            let timer = Timer::new();
            Arc::new(Sleeper { number, timer })
        })
        .collect()
}

const SLEEPERS: usize = 30;

const HOUR: Nanos = 3_600_000_000_000;
const YEAR: Nanos = 8_766 * HOUR;

#[derive(Clone, Debug)]
enum Step {
    /// Inserts one, due so much after now.
    Insert(usize, Nanos),
    /// Inserts one that was due so much before now.
    InsertPast(usize, Nanos),
    /// Inserts one, due when another one is.
    InsertEqual(usize, usize),
    Remove(usize),
    /// Lets time pass.
    Pass(Nanos),
    /// Lets time pass until the hardware is to fire.
    PassToNext,
    Expire,
    ExpireAll,
}

/// Times of every magnitude alike.
fn span() -> impl Strategy<Value = Nanos> {
    (0..64u32, any::<u64>()).prop_map(|(bits, any)| any >> bits >> 1)
}

/// Times near enough to meet in slots.
fn short_span() -> impl Strategy<Value = Nanos> {
    prop_oneof![0..200u64, 0..100_000u64, Just(HOUR), Just(YEAR)]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let span = || prop_oneof![1 => span(), 3 => short_span()];
    let step = prop_oneof![
        8 => (0..SLEEPERS, span()).prop_map(|(one, after)| Step::Insert(one, after)),
        1 => (0..SLEEPERS, span()).prop_map(|(one, before)| Step::InsertPast(one, before)),
        2 => (0..SLEEPERS, 0..SLEEPERS).prop_map(|(one, as_)| Step::InsertEqual(one, as_)),
        4 => (0..SLEEPERS).prop_map(Step::Remove),
        2 => short_span().prop_map(Step::Pass),
        1 => span().prop_map(Step::Pass),
        3 => Just(Step::PassToNext),
        2 => Just(Step::Expire),
        2 => Just(Step::ExpireAll),
    ];
    prop::collection::vec(step, 0..300)
}

/// What is in the wheel. Those past at insertion have no exact position in the
/// order, so they are kept with the earliest and the latest they may have.
#[derive(Default)]
struct Model {
    /// By deadline and the number of the insertion.
    ahead: BTreeMap<(Nanos, usize), usize>,
    /// The sleeper, its deadline, the time of insertion.
    past: Vec<(usize, Nanos, Nanos)>,
    insertions: usize,
}

impl Model {
    fn insert(&mut self, sleeper: usize, deadline: Nanos, now: Nanos) {
        if deadline <= now {
            self.past.push((sleeper, deadline, now));
        } else {
            self.insertions += 1;
            self.ahead.insert((deadline, self.insertions), sleeper);
        }
    }

    fn contains(&self, sleeper: usize) -> bool {
        self.ahead.values().any(|&other| other == sleeper)
            || self.past.iter().any(|&(other, ..)| other == sleeper)
    }

    fn deadline(&self, sleeper: usize) -> Option<Nanos> {
        let ahead = self.ahead.iter().map(|(&(due, _), &other)| (other, due));
        let past = self.past.iter().map(|&(other, due, _)| (other, due));
        ahead
            .chain(past)
            .find(|&(other, _)| other == sleeper)
            .map(|(_, due)| due)
    }

    fn remove(&mut self, sleeper: usize) {
        self.ahead.retain(|_, &mut other| other != sleeper);
        self.past.retain(|&(other, ..)| other != sleeper);
    }

    fn len(&self) -> usize {
        self.ahead.len() + self.past.len()
    }

    /// Whether `sleeper` may be the one that expires now.
    fn may_expire(&self, sleeper: usize, now: Nanos) -> bool {
        let first_ahead = self.ahead.first_key_value();
        if let Some(&(_, deadline, _)) = self.past.iter().find(|&&(other, ..)| other == sleeper) {
            // What is ahead comes first if it was due before this one was.
            return first_ahead.is_none_or(|(&(due, _), _)| deadline <= due);
        }
        // Before one that is ahead come those inserted past before it is due.
        first_ahead.is_some_and(|(&(due, _), &first)| {
            first == sleeper
                && due <= now
                && self.past.iter().all(|&(_, _, inserted)| inserted >= due)
        })
    }

    fn any_due(&self, now: Nanos) -> bool {
        !self.past.is_empty()
            || self
                .ahead
                .first_key_value()
                .is_some_and(|(&(due, _), _)| due <= now)
    }

    /// The least and the most that `next` may be.
    fn next(&self) -> Option<(Nanos, Nanos)> {
        let ahead = self.ahead.keys().map(|&(due, _)| (due, due));
        let past = self.past.iter().map(|&(_, due, inserted)| (due, inserted));
        let bounds: Vec<_> = ahead.chain(past).collect();
        Some((
            bounds.iter().map(|bound| bound.0).min()?,
            bounds.iter().map(|bound| bound.1).min()?,
        ))
    }
}

/// Takes out one, or all that are due; checks each.
fn expire(wheel: &Wheel<Sleeper>, model: &mut Model, now: Nanos, all: bool) {
    loop {
        let Some(sleeper) = wheel.expire(now) else {
            assert!(!model.any_due(now), "something due was not returned");
            return;
        };
        assert!(model.deadline(sleeper.number).unwrap() <= now, "early");
        assert!(model.may_expire(sleeper.number, now), "out of order");
        model.remove(sleeper.number);
        if !all {
            return;
        }
    }
}

fn check(wheel: &Wheel<Sleeper>, model: &Model, sleepers: &[Arc<Sleeper>]) {
    assert_eq!(wheel.is_empty(), model.len() == 0);
    match (wheel.next(), model.next()) {
        (None, None) => {}
        (Some(next), Some((least, most))) => {
            assert!(next <= most, "the hardware would fire late");
            assert!(
                next >= least || model.len() > SEARCHED,
                "not exact: {next}, should be {least}"
            );
        }
        (next, expected) => panic!("{next:?}, should be {expected:?}"),
    }
    for sleeper in sleepers {
        let deadline = model.deadline(sleeper.number);
        assert_eq!(sleeper.timer.deadline(), deadline);
        assert_eq!(wheel.contains(sleeper), deadline.is_some());
        let owners = if deadline.is_some() { 2 } else { 1 };
        assert_eq!(Arc::strong_count(sleeper), owners);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn as_the_model(start in span(), steps in steps()) {
        let sleepers = sleepers(SLEEPERS);
        let wheel = Wheel::<Sleeper>::new();
        let mut model = Model::default();
        let mut now: Nanos = start;
        for step in steps {
            let insert = match step {
                Step::Insert(one, after) => Some((one, now.saturating_add(after))),
                Step::InsertPast(one, before) => Some((one, now.saturating_sub(before))),
                Step::InsertEqual(one, other) => {
                    model.deadline(other).map(|deadline| (one, deadline))
                }
                Step::Remove(one) => {
                    let expected = model.contains(one).then_some(one);
                    let out = wheel.remove(&sleepers[one]).map(|sleeper| sleeper.number);
                    assert_eq!(out, expected);
                    model.remove(one);
                    None
                }
                Step::Pass(time) => {
                    now = now.saturating_add(time);
                    None
                }
                Step::PassToNext => {
                    now = now.max(wheel.next().unwrap_or(now));
                    None
                }
                Step::Expire => {
                    expire(&wheel, &mut model, now, false);
                    None
                }
                Step::ExpireAll => {
                    expire(&wheel, &mut model, now, true);
                    None
                }
            };
            if let Some((one, deadline)) = insert
                && !model.contains(one)
            {
                wheel.insert(sleepers[one].clone(), deadline, now);
                model.insert(one, deadline, now);
            }
            check(&wheel, &model, &sleepers);
        }
        drop(wheel);
        for sleeper in &sleepers {
            assert_eq!(Arc::strong_count(sleeper), 1);
            assert!(!sleeper.timer.is_set());
        }
    }

    /// A hardware timer that fires when `next` says: all come out to the
    /// nanosecond, in order, and few calls return nothing.
    #[test]
    fn exact_by_the_hardware(start in span(), spans in prop::collection::vec(span(), 1..400)) {
        let sleepers = sleepers(spans.len());
        let wheel = Wheel::<Sleeper>::new();
        let mut expected: Vec<_> = spans
            .iter()
            .enumerate()
            .map(|(number, span)| (start.saturating_add(*span), number))
            .collect();
        for &(deadline, number) in &expected {
            wheel.insert(sleepers[number].clone(), deadline, start);
        }
        expected.sort();
        let mut out = Vec::new();
        let mut idle = 0;
        let mut now = start;
        while let Some(next) = wheel.next() {
            prop_assert!(next >= now);
            now = next;
            let before = out.len();
            out.extend(std::iter::from_fn(|| wheel.expire(now)).map(|one| (now, one.number)));
            idle += usize::from(out.len() == before);
        }
        prop_assert_eq!(&out, &expected);
        // Each such call cascades a slot with more than `SEARCHED` elements in it,
        // each of which cascades at most ten times.
        prop_assert!(idle <= 10 * spans.len() / (SEARCHED + 1), "{} idle calls", idle);
    }
}

#[test]
fn empty() {
    let wheel = Wheel::<Sleeper>::new();
    assert_eq!(wheel.next(), None);
    for now in [0, 1, HOUR, YEAR, Nanos::MAX, Nanos::MAX] {
        assert!(wheel.expire(now).is_none());
    }
    assert!(wheel.is_empty());
}

#[test]
fn the_extremes_of_time() {
    let sleepers = sleepers(3);
    let wheel = Wheel::<Sleeper>::new();
    for (sleeper, deadline) in sleepers.iter().zip([Nanos::MAX, 0, Nanos::MAX - 1]) {
        wheel.insert(sleeper.clone(), deadline, 0);
    }
    assert_eq!(wheel.next(), Some(0));
    assert_eq!(wheel.expire(0).unwrap().number, 1);
    assert!(wheel.expire(Nanos::MAX - 2).is_none());
    assert_eq!(wheel.next(), Some(Nanos::MAX - 1));
    assert_eq!(wheel.expire(Nanos::MAX - 1).unwrap().number, 2);
    assert!(wheel.expire(Nanos::MAX - 1).is_none());
    assert_eq!(wheel.expire(Nanos::MAX).unwrap().number, 0);
    // And at the end of time, one more.
    wheel.insert(sleepers[1].clone(), Nanos::MAX, Nanos::MAX);
    assert_eq!(wheel.expire(Nanos::MAX).unwrap().number, 1);
    assert!(wheel.expire(Nanos::MAX).is_none());
}

#[test]
fn a_crowded_slot_cascades_when_it_is_reached() {
    let sleepers = sleepers(SEARCHED + 1);
    let wheel = Wheel::<Sleeper>::new();
    // Slot 1 of level 5 begins at 2^30 ns.
    let deadline = |number: usize| (1 << 30) + 1_000_000 * (number as Nanos + 1);
    for sleeper in &sleepers {
        wheel.insert(sleeper.clone(), deadline(sleeper.number), 0);
    }
    assert_eq!(wheel.next(), Some(1 << 30));
    assert!(wheel.expire(1 << 30).is_none());
    assert_eq!(wheel.next(), Some(deadline(0)));
    assert!(wheel.expire(deadline(0) - 1).is_none());
    // All at once, long after.
    let order: Vec<_> = std::iter::from_fn(|| wheel.expire(YEAR))
        .map(|sleeper| sleeper.number)
        .collect();
    assert_eq!(order, (0..=SEARCHED).collect::<Vec<_>>());
}

#[test]
fn an_uncrowded_slot_is_exact_at_any_distance() {
    let sleepers = sleepers(SEARCHED);
    let wheel = Wheel::<Sleeper>::new();
    for sleeper in &sleepers {
        let deadline = 10 * YEAR + 7 * (SEARCHED - sleeper.number) as Nanos;
        wheel.insert(sleeper.clone(), deadline, HOUR);
    }
    assert_eq!(wheel.next(), Some(10 * YEAR + 7));
}

#[test]
fn the_wheel_keeps_up_when_all_are_cancelled() {
    let sleepers = sleepers(2);
    let wheel = Wheel::<Sleeper>::new();
    // One far away keeps the wheel in use; the other comes and goes.
    wheel.insert(sleepers[0].clone(), YEAR, 0);
    for round in 0..1000 {
        let now = round * HOUR / 7;
        wheel.insert(sleepers[1].clone(), now + 1_000_000, now);
        assert_eq!(wheel.reached.get(), now);
        assert_eq!(wheel.next(), Some(now + 1_000_000));
        assert!(wheel.remove(&sleepers[1]).is_some());
        assert_eq!(wheel.next(), Some(YEAR));
    }
}

#[test]
fn another_wheels_element_stays_there() {
    let sleepers = sleepers(1);
    let (one, other) = (Wheel::<Sleeper>::new(), Wheel::<Sleeper>::new());
    one.insert(sleepers[0].clone(), HOUR, 0);
    assert!(other.remove(&sleepers[0]).is_none());
    assert_eq!(sleepers[0].timer.deadline(), Some(HOUR));
    assert!(one.remove(&sleepers[0]).is_some());
    assert_eq!(sleepers[0].timer.deadline(), None);
}

#[test]
#[should_panic(expected = "in a list was put into a list")]
fn one_deadline_at_a_time() {
    let sleepers = sleepers(1);
    let wheel = Wheel::<Sleeper>::new();
    wheel.insert(sleepers[0].clone(), HOUR, 0);
    wheel.insert(sleepers[0].clone(), YEAR, 0);
}
