//! What the tests share.

#![allow(dead_code)]

use darner_ramfs::{Error, FileSystem, OpenFile, OpenFlags};

/// Permission bits of what the tests make.
pub const MODE: u32 = 0o644;

/// A file system made at time 1.
pub fn new() -> FileSystem {
    FileSystem::new(1).expect("there is memory for a root")
}

/// Flags from `O_*` bits.
pub fn flags(bits: i32) -> OpenFlags {
    OpenFlags::from_bits(bits).expect("the flags make sense")
}

/// Opens by `O_*` bits.
pub fn open(fs: &mut FileSystem, path: &str, bits: i32) -> Result<OpenFile, Error> {
    fs.open(path.as_bytes(), flags(bits), MODE, 2)
}

/// The whole content of a file.
pub fn slurp(fs: &mut FileSystem, path: &str) -> Result<Vec<u8>, Error> {
    let file = open(fs, path, 0)?;
    let mut content = vec![0xee; fs.stat_open(&file).size as usize];
    let count = fs.read(&file, &mut content, 3);
    fs.close(file);
    assert_eq!(count?, content.len());
    Ok(content)
}

/// Makes a file with this content.
pub fn put(fs: &mut FileSystem, path: &str, content: &[u8]) -> Result<(), Error> {
    let file = open(fs, path, 0o1 | 0o100 | 0o1000)?;
    let count = fs.write(&file, content, 4);
    fs.close(file);
    assert_eq!(count?, content.len());
    Ok(())
}

/// The names in a directory.
pub fn names(fs: &mut FileSystem, path: &str) -> Result<Vec<String>, Error> {
    let directory = open(fs, path, 0o200000)?;
    let list = fs.list(&directory).map(|list| {
        list.iter()
            .map(|entry| String::from_utf8_lossy(entry.name).into_owned())
            .collect()
    });
    fs.close(directory);
    list
}
