//! The archive that QEMU hands to the loader: the program, and files for it.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Component, Path, PathBuf};

use tar::{Builder, EntryType, Header};

use crate::error::{Context, Error, Result};

/// The name of the program's entry, always the first.
const PROGRAM: &str = ".darner/program";

/// A file or folder of the host under its name in the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// Where it is on the host.
    pub host: PathBuf,
    /// Its name in the guest, without the leading slash.
    pub guest: PathBuf,
}

impl Share {
    /// Reads the value of `--file` (or of `--dir`, when `folder`).
    pub fn parse(value: &str, folder: bool) -> Result<Self> {
        let option = if folder { "--dir" } else { "--file" };
        let (host, guest) = value
            .rsplit_once(':')
            .filter(|(host, guest)| !host.is_empty() && !guest.is_empty())
            .ok_or_else(|| {
                Error::usage(format!(
                    "found {option} {value}, expected {option} HOST:GUEST"
                ))
            })?;
        let (host, guest) = (PathBuf::from(host), Path::new(guest));
        let is_right = if folder {
            host.is_dir()
        } else {
            host.is_file()
        };
        if !is_right {
            let found = if host.exists() {
                "something else"
            } else {
                "nothing"
            };
            let expected = if folder { "a folder" } else { "a file" };
            return Err(Error::usage(format!(
                "{option}: expected {expected} at {} on this machine, found {found}",
                host.display()
            )));
        }
        Ok(Self {
            host,
            guest: guest_name(option, guest)?,
        })
    }
}

/// The guest's name of a file as the archive holds it.
fn guest_name(option: &str, guest: &Path) -> Result<PathBuf> {
    let mut name = PathBuf::new();
    for component in guest.components() {
        match component {
            Component::Normal(part) => name.push(part),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => {
                return Err(Error::usage(format!(
                    "{option}: the guest's name {} goes up",
                    guest.display()
                )));
            }
        }
    }
    if name.starts_with(".darner") {
        return Err(Error::usage(format!(
            "{option}: /.darner in the guest is the system's own"
        )));
    }
    Ok(name)
}

/// Writes the archive to `path`.
pub fn write(path: &Path, program: &Path, shares: &[Share]) -> Result<()> {
    let file = File::create(path).context(|| format!("create {}", path.display()))?;
    let mut archive = Builder::new(std::io::BufWriter::new(file));
    append_file(&mut archive, program, Path::new(PROGRAM))?;
    for share in shares {
        append(&mut archive, &share.host, &share.guest)?;
    }
    archive
        .into_inner()
        .and_then(|mut file| file.flush())
        .context(|| format!("write {}", path.display()))
}

fn append(archive: &mut Builder<impl Write>, host: &Path, guest: &Path) -> Result<()> {
    if !host.is_dir() {
        return append_file(archive, host, guest);
    }
    // The guest's root is there already.
    if guest != Path::new("") {
        let mut header = header(host)?;
        header.set_entry_type(EntryType::Directory);
        header.set_size(0);
        archive
            .append_data(&mut header, guest, std::io::empty())
            .context(|| format!("add {} to the guest's files", host.display()))?;
    }
    let mut entries: Vec<_> = std::fs::read_dir(host)
        .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
        .context(|| format!("list {}", host.display()))?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        append(archive, &entry.path(), &guest.join(entry.file_name()))?;
    }
    Ok(())
}

fn append_file(archive: &mut Builder<impl Write>, host: &Path, guest: &Path) -> Result<()> {
    let file = File::open(host).context(|| format!("open {}", host.display()))?;
    let mut header = header(host)?;
    header.set_entry_type(EntryType::Regular);
    archive
        .append_data(&mut header, guest, file)
        .context(|| format!("add {} to the guest's files", host.display()))
}

fn header(host: &Path) -> Result<Header> {
    let metadata = host
        .metadata()
        .context(|| format!("look at {}", host.display()))?;
    let mut header = Header::new_gnu();
    header.set_size(metadata.len());
    header.set_mode(metadata.permissions().mode() & 0o7777);
    let age = metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
    header.set_mtime(age.map_or(0, |age| age.as_secs()));
    Ok(header)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Share;

    #[test]
    fn shares_are_checked_before_anything_starts() {
        let share = Share::parse("Cargo.toml:/etc/cargo.toml", false).unwrap();
        assert_eq!(share.guest, Path::new("etc/cargo.toml"));
        for (value, folder) in [
            ("Cargo.toml", false),
            ("nowhere:/x", false),
            ("src:/x", false),
            ("Cargo.toml:/x", true),
            ("src:/../x", true),
            ("src:/.darner", true),
        ] {
            assert_eq!(
                Share::parse(value, folder).unwrap_err().status(),
                2,
                "{value}"
            );
        }
    }

    #[test]
    fn the_program_comes_first_and_folders_are_walked() {
        let dir = tempfile::tempdir().unwrap();
        let host = dir.path().join("host");
        std::fs::create_dir_all(host.join("sub")).unwrap();
        std::fs::write(host.join("sub/b.txt"), "b").unwrap();
        std::fs::write(host.join("a.txt"), "a").unwrap();
        let archive = dir.path().join("initrd.tar");
        let shares = [Share {
            host: host.clone(),
            guest: "data".into(),
        }];
        super::write(&archive, &host.join("a.txt"), &shares).unwrap();
        let mut reader = tar::Archive::new(std::fs::File::open(&archive).unwrap());
        let names: Vec<String> = reader
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(
            names,
            [
                ".darner/program",
                "data",
                "data/a.txt",
                "data/sub",
                "data/sub/b.txt"
            ]
        );
    }
}
