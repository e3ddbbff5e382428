//! The allocator as a program's.

use std::collections::HashMap;

use darner_slab::Slab;

#[global_allocator]
static ALLOCATOR: Slab = Slab;

#[test]
fn large_blocks_grow_shrink_and_are_zero() {
    let mut bytes = vec![0_u8; 1 << 20];
    assert!(bytes.iter().all(|&byte| byte == 0));
    bytes.fill(7);
    bytes.resize(10 << 20, 8);
    assert!(bytes[..1 << 20].iter().all(|&byte| byte == 7));
    bytes.truncate(100_000);
    bytes.shrink_to_fit();
    assert!(bytes.iter().all(|&byte| byte == 7));
    drop(bytes);
    assert!(vec![0_u8; 10 << 20].iter().all(|&byte| byte == 0));
}

#[test]
fn collections_and_threads_work() {
    let threads: Vec<_> = (0..8)
        .map(|thread| {
            std::thread::spawn(move || {
                (0..10_000)
                    .map(|number| (format!("{thread}/{number}"), vec![number; number % 50]))
                    .collect::<HashMap<_, _>>()
            })
        })
        .collect();
    let maps: Vec<_> = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    for (thread, map) in maps.iter().enumerate() {
        for number in 0..10_000 {
            assert_eq!(
                map[&format!("{thread}/{number}")],
                vec![number; number % 50]
            );
        }
    }
    assert!(
        Slab.statistics()
            .is_some_and(|heap| heap.in_use() > 8 * 10_000 * 24)
    );
    drop(maps);
}
