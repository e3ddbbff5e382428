//! Filling from tar archives, made by the crate that makes them on the host.

#![allow(missing_docs)]

mod common;

use common::{names, new, open, put, slurp};
use darner_ramfs::{Error, PAGE, TarError, TarSummary};
use hermit_abi::O_RDWR;
use tar::{Builder, EntryType, Header};

fn entry(builder: &mut Builder<Vec<u8>>, kind: EntryType, path: &str, content: &[u8]) {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(if kind == EntryType::Directory {
        0o750
    } else {
        0o640
    });
    header.set_mtime(7);
    header.set_size(content.len() as u64);
    builder.append_data(&mut header, path, content).unwrap();
}

fn finish(builder: Builder<Vec<u8>>) -> &'static [u8] {
    builder.into_inner().unwrap().leak()
}

#[test]
fn files_directories_and_what_is_reserved() {
    let mut builder = Builder::new(Vec::new());
    entry(
        &mut builder,
        EntryType::Regular,
        ".darner/program",
        b"\x7fELF",
    );
    entry(&mut builder, EntryType::Directory, "data/", b"");
    entry(&mut builder, EntryType::Directory, "data/empty", b"");
    entry(&mut builder, EntryType::Regular, "data/one", b"1");
    entry(&mut builder, EntryType::Regular, "deep/er/est", &[9; 5000]);
    entry(&mut builder, EntryType::Regular, "none", b"");
    entry(
        &mut builder,
        EntryType::Regular,
        ".darnerx",
        b"not reserved",
    );
    let archive = finish(builder);
    let mut fs = new();
    let summary = fs.add_tar(archive, 99).unwrap();
    assert_eq!(
        summary,
        TarSummary {
            files: 4,
            directories: 2,
            skipped: 0
        }
    );
    assert_eq!(
        names(&mut fs, "/").unwrap(),
        [".darnerx", "data", "deep", "none"]
    );
    assert_eq!(names(&mut fs, "/data").unwrap(), ["empty", "one"]);
    assert_eq!(slurp(&mut fs, "/deep/er/est").unwrap(), [9; 5000]);
    assert_eq!(slurp(&mut fs, "/none").unwrap(), b"");
    let stat = fs.stat(b"/data/one").unwrap();
    assert_eq!((stat.permissions, stat.modified), (0o640, 7_000_000_000));
    assert_eq!(fs.stat(b"/data").unwrap().permissions, 0o750);
}

#[test]
fn long_names() {
    let long = format!("{}/{}", "directory-".repeat(20), "file-".repeat(45));
    let longer = format!("{long}x{}", "/deeper".repeat(200));
    let mut builder = Builder::new(Vec::new());
    // A GNU 'L' entry each.
    entry(&mut builder, EntryType::Regular, &long, b"long");
    entry(&mut builder, EntryType::Regular, &longer, b"longer");
    // The same by a pax record.
    let path = format!("pax/{}", "name-".repeat(50));
    builder
        .append_pax_extensions([("path", path.as_bytes())])
        .unwrap();
    entry(&mut builder, EntryType::Regular, "short", b"pax");
    // And by ustar's prefix field.
    let mut header = Header::new_ustar();
    let prefixed = format!("{}/{}", "p".repeat(120), "n".repeat(90));
    header.set_path(&prefixed).unwrap();
    header.set_size(6);
    header.set_mode(0o644);
    header.set_cksum();
    builder.append(&header, &b"prefix"[..]).unwrap();
    let archive = finish(builder);
    let mut fs = new();
    fs.add_tar(archive, 99).unwrap();
    for (path, content) in [(&long, "long"), (&longer, "longer"), (&path, "pax")] {
        assert_eq!(slurp(&mut fs, path).unwrap(), content.as_bytes());
    }
    assert_eq!(slurp(&mut fs, &prefixed).unwrap(), b"prefix");
    assert_eq!(slurp(&mut fs, "short"), Err(Error::NotFound));
}

