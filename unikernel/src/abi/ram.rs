//! The in-memory file system behind its lock.

use alloc::vec::Vec;

use darner_ramfs::{Error, FileSystem, Ino, OpenFile, OpenFlags, Stat, Whence};
use hermit_abi::ENOMEM;

use super::transfer::with_memory;
use super::user::{Errno, UserBuffer};
use crate::sched::WaitQueue;
use crate::sync::RwLock;
use crate::time::realtime_ns;

/// The file system, and the files that a long transfer has for itself.
struct Files {
    system: FileSystem,
    held: Vec<Ino>,
}

static FILES: RwLock<Option<Files>> = RwLock::new(None);
/// Woken when a file is no longer held.
static RELEASED: WaitQueue = WaitQueue::new();

/// The folder that `std::env::temp_dir` tells programs to use.
const TEMPORARY: &[u8] = b"/tmp";

/// Makes the file system and fills it from the archive. Called once, at boot.
pub fn init(archive: Option<&'static [u8]>, now_ns: u64) {
    let mut system = FileSystem::new(now_ns).expect("memory for the file system's root");
    if let Some(archive) = archive {
        match system.add_tar(archive, now_ns) {
            Ok(summary) if summary.skipped > 0 => log::warn!(
                "{} entries of the archive are neither files nor directories and were left out",
                summary.skipped
            ),
            Ok(summary) => log::debug!("{} files from the archive", summary.files),
            Err(error) => log::error!("the program will miss files: {error}"),
        }
    }
    match system.mkdir(TEMPORARY, 0o777, now_ns) {
        // The archive may bring its own.
        Ok(()) | Err(Error::Exists) => {}
        Err(error) => log::error!("there is no folder for temporary files: {error}"),
    }
    *FILES.write() = Some(Files {
        system,
        held: Vec::new(),
    });
}

fn with_files<T>(operation: impl FnOnce(&mut Files) -> T) -> T {
    operation(
        FILES
            .write()
            .as_mut()
            .expect("the file system is made at boot"),
    )
}

/// Does something to the file system under its lock.
pub fn with<T>(operation: impl FnOnce(&mut FileSystem) -> Result<T, Error>) -> Result<T, Errno> {
    Ok(with_files(|files| operation(&mut files.system))?)
}

/// An open file or directory. Closed when dropped, which takes the file
/// system's lock.
pub struct RamFile {
    /// Only `None` while being dropped.
    file: Option<OpenFile>,
}

impl RamFile {
    /// Opens or makes the file at `path`.
    pub fn open(path: &[u8], flags: OpenFlags, mode: u32) -> Result<Self, Errno> {
        let file = with(|system| system.open(path, flags, mode, realtime_ns()))?;
        Ok(Self { file: Some(file) })
    }

    /// The open file, for use with the file system.
    pub fn file(&self) -> &OpenFile {
        self.file.as_ref().expect("open until dropped")
    }

    /// Reads at the shared position into the program's memory.
    pub fn read(&self, buffer: &UserBuffer<'_>) -> Result<usize, Errno> {
        with_memory(buffer.len(), |memory| {
            self.transfer(buffer.len(), memory, |access, offset, piece| {
                let count = access.run(|system| system.read(self.file(), piece, realtime_ns()))?;
                buffer.copy_out(offset, &piece[..count]);
                Ok(count)
            })
        })
    }

    /// Writes from the program's memory, at the shared position or the end.
    pub fn write(&self, buffer: &UserBuffer<'_>) -> Result<usize, Errno> {
        with_memory(buffer.len(), |memory| {
            self.transfer(buffer.len(), memory, |access, offset, piece| {
                buffer.copy_in(offset, piece);
                access.run(|system| system.write(self.file(), piece, realtime_ns()))
            })
        })
    }

    /// Moves the shared position.
    pub fn seek(&self, offset: i64, whence: Whence) -> Result<u64, Errno> {
        with(|system| system.seek(self.file(), offset, whence))
    }

    /// What is known about it.
    pub fn stat(&self) -> Result<Stat, Errno> {
        with(|system| Ok(system.stat_open(self.file())))
    }

    /// Moves `len` bytes by as many calls of `step` as `memory` makes necessary.
    ///
    /// To everybody else it is one step all the same (appended data stays in one
    /// piece, a read sees all or nothing of a write): when it takes more than one
    /// call, the file is held.
    fn transfer(
        &self,
        len: usize,
        memory: &mut [u8],
        mut step: impl FnMut(Access, usize, &mut [u8]) -> Result<usize, Errno>,
    ) -> Result<usize, Errno> {
        let ino = self.file().ino();
        if len <= memory.len() {
            return step(Access::Shared(ino), 0, &mut memory[..len]);
        }
        let _held = Held::take(ino)?;
        let mut done = 0;
        while done < len {
            let want = memory.len().min(len - done);
            match step(Access::Held, done, &mut memory[..want]) {
                Ok(count) => {
                    done += count;
                    if count < want {
                        break;
                    }
                }
                // What was moved so far is the result.
                Err(_) if done > 0 => break,
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}

impl Drop for RamFile {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            with_files(|files| files.system.close(file));
        }
    }
}

/// How a transfer may come to its file.
#[derive(Clone, Copy)]
enum Access {
    /// When nobody holds it.
    Shared(Ino),
    /// At once: the caller holds it.
    Held,
}

impl Access {
    fn run<T>(
        self,
        mut operation: impl FnMut(&mut FileSystem) -> Result<T, Error>,
    ) -> Result<T, Errno> {
        match self {
            Self::Held => with(operation),
            Self::Shared(ino) => wait(|files| {
                let free = !files.held.contains(&ino);
                free.then(|| operation(&mut files.system).map_err(Errno::from))
            }),
        }
    }
}

/// One thread has a file for itself until this is dropped.
struct Held {
    ino: Ino,
}

impl Held {
    fn take(ino: Ino) -> Result<Self, Errno> {
        wait(|files| {
            if files.held.contains(&ino) {
                return None;
            }
            if files.held.try_reserve(1).is_err() {
                return Some(Err(Errno(ENOMEM)));
            }
            files.held.push(ino);
            Some(Ok(Self { ino }))
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        with_files(|files| files.held.retain(|&ino| ino != self.ino));
        RELEASED.wake_all();
    }
}

/// Blocks until `attempt` gives a result; it is made again whenever a file is
/// released.
fn wait<T>(mut attempt: impl FnMut(&mut Files) -> Option<Result<T, Errno>>) -> Result<T, Errno> {
    RELEASED
        .wait_until(None, || with_files(&mut attempt))
        .expect("a wait without a deadline ends with a result")
}
