//! Sorts integers, as IS of the NAS benchmarks: by buckets, of which each thread has some.
//!
//! ```text
//! cargo xtask cluster --nodes 2 is -- --keys 1000000
//! ```
//!
//! Each thread throws its share of the keys into buckets of its own; then each takes its buckets from
//! all others and sorts them. So every thread hands something to every other, once, as a whole: a
//! list moves by changing hands, and its pages follow when they are read.

use std::process::ExitCode;
use std::sync::Mutex;

#[cfg(target_os = "hermit")]
use hermit as _;

use parallel::{Arguments, Checksum};

/// Keys are below two to the power of this.
const KEY_BITS: u32 = 20;
/// Keys that are made from one seed: whoever makes them, they are the same.
const CHUNK: usize = 1000;

struct Options {
    threads: usize,
    keys: usize,
    seed: u64,
}

impl Options {
    fn read(given: &mut Arguments) -> Self {
        Self {
            threads: given.threads(),
            keys: given.number("keys", "keys to sort", 200_000, 1..=1 << 32),
            seed: given.seed(),
        }
    }
}

fn main() -> ExitCode {
    parallel::main("is", Options::read, run)
}

fn run(options: Options) -> Result<(), String> {
    let Options {
        threads,
        keys,
        seed,
    } = options;
    let unsorted = parallel::timed("made", threads, || make(keys, seed, threads));
    let before: u64 = sum(&unsorted);
    let sorted = parallel::timed("sorted", threads, || sort(&unsorted));
    if !sorted.is_sorted() || sorted.len() != keys || sum([&sorted]) != before {
        return Err("the keys are not sorted, or not the same any more".into());
    }
    let keys_as_numbers = sorted.iter().map(|&key| key.into());
    println!("{keys} keys, sum {before}, median {}", sorted[keys / 2]);
    println!("{}", Checksum::of_integers(keys_as_numbers));
    Ok(())
}

fn sum<'a>(lists: impl IntoIterator<Item = &'a Vec<u32>>) -> u64 {
    lists.into_iter().flatten().map(|&key| u64::from(key)).sum()
}

/// Has each thread make its share of the keys.
fn make(keys: usize, seed: u64, threads: usize) -> Vec<Vec<u32>> {
    let chunk = |number: usize| {
        let mut random = fastrand::Rng::with_seed(seed.wrapping_add((number as u64) << 32));
        // In the middle there are more than at the ends, as in the benchmark.
        let key = move |_| (0..4).map(|_| random.u32(..1 << (KEY_BITS - 2))).sum();
        let end = CHUNK.min(keys - number * CHUNK);
        (0..end).map(key).collect::<Vec<u32>>()
    };
    parallel::team(threads, |me| {
        let mine = parallel::share(keys.div_ceil(CHUNK), threads, me);
        mine.flat_map(chunk).collect()
    })
}

/// The keys of all lists in order. As many threads as there are lists.
fn sort(lists: &[Vec<u32>]) -> Vec<u32> {
    let threads = lists.len();
    // By thread that threw, and thread that is to sort.
    let thrown = parallel::team(threads, |me| throw(&lists[me], threads));
    let thrown: Vec<Vec<Mutex<Vec<u32>>>> = thrown
        .into_iter()
        .map(|buckets| buckets.into_iter().map(Mutex::new).collect())
        .collect();
    let sorted = parallel::team(threads, |me| {
        let take = |buckets: &Vec<Mutex<Vec<u32>>>| {
            std::mem::take(&mut *buckets[me].lock().expect("no thread panics"))
        };
        let mut mine: Vec<u32> = thrown.iter().flat_map(take).collect();
        mine.sort_unstable();
        mine
    });
    sorted.concat()
}

/// The keys by the thread that is to sort them: each has as long an interval of keys.
fn throw(keys: &[u32], threads: usize) -> Vec<Vec<u32>> {
    let mut buckets = vec![Vec::new(); threads];
    for &key in keys {
        buckets[(key as usize * threads) >> KEY_BITS].push(key);
    }
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_threads_sorts_the_same() {
        let mut expected = make(12_345, 9, 1).concat();
        expected.sort_unstable();
        assert_eq!(expected.len(), 12_345);
        for threads in [1, 2, 3, 20] {
            assert_eq!(sort(&make(12_345, 9, threads)), expected);
        }
    }
}
