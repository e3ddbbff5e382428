//! Every operation looks at a bounded number of places, however many blocks are free.
//!
//! The kernel's former allocator searched the list of free blocks for the buddy of the
//! one that was freed: the stacks of 100,000 threads took minutes to free.

use darner_frames::{Buddy, MAX_ORDER};

mod common;

use common::{Memory, table};

/// What an operation may do to links for each order: take a block out of a list (read
/// its own, read and write those of two neighbours) and put one into a list (write its
/// own, read and write those of the first).
const EACH_ORDER: u64 = 5 + 3;

#[test]
fn accesses_are_bounded_by_the_orders() {
    const FRAMES: u64 = 1 << 16;
    let (memory, counts) = Memory::new();
    let mut buddy = Buddy::new(memory);
    buddy.add(0..FRAMES, table(FRAMES)).unwrap();
    let accesses = || counts.accesses.get();
    let bound = EACH_ORDER * u64::from(MAX_ORDER + 1);
    let mut most = 0;
    for _ in 0..FRAMES {
        let start = accesses();
        buddy.allocate(0).unwrap();
        most = most.max(accesses() - start);
    }
    assert_eq!(buddy.allocate(0), None);
    // Half of the frames are free and none has a free buddy: the list is as long as it
    // can be. Then each that is freed has one, anywhere in the list.
    let scattered =
        |offset: u64| (0..FRAMES / 2).map(move |n| n * 40_503 % (FRAMES / 2) * 2 + offset);
    for frame in scattered(0).chain(scattered(1)) {
        let start = accesses();
        buddy.free(frame, 0).unwrap();
        most = most.max(accesses() - start);
    }
    assert_eq!(buddy.free_frames(), FRAMES);
    assert!(
        most <= bound,
        "{most} accesses in one operation, of {bound} allowed"
    );
}

#[test]
fn fresh_memory_is_touched_as_it_is_needed() {
    const FRAMES: u64 = 1 << 22;
    let (memory, counts) = Memory::new();
    let mut buddy = Buddy::new(memory);
    buddy.add(256..FRAMES, table(FRAMES - 256)).unwrap();
    buddy
        .add(FRAMES + 1..2 * FRAMES, table(FRAMES - 1))
        .unwrap();
    assert_eq!(counts.touched(), 0, "adding memory touched it");
    const ALLOCATED: u64 = 10_000;
    let highest = (0..ALLOCATED).map(|_| buddy.allocate(0).unwrap()).max();
    // Every frame but the last may have been the free half of something.
    assert!(counts.touched() <= ALLOCATED + 512);
    assert!(
        highest < Some(256 + ALLOCATED + 512),
        "{highest:?} is far up"
    );
    // What was never handed out stays untouched when all is free again.
    let touched = counts.touched();
    for frame in 256..256 + ALLOCATED {
        buddy.free(frame, 0).unwrap();
    }
    assert!(counts.touched() <= touched.max(ALLOCATED));
    // Blocks are cut out of fresh memory whole.
    let touched = counts.touched();
    for _ in 0..1000 {
        buddy.allocate(9).unwrap();
    }
    assert!(counts.touched() <= touched + 1000);
}
