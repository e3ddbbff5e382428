//! Memory that nodes share, and memory that they do not.

use std::cell::Cell;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use darner::{
    Count, Direction, NodeStatistics, PAGE_BYTES, PageAligned, PageBox, PageVec, here, nodes,
    spawn_on, statistics_of,
};

use crate::expect;

/// Each node counts on a page of its own; all are seen in the end.
pub fn own_pages() -> Result<(), String> {
    const TURNS: u64 = 1000;
    let counters: Arc<PageVec<PageAligned<AtomicU64>>> =
        Arc::new(nodes().map(|_| PageAligned::default()).collect());
    let begin: PageBox<Barrier> = PageBox::new(PageAligned(Barrier::new(nodes().len())));
    let begin = Arc::new(begin);
    let threads: Vec<_> = nodes()
        .map(|node| {
            let (counters, begin) = (counters.clone(), begin.clone());
            spawn_on(node, move || {
                begin.wait();
                for _ in 0..TURNS {
                    counters[node.number()].fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().map_err(|_| "a thread panicked")?;
    }
    let is_right = |counter: &PageAligned<AtomicU64>| {
        let address = (&raw const *counter).addr();
        address.is_multiple_of(PAGE_BYTES) && counter.load(Ordering::Relaxed) == TURNS
    };
    expect(counters.iter().all(is_right), || format!("{counters:?}"))
}

/// Every node reads what the first has written, after it was on its way.
pub fn prefetched() -> Result<(), String> {
    const PAGES: usize = 64;
    let numbers: PageVec<u64> = (0..(PAGES * PAGE_BYTES / 8) as u64).collect();
    let numbers = Arc::new(numbers);
    for node in nodes() {
        let numbers = numbers.clone();
        spawn_on(node, move || {
            let before = statistics_of(here());
            darner::prefetch(&numbers);
            let wanted = match here().number() {
                0 => 0,
                _ => PAGES as u64,
            };
            let begun = Instant::now();
            while since(&before)[Count::PagesReceived] < wanted {
                if begun.elapsed() > Duration::from_secs(10) {
                    return Err(format!("{wanted} pages have not come to {}", here()));
                }
            }
            let before = statistics_of(here());
            let sum: u64 = numbers.iter().sum();
            let waited = since(&before)[Count::ReadAway];
            let count = numbers.len() as u64;
            expect(waited == 0, || format!("waited for {waited} on {}", here()))?;
            expect(sum == count * (count - 1) / 2, || format!("found {sum}"))
        })
        .join()
        .map_err(|_| "a thread panicked")??;
    }
    Ok(())
}

fn since(before: &NodeStatistics) -> NodeStatistics {
    statistics_of(here()).since(before)
}

thread_local! {
    static OWN: Cell<[u64; 512]> = const { Cell::new([0; 512]) };
}

/// Stack, thread-local variables and heap of a thread are its node's, wherever it came up.
pub fn private() -> Result<(), String> {
    for node in nodes() {
        spawn_on(node, || {
            // What the thread was started with has come by now, and its memory is fresh.
            let before = statistics_of(here());
            use_own(1);
            let since = since(&before);
            let messages =
                [Direction::Sent, Direction::Received].map(|direction| since.messages(direction));
            expect(messages == [0, 0], || {
                format!("{} sent and received {messages:?} messages", here())
            })?;
            let is_cluster = nodes().len() > 1;
            expect(!is_cluster || since[Count::WriteHere] > 0, || {
                format!("{} has written nothing for the first time", here())
            })?;
            expect(since[Count::AskedOwn] == 0, || {
                format!("{} asked to write its own pages", here())
            })
        })
        .join()
        .map_err(|_| "a thread panicked")??;
    }
    Ok(())
}

fn use_own(value: u64) {
    OWN.set([value; 512]);
    black_box(OWN.get());
    deep(black_box(32), value);
    let mut heap: Vec<Vec<u64>> = (0..64).map(|_| vec![value; 512]).collect();
    for part in &mut heap {
        part[7] += 1;
    }
    black_box(heap);
}

/// Two KiB of stack for each level.
fn deep(levels: u32, value: u64) -> u64 {
    let local = black_box([value; 256]);
    match levels {
        0 => local[3],
        _ => deep(levels - 1, value) + local[5],
    }
}
