//! What one owner, or two in turn, can do.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::environment::{Surroundings, heap};
use crate::class::{CLASSES, LARGEST, TABLE};
use crate::{Error, Heap, Local, Misuse, PAGE, Place, UNIT};

pub fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

fn slice<'a>(memory: NonNull<u8>, bytes: usize) -> &'a mut [u8] {
    // SAFETY: the test allocated it.
    unsafe { core::slice::from_raw_parts_mut(memory.as_ptr(), bytes) }
}

pub fn free(local: &mut Local<'_, Surroundings>, memory: NonNull<u8>, layout: Layout) {
    // SAFETY: the test allocated it, or wants to see what happens.
    unsafe { local.deallocate(memory, layout) }
}

pub fn misused(heap: &Heap<Surroundings>) -> Vec<(Misuse, usize)> {
    std::mem::take(&mut heap.environment.misused.lock().unwrap())
}

#[test]
fn what_was_freed_last_is_allocated_first() {
    let heap = heap(4, 1);
    let mut local = heap.claim(0).unwrap();
    let a = local.allocate(layout(64, 8)).unwrap();
    let b = local.allocate(layout(60, 4)).unwrap();
    assert_ne!(a, b);
    free(&mut local, a, layout(64, 8));
    assert_eq!(local.allocate(layout(57, 1)), Some(a));
}

#[test]
fn every_layout_is_aligned_and_there() {
    let heap = heap(256, 1);
    let mut local = heap.claim(0).unwrap();
    for align in (0..=20).map(|log| 1 << log) {
        for size in [
            0,
            1,
            7,
            8,
            100,
            1024,
            5000,
            LARGEST,
            LARGEST + 1,
            UNIT,
            3 * UNIT + 1,
        ] {
            let layout = layout(size, align);
            let memory = local.allocate(layout).unwrap();
            assert!(memory.addr().get().is_multiple_of(align), "{layout:?}");
            assert!(
                size == 0 || heap.environment.chunks.holds(memory, size),
                "{layout:?}"
            );
            slice(memory, size).fill(1);
            free(&mut local, memory, layout);
        }
    }
    local.reclaim();
    assert_eq!(heap.environment.chunks.there(), 0);
    assert_eq!(misused(&heap), []);
}

#[test]
fn zones_of_a_class_have_colours() {
    let heap = heap(64, 1);
    let mut local = heap.claim(0).unwrap();
    let mut starts: Vec<usize> = (0..4 * usize::from(TABLE[38].chunks))
        .map(|_| {
            local
                .allocate(layout(TABLE[38].size as usize, 8))
                .unwrap()
                .addr()
                .get()
        })
        .map(|address| address % UNIT)
        .collect();
    starts.sort();
    starts.dedup();
    assert!(starts[1] - starts[0] < TABLE[38].size as usize);
}

#[test]
fn nothing_is_written_into_free_memory() {
    let heap = heap(128, 2);
    let mut locals = [heap.claim(0).unwrap(), heap.claim(1).unwrap()];
    let layouts: Vec<Layout> = (0..CLASSES)
        .map(|class| layout(TABLE[class].size as usize, 1))
        .collect();
    let memory: Vec<_> = (0..3)
        .flat_map(|_| layouts.iter())
        .map(|&layout| (locals[0].allocate(layout).unwrap(), layout))
        .collect();
    for &(memory, layout) in &memory {
        slice(memory, layout.size()).fill(0x5A);
    }
    for (place, &(memory, layout)) in memory.iter().enumerate() {
        free(&mut locals[place % 2], memory, layout);
    }
    drop(locals);
    for (memory, layout) in memory {
        assert!(
            slice(memory, layout.size())
                .iter()
                .all(|&byte| byte == 0x5A)
        );
    }
}

#[test]
fn zeroed_memory_is_zero_and_fresh_pages_are_not_touched() {
    let heap = heap(64, 1);
    let mut local = heap.claim(0).unwrap();
    for size in [
        1,
        64,
        1000,
        1024,
        4096,
        9000,
        LARGEST,
        LARGEST + 1,
        5 * UNIT + 3,
    ] {
        let layout = layout(size, 8);
        for _ in 0..3 {
            let memory = local.allocate_zeroed(layout).unwrap();
            assert!(slice(memory, size).iter().all(|&byte| byte == 0), "{size}");
            slice(memory, size).fill(0xFF);
            free(&mut local, memory, layout);
        }
    }
}

