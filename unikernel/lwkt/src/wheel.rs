//! Timeouts of a CPU: a hierarchical timer wheel (Varghese and Lauck, 1987) with
//! slots of one nanosecond, so nothing is rounded.
//!
//! A time is read as eleven digits to base 64. The wheel has a level for each digit
//! and remembers a time that it has come to. What is due at another time is on the
//! level of the highest digit in which the two differ, in the slot that this digit
//! of its deadline names. Hence on each level all that is left is ahead, the slot to
//! come first is the lowest that is in use of the lowest level in use, and two bit
//! searches find it, however far the clock has jumped.
//!
//! When the wheel comes to a slot of level 0, what is in it is due to the
//! nanosecond. When it comes to one of a higher level, what is in it moves to lower
//! levels (a *cascade*); each timeout does so at most ten times, mostly once or
//! twice, and not at all if it is cancelled early, as most are.
//!
//! A wheel belongs to one CPU, which touches it in critical sections only; see
//! [`crate::list`] about elements.

use alloc::sync::Arc;
use core::cell::Cell;
use core::marker::PhantomData;

use crate::list::{Adapter, Id, Links, Ring, refuse};
use crate::machine::Nanos;

/// Bits of a digit.
const DIGIT: u32 = 6;
/// Slots of a level.
const SLOTS: usize = 1 << DIGIT;
/// Digits of a time.
const LEVELS: usize = Nanos::BITS.div_ceil(DIGIT) as usize;
/// [`Wheel::next`] searches a slot of up to this many for the earliest.
const SEARCHED: usize = 8;

/// An element's part of a wheel: a field of the element.
pub struct Timer<T> {
    links: Links<T>,
    deadline: Cell<Nanos>,
}

impl<T> Timer<T> {
    /// The timer of an element that is in no wheel.
    pub const fn new() -> Self {
        Self {
            links: Links::new(),
            deadline: Cell::new(0),
        }
    }

    /// Whether the element is in a wheel.
    #[inline(always)]
    pub fn is_set(&self) -> bool {
        self.links.is_linked()
    }

    /// When the element is due, if it is in a wheel.
    #[inline(always)]
    pub fn deadline(&self) -> Option<Nanos> {
        self.is_set().then(|| self.deadline.get())
    }
}

impl<T> Default for Timer<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// What can be in a wheel.
///
/// # Safety
/// As for [`Adapter`]: `timer` returns a field of `self`, the same one each time,
/// and does nothing else.
pub unsafe trait Timed: Sized {
    /// The element's part of a wheel.
    fn timer(&self) -> &Timer<Self>;
}

/// Finds the links for wheels.
struct ByTimer<T>(PhantomData<T>);

// SAFETY: `Timed` promises the same.
unsafe impl<T: Timed> Adapter for ByTimer<T> {
    type Element = T;
    #[inline(always)]
    fn links(element: &T) -> &Links<T> {
        &element.timer().links
    }
}

/// The timeouts of a CPU; see the module. Takes about 6 KB.
pub struct Wheel<T: Timed> {
    id: Id,
    /// Not after the beginning of any slot in use.
    first: Cell<Nanos>,
    /// The time that the wheel has come to: not after any slot in use.
    reached: Cell<Nanos>,
    /// One bit for each level in use.
    levels: Cell<u16>,
    /// One bit for each slot in use.
    slots: [Cell<u64>; LEVELS],
    rings: [[Ring<ByTimer<T>>; SLOTS]; LEVELS],
}

/// A slot of the wheel.
#[derive(Clone, Copy)]
struct Slot {
    level: usize,
    /// Less than [`SLOTS`].
    number: usize,
}

impl<T: Timed> Wheel<T> {
    /// An empty wheel.
    pub fn new() -> Self {
        Self {
            id: Id::unique(),
            first: Cell::new(Nanos::MAX),
            reached: Cell::new(0),
            levels: Cell::new(0),
            slots: [const { Cell::new(0) }; LEVELS],
            rings: [const { [const { Ring::new() }; SLOTS] }; LEVELS],
        }
    }

