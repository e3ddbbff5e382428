//! The descriptor table, and what descriptors stand for.

#[cfg(feature = "net")]
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};

use darner_ramfs::{DescriptorTable, FileKind};
use hermit_abi::{ENOMEM, FD_CLOEXEC, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY};

use super::event::EventFd;
use super::ram::RamFile;
#[cfg(feature = "net")]
use super::sockets::socket::Socket;
use super::user::Errno;
use crate::sync::RwLock;

/// How many descriptors there can be.
pub const LIMIT: usize = 16_384;

/// What can be open.
pub enum Object {
    /// A file of the in-memory file system.
    RamFile(RamFile),
    /// A directory of the in-memory file system.
    Directory(RamFile),
    /// The console's input.
    Stdin,
    /// The console's output.
    Stdout,
    /// The console's output for errors.
    Stderr,
    /// A counter to wait for.
    EventFd(EventFd),
    /// A socket.
    #[cfg(feature = "net")]
    Socket(Box<Socket>),
}

impl From<RamFile> for Object {
    fn from(file: RamFile) -> Self {
        match file.file().kind() {
            FileKind::File => Self::RamFile(file),
            FileKind::Directory => Self::Directory(file),
        }
    }
}

/// Something open: what all duplicates of a descriptor share.
pub struct Description {
    /// What is open.
    pub object: Object,
    nonblocking: AtomicBool,
}

impl Description {
    /// Whether reads and writes fail with EAGAIN rather than block.
    pub fn nonblocking(&self) -> bool {
        self.nonblocking.load(Ordering::Relaxed)
    }

    /// Changes whether reads and writes may block.
    pub fn set_nonblocking(&self, nonblocking: bool) {
        self.nonblocking.store(nonblocking, Ordering::Relaxed);
    }

    /// Access mode and status flags as `O_*` bits.
    pub fn flag_bits(&self) -> i32 {
        let bits = match &self.object {
            Object::RamFile(file) | Object::Directory(file) => file.file().flag_bits(),
            Object::Stdin => O_RDONLY,
            Object::Stdout | Object::Stderr => O_WRONLY,
            Object::EventFd(_) => O_RDWR,
            #[cfg(feature = "net")]
            Object::Socket(_) => O_RDWR,
        };
        bits | if self.nonblocking() { O_NONBLOCK } else { 0 }
    }
}

/// One line of the table.
struct Descriptor {
    description: Arc<Description>,
    /// Kept because it can be asked for. There is no exec to close it.
    close_on_exec: bool,
}

/// Never held while a descriptor is dropped: that takes the file system's lock.
static TABLE: RwLock<DescriptorTable<Descriptor>> = RwLock::new(DescriptorTable::new(LIMIT));

/// Opens the console as descriptors 0, 1 and 2. Called once, at boot.
pub fn init() {
    for (number, object) in [Object::Stdin, Object::Stdout, Object::Stderr]
        .into_iter()
        .enumerate()
    {
        let descriptor = add(object, false, false).expect("memory for the console's descriptors");
        assert_eq!(
            descriptor, number as i32,
            "the console has the first descriptors"
        );
    }
}

/// Enters `object` under the lowest free descriptor.
pub fn add(object: Object, nonblocking: bool, close_on_exec: bool) -> Result<i32, Errno> {
    let description = share(Description {
        object,
        nonblocking: AtomicBool::new(nonblocking),
    })?;
    insert(
        Descriptor {
            description,
            close_on_exec,
        },
        0,
    )
}

/// What the descriptor stands for. It stays open while the result lives, even
/// if the descriptor is closed meanwhile.
pub fn get(descriptor: i32) -> Result<Arc<Description>, Errno> {
    Ok(TABLE.read().get(descriptor)?.description.clone())
}

/// Makes the lowest free descriptor that is at least `from` stand for the same.
pub fn duplicate(descriptor: i32, from: usize) -> Result<i32, Errno> {
    let description = get(descriptor)?;
    insert(
        Descriptor {
            description,
            close_on_exec: false,
        },
        from,
    )
}

/// Frees the descriptor. What it stood for is closed with its last user.
pub fn close(descriptor: i32) -> Result<(), Errno> {
    // A binding, so that the lock is free again when the content is dropped.
    let removed = TABLE.write().remove(descriptor);
    removed?;
    Ok(())
}

/// The descriptor's own flags as `FD_*` bits.
pub fn descriptor_flags(descriptor: i32) -> Result<i32, Errno> {
    let close_on_exec = TABLE.read().get(descriptor)?.close_on_exec;
    Ok(if close_on_exec { FD_CLOEXEC } else { 0 })
}

/// Changes the descriptor's own flags.
pub fn set_descriptor_flags(descriptor: i32, bits: i32) -> Result<(), Errno> {
    TABLE.write().get_mut(descriptor)?.close_on_exec = bits & FD_CLOEXEC != 0;
    Ok(())
}

fn insert(descriptor: Descriptor, from: usize) -> Result<i32, Errno> {
    // A binding: what could not be entered is dropped with the lock free again.
    let result = TABLE.write().insert(descriptor, from);
    result.map_err(|(_, error)| error.into())
}

/// Moves the description to where it can be shared.
///
/// `Arc` cannot report that there is no memory for it, so that is tried out
/// first: a program that filled the memory with files gets ENOMEM here.
fn share(description: Description) -> Result<Arc<Description>, Errno> {
    let mut trial = Vec::<Description>::new();
    // Two, for the counters beside it.
    trial.try_reserve_exact(2).map_err(|_| Errno(ENOMEM))?;
    drop(trial);
    Ok(Arc::new(description))
}
