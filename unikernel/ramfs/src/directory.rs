//! The entries of one directory.

use alloc::boxed::Box;
use alloc::vec::Vec;

use hashbrown::HashMap;

use crate::{Error, FileKind, Ino};

/// One line of a directory listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DirEntry<'a> {
    /// The name in the directory.
    pub name: &'a [u8],
    /// The inode that it names.
    pub ino: Ino,
    /// What kind of inode that is.
    pub kind: FileKind,
}

/// Names and the inodes they stand for. `.` and `..` are not stored.
pub(crate) struct Directory {
    /// What `..` means; the root is its own parent.
    pub(crate) parent: Ino,
    entries: HashMap<Box<[u8]>, Ino>,
}

impl Directory {
    pub(crate) fn new(parent: Ino) -> Self {
        Self {
            parent,
            entries: HashMap::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn get(&self, name: &[u8]) -> Option<Ino> {
        self.entries.get(name).copied()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], Ino)> {
        self.entries.iter().map(|(name, &ino)| (&**name, ino))
    }

    /// Makes room for one more entry, so that [`insert`](Self::insert) of the
    /// returned name needs no memory.
    pub(crate) fn reserve(&mut self, name: &[u8]) -> Result<Box<[u8]>, Error> {
        let mut owned = Vec::new();
        owned
            .try_reserve_exact(name.len())
            .map_err(|_| Error::NoSpace)?;
        owned.extend_from_slice(name);
        self.entries.try_reserve(1).map_err(|_| Error::NoSpace)?;
        Ok(owned.into_boxed_slice())
    }

    /// Enters a name from [`reserve`](Self::reserve), in place of what it stood
    /// for before.
    pub(crate) fn insert(&mut self, name: Box<[u8]>, ino: Ino) {
        self.entries.insert(name, ino);
    }

    pub(crate) fn remove(&mut self, name: &[u8]) {
        self.entries.remove(name);
    }
}
