//! Directories: making, removing, moving, listing.

#![allow(missing_docs)]

mod common;

use common::{names, new, open, put, slurp};
use darner_ramfs::{Error, FileSystem, Whence};
use hermit_abi::{DT_DIR, DT_REG, O_DIRECTORY, O_RDONLY};

fn tree() -> FileSystem {
    let mut fs = new();
    for directory in ["/d", "/d/e", "/empty"] {
        fs.mkdir(directory.as_bytes(), 0o755, 1).unwrap();
    }
    put(&mut fs, "/f", b"f").unwrap();
    put(&mut fs, "/d/g", b"g").unwrap();
    fs
}

#[test]
fn mkdir_and_rmdir() {
    let mut fs = tree();
    assert_eq!(fs.mkdir(b"/d", 0o755, 2), Err(Error::Exists));
    assert_eq!(fs.mkdir(b"/f", 0o755, 2), Err(Error::Exists));
    assert_eq!(fs.mkdir(b"/", 0o755, 2), Err(Error::Exists));
    assert_eq!(fs.mkdir(b"/d/..", 0o755, 2), Err(Error::Exists));
    assert_eq!(fs.mkdir(b"/none/x", 0o755, 2), Err(Error::NotFound));
    assert_eq!(fs.mkdir(b"/f/x", 0o755, 2), Err(Error::NotADirectory));
    assert_eq!(fs.mkdir(b"/new/", 0o755, 2), Ok(()));
    assert_eq!(names(&mut fs, "/").unwrap(), ["d", "empty", "f", "new"]);
    assert_eq!(fs.rmdir(b"/d", 2), Err(Error::NotEmpty));
    assert_eq!(fs.rmdir(b"/f", 2), Err(Error::NotADirectory));
    assert_eq!(fs.rmdir(b"/none", 2), Err(Error::NotFound));
    assert_eq!(fs.rmdir(b"/", 2), Err(Error::Busy));
    assert_eq!(fs.rmdir(b"/empty/.", 2), Err(Error::Invalid));
    assert_eq!(fs.rmdir(b"/d/e/..", 2), Err(Error::NotEmpty));
    assert_eq!(fs.rmdir(b"/empty/", 2), Ok(()));
    assert_eq!(fs.stat(b"/").unwrap().nlink, 4);
}

#[test]
fn a_removed_directory_that_is_open_is_empty() {
    let mut fs = tree();
    let directory = open(&mut fs, "/empty", O_RDONLY | O_DIRECTORY).unwrap();
    fs.rmdir(b"/empty", 2).unwrap();
    assert!(fs.list(&directory).unwrap().is_empty());
    assert_eq!(fs.stat_open(&directory).nlink, 0);
    fs.close(directory);
}

#[test]
fn unlink() {
    let mut fs = tree();
    assert_eq!(fs.unlink(b"/d", 2), Err(Error::IsADirectory));
    assert_eq!(fs.unlink(b"/", 2), Err(Error::IsADirectory));
    assert_eq!(fs.unlink(b"/d/.", 2), Err(Error::IsADirectory));
    assert_eq!(fs.unlink(b"/f/", 2), Err(Error::NotADirectory));
    assert_eq!(fs.unlink(b"/none", 2), Err(Error::NotFound));
    fs.link(b"/f", b"/d/f", 2).unwrap();
    assert_eq!(fs.unlink(b"/f", 2), Ok(()));
    assert_eq!(slurp(&mut fs, "/d/f").unwrap(), b"f");
    assert_eq!(fs.link(b"/d", b"/x", 2), Err(Error::NotPermitted));
    assert_eq!(fs.link(b"/d/f", b"/d/g", 2), Err(Error::Exists));
    assert_eq!(fs.link(b"/d/f", b"/x/", 2), Err(Error::NotFound));
}

#[test]
fn rename_moves_and_replaces() {
    let mut fs = tree();
    fs.rename(b"/f", b"/d/g", 2).unwrap();
    assert_eq!(slurp(&mut fs, "/d/g").unwrap(), b"f");
    assert_eq!(fs.stat(b"/f"), Err(Error::NotFound));
    fs.rename(b"/d/", b"/empty/", 2).unwrap();
    assert_eq!(names(&mut fs, "/").unwrap(), ["empty"]);
    assert_eq!(names(&mut fs, "/empty").unwrap(), ["e", "g"]);
    assert_eq!(fs.stat(b"/").unwrap().nlink, 3);
    // A moved directory's `..` follows.
    fs.rename(b"/empty/e", b"/e", 2).unwrap();
    assert_eq!(fs.stat(b"/e/..").unwrap().ino, fs.stat(b"/").unwrap().ino);
    assert_eq!(fs.stat(b"/empty").unwrap().nlink, 2);
    assert_eq!(fs.stat(b"/").unwrap().nlink, 4);
}

