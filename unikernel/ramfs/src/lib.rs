//! An in-memory file system with UNIX semantics.
//!
//! [`FileSystem`] holds inodes and directory entries; an [`OpenFile`] is an open
//! file description (position and access mode), which any number of file
//! descriptors may share; [`DescriptorTable`] gives out the descriptors.
//!
//! * Files can be filled from a tar archive without copying it
//!   ([`FileSystem::add_tar`]): a page of a file takes memory of its own when it
//!   is first written.
//! * Nothing here panics for want of memory: what the program can make grow is
//!   reserved first, and [`Error::NoSpace`] or [`Error::NoMemory`] is the answer
//!   when that fails.
//! * The crate takes no lock and reads no clock: put the file system behind one
//!   lock, and pass the time in. There is one user, who may do everything:
//!   permission bits are kept and reported, not enforced.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod content;
mod directory;
mod dirent;
mod error;
mod fs;
mod names;
mod node;
mod open;
mod path;
mod table;
mod tar;

pub use directory::DirEntry;
pub use error::Error;
pub use fs::FileSystem;
pub use node::{FileKind, Ino, Stat, Timestamp};
pub use open::{OpenFile, OpenFlags, Whence};
pub use path::{NAME_MAX, PATH_MAX};
pub use table::DescriptorTable;
pub use tar::{TarError, TarSummary};

/// The unit in which file contents take memory, in bytes.
pub const PAGE: usize = 4096;
