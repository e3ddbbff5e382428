//! The file system: inodes, path walk, and what can be done with open files.

use alloc::vec::Vec;

use hashbrown::HashMap;

use crate::content::{Content, MAX_SIZE};
use crate::node::Node;
use crate::path::{NAME_MAX, Path, Step};
use crate::{DirEntry, Error, FileKind, Ino, OpenFile, OpenFlags, Stat, Timestamp, Whence, dirent};

/// The inode number of the root directory.
pub(crate) const ROOT: Ino = 1;

/// A tree of files and directories in memory.
///
/// An [`OpenFile`] belongs to the file system that opened it and must be used
/// with no other one.
pub struct FileSystem {
    nodes: HashMap<Ino, Node>,
    next_ino: Ino,
}

/// Where a path leads: the directory of its last step, and that step.
pub(crate) struct Place<'p> {
    /// The directory in which the last step is taken.
    pub(crate) parent: Ino,
    /// The last step; `None` when the path means the root.
    pub(crate) last: Option<Step<'p>>,
    /// The path ends in a slash.
    pub(crate) slash: bool,
}

impl FileSystem {
    /// A file system that holds nothing but its root directory.
    pub fn new(now: Timestamp) -> Result<Self, Error> {
        let mut nodes = HashMap::new();
        nodes.try_reserve(1).map_err(|_| Error::NoSpace)?;
        nodes.insert(ROOT, Node::directory(ROOT, 0o755, now));
        Ok(Self {
            nodes,
            next_ino: ROOT + 1,
        })
    }

    /// Opens the file or directory at `path`, or makes the file if `flags` ask
    /// for that, with the permission bits of `mode`.
    pub fn open(
        &mut self,
        path: &[u8],
        flags: OpenFlags,
        mode: u32,
        now: Timestamp,
    ) -> Result<OpenFile, Error> {
        let place = self.locate(path)?;
        let ino = match self.resolve(&place)? {
            Some(ino) => {
                self.check_open(ino, &place, flags)?;
                if flags.truncate {
                    self.resize(ino, 0, now)?;
                }
                ino
            }
            None if !flags.create => return Err(Error::NotFound),
            // A name with a slash behind it could only be a directory's.
            None if place.slash => return Err(Error::IsADirectory),
            None => {
                let node = Node::file(Content::default(), mode, now);
                self.add(place.parent, place.name()?, node, now)?
            }
        };
        let node = self.node_mut(ino);
        node.open += 1;
        Ok(OpenFile::new(ino, node.kind(), flags))
    }

    /// Ends the use of an open file. A file without a name goes with its last
    /// user.
    pub fn close(&mut self, file: OpenFile) {
        let node = self.node_mut(file.ino);
        node.open -= 1;
        self.collect(file.ino);
    }

    /// Reads at the shared position and moves it on. Returns the number of
    /// bytes read; 0 at the end of the file.
    pub fn read(
        &mut self,
        file: &OpenFile,
        buf: &mut [u8],
        now: Timestamp,
    ) -> Result<usize, Error> {
        let count = self.read_at(file, file.position(), buf, now)?;
        file.set_position(file.position() + count as u64);
        Ok(count)
    }

    /// Reads at `offset`; the shared position stays where it is.
    pub fn read_at(
        &mut self,
        file: &OpenFile,
        offset: u64,
        buf: &mut [u8],
        now: Timestamp,
    ) -> Result<usize, Error> {
        file.check_read()?;
        let node = self.node_mut(file.ino);
        let count = node.as_file()?.read(offset, buf);
        if !buf.is_empty() {
            node.touch_read(now);
        }
        Ok(count)
    }

    /// Writes at the shared position, or at the end of the file if it was
    /// opened for appending, and moves the position behind what was written.
    ///
    /// Returns how many bytes were written: fewer than given when memory runs
    /// out on the way.
    pub fn write(&mut self, file: &OpenFile, data: &[u8], now: Timestamp) -> Result<usize, Error> {
        file.check_write()?;
        let offset = if file.append() {
            self.node(file.ino).as_file()?.size()
        } else {
            file.position()
        };
        let count = self.write_at(file, offset, data, now)?;
        if count > 0 {
            file.set_position(offset + count as u64);
        }
        Ok(count)
    }

    /// Writes at `offset`, whether or not the file was opened for appending;
    /// the shared position stays where it is.
    pub fn write_at(
        &mut self,
        file: &OpenFile,
        offset: u64,
        data: &[u8],
        now: Timestamp,
    ) -> Result<usize, Error> {
        file.check_write()?;
        let node = self.node_mut(file.ino);
        let count = node.as_file_mut()?.write(offset, data)?;
        if count > 0 {
            node.touch_content(now);
        }
        Ok(count)
    }

    /// Moves the shared position and returns it. It may lie past the end.
    pub fn seek(&self, file: &OpenFile, offset: i64, whence: Whence) -> Result<u64, Error> {
        let base = match whence {
            Whence::Start => 0,
            Whence::Current => file.position(),
            Whence::End => self.stat_open(file).size,
        };
        let position = base.checked_add_signed(offset).ok_or(Error::Invalid)?;
        if position > MAX_SIZE {
            return Err(Error::Invalid);
        }
        file.set_position(position);
        Ok(position)
    }

    /// Makes the file `size` bytes long: cuts it off, or adds zeros.
    pub fn truncate(&mut self, file: &OpenFile, size: u64, now: Timestamp) -> Result<(), Error> {
        if file.check_write().is_err() {
            return Err(Error::Invalid);
        }
        self.resize(file.ino, size, now)
    }

