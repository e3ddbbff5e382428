//! Random operations, each compared with a model too simple to be wrong: a
//! sorted map of paths, whole contents, no pages, no inodes.

#![allow(missing_docs)]

mod common;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use common::{MODE, flags, names, new, open};
use darner_ramfs::{Error, FileSystem, OpenFile, Whence};
use hermit_abi::{O_APPEND, O_CREAT, O_EXCL, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY};
use proptest::prelude::*;

type Bytes = Rc<RefCell<Vec<u8>>>;

/// What a path leads to in the model.
#[derive(Clone)]
enum Thing {
    File(Bytes),
    Directory,
}

/// A file that the model has open.
struct ModelFile {
    bytes: Bytes,
    bits: i32,
    position: usize,
}

#[derive(Default)]
struct Model {
    /// Paths without a slash at either end; the root is not among them.
    things: BTreeMap<String, Thing>,
}

impl Model {
    /// An error if the directory of `path` is not one.
    fn parent(&self, path: &str) -> Result<(), Error> {
        let mut above = String::new();
        let Some((parent, _)) = path.rsplit_once('/') else {
            return Ok(());
        };
        for name in parent.split('/') {
            if !above.is_empty() {
                above.push('/');
            }
            above.push_str(name);
            match self.things.get(&above) {
                None => return Err(Error::NotFound),
                Some(Thing::File(_)) => return Err(Error::NotADirectory),
                Some(Thing::Directory) => {}
            }
        }
        Ok(())
    }

    fn below(&self, path: &str) -> Vec<String> {
        let prefix = if path.is_empty() {
            String::new()
        } else {
            format!("{path}/")
        };
        self.things
            .keys()
            .filter(|key| key.starts_with(&prefix))
            .cloned()
            .collect()
    }

    fn open(&mut self, path: &str, bits: i32) -> Result<ModelFile, Error> {
        self.parent(path)?;
        let writes = bits & (O_WRONLY | O_RDWR) != 0;
        let bytes = match self.things.get(path) {
            Some(_) if bits & O_CREAT != 0 && bits & O_EXCL != 0 => return Err(Error::Exists),
            Some(Thing::Directory) if writes || bits & (O_CREAT | O_TRUNC) != 0 => {
                return Err(Error::IsADirectory);
            }
            // The real one opens it; the test does not go on with it.
            Some(Thing::Directory) => return Err(Error::IsADirectory),
            Some(Thing::File(bytes)) => bytes.clone(),
            None if bits & O_CREAT == 0 => return Err(Error::NotFound),
            None => {
                let bytes = Bytes::default();
                self.things
                    .insert(path.to_string(), Thing::File(bytes.clone()));
                bytes
            }
        };
        if bits & O_TRUNC != 0 {
            bytes.borrow_mut().clear();
        }
        Ok(ModelFile {
            bytes,
            bits,
            position: 0,
        })
    }

    fn mkdir(&mut self, path: &str) -> Result<(), Error> {
        self.parent(path)?;
        if self.things.contains_key(path) {
            return Err(Error::Exists);
        }
        self.things.insert(path.to_string(), Thing::Directory);
        Ok(())
    }

    fn rmdir(&mut self, path: &str) -> Result<(), Error> {
        self.parent(path)?;
        match self.things.get(path) {
            None => return Err(Error::NotFound),
            Some(Thing::File(_)) => return Err(Error::NotADirectory),
            Some(Thing::Directory) if !self.below(path).is_empty() => return Err(Error::NotEmpty),
            Some(Thing::Directory) => {}
        }
        self.things.remove(path);
        Ok(())
    }

    fn unlink(&mut self, path: &str) -> Result<(), Error> {
        self.parent(path)?;
        match self.things.get(path) {
            None => return Err(Error::NotFound),
            Some(Thing::Directory) => return Err(Error::IsADirectory),
            Some(Thing::File(_)) => {}
        }
        self.things.remove(path);
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), Error> {
        self.parent(from)?;
        self.parent(to)?;
        let thing = self.things.get(from).cloned().ok_or(Error::NotFound)?;
        if from == to {
            return Ok(());
        }
        if to.starts_with(&format!("{from}/")) {
            return Err(Error::Invalid);
        }
        match (&thing, self.things.get(to)) {
            (Thing::File(_), Some(Thing::Directory)) => return Err(Error::IsADirectory),
            (Thing::Directory, Some(Thing::File(_))) => return Err(Error::NotADirectory),
            (Thing::Directory, Some(Thing::Directory)) if !self.below(to).is_empty() => {
                return Err(Error::NotEmpty);
            }
            _ => {}
        }
        for old in self.below(from) {
            let moved = self.things.remove(&old).unwrap();
            self.things
                .insert(format!("{to}{}", &old[from.len()..]), moved);
        }
        self.things.remove(from);
        self.things.insert(to.to_string(), thing);
        Ok(())
    }
}

