//! The allocators that are compared.

use std::alloc::{GlobalAlloc, System};

use crate::{Allocator, Global};

/// The allocator of this name.
pub fn find(name: &str) -> Option<Allocator> {
    Some(match name {
        "darner" => Allocator::of::<Darner>(),
        "mimalloc" => Allocator::of::<Mimalloc>(),
        "snmalloc" => Allocator::of::<Snmalloc>(),
        "jemalloc" => Allocator::of::<Jemalloc>(),
        "talc" => Allocator::of::<Talc>(),
        "glibc" => Allocator::of::<Glibc>(),
        _ => return None,
    })
}

macro_rules! global {
    ($name:ident, $allocator:ty, $value:expr) => {
        struct $name;

        impl Global for $name {
            #[inline(always)]
            fn get() -> &'static impl GlobalAlloc {
                static ALLOCATOR: $allocator = $value;
                &ALLOCATOR
            }
        }
    };
}

global!(Darner, darner_slab::Slab, darner_slab::Slab);
global!(Mimalloc, mimalloc::MiMalloc, mimalloc::MiMalloc);
global!(Snmalloc, snmalloc_rs::SnMalloc, snmalloc_rs::SnMalloc);
global!(
    Jemalloc,
    tikv_jemallocator::Jemalloc,
    tikv_jemallocator::Jemalloc
);
global!(Glibc, System, System);
// What it takes from the system it gets in pieces of 64 KiB and more.
global!(
    Talc,
    talc::TalcLock<spin::Mutex<()>, talc::source::Os>,
    talc::TalcLock::new(talc::source::Os::new())
);
