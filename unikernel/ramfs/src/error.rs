//! What can go wrong, and the error numbers that programs know it by.

use core::fmt;

use hermit_abi::errno;

/// Why an operation was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// No file or directory has this name.
    NotFound,
    /// A directory was needed, and this is a file.
    NotADirectory,
    /// A file was needed, and this is a directory.
    IsADirectory,
    /// The name is taken.
    Exists,
    /// The directory still has entries.
    NotEmpty,
    /// An argument makes no sense here.
    Invalid,
    /// A name has more than 255 bytes, or a path more than 4095.
    NameTooLong,
    /// There is no memory for the content or the name.
    NoSpace,
    /// There is no memory to carry the operation out.
    NoMemory,
    /// The file would exceed the largest size that can be expressed.
    TooLarge,
    /// The descriptor is not open, or not open for this.
    BadDescriptor,
    /// All descriptors are in use.
    TooManyOpen,
    /// The root directory, or `.` or `..` as a name to change.
    Busy,
    /// A second name for a directory.
    NotPermitted,
}

impl Error {
    /// The positive error number of this error.
    pub const fn errno(self) -> i32 {
        match self {
            Self::NotFound => errno::ENOENT,
            Self::NotADirectory => errno::ENOTDIR,
            Self::IsADirectory => errno::EISDIR,
            Self::Exists => errno::EEXIST,
            Self::NotEmpty => errno::ENOTEMPTY,
            Self::Invalid => errno::EINVAL,
            Self::NameTooLong => errno::ENAMETOOLONG,
            Self::NoSpace => errno::ENOSPC,
            Self::NoMemory => errno::ENOMEM,
            Self::TooLarge => errno::EFBIG,
            Self::BadDescriptor => errno::EBADF,
            Self::TooManyOpen => errno::EMFILE,
            Self::Busy => errno::EBUSY,
            Self::NotPermitted => errno::EPERM,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "no such file or directory",
            Self::NotADirectory => "not a directory",
            Self::IsADirectory => "is a directory",
            Self::Exists => "file exists",
            Self::NotEmpty => "directory not empty",
            Self::Invalid => "invalid argument",
            Self::NameTooLong => "file name too long",
            Self::NoSpace => "no memory left for files",
            Self::NoMemory => "out of memory",
            Self::TooLarge => "file too large",
            Self::BadDescriptor => "bad file descriptor",
            Self::TooManyOpen => "too many open files",
            Self::Busy => "the root directory, '.' and '..' cannot be changed",
            Self::NotPermitted => "operation not permitted",
        })
    }
}

impl core::error::Error for Error {}
