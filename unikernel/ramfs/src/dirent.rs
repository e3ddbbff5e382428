//! Directory entries in the form that programs read: `dirent64` records.

use core::mem::{align_of, offset_of};

use hermit_abi::dirent64;

use crate::{DirEntry, Error};

/// Where the name begins in a record.
const NAME: usize = offset_of!(dirent64, d_name);

/// Writes the records of `entries[first..]` one after the other and returns how
/// many bytes they take. [`Error::Invalid`] if that is more than `buf` has.
pub(crate) fn encode(
    entries: &[DirEntry<'_>],
    first: usize,
    buf: &mut [u8],
) -> Result<usize, Error> {
    let mut used = 0;
    for (index, entry) in entries.iter().enumerate().skip(first) {
        let len = record_len(entry.name);
        let record = buf.get_mut(used..used + len).ok_or(Error::Invalid)?;
        // The zero byte behind the name, and the padding.
        record.fill(0);
        put(
            record,
            offset_of!(dirent64, d_ino),
            &entry.ino.to_ne_bytes(),
        );
        // What to seek to in order to go on behind this entry.
        put(
            record,
            offset_of!(dirent64, d_off),
            &(index as i64 + 1).to_ne_bytes(),
        );
        put(
            record,
            offset_of!(dirent64, d_reclen),
            &(len as u16).to_ne_bytes(),
        );
        put(
            record,
            offset_of!(dirent64, d_type),
            &[entry.kind.dirent_type()],
        );
        put(record, NAME, entry.name);
        used += len;
    }
    Ok(used)
}

/// A record's length: it ends behind the name's zero byte, and the next one is
/// aligned.
fn record_len(name: &[u8]) -> usize {
    (NAME + name.len() + 1).next_multiple_of(align_of::<dirent64>())
}

fn put(record: &mut [u8], at: usize, bytes: &[u8]) {
    record[at..at + bytes.len()].copy_from_slice(bytes);
}
