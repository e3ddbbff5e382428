//! What a kernel's pages are like: not zero when they come, and not always to be given
//! back.

use core::alloc::Layout;
use core::ptr::NonNull;
use std::sync::atomic::Ordering;

use super::basics::layout;
use super::environment::{Surroundings, heap_of};
use crate::{Local, PAGE, UNIT};

type Kernel = Surroundings<false>;

/// Sizes of chunks and runs, and some between.
const SIZES: [usize; 10] = [
    8,
    64,
    1000,
    5000,
    16 << 10,
    20_000,
    UNIT - 1,
    3 * UNIT,
    5 * UNIT + PAGE,
    40 * UNIT + 1,
];

fn bytes<'a>(memory: NonNull<u8>, layout: Layout) -> &'a mut [u8] {
    // SAFETY: the test has it.
    unsafe { core::slice::from_raw_parts_mut(memory.as_ptr(), layout.size()) }
}

fn free(local: &mut Local<'_, Kernel>, memory: NonNull<u8>, layout: Layout) {
    // SAFETY: the test has it.
    unsafe { local.deallocate(memory, layout) }
}

#[test]
fn zeroed_memory_is_zero_though_pages_are_not() {
    let heap = heap_of::<false>(256, 1);
    let mut local = heap.claim(0).unwrap();
    for round in 0..4 {
        for size in SIZES {
            let layout = layout(size, 8);
            let memory = local.allocate_zeroed(layout).unwrap();
            let dirty = bytes(memory, layout).iter().position(|&byte| byte != 0);
            assert_eq!(dirty, None, "{size} bytes, round {round}");
            bytes(memory, layout).fill(1);
            free(&mut local, memory, layout);
        }
        if round % 2 == 1 {
            local.reclaim();
        }
    }
}

#[test]
fn nothing_is_given_back_where_it_may_not_be() {
    let heap = heap_of::<false>(1024, 2);
    let mut local = heap.claim(0).unwrap();
    let may_decommit = &heap.environment.chunks.may_decommit;
    may_decommit.store(false, Ordering::Relaxed);
    // Holes between pages that stay, for zones and runs to come upon.
    for round in 0..20 {
        let mut kept = Vec::new();
        for (number, &size) in SIZES.iter().cycle().take(60).enumerate() {
            let layout = layout(size, 16);
            let memory = local.allocate(layout).unwrap();
            bytes(memory, layout).fill(number as u8);
            kept.push((memory, layout, number as u8));
        }
        for (memory, layout, mark) in &mut kept {
            let smaller = layout.size() / (2 + round % 3) + 1;
            // SAFETY: the test has it, and forgets the old place.
            let moved = unsafe { local.reallocate(*memory, *layout, smaller) };
            *memory = moved.unwrap();
            *layout = Layout::from_size_align(smaller, 16).unwrap();
            assert!(bytes(*memory, *layout).iter().all(|byte| byte == mark));
        }
        for (memory, layout, mark) in kept {
            assert!(bytes(memory, layout).iter().all(|&byte| byte == mark));
            free(&mut local, memory, layout);
        }
        local.reclaim();
    }
    assert!(heap.environment.chunks.there() > 0);
    may_decommit.store(true, Ordering::Relaxed);
    local.reclaim();
    let left = heap.environment.chunks.there();
    // Pages behind a gap that were taken for given back, where nobody came by again.
    assert!(left <= 64, "{left} pages are left");
}
