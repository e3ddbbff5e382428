//! What happens to one frame.

use std::time::Duration;

use super::Faults;
use crate::PortId;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub is_lost: bool,
    pub is_duplicated: bool,
    /// How many of the following frames overtake it.
    pub overtaken_by: Option<u64>,
    /// Which bit of the content is turned, modulo their number.
    pub bit: Option<u32>,
    /// Whether it becomes an RST, if it is of a TCP connection.
    pub is_reset: bool,
    /// How long it is under way.
    pub delay: Duration,
}

/// Decides about the `number`-th frame of `port`. It depends on the arguments alone: each
/// kind of fault has a draw of its own, so that to order one more changes nothing about
/// the others.
pub(crate) fn decide(faults: &Faults, seed: u64, port: PortId, number: u64) -> Decision {
    let draw = |kind: u64| {
        let with_port = mix(seed ^ mix(u64::from(port.0) + 1));
        (mix(with_port.wrapping_add(mix(number.wrapping_mul(8) + kind))) >> 32) as u32
    };
    let is_reordered = faults.reorder.is_met_by(draw(2));
    Decision {
        is_lost: faults.loss.is_met_by(draw(0)),
        is_duplicated: faults.duplicate.is_met_by(draw(1)),
        overtaken_by: is_reordered.then(|| 1 + u64::from(draw(3) % 3)),
        bit: faults.corrupt.is_met_by(draw(4)).then(|| draw(5)),
        is_reset: faults.reset.is_met_by(draw(7)),
        delay: spread(faults.delay, faults.jitter, draw(6)),
    }
}

/// From `delay - jitter` to `delay + jitter`, never below nothing.
fn spread(delay: Duration, jitter: Duration, draw: u32) -> Duration {
    let share = f64::from(draw) / f64::from(u32::MAX);
    (delay + (jitter * 2).mul_f64(share)).saturating_sub(jitter)
}

/// Spreads every bit of a number over all of them: the last step of `SplitMix64`. What
/// it gives is part of what a seed means, so it must stay as it is.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Faults, Probability};
    use super::{Decision, decide};
    use crate::PortId;

    const FRAMES: u64 = 200_000;

    fn bad() -> Faults {
        Faults {
            loss: Probability::new(0.01).unwrap(),
            duplicate: Probability::new(0.02).unwrap(),
            reorder: Probability::new(0.05).unwrap(),
            corrupt: Probability::new(0.003).unwrap(),
            delay: Duration::from_millis(5),
            jitter: Duration::from_millis(2),
            ..Faults::NONE
        }
    }

    fn decisions(seed: u64, port: u16) -> impl Iterator<Item = Decision> {
        (0..FRAMES).map(move |number| decide(&bad(), seed, PortId(port), number))
    }

    /// Five standard deviations either way.
    fn assert_share(seed: u64, expected: f64, count: usize) {
        let frames = FRAMES as f64;
        let deviation = (frames * expected * (1.0 - expected)).sqrt();
        let off = (count as f64 - frames * expected).abs();
        assert!(
            off < 5.0 * deviation,
            "seed {seed}: {count} of {frames}, expected {expected}"
        );
    }

    #[test]
    fn faults_are_as_frequent_as_ordered() {
        for seed in 0..8 {
            let count = |what: fn(&Decision) -> bool| decisions(seed, 1).filter(what).count();
            assert_share(seed, 0.01, count(|decision| decision.is_lost));
            assert_share(seed, 0.02, count(|decision| decision.is_duplicated));
            assert_share(
                seed,
                0.05,
                count(|decision| decision.overtaken_by.is_some()),
            );
            assert_share(seed, 0.003, count(|decision| decision.bit.is_some()));
            // Faults of different kinds have nothing to do with each other.
            assert_share(
                seed,
                0.01 * 0.05,
                count(|decision| decision.is_lost && decision.overtaken_by.is_some()),
            );
        }
    }

    #[test]
    fn delays_are_spread_evenly_and_stay_in_bounds() {
        let mut below = 0;
        for decision in decisions(3, 0) {
            let millis = decision.delay.as_secs_f64() * 1e3;
            assert!((3.0..=7.0).contains(&millis), "{millis} ms");
            below += usize::from(millis < 4.0);
        }
        assert_share(3, 0.25, below);
    }

    #[test]
    fn seeds_and_ports_differ_and_repeat() {
        let lost = |seed, port| {
            let lost = decisions(seed, port).enumerate();
            let lost = lost.filter(|(_, decision)| decision.is_lost);
            lost.map(|(number, _)| number).collect::<Vec<_>>()
        };
        assert_eq!(lost(7, 1), lost(7, 1));
        assert_ne!(lost(7, 1), lost(8, 1));
        assert_ne!(lost(7, 1), lost(7, 2));
    }

    #[test]
    fn one_more_fault_changes_nothing_about_the_others() {
        let fewer = Faults {
            loss: Probability::new(0.01).unwrap(),
            ..Faults::NONE
        };
        for number in 0..FRAMES {
            assert_eq!(
                decide(&fewer, 9, PortId(4), number).is_lost,
                decide(&bad(), 9, PortId(4), number).is_lost
            );
        }
    }

    #[test]
    fn certainty_is_certain() {
        let faults = Faults {
            loss: Probability::new(1.0).unwrap(),
            ..Faults::NONE
        };
        assert!((0..1000).all(|number| decide(&faults, 1, PortId(0), number).is_lost));
        let none = decide(&Faults::NONE, 1, PortId(0), 5);
        assert!(!none.is_lost && none.delay.is_zero());
    }
}
