//! Any sequence of calls by several owners, against an oracle that knows who has what.

use core::alloc::Layout;
use core::ptr::NonNull;
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::environment::heap;
use crate::PAGE;

const OWNERS: usize = 3;

#[derive(Clone, Debug)]
enum Call {
    Allocate {
        size: usize,
        align: u32,
        zeroed: bool,
    },
    Free {
        which: usize,
    },
    Reallocate {
        which: usize,
        size: usize,
    },
    Collect,
    Reclaim,
}

fn sizes() -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => 0..200usize,
        3 => 1..2000usize,
        2 => 1..20_000usize,
        1 => 1..300_000usize,
    ]
}

fn calls() -> impl Strategy<Value = (usize, Call)> {
    let call = prop_oneof![
        8 => (sizes(), 0..13u32, any::<bool>())
            .prop_map(|(size, align, zeroed)| Call::Allocate { size, align, zeroed }),
        6 => any::<usize>().prop_map(|which| Call::Free { which }),
        2 => (any::<usize>(), sizes())
            .prop_map(|(which, size)| Call::Reallocate { which, size: size.max(1) }),
        1 => Just(Call::Collect),
        1 => Just(Call::Reclaim),
    ];
    (0..OWNERS, call)
}

/// Who has what: by address, the layout and what it is full of.
#[derive(Default)]
struct Oracle {
    allocated: BTreeMap<usize, (NonNull<u8>, Layout, u8)>,
    next: u8,
}

impl Oracle {
    fn add(&mut self, memory: NonNull<u8>, layout: Layout) {
        let address = memory.addr().get();
        assert!(address.is_multiple_of(layout.align()));
        if let Some((&before, (_, other, _))) = self.allocated.range(..=address).next_back() {
            assert!(before + other.size().max(1) <= address, "overlap");
        }
        if let Some((&after, _)) = self.allocated.range(address..).next() {
            assert!(address + layout.size().max(1) <= after, "overlap");
        }
        self.next = self.next % 250 + 1;
        // SAFETY: it is allocated.
        unsafe { memory.write_bytes(self.next, layout.size()) };
        self.allocated.insert(address, (memory, layout, self.next));
    }

    /// Takes one, whose content is as it was.
    fn take(&mut self, which: usize) -> Option<(NonNull<u8>, Layout, u8)> {
        let address = *self
            .allocated
            .keys()
            .nth(which % self.allocated.len().max(1))?;
        let (memory, layout, content) = self.allocated.remove(&address)?;
        assert!(is_full_of(memory, layout.size(), content));
        Some((memory, layout, content))
    }
}

fn is_full_of(memory: NonNull<u8>, bytes: usize, content: u8) -> bool {
    // SAFETY: it is allocated.
    let bytes = unsafe { core::slice::from_raw_parts(memory.as_ptr(), bytes) };
    bytes.iter().all(|&byte| byte == content)
}

fn run(calls: Vec<(usize, Call)>, most_pages: usize) {
    let heap = heap(128, OWNERS);
    let chunks = &heap.environment.chunks;
    chunks
        .most
        .store(most_pages, core::sync::atomic::Ordering::Relaxed);
    let mut locals: Vec<_> = (0..OWNERS)
        .map(|owner| heap.claim(owner).unwrap())
        .collect();
    let mut oracle = Oracle::default();
    for (owner, call) in calls {
        let local = &mut locals[owner];
        match call {
            Call::Allocate {
                size,
                align,
                zeroed,
            } => {
                let layout = Layout::from_size_align(size, 1 << align).unwrap();
                let memory = match zeroed {
                    true => local.allocate_zeroed(layout),
                    false => local.allocate(layout),
                };
                if let Some(memory) = memory {
                    assert!(size == 0 || chunks.holds(memory, size));
                    assert!(!zeroed || is_full_of(memory, size, 0));
                    oracle.add(memory, layout);
                }
            }
            Call::Free { which } => {
                if let Some((memory, layout, _)) = oracle.take(which) {
                    // SAFETY: it was allocated like that.
                    unsafe { local.deallocate(memory, layout) };
                }
            }
            Call::Reallocate { which, size } => {
                let Some((memory, layout, content)) = oracle.take(which) else {
                    continue;
                };
                // SAFETY: it was allocated like that.
                match unsafe { local.reallocate(memory, layout, size) } {
                    Some(moved) => {
                        let new = Layout::from_size_align(size, layout.align()).unwrap();
                        assert!(chunks.holds(moved, size));
                        assert!(is_full_of(moved, size.min(layout.size()), content));
                        oracle.add(moved, new);
                    }
                    None => oracle.add(memory, layout),
                }
            }
            Call::Collect => local.collect(),
            Call::Reclaim => {
                local.reclaim();
            }
        }
    }
    while let Some((memory, layout, _)) = oracle.take(0) {
        let owner = layout.size() % OWNERS;
        // SAFETY: it was allocated like that.
        unsafe { locals[owner].deallocate(memory, layout) };
    }
    // In the second round there is what came home from others in the first.
    for _ in 0..2 {
        for local in &mut locals {
            local.reclaim();
        }
    }
    assert_eq!(chunks.there(), 0, "pages were not given back");
    assert!(heap.environment.misused.lock().unwrap().is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn owners_have_what_they_allocated(calls in prop::collection::vec(calls(), 1..600)) {
        run(calls, usize::MAX);
    }

    #[test]
    fn owners_have_what_they_allocated_when_memory_is_short(
        calls in prop::collection::vec(calls(), 1..600),
        most in 20..300_000 / PAGE,
    ) {
        run(calls, most);
    }
}