    /// What is known about the file or directory at `path`.
    pub fn stat(&self, path: &[u8]) -> Result<Stat, Error> {
        let ino = self.find(path)?;
        Ok(self.node(ino).stat(ino))
    }

    /// What is known about an open file or directory.
    pub fn stat_open(&self, file: &OpenFile) -> Stat {
        self.node(file.ino).stat(file.ino)
    }

    /// The entries of an open directory in the order of their names, without
    /// `.` and `..`.
    pub fn list(&self, file: &OpenFile) -> Result<Vec<DirEntry<'_>>, Error> {
        let directory = self.node(file.ino).as_directory()?;
        let mut entries = Vec::new();
        entries
            .try_reserve_exact(directory.len())
            .map_err(|_| Error::NoMemory)?;
        entries.extend(directory.iter().map(|(name, ino)| DirEntry {
            name,
            ino,
            kind: self.node(ino).kind(),
        }));
        entries.sort_unstable_by_key(|entry| entry.name);
        Ok(entries)
    }

    /// Fills `buf` with `dirent64` records of all entries from the shared
    /// position on, and moves it to the end. Returns the bytes used: 0 when no
    /// entry is left.
    ///
    /// All or nothing: a buffer that is too small for the entries is
    /// [`Error::Invalid`]. (Rust's standard library calls once, with a larger
    /// buffer after each such error, and takes what it gets for everything.)
    pub fn read_directory(
        &mut self,
        file: &OpenFile,
        buf: &mut [u8],
        now: Timestamp,
    ) -> Result<usize, Error> {
        let entries = self.list(file)?;
        let first = usize::try_from(file.position())
            .unwrap_or(usize::MAX)
            .min(entries.len());
        let used = dirent::encode(&entries, first, buf)?;
        file.set_position(entries.len() as u64);
        self.node_mut(file.ino).touch_read(now);
        Ok(used)
    }

    /// Walks to the directory of the last step of `path`.
    pub(crate) fn locate<'p>(&self, path: &'p [u8]) -> Result<Place<'p>, Error> {
        let path = Path::new(path)?;
        let (steps, last) = path.split_last();
        let mut parent = ROOT;
        for step in steps {
            parent = self.take_step(parent, step)?.ok_or(Error::NotFound)?;
        }
        // The last step is taken from a directory as well.
        self.node(parent).as_directory()?;
        Ok(Place {
            parent,
            last,
            slash: path.trailing_slash(),
        })
    }

    /// The inode that a place is taken by, if any.
    pub(crate) fn resolve(&self, place: &Place<'_>) -> Result<Option<Ino>, Error> {
        match place.last {
            None => Ok(Some(ROOT)),
            Some(step) => self.take_step(place.parent, step),
        }
    }

    /// The inode at `path`, which must be a directory if a slash ends it.
    pub(crate) fn find(&self, path: &[u8]) -> Result<Ino, Error> {
        let place = self.locate(path)?;
        let ino = self.resolve(&place)?.ok_or(Error::NotFound)?;
        if place.slash {
            self.node(ino).as_directory()?;
        }
        Ok(ino)
    }

    /// Enters `node` into a directory under a name that is free.
    pub(crate) fn add(
        &mut self,
        parent: Ino,
        name: &[u8],
        node: Node,
        now: Timestamp,
    ) -> Result<Ino, Error> {
        self.nodes.try_reserve(1).map_err(|_| Error::NoSpace)?;
        let directory = self.node_mut(parent);
        let entries = directory.as_directory_mut()?;
        let name = entries.reserve(name)?;
        let ino = self.next_ino;
        self.next_ino += 1;
        let directory = self.node_mut(parent);
        directory.as_directory_mut()?.insert(name, ino);
        if node.kind() == FileKind::Directory {
            // The new directory's `..` is one more name of its parent.
            directory.nlink += 1;
        }
        directory.touch_content(now);
        self.nodes.insert(ino, node);
        Ok(ino)
    }

    /// Frees the inode if no name and no open file needs it any more.
    pub(crate) fn collect(&mut self, ino: Ino) {
        let node = self.node(ino);
        if node.nlink == 0 && node.open == 0 {
            self.nodes.remove(&ino);
        }
    }

    pub(crate) fn node(&self, ino: Ino) -> &Node {
        self.nodes
            .get(&ino)
            .expect("an inode lives as long as a name or an open file")
    }

    pub(crate) fn node_mut(&mut self, ino: Ino) -> &mut Node {
        self.nodes
            .get_mut(&ino)
            .expect("an inode lives as long as a name or an open file")
    }

    fn take_step(&self, from: Ino, step: Step<'_>) -> Result<Option<Ino>, Error> {
        let directory = self.node(from).as_directory()?;
        match step {
            Step::Here => Ok(Some(from)),
            Step::Up => Ok(Some(directory.parent)),
            Step::Down(name) if name.len() > NAME_MAX => Err(Error::NameTooLong),
            Step::Down(name) => Ok(directory.get(name)),
        }
    }

    /// Whether an existing inode may be opened like this.
    fn check_open(&self, ino: Ino, place: &Place<'_>, flags: OpenFlags) -> Result<(), Error> {
        if flags.create && flags.exclusive {
            return Err(Error::Exists);
        }
        match self.node(ino).kind() {
            FileKind::Directory if flags.write || flags.create || flags.truncate => {
                Err(Error::IsADirectory)
            }
            FileKind::File if flags.directory || place.slash => Err(Error::NotADirectory),
            _ => Ok(()),
        }
    }

    fn resize(&mut self, ino: Ino, size: u64, now: Timestamp) -> Result<(), Error> {
        let node = self.node_mut(ino);
        node.as_file_mut()?.resize(size)?;
        node.touch_content(now);
        Ok(())
    }
}
