//! `std::fs`.
//!
//! Not checked, because `std` itself refuses them on this target: renaming, links,
//! permissions (and with them `fs::copy`), `File::set_len`, `File::sync_all`,
//! `File::try_clone`, `remove_dir_all`, and reading an empty directory.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::time::SystemTime;

use tour::{Check, Outcome, ensure, same};

pub const CHECKS: &[Check] = &[
    Check::new("write and read", whole),
    Check::new("open flags", flags),
    Check::new("seek", seek),
    Check::new("append", append),
    Check::new("truncate", truncate),
    Check::new("metadata", metadata),
    Check::new("directories", directories),
    Check::new("removed while open", removed_while_open),
    Check::new("two handles, one file", two_handles),
    Check::new("a large file", large),
    Check::new("errors", errors),
];

/// Error numbers, the same here as on Linux. Not all have an `ErrorKind` here.
const ENOENT: i32 = 2;
const EEXIST: i32 = 17;
const ENOTDIR: i32 = 20;
const EISDIR: i32 = 21;
const ENOTEMPTY: i32 = 39;

/// The number of the error that should have come.
fn number(result: io::Result<()>) -> Option<i32> {
    result.err()?.raw_os_error()
}

/// A folder for one check, empty at first, removed with what is in it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("std-tour-{}-{name}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    /// The path of a file in it.
    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What a check left behind does not matter any more.
        for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            let _ = fs::remove_file(entry.path());
        }
        let _ = fs::remove_dir(&self.0);
    }
}

fn whole() -> Outcome {
    let folder = Folder::new("whole")?;
    let text = "eins\nzwei\ndrei\n".repeat(1000);
    fs::write(folder.file("a"), &text)?;
    same!(fs::read_to_string(folder.file("a"))?.len(), text.len());
    let mut copy = File::create(folder.file("b"))?;
    let copied = io::copy(&mut File::open(folder.file("a"))?, &mut copy)?;
    same!(copied, text.len() as u64);
    let lines = BufReader::new(File::open(folder.file("b"))?).lines();
    same!(
        lines
            .map_while(Result::ok)
            .filter(|line| line == "zwei")
            .count(),
        1000
    );
    Ok(format!("{} bytes, copied, read by line", text.len()))
}

fn flags() -> Outcome {
    let folder = Folder::new("flags")?;
    let path = folder.file("a");
    let missing = OpenOptions::new()
        .write(true)
        .open(&path)
        .map_err(|error| error.kind());
    same!(missing.err(), Some(ErrorKind::NotFound));
    File::create_new(&path)?.write_all(b"12345")?;
    let twice = File::create_new(&path).map_err(|error| error.kind());
    same!(twice.err(), Some(ErrorKind::AlreadyExists));
    // Opened for one thing, a file refuses the other.
    ensure!(
        File::open(&path)?.write(b"x").is_err(),
        "wrote to a file opened to read"
    );
    let mut writer = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)?;
    ensure!(
        writer.read(&mut [0]).is_err(),
        "read from a file opened to write"
    );
    // What is not overwritten stays.
    writer.write_all(b"ab")?;
    same!(fs::read(&path)?, b"ab345");
    Ok("read, write, create, create_new".into())
}

fn seek() -> Outcome {
    let folder = Folder::new("seek")?;
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(folder.file("a"))?;
    file.write_all(b"0123456789")?;
    same!(file.seek(SeekFrom::Start(3))?, 3);
    let mut two = [0; 2];
    file.read_exact(&mut two)?;
    same!(&two, b"34");
    same!(file.seek(SeekFrom::Current(-1))?, 4);
    same!(file.seek(SeekFrom::End(-2))?, 8);
    same!(file.read(&mut [0; 10])?, 2);
    same!(file.read(&mut [0; 10])?, 0);
    ensure!(
        file.seek(SeekFrom::Current(-100)).is_err(),
        "seeked to before the beginning"
    );
    // A gap reads as zeros.
    file.seek(SeekFrom::Start(12))?;
    file.write_all(b"x")?;
    file.rewind()?;
    let mut all = Vec::new();
    file.read_to_end(&mut all)?;
    same!(all, b"0123456789\0\0x");
    Ok("from start, end and here, and past the end".into())
}

fn append() -> Outcome {
    let folder = Folder::new("append")?;
    let path = folder.file("a");
    fs::write(&path, "one ")?;
    let mut first = OpenOptions::new().append(true).open(&path)?;
    let mut second = OpenOptions::new().append(true).open(&path)?;
    first.write_all(b"two ")?;
    second.write_all(b"three ")?;
    first.rewind()?;
    first.write_all(b"four")?;
    same!(fs::read_to_string(&path)?, "one two three four");
    Ok("always at the end".into())
}

