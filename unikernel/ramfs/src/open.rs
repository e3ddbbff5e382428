//! Open files: what descriptors refer to.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use hermit_abi::{
    O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_NONBLOCK, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY,
};

use crate::{Error, FileKind, Ino};

/// How a file is to be opened: the flags of `open`, taken apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenFlags {
    /// Reading is allowed.
    pub read: bool,
    /// Writing is allowed.
    pub write: bool,
    /// Every write goes to the end of the file.
    pub append: bool,
    /// A missing file is made.
    pub create: bool,
    /// With `create`: an existing file is an error.
    pub exclusive: bool,
    /// The content is discarded.
    pub truncate: bool,
    /// Anything but a directory is an error.
    pub directory: bool,
    /// Operations do not wait (files of this file system never do).
    pub nonblocking: bool,
}

impl OpenFlags {
    /// Takes the `O_*` bits apart. Bits that mean nothing here are ignored.
    pub const fn from_bits(bits: i32) -> Result<Self, Error> {
        const ACCESS: i32 = O_RDONLY | O_WRONLY | O_RDWR;
        let access = bits & ACCESS;
        // Write-only and read-write at once: the value that means nothing.
        if access == ACCESS {
            return Err(Error::Invalid);
        }
        let flags = Self {
            read: access != O_WRONLY,
            write: access != O_RDONLY,
            append: bits & O_APPEND != 0,
            create: bits & O_CREAT != 0,
            exclusive: bits & O_EXCL != 0,
            truncate: bits & O_TRUNC != 0,
            directory: bits & O_DIRECTORY != 0,
            nonblocking: bits & O_NONBLOCK != 0,
        };
        // `open` makes files only.
        if flags.create && flags.directory {
            return Err(Error::Invalid);
        }
        Ok(flags)
    }
}

/// What a seek counts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whence {
    /// The beginning.
    Start,
    /// The current position.
    Current,
    /// The end.
    End,
}

/// An open file description: an inode, a position in it, and what may be done.
///
/// Descriptors that were duplicated share one of these, and with it the
/// position. The position is only meaningful under the lock that the file
/// system is behind; it is an atomic merely to be changed through `&self`.
///
/// Give it back with [`FileSystem::close`](crate::FileSystem::close): one that
/// is merely dropped keeps its inode alive for ever.
#[derive(Debug)]
#[must_use = "close it with FileSystem::close"]
pub struct OpenFile {
    pub(crate) ino: Ino,
    kind: FileKind,
    read: bool,
    write: bool,
    append: AtomicBool,
    position: AtomicU64,
}

impl OpenFile {
    pub(crate) fn new(ino: Ino, kind: FileKind, flags: OpenFlags) -> Self {
        Self {
            ino,
            kind,
            read: flags.read,
            write: flags.write,
            append: AtomicBool::new(flags.append),
            position: AtomicU64::new(0),
        }
    }

    /// The inode that is open.
    pub fn ino(&self) -> Ino {
        self.ino
    }

    /// What is open: a file or a directory.
    pub fn kind(&self) -> FileKind {
        self.kind
    }

    /// Whether every write goes to the end of the file.
    pub fn append(&self) -> bool {
        self.append.load(Ordering::Relaxed)
    }

    /// Changes whether every write goes to the end of the file.
    pub fn set_append(&self, append: bool) {
        self.append.store(append, Ordering::Relaxed);
    }

    /// Access mode and append flag as `O_*` bits.
    pub fn flag_bits(&self) -> i32 {
        let access = match (self.read, self.write) {
            (true, true) => O_RDWR,
            (false, true) => O_WRONLY,
            _ => O_RDONLY,
        };
        access | if self.append() { O_APPEND } else { 0 }
    }

    pub(crate) fn check_read(&self) -> Result<(), Error> {
        if self.read {
            Ok(())
        } else {
            Err(Error::BadDescriptor)
        }
    }

    pub(crate) fn check_write(&self) -> Result<(), Error> {
        if self.write {
            Ok(())
        } else {
            Err(Error::BadDescriptor)
        }
    }

    pub(crate) fn position(&self) -> u64 {
        self.position.load(Ordering::Relaxed)
    }

    pub(crate) fn set_position(&self, position: u64) {
        self.position.store(position, Ordering::Relaxed);
    }
}