    /// Whether nothing is in the wheel.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.levels.get() == 0
    }

    /// Whether `element` is in this wheel.
    #[inline(always)]
    pub fn contains(&self, element: &T) -> bool {
        self.slot_of(element).is_some()
    }

    /// Sets the timer of `element` to `deadline`, which may be past: then it is due
    /// at once. `now` is the time now, never less than it was at an earlier call
    /// with this wheel (if it is, elements are due late by the difference).
    ///
    /// Constant time. A hardware timer that is set for what [`Self::next`] returned
    /// need be set anew only if `deadline` is before that.
    ///
    /// # Panics
    /// When the element is in a wheel already.
    #[inline]
    pub fn insert(&self, element: Arc<T>, deadline: Nanos, now: Nanos) {
        // The nearer the wheel is to the present, the lower the levels.
        if now >= self.first.get() {
            self.first
                .set(self.earliest().map_or(Nanos::MAX, |slot| self.start(slot)));
        }
        if now < self.first.get() {
            self.reach(now);
        }
        self.put(element, deadline);
    }

    /// Takes `element` out, due or not; `None` when it is not in this wheel.
    /// Constant time. A hardware timer may stay as it is: [`Self::expire`] returns
    /// nothing when it is called for nothing.
    #[inline]
    pub fn remove(&self, element: &T) -> Option<Arc<T>> {
        let slot = self.slot_of(element)?;
        let ring = &self.rings[slot.level][slot.number];
        // SAFETY: only this wheel writes its number into links, with the slot whose
        // ring the element is in.
        let element = unsafe { ring.remove(element) };
        if ring.is_empty() {
            self.unuse(slot);
        }
        Some(element)
    }

    /// When to call [`Self::expire`] next, at the latest; `None` when the wheel is
    /// empty. It may be past: then at once.
    ///
    /// It is the earliest deadline, to the nanosecond, if at most eight elements are
    /// in the first slot in use, or if that slot is on level 0. Otherwise it is the
    /// beginning of that slot, which is not after the earliest deadline: `expire`
    /// at that time cascades the slot, and returns an element only if one is due to
    /// the nanosecond; so a slot costs at most one such call on each level. A
    /// deadline that was past at its insertion counts as some time from then to the
    /// insertion. Constant time.
    pub fn next(&self) -> Option<Nanos> {
        let slot = self.earliest()?;
        let start = self.start(slot);
        if slot.level == 0 {
            return Some(start);
        }
        let deadline = |element: &T| element.timer().deadline.get();
        let ring = &self.rings[slot.level][slot.number];
        Some(ring.least(SEARCHED, deadline).unwrap_or(start))
    }

    /// Takes out one element whose deadline is not after `now`, the time now (see
    /// [`Self::insert`]); `None` when there is none. Called until it returns `None`.
    ///
    /// Elements come in the order of their deadlines, those with the same deadline
    /// in the order of their insertion; one whose deadline was past when it was
    /// inserted comes before all whose deadline is after its insertion.
    ///
    /// One comparison when nothing is due. Otherwise the time is bounded by the
    /// number of elements that cascade, never by the time that has passed.
    #[inline]
    pub fn expire(&self, now: Nanos) -> Option<Arc<T>> {
        if now < self.first.get() {
            return None;
        }
        self.expire_first(now)
    }

    /// The same, when something may be due. Kept out of the way of the comparison.
    #[inline(never)]
    fn expire_first(&self, now: Nanos) -> Option<Arc<T>> {
        while let Some(slot) = self.earliest() {
            let start = self.start(slot);
            if now < start {
                self.first.set(start);
                self.reach(now);
                return None;
            }
            let ring = &self.rings[slot.level][slot.number];
            if slot.level == 0 {
                self.reach(start);
                let element = ring.pop_front();
                if ring.is_empty() {
                    self.unuse(slot);
                }
                return element;
            }
            // All of it belongs on lower levels once the wheel has come to the slot;
            // the nearer it comes to the first of them, the lower.
            let elements = ring.take();
            self.unuse(slot);
            let deadline = |element: &T| element.timer().deadline.get();
            let least = elements.least(usize::MAX, deadline).unwrap_or(start);
            self.reach(least.min(now));
            while let Some(element) = elements.pop_front() {
                let deadline = deadline(&element);
                self.put(element, deadline);
            }
        }
        self.reach(now);
        None
    }

    /// Moves the wheel on to `time`, unless it is further. There must be no slot in
    /// use that begins before `time`.
    #[inline(always)]
    fn reach(&self, time: Nanos) {
        self.reached.set(self.reached.get().max(time));
    }

    /// Puts an element where its deadline belongs as seen from the time reached.
    #[inline]
    fn put(&self, element: Arc<T>, deadline: Nanos) {
        let reached = self.reached.get();
        let due = deadline.max(reached);
        // The lowest bit changes no digit's being the highest, and makes one of none.
        let level = ((due ^ reached) | 1).ilog2() / DIGIT;
        let shift = level * DIGIT;
        let slot = Slot {
            level: level as usize,
            number: (due >> shift) as usize % SLOTS,
        };
        let place = self.id.place(slot.level * SLOTS + slot.number);
        let timer = element.timer();
        if timer.is_set() {
            // Its deadline is another wheel's.
            refuse();
        }
        timer.deadline.set(deadline);
        self.rings[slot.level][slot.number].push_back(element, place);
        let slots = &self.slots[slot.level];
        slots.set(slots.get() | 1 << slot.number);
        self.levels.set(self.levels.get() | 1 << slot.level);
        self.first.set(self.first.get().min(due >> shift << shift));
    }

    /// Notes that nothing is in `slot` any more.
    #[inline(always)]
    fn unuse(&self, slot: Slot) {
        let slots = &self.slots[slot.level];
        slots.set(slots.get() & !(1 << slot.number));
        if slots.get() == 0 {
            self.levels.set(self.levels.get() & !(1 << slot.level));
            if self.is_empty() {
                self.first.set(Nanos::MAX);
            }
        }
    }

    /// The slot in use that begins first.
    #[inline(always)]
    fn earliest(&self) -> Option<Slot> {
        let levels = self.levels.get();
        if levels == 0 {
            return None;
        }
        let level = levels.trailing_zeros() as usize;
        Some(Slot {
            level,
            number: self.slots[level].get().trailing_zeros() as usize % SLOTS,
        })
    }

    /// The first nanosecond of a slot in use: above its level its deadlines have the
    /// digits of the time reached.
    #[inline(always)]
    fn start(&self, slot: Slot) -> Nanos {
        let shift = slot.level as u32 * DIGIT;
        // In two steps: above the highest level there is nothing.
        let above = Nanos::MAX << shift << DIGIT;
        self.reached.get() & above | (slot.number as Nanos) << shift
    }

    /// The slot that `element` is in, if it is in this wheel.
    #[inline(always)]
    fn slot_of(&self, element: &T) -> Option<Slot> {
        let index = self.id.index_of(element.timer().links.place())?;
        Some(Slot {
            level: index / SLOTS,
            number: index % SLOTS,
        })
    }
}

impl<T: Timed> Default for Wheel<T> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
