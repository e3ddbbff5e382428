//! The bytes of one file.
//!
//! A file is what it borrowed from the archive, overlaid by the pages that were
//! written since, with zeros where neither has anything. Pages are found by
//! number in a hash table: appending costs the same however long the file is,
//! and a page far out costs nothing for the hole before it.

use alloc::boxed::Box;
use alloc::vec::Vec;

use hashbrown::HashMap;

use crate::{Error, PAGE};

/// The largest size that `st_size` can express.
pub(crate) const MAX_SIZE: u64 = i64::MAX as u64;

/// The bytes of one file.
///
/// Invariants: `borrowed` is not longer than `size`; no page begins at or after
/// `size`; the bytes of the last page that lie after `size` are zero.
#[derive(Default)]
pub(crate) struct Content {
    borrowed: &'static [u8],
    pages: HashMap<u64, Box<[u8]>>,
    size: u64,
}

impl Content {
    /// A file that shows `bytes` and owns no memory yet.
    pub(crate) fn borrowed(bytes: &'static [u8]) -> Self {
        Self {
            borrowed: bytes,
            pages: HashMap::new(),
            size: bytes.len() as u64,
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Memory that the file stands for, in units of 512 bytes: its own pages
    /// and what it borrows.
    pub(crate) fn blocks(&self) -> u64 {
        (self.pages.len() * (PAGE / 512) + self.borrowed.len().div_ceil(512)) as u64
    }

    /// Copies from `offset` into `buf`; returns how much there was to copy.
    pub(crate) fn read(&self, offset: u64, buf: &mut [u8]) -> usize {
        let available = self.size.saturating_sub(offset);
        let len = buf
            .len()
            .min(usize::try_from(available).unwrap_or(usize::MAX));
        let mut done = 0;
        while done < len {
            let position = offset + done as u64;
            let (number, start) = split(position);
            let count = (PAGE - start).min(len - done);
            let out = &mut buf[done..done + count];
            match self.pages.get(&number) {
                Some(page) => out.copy_from_slice(&page[start..start + count]),
                None => {
                    let copied = copy_part(self.borrowed, position, out);
                    out[copied..].fill(0);
                }
            }
            done += count;
        }
        len
    }

    /// Copies `data` to `offset` and returns how much of it was stored: less
    /// than all when memory or the largest size is reached on the way.
    pub(crate) fn write(&mut self, offset: u64, data: &[u8]) -> Result<usize, Error> {
        if data.is_empty() {
            return Ok(0);
        }
        if offset >= MAX_SIZE {
            return Err(Error::TooLarge);
        }
        let room = usize::try_from(MAX_SIZE - offset).unwrap_or(usize::MAX);
        let data = &data[..data.len().min(room)];
        let mut done = 0;
        while done < data.len() {
            let (number, start) = split(offset + done as u64);
            let count = (PAGE - start).min(data.len() - done);
            match self.page_mut(number) {
                Ok(page) => page[start..start + count].copy_from_slice(&data[done..done + count]),
                Err(error) if done == 0 => return Err(error),
                Err(_) => break,
            }
            done += count;
        }
        self.size = self.size.max(offset + done as u64);
        Ok(done)
    }

    /// Cuts the file off at `size`, or makes it longer by a hole.
    pub(crate) fn resize(&mut self, size: u64) -> Result<(), Error> {
        if size > MAX_SIZE {
            return Err(Error::TooLarge);
        }
        if size < self.size {
            let (last, start) = split(size);
            if start == 0 {
                self.pages.retain(|&number, _| number < last);
            } else {
                self.pages.retain(|&number, _| number <= last);
                if let Some(page) = self.pages.get_mut(&last) {
                    page[start..].fill(0);
                }
            }
            if self.pages.is_empty() {
                // Gives the table's memory back as well.
                self.pages = HashMap::new();
            }
            let keep = usize::try_from(size).unwrap_or(usize::MAX);
            self.borrowed = &self.borrowed[..self.borrowed.len().min(keep)];
        }
        self.size = size;
        Ok(())
    }

    /// The page `number`, made from what the file shows there if it has no page
    /// of its own yet.
    fn page_mut(&mut self, number: u64) -> Result<&mut [u8], Error> {
        if !self.pages.contains_key(&number) {
            self.pages.try_reserve(1).map_err(|_| Error::NoSpace)?;
            let mut page = Vec::new();
            page.try_reserve_exact(PAGE).map_err(|_| Error::NoSpace)?;
            page.resize(PAGE, 0);
            copy_part(self.borrowed, number * PAGE as u64, &mut page);
            self.pages.insert(number, page.into_boxed_slice());
        }
        Ok(self
            .pages
            .get_mut(&number)
            .expect("the page is there or was inserted"))
    }
}

/// The number of the page that holds `position`, and where in it.
fn split(position: u64) -> (u64, usize) {
    (position / PAGE as u64, (position % PAGE as u64) as usize)
}

/// Copies what `from` has at `position`; returns how much that was.
fn copy_part(from: &[u8], position: u64, out: &mut [u8]) -> usize {
    let start = usize::try_from(position)
        .unwrap_or(usize::MAX)
        .min(from.len());
    let part = &from[start..];
    let count = part.len().min(out.len());
    out[..count].copy_from_slice(&part[..count]);
    count
}
