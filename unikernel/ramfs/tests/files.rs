//! Opening, reading, writing and seeking.

#![allow(missing_docs)]

mod common;

use common::{MODE, flags, new, open, put, slurp};
use darner_ramfs::{Error, FileKind, OpenFlags, PAGE, Whence};
use hermit_abi::{
    O_APPEND, O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY, S_IFDIR, S_IFREG,
};

#[test]
fn what_was_written_is_read() {
    let mut fs = new();
    put(&mut fs, "/a", b"one").unwrap();
    assert_eq!(slurp(&mut fs, "/a").unwrap(), b"one");
    // Relative paths start at the root.
    assert_eq!(slurp(&mut fs, "a").unwrap(), b"one");
    assert_eq!(slurp(&mut fs, "./..//../a").unwrap(), b"one");
}

#[test]
fn open_refuses_what_cannot_be() {
    let mut fs = new();
    fs.mkdir(b"/d", 0o755, 1).unwrap();
    put(&mut fs, "/f", b"x").unwrap();
    let mut refused = |path: &str, bits| open(&mut fs, path, bits).unwrap_err();
    assert_eq!(refused("/none", O_RDONLY), Error::NotFound);
    assert_eq!(refused("", O_RDONLY), Error::NotFound);
    assert_eq!(refused("/none/x", O_WRONLY | O_CREAT), Error::NotFound);
    assert_eq!(refused("/f/x", O_WRONLY | O_CREAT), Error::NotADirectory);
    assert_eq!(refused("/f/", O_RDONLY), Error::NotADirectory);
    assert_eq!(refused("/f/.", O_RDONLY), Error::NotADirectory);
    assert_eq!(refused("/f", O_DIRECTORY), Error::NotADirectory);
    assert_eq!(refused("/new/", O_WRONLY | O_CREAT), Error::IsADirectory);
    assert_eq!(refused("/f", O_WRONLY | O_CREAT | O_EXCL), Error::Exists);
    assert_eq!(refused("/d", O_WRONLY | O_CREAT | O_EXCL), Error::Exists);
    assert_eq!(refused("/d", O_WRONLY), Error::IsADirectory);
    assert_eq!(refused("/d", O_RDONLY | O_TRUNC), Error::IsADirectory);
    assert_eq!(refused("/", O_RDWR), Error::IsADirectory);
    assert_eq!(
        refused(&"n".repeat(256), O_WRONLY | O_CREAT),
        Error::NameTooLong
    );
    assert_eq!(refused(&"/d".repeat(2048), O_RDONLY), Error::NameTooLong);
    assert_eq!(refused("/a\0b", O_WRONLY | O_CREAT), Error::Invalid);
    assert_eq!(OpenFlags::from_bits(3), Err(Error::Invalid));
    assert_eq!(
        OpenFlags::from_bits(O_CREAT | O_DIRECTORY),
        Err(Error::Invalid)
    );
    put(&mut fs, &"n".repeat(255), b"long").unwrap();
}

#[test]
fn access_mode_is_kept_to() {
    let mut fs = new();
    put(&mut fs, "/f", b"abc").unwrap();
    let reader = open(&mut fs, "/f", O_RDONLY).unwrap();
    let writer = open(&mut fs, "/f", O_WRONLY | O_APPEND).unwrap();
    assert_eq!(fs.write(&reader, b"x", 5), Err(Error::BadDescriptor));
    assert_eq!(fs.read(&writer, &mut [0; 4], 5), Err(Error::BadDescriptor));
    assert_eq!(fs.truncate(&reader, 0, 5), Err(Error::Invalid));
    assert_eq!(reader.flag_bits(), O_RDONLY);
    assert_eq!(writer.flag_bits(), O_WRONLY | O_APPEND);
    fs.close(reader);
    fs.close(writer);
    let directory = open(&mut fs, "/", O_RDONLY).unwrap();
    assert_eq!(directory.kind(), FileKind::Directory);
    assert_eq!(
        fs.read(&directory, &mut [0; 4], 5),
        Err(Error::IsADirectory)
    );
    fs.close(directory);
}

