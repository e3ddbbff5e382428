//! Sockets by their names.
//!
//! A name holds the slot in which its socket is, so finding one takes no search, and a serial
//! number, so a name is never used again.

use alloc::vec::Vec;

use crate::socket::SocketId;

/// Bits of a name that hold the slot.
const SLOT: u32 = 22;
/// Bits of a name that hold the kind.
const KIND: u32 = 2;

/// What a name names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Flow = 0,
    Listener = 1,
    Datagrams = 2,
    Binding = 3,
}

/// The kind of socket that a name is of.
pub(super) fn kind(id: SocketId) -> Kind {
    match (id.0 >> SLOT) & 3 {
        0 => Kind::Flow,
        1 => Kind::Listener,
        2 => Kind::Datagrams,
        _ => Kind::Binding,
    }
}

/// All sockets of one kind.
pub(super) struct Table<T> {
    kind: Kind,
    serial: u64,
    slots: Vec<Option<(SocketId, T)>>,
    free: Vec<u32>,
}

impl<T> Table<T> {
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            serial: 0,
            slots: Vec::new(),
            free: Vec::new(),
        }
    }

    /// Puts what `make` makes for its name. `None`: there is no memory, or it made nothing.
    pub fn insert(&mut self, make: impl FnOnce(SocketId) -> Option<T>) -> Option<SocketId> {
        let slot = self.free_slot()?;
        self.serial += 1;
        let id =
            SocketId(self.serial << (SLOT + KIND) | (self.kind as u64) << SLOT | u64::from(slot));
        let made = make(id).map(|made| (id, made));
        if made.is_none() {
            self.free.push(slot);
        }
        self.slots[slot as usize] = made;
        self.slots[slot as usize].as_ref().map(|_| id)
    }

    fn free_slot(&mut self) -> Option<u32> {
        if let Some(slot) = self.free.pop() {
            return Some(slot);
        }
        let slot = u32::try_from(self.slots.len()).ok()?;
        if slot >> SLOT != 0 {
            return None;
        }
        self.slots.try_reserve(1).ok()?;
        // So that removing never needs memory.
        self.free.try_reserve(self.slots.len() + 1).ok()?;
        self.slots.push(None);
        Some(slot)
    }

    fn slot(id: SocketId) -> usize {
        (id.0 & ((1 << SLOT) - 1)) as usize
    }

    pub fn get(&self, id: SocketId) -> Option<&T> {
        match self.slots.get(Self::slot(id)) {
            Some(Some((found, value))) if *found == id => Some(value),
            _ => None,
        }
    }

    pub fn get_mut(&mut self, id: SocketId) -> Option<&mut T> {
        match self.slots.get_mut(Self::slot(id)) {
            Some(Some((found, value))) if *found == id => Some(value),
            _ => None,
        }
    }

    pub fn remove(&mut self, id: SocketId) -> Option<T> {
        self.get(id)?;
        let slot = Self::slot(id);
        let (_, value) = self.slots[slot].take()?;
        self.free.push(slot as u32);
        Some(value)
    }

    pub fn iter(&self) -> impl Iterator<Item = (SocketId, &T)> {
        self.slots.iter().flatten().map(|(id, value)| (*id, value))
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (SocketId, &mut T)> {
        self.slots
            .iter_mut()
            .flatten()
            .map(|(id, value)| (*id, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_never_used_again() {
        let mut table = Table::new(Kind::Listener);
        let first = table.insert(|_| Some(1)).unwrap();
        assert_eq!(kind(first), Kind::Listener);
        assert_eq!(table.remove(first), Some(1));
        let second = table.insert(|_| Some(2)).unwrap();
        assert_ne!(first, second);
        assert_eq!(table.get(first), None);
        assert_eq!(table.remove(first), None);
        assert_eq!(table.get(second), Some(&2));
        assert_eq!(table.iter().count(), 1);
    }
}