#[test]
fn rename_refuses() {
    let mut fs = tree();
    assert_eq!(fs.rename(b"/none", b"/x", 2), Err(Error::NotFound));
    assert_eq!(fs.rename(b"/f", b"/none/x", 2), Err(Error::NotFound));
    assert_eq!(fs.rename(b"/d", b"/d/e/x", 2), Err(Error::Invalid));
    assert_eq!(fs.rename(b"/d", b"/d/x", 2), Err(Error::Invalid));
    assert_eq!(fs.rename(b"/d/e", b"/d", 2), Err(Error::NotEmpty));
    assert_eq!(fs.rename(b"/empty", b"/d", 2), Err(Error::NotEmpty));
    assert_eq!(fs.rename(b"/f", b"/empty", 2), Err(Error::IsADirectory));
    assert_eq!(fs.rename(b"/empty", b"/f", 2), Err(Error::NotADirectory));
    assert_eq!(fs.rename(b"/f", b"/x/", 2), Err(Error::NotADirectory));
    assert_eq!(fs.rename(b"/f/", b"/x", 2), Err(Error::NotADirectory));
    assert_eq!(fs.rename(b"/", b"/x", 2), Err(Error::Busy));
    assert_eq!(fs.rename(b"/d/.", b"/x", 2), Err(Error::Busy));
    assert_eq!(fs.rename(b"/f", b"/d/..", 2), Err(Error::Busy));
    assert_eq!(fs.rename(b"/f", &[b'n'; 256], 2), Err(Error::NameTooLong));
    // Two names of one file, and a name onto itself: nothing to do.
    fs.link(b"/f", b"/l", 2).unwrap();
    assert_eq!(fs.rename(b"/f", b"/l", 2), Ok(()));
    assert_eq!(fs.rename(b"/d", b"/d", 2), Ok(()));
    assert_eq!(names(&mut fs, "/").unwrap(), ["d", "empty", "f", "l"]);
}

#[test]
fn a_replaced_file_that_is_open_lives_on() {
    let mut fs = tree();
    let old = open(&mut fs, "/d/g", O_RDONLY).unwrap();
    fs.rename(b"/f", b"/d/g", 2).unwrap();
    let mut byte = [0; 1];
    assert_eq!(fs.read(&old, &mut byte, 3), Ok(1));
    assert_eq!(&byte, b"g");
    fs.close(old);
}

/// Takes records apart as the standard library does: by offset and `d_reclen`.
fn records(buf: &[u8]) -> Vec<(u64, i64, u8, String)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < buf.len() {
        let number = |from: usize| u64::from_ne_bytes(buf[at + from..][..8].try_into().unwrap());
        let len = u16::from_ne_bytes(buf[at + 16..][..2].try_into().unwrap());
        assert_eq!(len % 8, 0, "the next record would not be aligned");
        let name = &buf[at + 19..at + usize::from(len)];
        let end = name
            .iter()
            .position(|&byte| byte == 0)
            .expect("a zero ends the name");
        let name = String::from_utf8(name[..end].to_vec()).unwrap();
        found.push((number(0), number(8) as i64, buf[at + 18], name));
        at += usize::from(len);
    }
    found
}

#[test]
fn directory_records() {
    let mut fs = tree();
    let directory = open(&mut fs, "/", O_RDONLY | O_DIRECTORY).unwrap();
    let mut buf = [0xee; 512];
    for len in [0, 1, 23, 71] {
        assert_eq!(
            fs.read_directory(&directory, &mut buf[..len], 2),
            Err(Error::Invalid)
        );
    }
    let used = fs.read_directory(&directory, &mut buf, 2).unwrap();
    assert_eq!(used, 3 * 24 + 8 * usize::from("empty".len() + 20 > 24));
    let ino = |path: &[u8]| fs.stat(path).unwrap().ino;
    let expected = [
        (ino(b"/d"), 1, DT_DIR, "d".to_string()),
        (ino(b"/empty"), 2, DT_DIR, "empty".to_string()),
        (ino(b"/f"), 3, DT_REG, "f".to_string()),
    ];
    assert_eq!(records(&buf[..used]), expected);
    assert_eq!(
        fs.read_directory(&directory, &mut buf, 2),
        Ok(0),
        "nothing is left"
    );
    fs.seek(&directory, 2, Whence::Start).unwrap();
    let used = fs.read_directory(&directory, &mut buf, 2).unwrap();
    assert_eq!(records(&buf[..used]), expected[2..]);
    fs.seek(&directory, 0, Whence::Start).unwrap();
    assert!(fs.read_directory(&directory, &mut buf, 2).unwrap() > 0);
    fs.close(directory);
    let empty = open(&mut fs, "/empty", O_RDONLY).unwrap();
    assert_eq!(fs.read_directory(&empty, &mut buf, 2), Ok(0));
    fs.close(empty);
    let file = open(&mut fs, "/f", O_RDONLY).unwrap();
    assert_eq!(
        fs.read_directory(&file, &mut buf, 2),
        Err(Error::NotADirectory)
    );
    fs.close(file);
}

#[test]
fn the_longest_name_fits_its_record() {
    let mut fs = new();
    let name = "n".repeat(255);
    put(&mut fs, &name, b"").unwrap();
    let directory = open(&mut fs, "/", O_RDONLY).unwrap();
    let mut buf = [0; 512];
    let used = fs.read_directory(&directory, &mut buf, 2).unwrap();
    assert_eq!(used, 280);
    assert_eq!(records(&buf[..used])[0].3, name);
    fs.close(directory);
}

#[test]
fn many_entries() {
    let mut fs = new();
    for number in 0..20_000 {
        put(&mut fs, &format!("/{number:05}"), b"").unwrap();
    }
    let names = names(&mut fs, "/").unwrap();
    assert_eq!(names.len(), 20_000);
    assert!(names.is_sorted());
    for number in 0..20_000 {
        fs.unlink(format!("/{number:05}").as_bytes(), 5).unwrap();
    }
    assert_eq!(fs.stat(b"/").unwrap().size, 0);
}
