//! The allocator of a process, whose threads come and go.

use core::alloc::{GlobalAlloc, Layout};
use std::cell::RefCell;
use std::thread;

use crate::Slab;

/// Blocks with their layouts, freed on drop.
#[derive(Default)]
struct Blocks(Vec<(*mut u8, Layout)>);

// SAFETY: they are handed over.
unsafe impl Send for Blocks {}

impl Blocks {
    fn add(&mut self, bytes: usize) {
        let layout = Layout::from_size_align(bytes, 8).unwrap();
        // SAFETY: the size is not zero.
        let memory = unsafe { Slab.alloc(layout) };
        assert!(!memory.is_null());
        // SAFETY: it is allocated.
        unsafe { memory.write_bytes(bytes as u8, bytes) };
        self.0.push((memory, layout));
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        for (memory, layout) in self.0.drain(..) {
            // SAFETY: it was allocated like that, and filled.
            unsafe {
                let bytes = core::slice::from_raw_parts(memory, layout.size());
                assert!(bytes.iter().all(|&byte| byte == layout.size() as u8));
                Slab.dealloc(memory, layout);
            }
        }
    }
}

#[test]
fn threads_leave_their_zones_to_the_next() {
    let mut blocks: Vec<Blocks> = (0..4).map(|_| Blocks::default()).collect();
    for generation in 0..50 {
        let threads: Vec<_> = blocks
            .drain(..)
            .map(|mut blocks| {
                thread::spawn(move || {
                    for step in 0..2000 {
                        blocks.add(8 + (step * 7 + generation) % 900);
                        if blocks.0.len() > 1000 {
                            let mut old = Blocks::default();
                            old.0.push(blocks.0.swap_remove(step % 1000));
                        }
                    }
                    blocks
                })
            })
            .collect();
        blocks.extend(threads.into_iter().map(|thread| thread.join().unwrap()));
        // The next generation frees what others have allocated.
        blocks.rotate_left(1);
    }
    let zones: usize = Slab
        .statistics()
        .unwrap()
        .classes
        .iter()
        .map(|class| class.zones)
        .sum();
    // What the test has at a time is in two hundred units at most; two hundred
    // threads each with zones of their own would have a hundred times that.
    assert!(zones < 2000, "{zones}");
}

#[test]
fn what_runs_after_a_thread_gave_its_part_up_has_memory_too() {
    thread_local! {
        static LATE: RefCell<Late> = const { RefCell::new(Late(None)) };
    }
    struct Late(Option<Blocks>);
    impl Drop for Late {
        fn drop(&mut self) {
            let mut more = Blocks::default();
            more.add(100);
            more.add(5000);
            drop(self.0.take());
        }
    }
    for _ in 0..20 {
        let thread = thread::spawn(|| {
            // Destructors run in the order in which they were registered, or in the
            // opposite: one of the two is after the allocator's.
            LATE.with(|late| drop(late.borrow()));
            let mut blocks = Blocks::default();
            blocks.add(64);
            LATE.with(|late| late.borrow_mut().0 = Some(blocks));
        });
        thread.join().unwrap();
        let thread = thread::spawn(|| {
            let mut blocks = Blocks::default();
            blocks.add(64);
            LATE.with(|late| late.borrow_mut().0 = Some(blocks));
        });
        thread.join().unwrap();
    }
}