#[test]
fn seek_and_holes() {
    let mut fs = new();
    let file = open(&mut fs, "/f", O_RDWR | O_CREAT).unwrap();
    assert_eq!(
        fs.seek(&file, 3 * PAGE as i64 + 5, Whence::Start),
        Ok(3 * PAGE as u64 + 5)
    );
    assert_eq!(fs.stat_open(&file).size, 0, "a seek alone changes nothing");
    assert_eq!(
        fs.read(&file, &mut [0; 8], 5),
        Ok(0),
        "behind the end there is nothing"
    );
    assert_eq!(fs.write(&file, b"end", 5), Ok(3));
    assert_eq!(fs.seek(&file, 0, Whence::Current), Ok(3 * PAGE as u64 + 8));
    assert_eq!(fs.seek(&file, -3, Whence::End), Ok(3 * PAGE as u64 + 5));
    let mut tail = [0xee; 8];
    assert_eq!(fs.read(&file, &mut tail, 5), Ok(3));
    assert_eq!(&tail[..3], b"end");
    assert_eq!(fs.seek(&file, -1, Whence::Start), Err(Error::Invalid));
    assert_eq!(
        fs.seek(&file, i64::MIN, Whence::Current),
        Err(Error::Invalid)
    );
    assert_eq!(fs.seek(&file, i64::MAX, Whence::End), Err(Error::Invalid));
    assert_eq!(
        fs.seek(&file, 0, Whence::Start),
        Ok(0),
        "a failed seek breaks nothing"
    );
    let mut hole = vec![0xee; 3 * PAGE + 5];
    assert_eq!(fs.read(&file, &mut hole, 5), Ok(3 * PAGE + 5));
    assert!(hole.iter().all(|&byte| byte == 0));
    assert_eq!(fs.stat_open(&file).blocks, 8, "a hole takes no memory");
    fs.close(file);
}

#[test]
fn the_largest_file() {
    let mut fs = new();
    let file = open(&mut fs, "/f", O_RDWR | O_CREAT).unwrap();
    let end = i64::MAX as u64;
    assert_eq!(
        fs.write_at(&file, end - 2, b"abc", 5),
        Ok(2),
        "what still fits"
    );
    assert_eq!(fs.write_at(&file, end, b"c", 5), Err(Error::TooLarge));
    assert_eq!(fs.stat_open(&file).size, end);
    assert_eq!(fs.truncate(&file, end + 1, 5), Err(Error::TooLarge));
    assert_eq!(fs.truncate(&file, 0, 5), Ok(()));
    assert_eq!(fs.stat_open(&file).blocks, 0);
    fs.close(file);
}

#[test]
fn a_cut_file_grows_by_zeros() {
    let mut fs = new();
    put(&mut fs, "/f", &vec![7; 2 * PAGE]).unwrap();
    let file = open(&mut fs, "/f", O_RDWR).unwrap();
    fs.truncate(&file, 10, 6).unwrap();
    fs.truncate(&file, 2 * PAGE as u64, 6).unwrap();
    fs.close(file);
    let content = slurp(&mut fs, "/f").unwrap();
    assert_eq!(&content[..10], &[7; 10]);
    assert!(content[10..].iter().all(|&byte| byte == 0));
}

#[test]
fn appenders_do_not_overwrite_each_other() {
    let mut fs = new();
    let one = open(&mut fs, "/log", O_WRONLY | O_CREAT | O_APPEND).unwrap();
    let two = open(&mut fs, "/log", O_WRONLY | O_APPEND).unwrap();
    for round in 0..3 {
        fs.write(&one, format!("one{round}").as_bytes(), 5).unwrap();
        fs.seek(&two, 0, Whence::Start).unwrap();
        fs.write(&two, format!("two{round}").as_bytes(), 5).unwrap();
    }
    assert_eq!(slurp(&mut fs, "/log").unwrap(), b"one0two0one1two1one2two2");
    two.set_append(false);
    fs.seek(&two, 0, Whence::Start).unwrap();
    fs.write(&two, b"TWO", 5).unwrap();
    assert_eq!(&slurp(&mut fs, "/log").unwrap()[..4], b"TWO0");
    fs.close(one);
    fs.close(two);
}

