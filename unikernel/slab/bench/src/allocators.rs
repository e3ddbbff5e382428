//! The allocators that are compared.

use std::alloc::System;

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
            type Allocator = $allocator;

            #[inline(always)]
            fn get() -> &'static $allocator {
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
// It gets its memory from glibc, in large pieces.
global!(
    Talc,
    talc::TalcLock<spin::Mutex<()>, talc::source::GlobalAllocSource<System>>,
    talc::TalcLock::new(talc::source::GlobalAllocSource::new(System))
);
