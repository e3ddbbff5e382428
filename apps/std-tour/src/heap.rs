//! The heap and the collections on it.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet, VecDeque};
use std::hint::black_box;
use std::sync::Arc;
use std::thread;

use tour::{Check, Outcome, ensure, same};

pub const CHECKS: &[Check] = &[
    Check::new("growing and shrinking", vector),
    Check::new("alignment up to a page and zeroed memory", alignment),
    Check::new("a large block grows and shrinks", large),
    Check::new("freed by another thread", freed_elsewhere),
    Check::new("memory comes back", reuse),
    Check::new("too much is refused", refused),
    Check::new("collections", collections),
    Check::new("HashMap keys are random", random_keys),
];

fn vector() -> Outcome {
    let mut numbers = Vec::new();
    for number in 0..100_000_u32 {
        numbers.push(number);
    }
    numbers.retain(|number| number % 1000 == 999);
    numbers.shrink_to_fit();
    same!(numbers.len(), 100);
    same!(numbers.last(), Some(&99_999));
    Ok("100000 elements, then 100".into())
}

fn alignment() -> Outcome {
    for shift in 0..=12 {
        for size in [1, 24, 100, 5000] {
            let layout = Layout::from_size_align(size, 1 << shift)?;
            // SAFETY: the layout's size is not zero.
            let block = unsafe { alloc_zeroed(layout) };
            ensure!(!block.is_null(), "refused {layout:?}");
            ensure!(
                block.addr() % layout.align() == 0,
                "{block:p} for {layout:?}"
            );
            // SAFETY: the block has `size` bytes, all of them initialised.
            let zero = unsafe { std::slice::from_raw_parts(block, size) }
                .iter()
                .all(|&b| b == 0);
            ensure!(zero, "not zeroed: {layout:?}");
            // SAFETY: dirtied, so that the next one has something to clear, and
            // given back as it was taken.
            unsafe {
                block.write_bytes(0xff, size);
                dealloc(block, layout);
            }
        }
    }
    Ok("1 to 4096".into())
}

fn large() -> Outcome {
    /// Numbers in a MiB. All of the block are different, and few enough for a program that
    /// is not optimised.
    const MIB: u64 = (1 << 20) / 8;
    const PAGE: u64 = 4096 / 8;
    const OTHER: [u8; 4096] = [0xff; 4096];
    for round in 0..4 {
        let mut numbers: Vec<u64> = (0..9 * MIB).collect();
        // Within a large page of the machine's, and not at one's end.
        let kept = 3 * MIB + (round * 37 + 1) * PAGE + 1;
        numbers.truncate(kept as usize);
        numbers.shrink_to_fit();
        // What was given up is somebody else's meanwhile.
        let other = vec![0xff_u8; 5 << 20];
        numbers.extend(kept..12 * MIB);
        ensure!(
            other.chunks(OTHER.len()).all(|page| page == OTHER),
            "another block was changed"
        );
        let wrong = (0..12 * MIB)
            .zip(&numbers)
            .find(|(expected, found)| expected != *found);
        ensure!(wrong.is_none(), "expected and found {wrong:?}");
        same!(numbers.len() as u64, 12 * MIB);
    }
    Ok("9 MiB, 3 MiB and some pages, 12 MiB".into())
}

fn freed_elsewhere() -> Outcome {
    for _ in 0..50 {
        let blocks: Vec<Box<[u8]>> = (1..40).map(|n| vec![n as u8; n * 50].into()).collect();
        let sum = thread::spawn(move || blocks.iter().map(|block| block.len()).sum::<usize>());
        same!(sum.join().map_err(|_| "the thread panicked")?, 39_000);
    }
    Ok("50 threads took blocks along".into())
}

fn reuse() -> Outcome {
    // More than a small machine has, were each block a new one.
    for round in 0..2000_usize {
        let mut block = vec![0_u8; 1 << 20];
        block[round] = 1;
        same!(black_box(&block)[round], 1);
    }
    Ok("2000 times 1 MiB".into())
}

fn refused() -> Outcome {
    let mut block = Vec::<u64>::new();
    let too_much = isize::MAX as usize / size_of::<u64>() / 2;
    ensure!(
        black_box(&mut block).try_reserve(too_much).is_err(),
        "granted {too_much} u64"
    );
    ensure!(
        black_box(&mut block).try_reserve(usize::MAX).is_err(),
        "granted usize::MAX"
    );
    block.try_reserve(1000)?;
    Ok("half the address space".into())
}

fn collections() -> Outcome {
    let words = ["warp", "weft", "heddle", "shuttle", "reed"];
    let tree: BTreeMap<_, _> = words.iter().map(|word| (word.len(), *word)).collect();
    let hash: HashMap<_, _> = words.iter().map(|word| (*word, word.len())).collect();
    let heap: BinaryHeap<_> = words.iter().map(|word| word.len()).collect();
    let mut queue: VecDeque<_> = words.into();
    queue.rotate_left(2);
    let shared = Arc::new(words);
    same!(
        tree.values().copied().collect::<Vec<_>>(),
        ["reed", "heddle", "shuttle"]
    );
    same!(hash["heddle"], 6);
    same!(heap.into_sorted_vec(), [4, 4, 4, 6, 7]);
    same!(queue.front(), Some(&"heddle"));
    same!(Arc::strong_count(&shared), 1);
    Ok("BTreeMap, HashMap, BinaryHeap, VecDeque, Arc".into())
}

fn random_keys() -> Outcome {
    use std::hash::{BuildHasher, RandomState};
    // Each thread draws keys of its own.
    let threads: Vec<_> = (0..8)
        .map(|_| thread::spawn(|| RandomState::new().hash_one("darner")))
        .collect();
    let mut hashes = HashSet::new();
    for thread in threads {
        hashes.insert(thread.join().map_err(|_| "the thread panicked")?);
    }
    same!(hashes.len(), 8);
    Ok("8 threads, 8 different hashes".into())
}
