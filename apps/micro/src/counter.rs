//! The time-stamp counter, and the loop that measures with it.

/// The counter's value now.
fn ticks() -> u64 {
    // SAFETY: every x86-64 CPU has the instruction, and neither Linux nor Darner
    // forbids it to programs.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// The ticks of one round of a loop over `operation`. The loop's own two
/// instructions are part of each round. The reading of the counter and interrupts
/// of the kernel's timer are part of the whole; many rounds make that little.
#[inline]
pub fn per_round(rounds: u32, mut operation: impl FnMut()) -> f64 {
    let start = ticks();
    for _ in 0..rounds {
        operation();
    }
    (ticks() - start) as f64 / f64::from(rounds)
}

#[cfg(test)]
mod tests {
    use super::per_round;

    #[test]
    fn every_round_is_run() {
        let mut count = 0;
        let ticks = per_round(1000, || count = std::hint::black_box(count + 1));
        assert_eq!(count, 1000);
        assert!(ticks > 0.0);
    }
}