impl ModelFile {
    fn write(&mut self, data: &[u8]) -> Result<usize, Error> {
        if self.bits & (O_WRONLY | O_RDWR) == 0 {
            return Err(Error::BadDescriptor);
        }
        let mut bytes = self.bytes.borrow_mut();
        let at = if self.bits & O_APPEND != 0 {
            bytes.len()
        } else {
            self.position
        };
        if !data.is_empty() {
            let end = bytes.len().max(at + data.len());
            bytes.resize(end, 0);
            bytes[at..at + data.len()].copy_from_slice(data);
            self.position = at + data.len();
        }
        Ok(data.len())
    }

    fn read(&mut self, len: usize) -> Result<Vec<u8>, Error> {
        if self.bits & O_WRONLY != 0 {
            return Err(Error::BadDescriptor);
        }
        let bytes = self.bytes.borrow();
        let from = self.position.min(bytes.len());
        let part = bytes[from..bytes.len().min(from + len)].to_vec();
        self.position += part.len();
        Ok(part)
    }
}

/// One random operation. Open files are kept in four slots.
#[derive(Clone, Debug)]
enum Operation {
    Open {
        slot: usize,
        path: String,
        bits: i32,
    },
    Close {
        slot: usize,
    },
    Write {
        slot: usize,
        len: usize,
        fill: u8,
    },
    Read {
        slot: usize,
        len: usize,
    },
    Seek {
        slot: usize,
        offset: i64,
        whence: Whence,
    },
    Truncate {
        slot: usize,
        size: usize,
    },
    Mkdir(String),
    Rmdir(String),
    Unlink(String),
    Rename(String, String),
}

const SLOTS: usize = 4;

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 1..4)
        .prop_map(|names| names.join("/"))
}

/// Sizes around the page boundaries, where mistakes would be.
fn size() -> impl Strategy<Value = usize> {
    prop_oneof![0..40usize, 4080..4112usize, 8180..8200usize, 0..20_000usize]
}

fn operation() -> impl Strategy<Value = Operation> {
    let slot = || 0..SLOTS;
    let bits = (
        prop::sample::select(vec![O_RDONLY, O_WRONLY, O_RDWR, O_RDWR, O_RDWR]),
        prop::sample::select(vec![0, O_CREAT, O_CREAT, O_CREAT, O_CREAT | O_EXCL]),
        prop::sample::select(vec![0, 0, O_TRUNC]),
        prop::sample::select(vec![0, 0, O_APPEND]),
    )
        .prop_map(|(access, create, truncate, append)| access | create | truncate | append);
    let whence = prop::sample::select(vec![Whence::Start, Whence::Current, Whence::End]);
    prop_oneof![
        4 => (slot(), path(), bits).prop_map(|(slot, path, bits)| Operation::Open { slot, path, bits }),
        1 => slot().prop_map(|slot| Operation::Close { slot }),
        5 => (slot(), size(), any::<u8>()).prop_map(|(slot, len, fill)| Operation::Write { slot, len, fill }),
        4 => (slot(), size()).prop_map(|(slot, len)| Operation::Read { slot, len }),
        3 => (slot(), -9000..20_000i64, whence).prop_map(|(slot, offset, whence)| Operation::Seek { slot, offset, whence }),
        2 => (slot(), size()).prop_map(|(slot, size)| Operation::Truncate { slot, size }),
        3 => path().prop_map(Operation::Mkdir),
        1 => path().prop_map(Operation::Rmdir),
        1 => path().prop_map(Operation::Unlink),
        2 => (path(), path()).prop_map(|(from, to)| Operation::Rename(from, to)),
    ]
}

struct Pair {
    fs: FileSystem,
    model: Model,
    slots: [Option<(OpenFile, ModelFile)>; SLOTS],
}

impl Pair {
    fn close(&mut self, slot: usize) {
        if let Some((real, _)) = self.slots[slot].take() {
            self.fs.close(real);
        }
    }

    fn open(&mut self, slot: usize, path: &str, bits: i32) {
        self.close(slot);
        let real = self.fs.open(path.as_bytes(), flags(bits), MODE, 1);
        let real = match real {
            Ok(file) if file.kind() == darner_ramfs::FileKind::Directory => {
                self.fs.close(file);
                Err(Error::IsADirectory)
            }
            other => other,
        };
        match (real, self.model.open(path, bits)) {
            (Ok(real), Ok(model)) => self.slots[slot] = Some((real, model)),
            (Err(real), Err(model)) => assert_eq!(real, model, "open {path} {bits:#o}"),
            (real, model) => panic!("open {path} {bits:#o}: {real:?}, model {:?}", model.err()),
        }
    }

