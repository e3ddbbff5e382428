//! Puts the objects into an archive with a symbol table.

use std::io::Cursor;

use ar_archive_writer::{
    ArchiveKind, DEFAULT_OBJECT_READER, NewArchiveMember, write_archive_to_stream,
};

use crate::error::{Context, Result};

/// The archive of these members, by name and content.
pub fn make(members: &[(&str, Vec<u8>)]) -> Result<Vec<u8>> {
    let members: Vec<_> = members
        .iter()
        .map(|(name, content)| {
            NewArchiveMember::new(content, &DEFAULT_OBJECT_READER, (*name).to_owned())
        })
        .collect();
    let mut archive = Cursor::new(Vec::new());
    write_archive_to_stream(&mut archive, &members, ArchiveKind::Gnu, false, None)
        .context(|| "write the archive libhermit.a".into())?;
    Ok(archive.into_inner())
}