#[test]
fn a_run_grows_and_shrinks_in_place() {
    let heap = heap(16, 1);
    let mut local = heap.claim(0).unwrap();
    let first = local.allocate(layout(UNIT, 8)).unwrap();
    slice(first, UNIT).fill(7);
    let mut size = UNIT;
    for new_size in [UNIT + 1, 5 * UNIT, 16 * UNIT, 3 * UNIT, 2 * PAGE + LARGEST] {
        // SAFETY: it has this size.
        let memory = unsafe { local.reallocate(first, layout(size, 8), new_size) };
        assert_eq!(memory, Some(first));
        assert!(heap.environment.chunks.holds(first, new_size));
        assert!(
            slice(first, UNIT.min(new_size))
                .iter()
                .all(|&byte| byte == 7)
        );
        size = new_size;
    }
    assert!(local.allocate(layout(15 * UNIT, 8)).is_some());
    assert!(local.allocate(layout(UNIT, 8)).is_none());
}

#[test]
fn reallocation_keeps_the_class_or_moves_the_content() {
    let heap = heap(16, 1);
    let mut local = heap.claim(0).unwrap();
    let memory = local.allocate(layout(100, 4)).unwrap();
    slice(memory, 100).fill(9);
    // SAFETY: it has these sizes.
    unsafe {
        assert_eq!(local.reallocate(memory, layout(100, 4), 104), Some(memory));
        let moved = local.reallocate(memory, layout(104, 4), 40_000).unwrap();
        assert!(slice(moved, 100).iter().all(|&byte| byte == 9));
        let back = local.reallocate(moved, layout(40_000, 4), 50).unwrap();
        assert!(slice(back, 50).iter().all(|&byte| byte == 9));
    }
}

#[test]
fn memory_that_another_owner_freed_comes_home() {
    let heap = heap(4, 2);
    let (mut mine, mut other) = (heap.claim(0).unwrap(), heap.claim(1).unwrap());
    let of = layout(LARGEST, 8);
    // One zone is all there is.
    let all: Vec<_> = core::iter::from_fn(|| mine.allocate(of)).collect();
    assert!(all.len() >= 15);
    for &memory in &all {
        free(&mut other, memory, of);
    }
    other.reclaim();
    assert_eq!(*heap.environment.notified.lock().unwrap(), [0]);
    assert!(mine.allocate(of).is_some());
    assert_eq!(misused(&heap), []);
}

#[test]
fn an_owner_that_was_notified_gives_empty_zones_up() {
    let heap = heap(8, 2);
    let (mut mine, mut other) = (heap.claim(0).unwrap(), heap.claim(1).unwrap());
    let of = layout(64, 8);
    let count = 2 * usize::from(TABLE[7].chunks);
    let all: Vec<_> = (0..count).map(|_| mine.allocate(of).unwrap()).collect();
    for memory in all {
        free(&mut other, memory, of);
    }
    drop(other);
    assert!(heap.environment.notified.lock().unwrap().contains(&0));
    mine.collect();
    mine.reclaim();
    assert_eq!(heap.environment.chunks.there(), 0);
}

#[test]
fn a_part_is_adopted_with_its_zones() {
    let heap = heap(1, 1);
    let mut local = heap.claim(0).unwrap();
    assert!(heap.claim(0).is_none());
    let memory = local.allocate(layout(8, 8)).unwrap();
    drop(local);
    let mut heir = heap.claim(0).unwrap();
    // There is no other unit than the former holder's.
    let another = heir.allocate(layout(8, 8)).unwrap();
    assert_ne!(memory, another);
    free(&mut heir, memory, layout(8, 8));
    free(&mut heir, another, layout(8, 8));
    heir.reclaim();
    assert_eq!(heap.environment.chunks.there(), 0);
}

#[test]
fn most_of_a_freed_heap_goes_back_at_once() {
    let heap = heap(1024, 1);
    let mut local = heap.claim(0).unwrap();
    let all: Vec<_> = (0..500_000)
        .map(|_| local.allocate(layout(96, 8)).unwrap())
        .collect();
    let full = heap.environment.chunks.there();
    for &memory in &all[50_000..] {
        free(&mut local, memory, layout(96, 8));
    }
    let after = heap.environment.chunks.there();
    assert!(after < full / 2, "{after} of {full} pages");
    local.reclaim();
    let after = heap.environment.chunks.there();
    assert!(after < full / 9, "{after} of {full} pages");
}

#[test]
fn no_memory_is_none_after_all_was_reclaimed() {
    let heap = heap(64, 1);
    heap.environment
        .chunks
        .most
        .store(100, core::sync::atomic::Ordering::Relaxed);
    let mut local = heap.claim(0).unwrap();
    let small: Vec<_> = core::iter::from_fn(|| local.allocate(layout(100, 4))).collect();
    assert!(small.len() * 104 > 97 * PAGE, "{}", small.len());
    for memory in small {
        free(&mut local, memory, layout(100, 4));
    }
    // Needs every page.
    let run = local.allocate(layout(100 * PAGE, 4)).unwrap();
    assert!(local.allocate(layout(1, 1)).is_none());
    assert!(local.allocate(layout(PAGE * 5, 1)).is_none());
    assert!(local.allocate(layout(usize::MAX >> 1, 1)).is_none());
    free(&mut local, run, layout(100 * PAGE, 4));
    assert!(local.allocate(layout(1, 1)).is_some());
    assert_eq!(misused(&heap), []);
}

