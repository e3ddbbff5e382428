//! Finding the program in the initrd: a tar archive whose first entry is
//! [`PROGRAM`], or the program by itself.

use alloc::string::String;
use core::fmt;

use tar_core::{EntryType, HEADER_SIZE, Header};

/// The first entry of an archive that holds a program.
pub const PROGRAM: &str = ".darner/program";

const ELF_MAGIC: &[u8] = b"\x7fELF";

/// What the initrd is, with the program in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initrd<'a> {
    /// An archive: the program first, then the guest's files.
    Archive {
        /// The program's bytes.
        program: &'a [u8],
    },
    /// The program's executable and nothing else.
    Program(&'a [u8]),
}

/// Why there is no program in the initrd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InitrdError {
    /// Neither an archive nor an executable; with its first bytes.
    Unknown([u8; 4]),
    /// An archive whose first entry is something else.
    FirstEntry(String),
    /// The archive ends within the program.
    Truncated {
        /// How long the program is by its header.
        program: u64,
        /// How many bytes follow the header.
        left: u64,
    },
    /// The program's size field is not a number.
    Size,
}

impl fmt::Display for InitrdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(first) => write!(
                f,
                "the initrd starts with the bytes {first:02x?}, which is neither an ELF executable nor a tar archive; \
                 give -initrd a program, or an uncompressed tar archive whose first entry is {PROGRAM}"
            ),
            Self::FirstEntry(found) => write!(
                f,
                "the initrd is a tar archive whose first entry is {found}, but it must be the regular file {PROGRAM}; \
                 pack the program under this name before all other files"
            ),
            Self::Truncated { program, left } => write!(
                f,
                "the initrd ends within {PROGRAM}: its header says {program} bytes and {left} follow; pack the archive again"
            ),
            Self::Size => write!(
                f,
                "the size of {PROGRAM} in the initrd's tar header is not a number; pack the archive again"
            ),
        }
    }
}

impl<'a> Initrd<'a> {
    /// Recognises an initrd. Only the first header of an archive is read.
    pub fn recognise(bytes: &'a [u8]) -> Result<Self, InitrdError> {
        if bytes.starts_with(ELF_MAGIC) {
            return Ok(Self::Program(bytes));
        }
        let unknown = || {
            let mut first = [0; 4];
            let len = bytes.len().min(4);
            first[..len].copy_from_slice(&bytes[..len]);
            InitrdError::Unknown(first)
        };
        let (header, rest) = bytes
            .split_first_chunk::<HEADER_SIZE>()
            .ok_or_else(unknown)?;
        let header = Header::from_bytes(header);
        // A block of zeros is where an archive ends: an empty archive.
        if header.is_empty() {
            return Err(InitrdError::FirstEntry(String::from(
                "missing (the archive is empty)",
            )));
        }
        header.verify_checksum().map_err(|_| unknown())?;
        if header.path_bytes() != PROGRAM.as_bytes() || header.entry_type() != EntryType::Regular {
            let path = String::from_utf8_lossy(header.path_bytes());
            let found = match header.entry_type() {
                EntryType::Regular => alloc::format!("the file {path}"),
                other => alloc::format!("{path} of type {other:?}"),
            };
            return Err(InitrdError::FirstEntry(found));
        }
        let size = header.entry_size().map_err(|_| InitrdError::Size)?;
        let program = usize::try_from(size)
            .ok()
            .and_then(|size| rest.get(..size))
            .ok_or(InitrdError::Truncated {
                program: size,
                left: rest.len() as u64,
            })?;
        Ok(Self::Archive { program })
    }

    /// The program's bytes.
    pub fn program(&self) -> &'a [u8] {
        match *self {
            Self::Archive { program } | Self::Program(program) => program,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use tar_core::builder::HeaderBuilder;

    fn archive(path: &str, kind: EntryType, size: u64, data: &[u8]) -> Vec<u8> {
        let mut builder = HeaderBuilder::new_ustar();
        builder
            .path(path)
            .unwrap()
            .size(size)
            .unwrap()
            .entry_type(kind);
        let mut bytes = builder.finish().as_bytes().to_vec();
        bytes.extend_from_slice(data);
        bytes.resize(bytes.len().next_multiple_of(512) + 1024, 0);
        bytes
    }

    #[test]
    fn the_first_entry_is_the_program() {
        let bytes = archive(PROGRAM, EntryType::Regular, 5, b"hello");
        let expected = Initrd::Archive { program: b"hello" };
        assert_eq!(Initrd::recognise(&bytes), Ok(expected));
    }

    #[test]
    fn a_plain_executable_is_the_program() {
        let bytes = b"\x7fELF and more";
        assert_eq!(Initrd::recognise(bytes).unwrap().program(), bytes);
    }

    #[test]
    fn other_first_entries_are_named() {
        let bytes = archive("etc/passwd", EntryType::Regular, 1, b"x");
        let error = Initrd::recognise(&bytes).unwrap_err();
        assert_eq!(error, InitrdError::FirstEntry("the file etc/passwd".into()));
        let bytes = archive(".darner", EntryType::Directory, 0, b"");
        let error = Initrd::recognise(&bytes).unwrap_err();
        assert_eq!(
            error,
            InitrdError::FirstEntry(".darner of type Directory".into())
        );
        assert!(matches!(
            Initrd::recognise(&[0; 1024]),
            Err(InitrdError::FirstEntry(_))
        ));
    }

    #[test]
    fn a_truncated_program_is_refused() {
        let bytes = archive(PROGRAM, EntryType::Regular, 1 << 20, b"hello");
        let left = bytes.len() as u64 - 512;
        let expected = InitrdError::Truncated {
            program: 1 << 20,
            left,
        };
        assert_eq!(Initrd::recognise(&bytes), Err(expected));
    }

    #[test]
    fn anything_else_is_unknown() {
        assert_eq!(
            Initrd::recognise(b"\x1f\x8b"),
            Err(InitrdError::Unknown([0x1f, 0x8b, 0, 0]))
        );
        assert_eq!(
            Initrd::recognise(&[b'a'; 4096]),
            Err(InitrdError::Unknown([b'a'; 4]))
        );
        assert_eq!(Initrd::recognise(b""), Err(InitrdError::Unknown([0; 4])));
    }
}
