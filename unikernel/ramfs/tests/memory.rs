//! Running out of memory: an error each time, never a panic, nothing broken.

#![allow(missing_docs)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use common::{new, open};
use darner_ramfs::{DescriptorTable, Error, FileSystem, PAGE};
use hermit_abi::{O_CREAT, O_RDWR};

thread_local! {
    /// Allocations that this thread may still make.
    static LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// The system's allocator, until the thread's allowance is used up.
struct Limited;

// SAFETY: every block comes from and goes back to `System` with the layout it
// was asked for; a null answer is always allowed.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let left = LEFT.get();
        if left == 0 {
            return std::ptr::null_mut();
        }
        if left != usize::MAX {
            LEFT.set(left - 1);
        }
        // SAFETY: passed on from the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: passed on from the caller; the block is `System`'s.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Limited = Limited;

/// Runs `operation` with room for 0, 1, 2, ... allocations until it succeeds.
fn starve<T>(mut operation: impl FnMut() -> Result<T, Error>) -> (T, usize) {
    for allowance in 0.. {
        LEFT.set(allowance);
        let result = operation();
        LEFT.set(usize::MAX);
        match result {
            Ok(value) => return (value, allowance),
            Err(error) => {
                assert!(matches!(error, Error::NoSpace | Error::NoMemory), "{error}");
            }
        }
    }
    unreachable!("some allowance is enough");
}

#[test]
fn names_and_inodes() {
    let (mut fs, needed) = starve(|| FileSystem::new(1));
    assert_eq!(needed, 1);
    for number in 0..100 {
        let path = format!("/{number}");
        starve(|| fs.mkdir(path.as_bytes(), 0o755, 1));
        let file = format!("/{number}/f");
        let (opened, _) = starve(|| open(&mut fs, &file, O_RDWR | O_CREAT));
        fs.close(opened);
        let (from, to) = (format!("/{number}/f"), format!("/f{number}"));
        starve(|| fs.rename(from.as_bytes(), to.as_bytes(), 2));
        let link = format!("/l{number}");
        starve(|| fs.link(to.as_bytes(), link.as_bytes(), 2));
    }
    let root = open(&mut fs, "/", 0).unwrap();
    let (count, _) = starve(|| fs.list(&root).map(|list| list.len()));
    assert_eq!(count, 300);
    fs.close(root);
}

#[test]
fn a_write_stores_what_it_can() {
    let mut fs = new();
    let file = open(&mut fs, "/f", O_RDWR | O_CREAT).unwrap();
    let data = vec![5; 10 * PAGE];
    LEFT.set(0);
    let nothing = fs.write(&file, &data, 2);
    // The page table and two pages.
    LEFT.set(3);
    let part = fs.write(&file, &data, 2);
    LEFT.set(0);
    let full = fs.write(&file, b"x", 2);
    LEFT.set(usize::MAX);
    assert_eq!(nothing, Err(Error::NoSpace));
    assert_eq!(part, Ok(2 * PAGE));
    assert_eq!(full, Err(Error::NoSpace));
    assert_eq!(fs.stat_open(&file).size, 2 * PAGE as u64);
    // Reading, cutting and removing need no memory.
    LEFT.set(0);
    let mut byte = [0];
    let read = fs.read_at(&file, 5, &mut byte, 3);
    let cut = fs.truncate(&file, 10, 3);
    let removed = fs.unlink(b"/f", 3);
    fs.close(file);
    LEFT.set(usize::MAX);
    assert_eq!((read, byte, cut, removed), (Ok(1), [5], Ok(()), Ok(())));
}

#[test]
fn descriptors() {
    let mut table = DescriptorTable::new(1024);
    for number in 0..1024 {
        let (descriptor, _) = starve(|| table.insert((), 0).map_err(|((), error)| error));
        assert_eq!(descriptor, number);
    }
}
