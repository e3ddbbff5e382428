//! Work is divided into as many contiguous shares as there are threads: neighbours in memory mostly
//! belong to the same thread, so few pages are wanted by two.

use std::ops::Range;

/// Of `0..total`, the share of thread `me` of `threads`. Shares differ by at most one.
pub fn share(total: usize, threads: usize, me: usize) -> Range<usize> {
    me * total / threads..(me + 1) * total / threads
}

/// Cuts `slice` into the shares of `threads` threads, between units of `unit` elements: each thread
/// may write to its own, and needs no lock for it.
///
/// # Panics
///
/// If it is not made of whole units.
pub fn divide<T>(slice: &mut [T], unit: usize, threads: usize) -> Vec<&mut [T]> {
    assert!(slice.len().is_multiple_of(unit), "whole units");
    let units = slice.len() / unit;
    let mut rest = slice;
    let mut shares = Vec::with_capacity(threads);
    for me in 0..threads {
        let (mine, others) = rest.split_at_mut(share(units, threads, me).len() * unit);
        shares.push(mine);
        rest = others;
    }
    shares
}

/// Has `threads` threads do `work`, each with its number. What each gave, in their order.
///
/// # Panics
///
/// If one does.
pub fn team<T: Send>(threads: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let work = &work;
    std::thread::scope(|scope| {
        let members: Vec<_> = (0..threads)
            .map(|me| scope.spawn(move || work(me)))
            .collect();
        members
            .into_iter()
            .map(|member| member.join().expect("a member of the team does not panic"))
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use super::{divide, share, team};

    #[test]
    fn shares_are_even_and_everything() {
        for total in 0..40 {
            for threads in 1..10 {
                let shares: Vec<_> = (0..threads).map(|me| share(total, threads, me)).collect();
                let all: Vec<usize> = shares.iter().cloned().flatten().collect();
                assert_eq!(all, (0..total).collect::<Vec<_>>());
                let least = total / threads;
                assert!(
                    shares
                        .iter()
                        .all(|share| (least..=least + 1).contains(&share.len()))
                );
            }
        }
    }

    #[test]
    fn units_are_kept_whole() {
        let mut rows: Vec<u32> = (0..35).collect();
        let shares = divide(&mut rows, 5, 3);
        let lengths: Vec<usize> = shares.iter().map(|share| share.len()).collect();
        assert_eq!(lengths, [10, 10, 15]);
        assert_eq!(shares.concat(), (0..35).collect::<Vec<_>>());
    }

    #[test]
    fn a_team_answers_in_order() {
        assert_eq!(team(5, |me| me * me), [0, 1, 4, 9, 16]);
    }
}