    fn apply(&mut self, operation: Operation) {
        match operation {
            Operation::Open { slot, path, bits } => self.open(slot, &path, bits),
            Operation::Close { slot } => self.close(slot),
            Operation::Write { slot, len, fill } => {
                let Some((real, model)) = &mut self.slots[slot] else {
                    return;
                };
                let data: Vec<u8> = (0..len).map(|at| fill.wrapping_add(at as u8)).collect();
                assert_eq!(self.fs.write(real, &data, 1), model.write(&data));
            }
            Operation::Read { slot, len } => {
                let Some((real, model)) = &mut self.slots[slot] else {
                    return;
                };
                let mut buf = vec![0xee; len];
                let count = self.fs.read(real, &mut buf, 1);
                assert_eq!(count.map(|count| buf[..count].to_vec()), model.read(len));
            }
            Operation::Seek {
                slot,
                offset,
                whence,
            } => {
                let Some((real, model)) = &mut self.slots[slot] else {
                    return;
                };
                let base = match whence {
                    Whence::Start => 0,
                    Whence::Current => model.position,
                    Whence::End => model.bytes.borrow().len(),
                };
                let wanted = u64::try_from(base as i64 + offset).map_err(|_| Error::Invalid);
                assert_eq!(self.fs.seek(real, offset, whence), wanted);
                if let Ok(position) = wanted {
                    model.position = position as usize;
                }
            }
            Operation::Truncate { slot, size } => {
                let Some((real, model)) = &mut self.slots[slot] else {
                    return;
                };
                let real = self.fs.truncate(real, size as u64, 1);
                if model.bits & (O_WRONLY | O_RDWR) == 0 {
                    assert_eq!(real, Err(Error::Invalid));
                } else {
                    assert_eq!(real, Ok(()));
                    model.bytes.borrow_mut().resize(size, 0);
                }
            }
            Operation::Mkdir(path) => {
                assert_eq!(
                    self.fs.mkdir(path.as_bytes(), MODE, 1),
                    self.model.mkdir(&path)
                );
            }
            Operation::Rmdir(path) => {
                assert_eq!(self.fs.rmdir(path.as_bytes(), 1), self.model.rmdir(&path));
            }
            Operation::Unlink(path) => {
                assert_eq!(self.fs.unlink(path.as_bytes(), 1), self.model.unlink(&path));
            }
            Operation::Rename(from, to) => assert_eq!(
                self.fs.rename(from.as_bytes(), to.as_bytes(), 1),
                self.model.rename(&from, &to),
                "rename {from} {to}"
            ),
        }
    }

    /// Compares the two trees and everything that is open.
    fn compare(&mut self) {
        let mut directories = vec![String::new()];
        let mut seen = 0;
        while let Some(directory) = directories.pop() {
            let mut children = 0;
            for name in names(&mut self.fs, &format!("/{directory}")).unwrap() {
                let path = if directory.is_empty() {
                    name
                } else {
                    format!("{directory}/{name}")
                };
                seen += 1;
                match self.model.things.get(&path).expect("the model has it too") {
                    Thing::Directory => {
                        children += 1;
                        directories.push(path);
                    }
                    Thing::File(bytes) => {
                        assert_eq!(common::slurp(&mut self.fs, &path).unwrap(), *bytes.borrow());
                        assert_eq!(self.fs.stat(path.as_bytes()).unwrap().nlink, 1);
                    }
                }
            }
            let nlink = self
                .fs
                .stat(format!("/{directory}").as_bytes())
                .unwrap()
                .nlink;
            assert_eq!(nlink, 2 + children);
        }
        assert_eq!(seen, self.model.things.len());
        for (real, model) in self.slots.iter().flatten() {
            assert_eq!(
                self.fs.stat_open(real).size,
                model.bytes.borrow().len() as u64
            );
            assert_eq!(
                self.fs.seek(real, 0, Whence::Current),
                Ok(model.position as u64)
            );
        }
    }
}

/// A file system that begins with files borrowed from an archive.
fn start(contents: &[(&str, usize)]) -> Pair {
    let mut builder = tar::Builder::new(Vec::new());
    let mut model = Model::default();
    for &(name, len) in contents {
        let bytes: Vec<u8> = (0..len).map(|at| (at % 253) as u8 + 1).collect();
        let mut header = tar::Header::new_gnu();
        header.set_size(len as u64);
        header.set_mode(MODE);
        builder.append_data(&mut header, name, &bytes[..]).unwrap();
        model
            .things
            .insert(name.to_string(), Thing::File(Rc::new(RefCell::new(bytes))));
    }
    let mut fs = new();
    fs.add_tar(builder.into_inner().unwrap().leak(), 1).unwrap();
    Pair {
        fs,
        model,
        slots: [const { None }; SLOTS],
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn same_as_the_model(operations in prop::collection::vec(operation(), 1..120)) {
        let mut pair = start(&[("a", 10_000), ("b", 4096)]);
        for operation in operations {
            pair.apply(operation);
        }
        pair.compare();
        for slot in 0..SLOTS {
            pair.close(slot);
        }
    }
}

#[test]
fn the_model_itself() {
    let mut pair = start(&[]);
    for operation in [
        Operation::Mkdir("a".into()),
        Operation::Open {
            slot: 0,
            path: "a/b".into(),
            bits: O_RDWR | O_CREAT,
        },
        Operation::Write {
            slot: 0,
            len: 5000,
            fill: 1,
        },
        Operation::Rename("a".into(), "c".into()),
        Operation::Unlink("c/b".into()),
        Operation::Rmdir("c".into()),
    ] {
        pair.apply(operation);
    }
    assert!(pair.model.things.is_empty());
    pair.compare();
    assert!(open(&mut pair.fs, "c", 0).is_err());
    pair.close(0);
}
