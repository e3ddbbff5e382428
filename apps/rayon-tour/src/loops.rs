//! Parallel iterators.

use parallel::Checksum;
use rayon::prelude::*;

use crate::{Outcome, Size, same};

/// The sum of a function of all numbers below some.
pub fn sum(size: Size) -> Outcome {
    let all = size.elements as u64;
    let function = |number: u64| number.wrapping_mul(number) ^ size.seed;
    let total: u64 = (0..all)
        .into_par_iter()
        .map(function)
        .reduce(|| 0, u64::wrapping_add);
    same(&total, &(0..all).map(function).fold(0, u64::wrapping_add))?;
    Ok(format!("{total}"))
}

/// Those that pass, in their order.
pub fn collect(size: Size) -> Outcome {
    let numbers = size.numbers();
    let passes = |number: &u64| number.count_ones().is_multiple_of(3);
    let some: Vec<u64> = numbers.par_iter().copied().filter(passes).collect();
    same(&some, &numbers.into_iter().filter(passes).collect())?;
    Ok(format!("{} of {}", some.len(), size.elements))
}

/// Several threads change parts of one list.
pub fn chunks(size: Size) -> Outcome {
    const CHUNK: usize = 100;
    let turn = |(place, chunk): (usize, &mut [u64])| chunk.rotate_left(place % chunk.len());
    let (mut turned, mut expected) = (size.numbers(), size.numbers());
    turned.par_chunks_mut(CHUNK).enumerate().for_each(turn);
    expected.chunks_mut(CHUNK).enumerate().for_each(turn);
    same(&turned, &expected)?;
    Ok(Checksum::of_integers(turned).to_string())
}

/// A parallel sort.
pub fn sort(size: Size) -> Outcome {
    let (mut numbers, mut expected) = (size.numbers(), size.numbers());
    numbers.par_sort_unstable();
    expected.sort_unstable();
    same(&numbers, &expected)?;
    Ok(Checksum::of_integers(numbers).to_string())
}