#[test]
fn written_pages_leave_the_archive_alone() {
    let original: Vec<u8> = (0..3 * PAGE + 100).map(|at| (at % 251) as u8).collect();
    let mut builder = Builder::new(Vec::new());
    entry(&mut builder, EntryType::Regular, "f", &original);
    let archive = finish(builder);
    let before = archive.to_vec();
    let mut fs = new();
    fs.add_tar(archive, 99).unwrap();
    let borrowed = fs.stat(b"/f").unwrap().blocks;
    assert_eq!(borrowed, original.len().div_ceil(512) as u64);
    let file = open(&mut fs, "/f", O_RDWR).unwrap();
    fs.write_at(&file, PAGE as u64 + 10, b"changed", 5).unwrap();
    assert_eq!(
        fs.stat_open(&file).blocks,
        borrowed + 8,
        "one page was copied"
    );
    fs.truncate(&file, 3 * PAGE as u64 + 50, 5).unwrap();
    fs.truncate(&file, 3 * PAGE as u64 + 60, 5).unwrap();
    fs.close(file);
    let mut expected = original;
    expected[PAGE + 10..PAGE + 17].copy_from_slice(b"changed");
    expected.truncate(3 * PAGE + 50);
    expected.resize(3 * PAGE + 60, 0);
    assert_eq!(slurp(&mut fs, "/f").unwrap(), expected);
    assert_eq!(archive, before);
}

#[test]
fn links_and_what_cannot_be() {
    let mut builder = Builder::new(Vec::new());
    entry(&mut builder, EntryType::Regular, "f", b"content");
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Link);
    header.set_size(0);
    builder.append_link(&mut header, "d/hard", "f").unwrap();
    header.set_entry_type(EntryType::Symlink);
    builder.append_link(&mut header, "soft", "f").unwrap();
    entry(&mut builder, EntryType::Regular, "f2", b"old");
    entry(&mut builder, EntryType::Regular, "f2", b"new");
    let archive = finish(builder);
    let mut fs = new();
    let summary = fs.add_tar(archive, 99).unwrap();
    assert_eq!(
        summary,
        TarSummary {
            files: 4,
            directories: 0,
            skipped: 1
        }
    );
    put(&mut fs, "/d/hard", b"through the other name").unwrap();
    assert_eq!(slurp(&mut fs, "/f").unwrap(), b"through the other name");
    assert_eq!(slurp(&mut fs, "/f2").unwrap(), b"new");
}

#[test]
fn damage_is_named() {
    let mut builder = Builder::new(Vec::new());
    entry(&mut builder, EntryType::Regular, "f", &[1; 2000]);
    let archive = finish(builder);
    assert!(matches!(
        new().add_tar(&archive[..1000], 1),
        Err(TarError::Truncated { offset: 0 })
    ));
    assert!(matches!(
        new().add_tar(&archive[..100], 1),
        Err(TarError::Truncated { offset: 0 })
    ));
    // Without the end marker, and even without the last padding, all is there.
    for len in [512 + 2000, 512 + 2048] {
        assert_eq!(new().add_tar(&archive[..len], 1).unwrap().files, 1);
    }
    let mut damaged = archive.to_vec();
    damaged[3] ^= 1;
    let error = new().add_tar(damaged.leak(), 1).unwrap_err();
    assert!(
        matches!(error, TarError::Malformed { offset: 0, .. }),
        "{error}"
    );
    assert_eq!(new().add_tar(b"", 1).unwrap(), TarSummary::default());

    let mut builder = Builder::new(Vec::new());
    entry(&mut builder, EntryType::Regular, "f", b"");
    entry(&mut builder, EntryType::Regular, "f/g", b"");
    let error = new().add_tar(finish(builder), 1).unwrap_err();
    assert_eq!(error.to_string(), "cannot make 'f/g': not a directory");

    let mut header = Header::new_gnu();
    header.as_old_mut().name[..7].copy_from_slice(b"../evil");
    header.set_size(0);
    header.set_mode(0o644);
    header.set_cksum();
    let mut builder = Builder::new(Vec::new());
    builder.append(&header, &b""[..]).unwrap();
    let error = new().add_tar(finish(builder), 1).unwrap_err();
    assert_eq!(error.to_string(), "cannot make '../evil': invalid argument");
}
