//! Paths, taken apart.

use crate::Error;

/// The longest name of one directory entry, in bytes.
pub const NAME_MAX: usize = 255;

/// The longest path, in bytes, counting the zero byte that ends it.
pub const PATH_MAX: usize = 4096;

/// One step of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step<'p> {
    /// `.`: stay.
    Here,
    /// `..`: one up.
    Up,
    /// Down into the entry of this name.
    Down(&'p [u8]),
}

/// A path whose form was checked. There is no current directory: all paths
/// start at the root.
#[derive(Clone, Copy)]
pub(crate) struct Path<'p> {
    bytes: &'p [u8],
}

impl<'p> Path<'p> {
    pub(crate) fn new(bytes: &'p [u8]) -> Result<Self, Error> {
        if bytes.is_empty() {
            return Err(Error::NotFound);
        }
        if bytes.len() >= PATH_MAX {
            return Err(Error::NameTooLong);
        }
        if bytes.contains(&0) {
            return Err(Error::Invalid);
        }
        Ok(Self { bytes })
    }

    /// Whether the path can only mean a directory because it ends in a slash.
    pub(crate) fn trailing_slash(self) -> bool {
        self.bytes.ends_with(b"/")
    }

    /// The steps before the last one, and the last one; `None` for the root.
    pub(crate) fn split_last(self) -> (impl Iterator<Item = Step<'p>>, Option<Step<'p>>) {
        let end = self
            .bytes
            .iter()
            .rposition(|&byte| byte != b'/')
            .map_or(0, |last| last + 1);
        let trimmed = &self.bytes[..end];
        let start = trimmed
            .iter()
            .rposition(|&byte| byte == b'/')
            .map_or(0, |slash| slash + 1);
        (steps(&trimmed[..start]), steps(&trimmed[start..]).next())
    }
}

fn steps(bytes: &[u8]) -> impl Iterator<Item = Step<'_>> {
    bytes
        .split(|&byte| byte == b'/')
        .filter_map(|name| match name {
            b"" => None,
            b"." => Some(Step::Here),
            b".." => Some(Step::Up),
            name => Some(Step::Down(name)),
        })
}
