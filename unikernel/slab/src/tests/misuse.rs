//! Frees of what must not be freed.

use core::ptr::NonNull;

use super::basics::{free, layout, misused};
use super::environment::heap;
use crate::{Misuse, PAGE};

#[test]
fn wrong_frees_are_named_and_refused() {
    let heap = heap(64, 2);
    let (mut local, mut other) = (heap.claim(0).unwrap(), heap.claim(1).unwrap());
    let (small, large) = (layout(64, 8), layout(5 * PAGE, 8));
    let a = local.allocate(small).unwrap();
    let run = local.allocate(large).unwrap();
    let inside = a.map_addr(|address| address.saturating_add(8));
    let elsewhere = NonNull::from(&heap).cast();
    for (memory, layout, misuse) in [
        (inside, small, Misuse::NotTheStart),
        (elsewhere, small, Misuse::Wild),
        (a, layout(128, 8), Misuse::WrongSize),
        (run, small, Misuse::WrongSize),
        (a, large, Misuse::WrongSize),
        (elsewhere, large, Misuse::Wild),
        (run, layout(6 * PAGE, 8), Misuse::WrongSize),
    ] {
        free(&mut local, memory, layout);
        // Without debug assertions it is seen when the magazine is emptied.
        local.reclaim();
        assert_eq!(misused(&heap), [(misuse, memory.addr().get())]);
    }
    free(&mut local, run, large);
    free(&mut local, run, large);
    assert_eq!(misused(&heap), [(Misuse::Wild, run.addr().get())]);
    // Twice by its owner, then by both, then twice by the other.
    let keep = local.allocate(small).unwrap();
    for freers in [[0, 0], [0, 1], [1, 0], [1, 1]] {
        let b = local.allocate(small).unwrap();
        for freer in freers {
            let freer = if freer == 0 { &mut local } else { &mut other };
            free(freer, b, small);
            freer.reclaim();
        }
        local.reclaim();
        assert_eq!(
            misused(&heap),
            [(Misuse::Double, b.addr().get())],
            "{freers:?}"
        );
    }
    // One that was never handed out, by its owner and by the other.
    let never = a.map_addr(|address| address.saturating_add(64 * 500));
    for freer in [0, 1] {
        let freer = if freer == 0 { &mut local } else { &mut other };
        free(freer, never, small);
        freer.reclaim();
        local.reclaim();
        let found = misused(&heap);
        assert!(
            matches!(found[..], [(_, address)] if address == never.addr().get()),
            "{found:?}"
        );
    }
    free(&mut local, a, small);
    free(&mut local, keep, small);
    local.reclaim();
    assert_eq!(heap.environment.chunks.there(), 0);
    assert_eq!(misused(&heap), []);
}