#[test]
fn ranges_that_do_not_fit_are_refused() {
    let surroundings = heap(1, 1).environment;
    assert_eq!(Heap::new(surroundings, 0).err(), Some(Error::Owners));
    let surroundings = heap(1, 1).environment;
    assert_eq!(Heap::new(surroundings, 99).err(), Some(Error::Bookkeeping));
}

#[test]
fn numbers_add_up() {
    let heap = heap(64, 2);
    let (mut mine, mut other) = (heap.claim(0).unwrap(), heap.claim(1).unwrap());
    let (of, run) = (layout(64, 8), layout(5 * PAGE, 8));
    let all: Vec<_> = (0..3000).map(|_| mine.allocate(of).unwrap()).collect();
    let pages = mine.allocate(run).unwrap();
    let full = heap.statistics();
    assert_eq!(full.classes[7].in_use, 3000);
    assert_eq!(
        full.classes[7].zones,
        3000_usize.div_ceil(TABLE[7].chunks.into())
    );
    assert_eq!(
        full.classes[7].chunks,
        full.classes[7].zones * usize::from(TABLE[7].chunks)
    );
    assert_eq!(full.run_bytes, 5 * PAGE);
    assert_eq!(full.in_use(), 3000 * 64 + 5 * PAGE);
    assert_eq!(full.committed, heap.environment.chunks.there() * PAGE);
    assert_eq!(full.waste(), full.committed - full.in_use());
    free(&mut mine, pages, run);
    for memory in all {
        free(&mut other, memory, of);
    }
    drop(other);
    mine.reclaim();
    let empty = heap.statistics();
    assert_eq!(empty.in_use(), 0);
    assert_eq!(
        empty.classes.iter().map(|class| class.zones).sum::<usize>(),
        0
    );
    assert_eq!((empty.committed, empty.idle), (0, 0));
    assert_eq!(empty.peak_committed, full.committed);
    assert_eq!(empty.remote_frees, 3000);
    assert!((1..=3).contains(&empty.notifications));
    assert_eq!(empty.refused, 0);
}

#[test]
fn memory_grows_no_more_than_owners_do() {
    let used = |owners: usize| {
        let heap = heap(2400, owners);
        let mut locals: Vec<_> = (0..owners)
            .map(|owner| heap.claim(owner).unwrap())
            .collect();
        // Each has a little of many classes, and frees what its neighbour has.
        let blocks: Vec<_> = (0..owners * 300)
            .map(|number| {
                let layout = layout(8 + number / owners * 2, 8);
                (locals[number % owners].allocate(layout).unwrap(), layout)
            })
            .collect();
        let full = heap.environment.chunks.there();
        for (number, (memory, layout)) in blocks.into_iter().enumerate() {
            free(&mut locals[(number + 1) % owners], memory, layout);
        }
        for _ in 0..2 {
            for local in &mut locals {
                local.reclaim();
            }
        }
        assert_eq!(heap.environment.chunks.there(), 0);
        full
    };
    let (one, many) = (used(1), used(64));
    assert!(many <= 64 * one, "{one} pages of one owner, {many} of 64");
}

#[test]
fn the_heap_knows_what_an_address_is_used_for() {
    let heap = heap(64, 1);
    let mut local = heap.claim(0).unwrap();
    let small = local.allocate(layout(100, 4)).unwrap();
    let large = layout(3 * UNIT + 1, 8);
    let run = local.allocate(large).unwrap();
    let at = |memory: NonNull<u8>, offset: usize| heap.place_at(memory.addr().get() + offset);
    assert_eq!(at(small, 99), Some(Place::Zone(104)));
    let pages = Place::Run(3 * UNIT + PAGE);
    for offset in [0, UNIT, 3 * UNIT, 3 * UNIT + PAGE - 1] {
        assert_eq!(at(run, offset), Some(pages), "{offset:#x}");
    }
    assert_eq!(at(run, 3 * UNIT + PAGE), None);
    free(&mut local, run, large);
    assert_eq!([at(run, 0), at(run, UNIT)], [None, None]);
    let base = heap.base.addr().get();
    assert_eq!(
        [heap.place_at(base - 1), heap.place_at(usize::MAX)],
        [None, None]
    );
    // Within the range, and never used.
    assert_eq!(heap.place_at(base + 63 * UNIT), None);
}
