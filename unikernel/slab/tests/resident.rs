//! Pages go back to the system. Alone in its process, whose pages are counted.

use darner_slab::Slab;

#[global_allocator]
static ALLOCATOR: Slab = Slab;

/// Pages of the process that are in memory.
fn resident() -> usize {
    let said = std::fs::read_to_string("/proc/self/statm").unwrap();
    said.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_program_that_frees_most_of_a_large_heap_gives_its_pages_back() {
    let mut blocks: Vec<Box<[u8]>> = (0..200_000).map(|_| Box::default()).collect();
    let before = resident();
    blocks.fill_with(|| vec![1; 500].into());
    let full = resident() - before;
    assert!(full > 200_000 * 500 / 4096, "{full} pages");
    blocks.truncate(20_000);
    // Without being asked: all but the tenth in use and what may stay at hand.
    let at_once = resident() - before;
    assert!(at_once < full / 3, "{at_once} of {full} pages");
    Slab.reclaim();
    let after = resident() - before;
    assert!(after < full / 8, "{after} of {full} pages");
    drop(blocks);
    Slab.reclaim();
    let empty = resident().saturating_sub(before);
    // The bookkeeping stays.
    assert!(empty < full / 20, "{empty} of {full} pages");

    // Fresh pages are not touched to be zero.
    let before = resident();
    let zeroed = vec![0_u8; 64 << 20];
    assert!(resident() - before < 100);
    assert!(zeroed.iter().all(|&byte| byte == 0));
}
