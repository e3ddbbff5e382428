//! Making, removing and moving names.

use crate::fs::{FileSystem, Place, ROOT};
use crate::node::Node;
use crate::path::Step;
use crate::{Error, FileKind, Ino, Timestamp};

impl<'p> Place<'p> {
    /// The last step as a name that can be made, removed or moved.
    pub(crate) fn name(&self) -> Result<&'p [u8], Error> {
        match self.last {
            Some(Step::Down(name)) => Ok(name),
            _ => Err(Error::Busy),
        }
    }
}

impl FileSystem {
    /// Makes an empty directory.
    pub fn mkdir(&mut self, path: &[u8], mode: u32, now: Timestamp) -> Result<(), Error> {
        let place = self.locate(path)?;
        if self.resolve(&place)?.is_some() {
            return Err(Error::Exists);
        }
        let node = Node::directory(place.parent, mode, now);
        self.add(place.parent, place.name()?, node, now)?;
        Ok(())
    }

    /// Removes an empty directory.
    pub fn rmdir(&mut self, path: &[u8], now: Timestamp) -> Result<(), Error> {
        let place = self.locate(path)?;
        let name = match place.last {
            Some(Step::Here) => return Err(Error::Invalid),
            // What `..` names has at least the entry that was come from.
            Some(Step::Up) => return Err(Error::NotEmpty),
            _ => place.name()?,
        };
        let ino = self.resolve(&place)?.ok_or(Error::NotFound)?;
        if !self.node(ino).as_directory()?.is_empty() {
            return Err(Error::NotEmpty);
        }
        self.remove(place.parent, name, ino, now)
    }

    /// Removes a name of a file. The content stays until the file is closed
    /// wherever it is open.
    pub fn unlink(&mut self, path: &[u8], now: Timestamp) -> Result<(), Error> {
        let place = self.locate(path)?;
        let ino = self.resolve(&place)?.ok_or(Error::NotFound)?;
        match self.node(ino).kind() {
            FileKind::Directory => Err(Error::IsADirectory),
            FileKind::File if place.slash => Err(Error::NotADirectory),
            FileKind::File => self.remove(place.parent, place.name()?, ino, now),
        }
    }

    /// Gives the file at `existing` one more name, `new`.
    pub fn link(&mut self, existing: &[u8], new: &[u8], now: Timestamp) -> Result<(), Error> {
        let ino = self.find(existing)?;
        let place = self.locate(new)?;
        if self.resolve(&place)?.is_some() {
            return Err(Error::Exists);
        }
        if self.node(ino).kind() == FileKind::Directory {
            return Err(Error::NotPermitted);
        }
        if place.slash {
            return Err(Error::NotFound);
        }
        let directory = self.node_mut(place.parent);
        let name = directory.as_directory_mut()?.reserve(place.name()?)?;
        directory.as_directory_mut()?.insert(name, ino);
        directory.touch_content(now);
        let node = self.node_mut(ino);
        node.nlink += 1;
        node.touch_inode(now);
        Ok(())
    }

    /// Moves what `from` names to the name `to`. A file there is replaced by a
    /// file, an empty directory by a directory, in one step: at no time is the
    /// name missing.
    pub fn rename(&mut self, from: &[u8], to: &[u8], now: Timestamp) -> Result<(), Error> {
        let from = self.locate(from)?;
        let to = self.locate(to)?;
        let (old_name, new_name) = (from.name()?, to.name()?);
        let ino = self.resolve(&from)?.ok_or(Error::NotFound)?;
        let replaced = self.resolve(&to)?;
        let moves_directory = self.node(ino).kind() == FileKind::Directory;
        if !moves_directory && (from.slash || to.slash) {
            return Err(Error::NotADirectory);
        }
        if replaced == Some(ino) {
            return Ok(());
        }
        if moves_directory && self.is_within(to.parent, ino) {
            return Err(Error::Invalid);
        }
        if let Some(other) = replaced {
            self.check_replaced(other, moves_directory)?;
        }
        // Memory can only be missing here, before anything was changed.
        let name = self
            .node_mut(to.parent)
            .as_directory_mut()?
            .reserve(new_name)?;
        if let Some(other) = replaced {
            self.remove(to.parent, new_name, other, now)?;
        }
        let directory = self.node_mut(from.parent);
        directory.as_directory_mut()?.remove(old_name);
        directory.nlink -= u64::from(moves_directory);
        directory.touch_content(now);
        let directory = self.node_mut(to.parent);
        directory.as_directory_mut()?.insert(name, ino);
        directory.nlink += u64::from(moves_directory);
        directory.touch_content(now);
        let node = self.node_mut(ino);
        if moves_directory {
            node.as_directory_mut()?.parent = to.parent;
        }
        node.touch_inode(now);
        Ok(())
    }

    /// Whether what is at the new name may give way to a directory or a file.
    fn check_replaced(&self, ino: Ino, by_directory: bool) -> Result<(), Error> {
        let node = self.node(ino);
        match (node.kind(), by_directory) {
            (FileKind::Directory, false) => Err(Error::IsADirectory),
            (FileKind::File, true) => Err(Error::NotADirectory),
            (FileKind::Directory, true) if !node.as_directory()?.is_empty() => Err(Error::NotEmpty),
            _ => Ok(()),
        }
    }

    /// Whether `directory` is `ancestor` or lies below it.
    fn is_within(&self, directory: Ino, ancestor: Ino) -> bool {
        let mut at = directory;
        loop {
            if at == ancestor {
                return true;
            }
            match self.node(at).as_directory() {
                Ok(directory) if at != ROOT => at = directory.parent,
                _ => return false,
            }
        }
    }

    /// Takes a name out of a directory and the inode with it if that was its
    /// last use.
    fn remove(&mut self, parent: Ino, name: &[u8], ino: Ino, now: Timestamp) -> Result<(), Error> {
        let is_directory = self.node(ino).kind() == FileKind::Directory;
        let directory = self.node_mut(parent);
        directory.as_directory_mut()?.remove(name);
        directory.nlink -= u64::from(is_directory);
        directory.touch_content(now);
        let node = self.node_mut(ino);
        // A directory loses its own `.` with its name.
        node.nlink -= if is_directory { 2 } else { 1 };
        node.touch_inode(now);
        self.collect(ino);
        Ok(())
    }
}
