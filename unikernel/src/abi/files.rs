//! Files and descriptors: `sys_open` to `sys_ioctl`.

use alloc::vec::Vec;
use core::ffi::{c_char, c_void};

use darner_ramfs::{OpenFlags, PAGE, Stat, Whence};
use hermit_abi::{
    EINVAL, ENOMEM, ENOTDIR, ENOTTY, ESPIPE, F_DUPFD, F_GETFD, F_GETFL, F_SETFD, F_SETFL, FIONBIO,
    IOV_MAX, O_APPEND, O_DIRECTORY, O_NONBLOCK, O_RDONLY, S_IFCHR, S_IFSOCK, SEEK_CUR, SEEK_END,
    SEEK_SET, dirent64, iovec, stat, timespec,
};

use super::descriptors::{self, Description, LIMIT, Object};
use super::ram::{self, RamFile};
use super::transfer;
use super::user::{self, Errno, UserBuffer, UserSlice, answer, answer_size};
use crate::time::realtime_ns;

/// The device number that all inodes carry: there is one file system.
const DEVICE: u64 = 1;
/// The most that a directory listing can take: what std asks for at most.
const LISTING_MAX: usize = 1 << 20;

/// Makes the file system, fills it from the archive and opens the console's
/// descriptors. Called once, at boot, before any function of this file.
pub fn init_files(tar: Option<&'static [u8]>, now_ns: u64) {
    ram::init(tar, now_ns);
    descriptors::init();
}

fn open(name: *const c_char, bits: i32, mode: u32) -> Result<i32, Errno> {
    let path = user::path(name)?;
    let flags = OpenFlags::from_bits(bits)?;
    let file = RamFile::open(&path, flags, mode)?;
    descriptors::add(file.into(), flags.nonblocking, false)
}

