//! Inodes: what names and open files refer to.

use hermit_abi::{DT_DIR, DT_REG, S_IFDIR, S_IFREG};

use crate::Error;
use crate::content::Content;
use crate::directory::Directory;

/// The number of an inode. Never used twice in the life of a file system.
pub type Ino = u64;

/// Nanoseconds since 1970-01-01 UTC.
pub type Timestamp = u64;

/// The kinds of inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
}

impl FileKind {
    /// The kind as a directory entry's `d_type`.
    pub const fn dirent_type(self) -> u8 {
        match self {
            Self::File => DT_REG,
            Self::Directory => DT_DIR,
        }
    }

    /// The kind as bits of `st_mode`.
    pub const fn mode(self) -> u32 {
        match self {
            Self::File => S_IFREG,
            Self::Directory => S_IFDIR,
        }
    }
}

/// What is known about an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The inode's number.
    pub ino: Ino,
    /// File or directory.
    pub kind: FileKind,
    /// How many names it has; 0 when it only lives on because it is open.
    pub nlink: u64,
    /// Permission bits, without the file type.
    pub permissions: u32,
    /// A file's length in bytes; the number of a directory's entries.
    pub size: u64,
    /// Memory behind the content, in units of 512 bytes.
    pub blocks: u64,
    /// When the content was last read.
    pub accessed: Timestamp,
    /// When the content was last changed.
    pub modified: Timestamp,
    /// When the inode (content, names, mode) was last changed.
    pub changed: Timestamp,
}

impl Stat {
    /// Permission bits and file type, as in `st_mode`.
    pub const fn mode(&self) -> u32 {
        self.permissions | self.kind.mode()
    }
}

/// An inode.
pub(crate) struct Node {
    pub(crate) data: Data,
    pub(crate) nlink: u64,
    /// Open files that refer to it.
    pub(crate) open: u64,
    permissions: u32,
    accessed: Timestamp,
    modified: Timestamp,
    changed: Timestamp,
}

/// What an inode holds.
pub(crate) enum Data {
    File(Content),
    Directory(Directory),
}

impl Node {
    /// A file with one name.
    pub(crate) fn file(content: Content, mode: u32, now: Timestamp) -> Self {
        Self::new(Data::File(content), 1, mode, now)
    }

    /// An empty directory: its name and its own `.` refer to it.
    pub(crate) fn directory(parent: Ino, mode: u32, now: Timestamp) -> Self {
        Self::new(Data::Directory(Directory::new(parent)), 2, mode, now)
    }

    fn new(data: Data, nlink: u64, mode: u32, now: Timestamp) -> Self {
        Self {
            data,
            nlink,
            open: 0,
            permissions: mode & 0o7777,
            accessed: now,
            modified: now,
            changed: now,
        }
    }

    pub(crate) fn kind(&self) -> FileKind {
        match self.data {
            Data::File(_) => FileKind::File,
            Data::Directory(_) => FileKind::Directory,
        }
    }

    pub(crate) fn as_file(&self) -> Result<&Content, Error> {
        match &self.data {
            Data::File(content) => Ok(content),
            Data::Directory(_) => Err(Error::IsADirectory),
        }
    }

    pub(crate) fn as_file_mut(&mut self) -> Result<&mut Content, Error> {
        match &mut self.data {
            Data::File(content) => Ok(content),
            Data::Directory(_) => Err(Error::IsADirectory),
        }
    }

    pub(crate) fn as_directory(&self) -> Result<&Directory, Error> {
        match &self.data {
            Data::Directory(directory) => Ok(directory),
            Data::File(_) => Err(Error::NotADirectory),
        }
    }

    pub(crate) fn as_directory_mut(&mut self) -> Result<&mut Directory, Error> {
        match &mut self.data {
            Data::Directory(directory) => Ok(directory),
            Data::File(_) => Err(Error::NotADirectory),
        }
    }

    /// Notes that the content was read.
    pub(crate) fn touch_read(&mut self, now: Timestamp) {
        self.accessed = now;
    }

    /// Notes that the content was changed.
    pub(crate) fn touch_content(&mut self, now: Timestamp) {
        self.modified = now;
        self.changed = now;
    }

    /// Notes that names or mode were changed.
    pub(crate) fn touch_inode(&mut self, now: Timestamp) {
        self.changed = now;
    }

    pub(crate) fn stat(&self, ino: Ino) -> Stat {
        let (size, blocks) = match &self.data {
            Data::File(content) => (content.size(), content.blocks()),
            Data::Directory(directory) => (directory.len() as u64, 0),
        };
        Stat {
            ino,
            kind: self.kind(),
            nlink: self.nlink,
            permissions: self.permissions,
            size,
            blocks,
            accessed: self.accessed,
            modified: self.modified,
            changed: self.changed,
        }
    }
}
