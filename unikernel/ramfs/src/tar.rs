//! Filling the file system from a tar archive.

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;

use tar_core::EntryType;
use tar_core::parse::{Limits, ParseError, ParseEvent, ParsedEntry, Parser};

use crate::content::Content;
use crate::fs::{FileSystem, ROOT};
use crate::node::Node;
use crate::path::NAME_MAX;
use crate::{Error, Ino, Timestamp};

/// Entries below this folder are for the loader and the kernel, not for files.
const RESERVED: &[u8] = b".darner";

/// What an archive added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TarSummary {
    /// Regular files and hard links.
    pub files: usize,
    /// Directories that had an entry of their own.
    pub directories: usize,
    /// Entries of a kind this file system does not have: symbolic links,
    /// devices, pipes, sparse files.
    pub skipped: usize,
}

/// Why an archive could not be added (entries before the bad one were).
#[derive(Debug)]
pub enum TarError {
    /// The archive is not well-formed.
    Malformed {
        /// Where in the archive, in bytes.
        offset: usize,
        /// What is wrong there.
        reason: ParseError,
    },
    /// The archive ends inside an entry.
    Truncated {
        /// Where in the archive the entry begins.
        offset: usize,
    },
    /// An entry could not be made.
    Entry {
        /// The entry's name.
        name: String,
        /// Why.
        reason: Error,
    },
}

impl fmt::Display for TarError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { offset, reason } => {
                write!(f, "the archive is damaged at byte {offset}: {reason}")
            }
            Self::Truncated { offset } => {
                write!(f, "the archive ends inside the entry at byte {offset}")
            }
            Self::Entry { name, reason } => write!(f, "cannot make '{name}': {reason}"),
        }
    }
}

impl core::error::Error for TarError {}

impl FileSystem {
    /// Adds the files and directories of a tar archive (old, ustar, GNU or pax
    /// form; names of any length), with the directories above them. Contents
    /// are not copied: a file keeps showing the archive's bytes until it is
    /// written. A later entry replaces an earlier file of the same name.
    ///
    /// Entries below `.darner/` are passed over.
    pub fn add_tar(
        &mut self,
        archive: &'static [u8],
        now: Timestamp,
    ) -> Result<TarSummary, TarError> {
        let mut parser = Parser::new(Limits::default());
        // Attributes that have no meaning here need not be well-formed.
        parser.set_ignore_pax_errors(true);
        let mut summary = TarSummary::default();
        let mut offset = 0;
        while offset < archive.len() {
            let malformed = |reason| TarError::Malformed { offset, reason };
            let (consumed, entry, sparse) =
                match parser.parse(&archive[offset..]).map_err(malformed)? {
                    ParseEvent::End { .. } => break,
                    ParseEvent::NeedData { .. } => return Err(TarError::Truncated { offset }),
                    ParseEvent::GlobalExtensions { consumed, .. } => {
                        offset += consumed;
                        continue;
                    }
                    ParseEvent::Entry { consumed, entry } => (consumed, entry, false),
                    ParseEvent::SparseEntry {
                        consumed, entry, ..
                    } => (consumed, entry, true),
                };
            let start = offset + consumed;
            let truncated = TarError::Truncated { offset };
            let Ok(size) = usize::try_from(entry.size) else {
                return Err(truncated);
            };
            let Some(content) = start
                .checked_add(size)
                .and_then(|end| archive.get(start..end))
            else {
                return Err(truncated);
            };
            if sparse {
                summary.skipped += 1;
            } else {
                self.add_entry(&entry, content, now, &mut summary)
                    .map_err(|reason| TarError::Entry {
                        name: String::from_utf8_lossy(&entry.path).into_owned(),
                        reason,
                    })?;
            }
            // The last entry's padding may be missing.
            offset = start + size.next_multiple_of(tar_core::HEADER_SIZE);
        }
        Ok(summary)
    }

    fn add_entry(
        &mut self,
        entry: &ParsedEntry<'_>,
        content: &'static [u8],
        now: Timestamp,
        summary: &mut TarSummary,
    ) -> Result<(), Error> {
        let path = &*entry.path;
        if names(path).next() == Some(RESERVED) {
            return Ok(());
        }
        let time = match entry.mtime {
            0 => now,
            seconds => seconds.saturating_mul(1_000_000_000),
        };
        match entry.entry_type {
            EntryType::Directory => {
                self.make_directories(names(path), entry.mode, time)?;
                summary.directories += 1;
            }
            EntryType::Regular | EntryType::Continuous => {
                let node = Node::file(Content::borrowed(content), entry.mode, time);
                self.replace_file(path, node, time)?;
                summary.files += 1;
            }
            EntryType::Link => {
                let target = entry
                    .link_target
                    .as_deref()
                    .ok_or(Error::Invalid)?
                    .to_owned();
                let (parent, name) = self.make_parents(path, time)?;
                if self.node(parent).as_directory()?.get(name).is_some() {
                    return Err(Error::Exists);
                }
                self.link(&target, path, time)?;
                summary.files += 1;
            }
            _ => summary.skipped += 1,
        }
        Ok(())
    }

    /// Enters a file; one that has the name already loses it.
    fn replace_file(&mut self, path: &[u8], node: Node, time: Timestamp) -> Result<(), Error> {
        let (parent, name) = self.make_parents(path, time)?;
        if self.node(parent).as_directory()?.get(name).is_some() {
            self.unlink(path, time)?;
        }
        self.add(parent, name, node, time)?;
        Ok(())
    }

    /// Makes the directories above the last name of `path`.
    fn make_parents<'p>(
        &mut self,
        path: &'p [u8],
        time: Timestamp,
    ) -> Result<(Ino, &'p [u8]), Error> {
        let last = names(path).last().ok_or(Error::IsADirectory)?;
        check_name(last)?;
        let above = names(path).count() - 1;
        let parent = self.make_directories(names(path).take(above), 0o755, time)?;
        Ok((parent, last))
    }

    /// Walks down from the root, making the directories that are missing.
    fn make_directories<'p>(
        &mut self,
        names: impl Iterator<Item = &'p [u8]>,
        mode: u32,
        time: Timestamp,
    ) -> Result<Ino, Error> {
        let mut at = ROOT;
        for name in names {
            check_name(name)?;
            at = match self.node(at).as_directory()?.get(name) {
                Some(ino) => ino,
                None => self.add(at, name, Node::directory(at, mode, time), time)?,
            };
        }
        self.node(at).as_directory()?;
        Ok(at)
    }
}

/// The names along an archive's path, which always starts at the root.
fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/')
        .filter(|name| !name.is_empty() && *name != b".")
}

/// An archive must not reach out of the folder that it is unpacked in, so `..`
/// is refused rather than followed.
fn check_name(name: &[u8]) -> Result<(), Error> {
    match name {
        b".." => Err(Error::Invalid),
        name if name.len() > NAME_MAX => Err(Error::NameTooLong),
        name if name.contains(&0) => Err(Error::Invalid),
        _ => Ok(()),
    }
}
