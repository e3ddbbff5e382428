//! The descriptor table: small numbers for open things.

use alloc::vec::Vec;

use crate::Error;

/// Gives out the lowest free number, up to a bound.
pub struct DescriptorTable<T> {
    slots: Vec<Option<T>>,
    /// None below is free.
    lowest: usize,
    limit: usize,
}

impl<T> DescriptorTable<T> {
    /// An empty table for the numbers `0..limit`.
    pub const fn new(limit: usize) -> Self {
        Self {
            slots: Vec::new(),
            lowest: 0,
            limit,
        }
    }

    /// Enters `value` under the lowest free number that is at least `from`.
    ///
    /// When it cannot be entered it is given back with the reason.
    pub fn insert(&mut self, value: T, from: usize) -> Result<i32, (T, Error)> {
        let from = from.max(self.lowest);
        let free = (from..self.slots.len()).find(|&index| self.slots[index].is_none());
        let index = free.unwrap_or(self.slots.len().max(from));
        if index >= self.limit {
            return Err((value, Error::TooManyOpen));
        }
        if index >= self.slots.len() {
            let more = index + 1 - self.slots.len();
            if self.slots.try_reserve(more).is_err() {
                return Err((value, Error::NoMemory));
            }
            self.slots.resize_with(index + 1, || None);
        }
        self.slots[index] = Some(value);
        if from == self.lowest {
            self.lowest = index + 1;
        }
        Ok(index as i32)
    }

    /// What the number stands for.
    pub fn get(&self, number: i32) -> Result<&T, Error> {
        let index = usize::try_from(number).map_err(|_| Error::BadDescriptor)?;
        self.slots
            .get(index)
            .and_then(Option::as_ref)
            .ok_or(Error::BadDescriptor)
    }

    /// What the number stands for, to change it.
    pub fn get_mut(&mut self, number: i32) -> Result<&mut T, Error> {
        let index = usize::try_from(number).map_err(|_| Error::BadDescriptor)?;
        self.slots
            .get_mut(index)
            .and_then(Option::as_mut)
            .ok_or(Error::BadDescriptor)
    }

    /// Frees the number and gives back what it stood for.
    pub fn remove(&mut self, number: i32) -> Result<T, Error> {
        let index = usize::try_from(number).map_err(|_| Error::BadDescriptor)?;
        let removed = self.slots.get_mut(index).and_then(Option::take);
        if removed.is_some() {
            self.lowest = self.lowest.min(index);
        }
        removed.ok_or(Error::BadDescriptor)
    }
}