#[test]
fn sharers_share_the_position_and_openers_do_not() {
    let mut fs = new();
    put(&mut fs, "/f", b"abcdef").unwrap();
    let shared = std::rc::Rc::new(open(&mut fs, "/f", O_RDONLY).unwrap());
    let duplicate = shared.clone();
    let other = open(&mut fs, "/f", O_RDONLY).unwrap();
    let mut two = [0; 2];
    fs.read(&shared, &mut two, 5).unwrap();
    fs.read(&duplicate, &mut two, 5).unwrap();
    assert_eq!(&two, b"cd");
    fs.read(&other, &mut two, 5).unwrap();
    assert_eq!(&two, b"ab");
    assert_eq!(fs.read_at(&other, 4, &mut two, 5), Ok(2));
    assert_eq!(&two, b"ef");
    assert_eq!(fs.seek(&other, 0, Whence::Current), Ok(2));
    fs.close(other);
    drop(duplicate);
    fs.close(std::rc::Rc::into_inner(shared).unwrap());
}

#[test]
fn an_unlinked_file_lives_until_its_last_close() {
    let mut fs = new();
    put(&mut fs, "/f", b"still here").unwrap();
    let file = open(&mut fs, "/f", O_RDWR).unwrap();
    fs.unlink(b"/f", 5).unwrap();
    assert_eq!(slurp(&mut fs, "/f"), Err(Error::NotFound));
    put(&mut fs, "/f", b"another").unwrap();
    let mut content = [0; 10];
    assert_eq!(fs.read(&file, &mut content, 5), Ok(10));
    assert_eq!(&content, b"still here");
    fs.write(&file, b" and grows", 5).unwrap();
    let stat = fs.stat_open(&file);
    assert_eq!((stat.nlink, stat.size), (0, 20));
    fs.close(file);
    assert_eq!(slurp(&mut fs, "/f").unwrap(), b"another");
}

#[test]
fn truncation_by_open_is_seen_by_others() {
    let mut fs = new();
    put(&mut fs, "/f", b"before").unwrap();
    let reader = open(&mut fs, "/f", O_RDONLY).unwrap();
    put(&mut fs, "/f", b"now").unwrap();
    let mut buf = [0; 8];
    assert_eq!(fs.read(&reader, &mut buf, 5), Ok(3));
    assert_eq!(&buf[..3], b"now");
    fs.close(reader);
}

#[test]
fn stat_tells_times_modes_and_links() {
    let mut fs = new();
    let file = fs.open(b"/f", flags(O_RDWR | O_CREAT), 0o600, 10).unwrap();
    fs.write(&file, &[1; 513], 20).unwrap();
    fs.read_at(&file, 0, &mut [0; 8], 30).unwrap();
    let stat = fs.stat(b"/f").unwrap();
    assert_eq!(stat, fs.stat_open(&file));
    assert_eq!((stat.accessed, stat.modified, stat.changed), (30, 20, 20));
    assert_eq!(
        (stat.mode(), stat.nlink, stat.size, stat.blocks),
        (S_IFREG | 0o600, 1, 513, 8)
    );
    fs.link(b"/f", b"/g", 40).unwrap();
    let stat = fs.stat(b"/g").unwrap();
    assert_eq!(
        (stat.ino, stat.nlink, stat.changed, stat.modified),
        (file.ino(), 2, 40, 20)
    );
    fs.close(file);
    fs.mkdir(b"/d", 0o750, 50).unwrap();
    fs.mkdir(b"/d/e", MODE, 60).unwrap();
    let stat = fs.stat(b"/d").unwrap();
    assert_eq!(
        (stat.mode(), stat.nlink, stat.modified),
        (S_IFDIR | 0o750, 3, 60)
    );
    assert_eq!(fs.stat(b"/f/"), Err(Error::NotADirectory));
    assert_eq!(
        fs.stat(b"/d/e/").unwrap().ino,
        fs.stat(b"/d/./e/../e/.").unwrap().ino
    );
}

#[test]
fn growth_is_linear() {
    // 64 MiB in small steps: minutes if growing copied what is there.
    let mut fs = new();
    let file = open(&mut fs, "/f", O_RDWR | O_CREAT).unwrap();
    let piece = [0x5a; 1000];
    for _ in 0..67_000 {
        assert_eq!(fs.write(&file, &piece, 5), Ok(1000));
    }
    let mut buf = [0; 3];
    assert_eq!(fs.read_at(&file, 66_999_998, &mut buf, 5), Ok(2));
    assert_eq!(buf, [0x5a, 0x5a, 0]);
    fs.close(file);
}
