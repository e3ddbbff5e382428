//! How long a thread waits for a page that the other node has, and nobody else.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use darner::{PAGE_BYTES, PageVec, spawn_on};

use crate::{other, tell};

/// A word of each page, so that each access is to another page.
const WORDS: usize = PAGE_BYTES / size_of::<u64>();

pub fn measure(pages: usize) -> Result<(), String> {
    let node = other()?;
    // Written here: the home of these pages has them, as it would have after any work.
    let memory: PageVec<u64> = (0..(pages * WORDS) as u64).collect();
    let memory = Arc::new(memory);
    let times = spawn_on(node, move || {
        let mut times = Vec::with_capacity(pages);
        for page in order(pages) {
            let begin = Instant::now();
            let value = black_box(&memory)[page * WORDS + 17];
            let time = begin.elapsed();
            if value != (page * WORDS + 17) as u64 {
                return Err(format!("found {value} in page {page}"));
            }
            times.push(time.as_nanos() as u64);
        }
        Ok(times)
    })
    .join()
    .map_err(|_| "the reader panicked")??;
    tell("fault", times);
    Ok(())
}

/// All pages, no two neighbours one after the other: nobody can guess which is next.
fn order(pages: usize) -> impl Iterator<Item = usize> {
    let gcd = |mut a: usize, mut b: usize| {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let stride = (pages * 5 / 8..).find(|&stride| stride > 0 && gcd(stride, pages) == 1);
    let stride = stride.unwrap_or(1);
    (0..pages).map(move |turn| turn * stride % pages)
}

#[cfg(test)]
mod tests {
    use super::order;

    #[test]
    fn every_page_has_its_turn() {
        for pages in [1, 2, 7, 64, 1000] {
            let mut all: Vec<usize> = order(pages).collect();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..pages), "{pages}");
        }
    }
}