fn truncate() -> Outcome {
    let folder = Folder::new("truncate")?;
    let path = folder.file("a");
    fs::write(&path, "a long text")?;
    fs::write(&path, "short")?;
    same!(fs::read_to_string(&path)?, "short");
    drop(File::create(&path)?);
    same!(fs::metadata(&path)?.len(), 0);
    Ok("on opening".into())
}

fn metadata() -> Outcome {
    let folder = Folder::new("metadata")?;
    let path = folder.file("a");
    fs::write(&path, [7; 1234])?;
    let file = fs::metadata(&path)?;
    same!(file.len(), 1234);
    same!(
        (file.is_file(), file.is_dir(), file.is_symlink()),
        (true, false, false)
    );
    same!(File::open(&path)?.metadata()?.len(), 1234);
    let folder = fs::metadata(&folder.0)?;
    same!((folder.is_file(), folder.is_dir()), (false, true));
    // Files that came with the machine may be older; this one is new.
    let age = SystemTime::now()
        .duration_since(file.modified()?)
        .unwrap_or_default();
    ensure!(age.as_secs() < 60, "modified {age:?} ago");
    Ok("size, kind, time".into())
}

fn directories() -> Outcome {
    let folder = Folder::new("directories")?;
    let deep = folder.file("d/e/f");
    fs::create_dir_all(&deep)?;
    fs::write(deep.join("leaf"), "green")?;
    for name in ["x", "y", "z"] {
        fs::write(folder.file(name), name)?;
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder.0)? {
        let entry = entry?;
        same!(entry.file_type()?.is_dir(), entry.file_name() == "d");
        names.push(
            entry
                .file_name()
                .into_string()
                .map_err(|name| format!("named {name:?}"))?,
        );
    }
    names.retain(|name| name != "." && name != "..");
    names.sort_unstable();
    same!(names, ["d", "x", "y", "z"]);
    same!(number(fs::remove_dir(&deep)), Some(ENOTEMPTY));
    fs::remove_file(deep.join("leaf"))?;
    for name in ["d/e/f", "d/e", "d"] {
        fs::remove_dir(folder.file(name))?;
    }
    ensure!(
        !fs::exists(folder.file("d"))?,
        "a removed folder is still there"
    );
    Ok("made, listed, removed".into())
}

fn removed_while_open() -> Outcome {
    let folder = Folder::new("removed")?;
    let path = folder.file("a");
    fs::write(&path, "still ")?;
    let mut file = OpenOptions::new().read(true).append(true).open(&path)?;
    fs::remove_file(&path)?;
    ensure!(!fs::exists(&path)?, "a removed file is still there");
    file.write_all(b"readable")?;
    // A new file of that name is another one.
    fs::write(&path, "new")?;
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    same!(text, "still readable");
    same!(fs::read_to_string(&path)?, "new");
    Ok("usable until closed".into())
}

fn two_handles() -> Outcome {
    let folder = Folder::new("handles")?;
    let path = folder.file("a");
    let mut writer = File::create(&path)?;
    let mut reader = File::open(&path)?;
    for round in 0..100_u8 {
        writer.write_all(&[round])?;
        let mut byte = [0];
        // Each has a position of its own.
        reader.read_exact(&mut byte)?;
        same!(byte, [round]);
    }
    Ok("what one writes the other reads".into())
}

fn large() -> Outcome {
    let folder = Folder::new("large")?;
    let path = folder.file("a");
    let mut file = File::create(&path)?;
    let block: Vec<u8> = (0..64 * 1024).map(|n| (n / 256) as u8).collect();
    for _ in 0..32 {
        file.write_all(&block)?;
    }
    drop(file);
    let mut file = File::open(&path)?;
    let mut found = vec![0; block.len()];
    for number in 0..32 {
        file.read_exact(&mut found)?;
        ensure!(found == block, "block {number} is not what was written");
    }
    Ok("2 MiB".into())
}

fn errors() -> Outcome {
    let folder = Folder::new("errors")?;
    fs::write(folder.file("a"), "")?;
    let missing = folder.file("no/such/file");
    same!(number(fs::read(&missing).map(drop)), Some(ENOENT));
    same!(number(fs::write(&missing, "")), Some(ENOENT));
    same!(number(fs::remove_file(folder.file("b"))), Some(ENOENT));
    same!(number(fs::create_dir(folder.file("a"))), Some(EEXIST));
    same!(
        number(File::open(folder.file("a/b")).map(drop)),
        Some(ENOTDIR)
    );
    same!(number(File::create(&folder.0).map(drop)), Some(EISDIR));
    Ok("as they should be".into())
}