type Transfer = fn(&Description, &UserBuffer<'_>) -> Result<usize, Errno>;

/// A transfer from or to one range of memory.
fn transfer_one(fd: i32, buf: *const u8, len: usize, by: Transfer) -> Result<usize, Errno> {
    let description = descriptors::get(fd)?;
    let parts = [UserSlice::new(buf, len)?];
    by(&description, &UserBuffer::new(&parts))
}

/// A transfer from or to many ranges of memory.
fn transfer_many(fd: i32, iov: *const iovec, count: usize, by: Transfer) -> Result<usize, Errno> {
    let description = descriptors::get(fd)?;
    if count > IOV_MAX {
        return Err(Errno(EINVAL));
    }
    let mut parts = Vec::new();
    parts.try_reserve_exact(count).map_err(|_| Errno(ENOMEM))?;
    for index in 0..count {
        let part = user::read(iov.wrapping_add(index))?;
        parts.push(UserSlice::new(part.iov_base, part.iov_len)?);
    }
    by(&description, &UserBuffer::new(&parts))
}

fn lseek(fd: i32, offset: isize, whence: i32) -> Result<usize, Errno> {
    let description = descriptors::get(fd)?;
    let (Object::RamFile(file) | Object::Directory(file)) = &description.object else {
        return Err(Errno(ESPIPE));
    };
    let whence = match whence {
        SEEK_SET => Whence::Start,
        SEEK_CUR => Whence::Current,
        SEEK_END => Whence::End,
        _ => return Err(Errno(EINVAL)),
    };
    Ok(file.seek(offset as i64, whence)? as usize)
}

fn fsync(fd: i32) -> Result<i32, Errno> {
    match descriptors::get(fd)?.object {
        // Memory is all the storage there is: everything is where it belongs.
        Object::RamFile(_) | Object::Directory(_) => Ok(0),
        _ => Err(Errno(EINVAL)),
    }
}

fn stat_path(name: *const c_char, into: *mut stat) -> Result<i32, Errno> {
    let path = user::path(name)?;
    let found = ram::with(|system| system.stat(&path))?;
    user::write(into, inode_stat(&found))?;
    Ok(0)
}

fn stat_open(fd: i32, into: *mut stat) -> Result<i32, Errno> {
    let description = descriptors::get(fd)?;
    let found = match &description.object {
        Object::RamFile(file) | Object::Directory(file) => inode_stat(&file.stat()?),
        Object::Stdin | Object::Stdout | Object::Stderr => stat {
            st_mode: S_IFCHR | 0o620,
            ..unnamed_stat()
        },
        // No kind of file: permissions alone.
        Object::EventFd(_) => stat {
            st_mode: 0o600,
            ..unnamed_stat()
        },
        #[cfg(feature = "net")]
        Object::Socket(_) => stat {
            st_mode: S_IFSOCK | 0o777,
            ..unnamed_stat()
        },
    };
    user::write(into, found)?;
    Ok(0)
}

/// What is known of something that is open but in no file system.
fn unnamed_stat() -> stat {
    stat {
        st_nlink: 1,
        st_blksize: PAGE as i64,
        ..stat::default()
    }
}

fn inode_stat(found: &Stat) -> stat {
    stat {
        st_dev: DEVICE,
        st_ino: found.ino,
        st_nlink: found.nlink,
        st_mode: found.mode(),
        st_size: found.size as i64,
        st_blksize: PAGE as i64,
        st_blocks: found.blocks as i64,
        st_atim: timespec_of(found.accessed),
        st_mtim: timespec_of(found.modified),
        st_ctim: timespec_of(found.changed),
        ..stat::default()
    }
}

fn timespec_of(ns: u64) -> timespec {
    timespec {
        tv_sec: (ns / 1_000_000_000) as i64,
        tv_nsec: (ns % 1_000_000_000) as i32,
    }
}

/// All entries of the directory at once, or EINVAL when they do not fit: std asks
/// again with more room, and takes what it gets for everything.
///
/// An empty directory has 0 bytes of entries, and 0 is the answer. The std of
/// Rust 1.95 takes that for an error (`Os { code: 0 }`) in `read_dir`.
fn getdents(fd: i32, into: *mut dirent64, count: usize) -> Result<usize, Errno> {
    let description = descriptors::get(fd)?;
    let Object::Directory(directory) = &description.object else {
        return Err(Errno(ENOTDIR));
    };
    let into = UserSlice::new(into, count)?;
    let mut memory = transfer::zeroed(count.min(LISTING_MAX))?;
    let used =
        ram::with(|system| system.read_directory(directory.file(), &mut memory, realtime_ns()))?;
    into.copy_out(0, &memory[..used]);
    Ok(used)
}

fn fcntl(fd: i32, command: i32, argument: i32) -> Result<i32, Errno> {
    let description = descriptors::get(fd)?;
    match command {
        F_DUPFD => {
            let from = usize::try_from(argument).ok().filter(|&from| from < LIMIT);
            return descriptors::duplicate(fd, from.ok_or(Errno(EINVAL))?);
        }
        F_GETFD => return descriptors::descriptor_flags(fd),
        F_SETFD => descriptors::set_descriptor_flags(fd, argument)?,
        F_GETFL => return Ok(description.flag_bits()),
        F_SETFL => {
            description.set_nonblocking(argument & O_NONBLOCK != 0);
            if let Object::RamFile(file) = &description.object {
                file.file().set_append(argument & O_APPEND != 0);
            }
        }
        _ => return Err(Errno(EINVAL)),
    }
    Ok(0)
}

fn ioctl(fd: i32, command: i32, argument: *mut c_void) -> Result<i32, Errno> {
    let description = descriptors::get(fd)?;
    if command != FIONBIO {
        return Err(Errno(ENOTTY));
    }
    description.set_nonblocking(user::read(argument.cast::<i32>().cast_const())? != 0);
    Ok(0)
}

/// Opens the file or directory at the path `name`, or makes the file if `flags`
/// say so. Returns a descriptor.
pub extern "C" fn sys_open(name: *const c_char, flags: i32, mode: i32) -> i32 {
    answer(open(name, flags, mode as u32))
}

/// Opens the directory at the path `name`.
pub extern "C" fn sys_opendir(name: *const c_char) -> i32 {
    answer(open(name, O_RDONLY | O_DIRECTORY, 0))
}

/// Reads up to `len` bytes. Returns how many; 0 at the end.
pub extern "C" fn sys_read(fd: i32, buf: *mut u8, len: usize) -> isize {
    answer_size(transfer_one(fd, buf, len, transfer::read))
}

/// Reads into several ranges, one after the other.
pub extern "C" fn sys_readv(fd: i32, iov: *const iovec, iovcnt: usize) -> isize {
    answer_size(transfer_many(fd, iov, iovcnt, transfer::read))
}

/// Writes up to `len` bytes. Returns how many.
pub extern "C" fn sys_write(fd: i32, buf: *const u8, len: usize) -> isize {
    answer_size(transfer_one(fd, buf, len, transfer::write))
}

/// Writes from several ranges, one after the other.
pub extern "C" fn sys_writev(fd: i32, iov: *const iovec, iovcnt: usize) -> isize {
    answer_size(transfer_many(fd, iov, iovcnt, transfer::write))
}

/// Moves the position of an open file, and returns it.
pub extern "C" fn sys_lseek(fd: i32, offset: isize, whence: i32) -> isize {
    answer_size(lseek(fd, offset, whence))
}

/// Frees the descriptor.
pub extern "C" fn sys_close(fd: i32) -> i32 {
    answer(descriptors::close(fd).map(|()| 0))
}

/// Makes the lowest free descriptor stand for the same as `fd`.
pub extern "C" fn sys_dup(fd: i32) -> i32 {
    answer(descriptors::duplicate(fd, 0))
}

/// Brings what was written to where it stays.
pub extern "C" fn sys_fsync(fd: i32) -> i32 {
    answer(fsync(fd))
}

/// Tells what is known about the file or directory at the path `name`.
pub extern "C" fn sys_stat(name: *const c_char, stat: *mut stat) -> i32 {
    answer(stat_path(name, stat))
}

/// As [`sys_stat`]: there are no symbolic links.
pub extern "C" fn sys_lstat(name: *const c_char, stat: *mut stat) -> i32 {
    answer(stat_path(name, stat))
}

/// Tells what is known about something open.
pub extern "C" fn sys_fstat(fd: i32, stat: *mut stat) -> i32 {
    answer(stat_open(fd, stat))
}

/// Removes the file name `name`.
pub extern "C" fn sys_unlink(name: *const c_char) -> i32 {
    let removed =
        user::path(name).and_then(|path| ram::with(|system| system.unlink(&path, realtime_ns())));
    answer(removed.map(|()| 0))
}

/// Removes the empty directory `name`.
pub extern "C" fn sys_rmdir(name: *const c_char) -> i32 {
    let removed =
        user::path(name).and_then(|path| ram::with(|system| system.rmdir(&path, realtime_ns())));
    answer(removed.map(|()| 0))
}

/// Makes the directory `name`.
pub extern "C" fn sys_mkdir(name: *const i8, mode: u32) -> i32 {
    let made = user::path(name.cast())
        .and_then(|path| ram::with(|system| system.mkdir(&path, mode, realtime_ns())));
    answer(made.map(|()| 0))
}

/// Fills `dirp` with the entries of an open directory: all, or EINVAL.
pub extern "C" fn sys_getdents64(fd: i32, dirp: *mut dirent64, count: usize) -> i64 {
    answer_size(getdents(fd, dirp, count)) as i64
}

/// Reads and changes properties of descriptors.
pub extern "C" fn sys_fcntl(fd: i32, cmd: i32, arg: i32) -> i32 {
    answer(fcntl(fd, cmd, arg))
}

/// Changes whether operations on `fd` may block (`FIONBIO`).
pub extern "C" fn sys_ioctl(fd: i32, cmd: i32, argp: *mut c_void) -> i32 {
    answer(ioctl(fd, cmd, argp))
}
