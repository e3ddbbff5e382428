//! What an address of the heap is used for.

use core::sync::atomic::Ordering;

use crate::class::TABLE;
use crate::heap::{Core, Heap};
use crate::source::{Environment, PAGE};
use crate::unit::{Tag, UNIT};

/// See [`Heap::place_at`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A zone: it is cut into chunks of so many bytes.
    Zone(usize),
    /// A run of pages for one request, so many bytes of them.
    Run(usize),
}

impl<E: Environment> Heap<E> {
    /// What is at `address` at this moment; `None`: nothing that is in use. Any context: takes no lock, and
    /// as long as a run has units before the address.
    pub fn place_at(&self, address: usize) -> Option<Place> {
        let (unit, offset) = self.unit_at(address)?;
        if unit.tag().is_zone() {
            return Some(Place::Zone(TABLE[unit.tag().class()].size as usize));
        }
        // Only the first unit of a run says that it is one.
        let last = (offset / UNIT) as u32;
        let is_something = |&number: &u32| self.unit(number).tag() != Tag::NOTHING;
        let first = (0..=last).rev().find(is_something)?;
        if self.unit(first).tag() != Tag::RUN {
            return None;
        }
        let bytes = self.unit(first).pages.load(Ordering::Relaxed) as usize * PAGE;
        (offset - (first as usize) * UNIT < bytes).then_some(Place::Run(bytes))
    }
}
