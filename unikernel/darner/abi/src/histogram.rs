//! Times, counted by their magnitude.

/// The shortest time that is told from shorter ones: 2^10 ns.
const LOWEST_BITS: u32 = 10;
/// Octaves that are told apart: up to 2^32 ns, 4.3 s.
const OCTAVES: usize = 22;
/// Parts of an octave.
const PARTS: usize = 4;

/// Times, in buckets of a quarter of an octave: each is known to a fifth of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// How many there were in each bucket.
    pub(crate) counts: [u64; Self::BUCKETS],
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: [0; Self::BUCKETS],
        }
    }
}

impl Histogram {
    /// How many buckets there are. The first is for all that is shorter, the last also for all that
    /// is longer.
    pub const BUCKETS: usize = 1 + OCTAVES * PARTS;

    /// The bucket of a time.
    pub fn bucket(ns: u64) -> usize {
        let Some(bits) = ns.checked_ilog2().filter(|&bits| bits >= LOWEST_BITS) else {
            return 0;
        };
        let part = (ns >> (bits - 2)) as usize % PARTS;
        let bucket = 1 + (bits - LOWEST_BITS) as usize * PARTS + part;
        bucket.min(Self::BUCKETS - 1)
    }

    /// The first time that is longer than those in a bucket, in ns.
    fn end(bucket: usize) -> u64 {
        let (octave, part) = (bucket / PARTS, bucket % PARTS);
        (1 << (LOWEST_BITS as usize + octave)) / PARTS as u64 * (PARTS + part) as u64
    }

    /// How many times there were.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// A time in ns that `percent` of all are not longer than, at most a fifth too long; `None` if
    /// there are none.
    pub fn percentile(&self, percent: u64) -> Option<u64> {
        let wanted = (self.total() * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let bucket = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        })?;
        Some(Self::end(bucket))
    }
}

#[cfg(test)]
mod tests {
    use super::Histogram;

    #[test]
    fn a_time_is_below_the_end_of_its_bucket_and_not_far() {
        let mut ns = 1;
        while ns < 1 << 32 {
            let bucket = Histogram::bucket(ns);
            let end = Histogram::end(bucket);
            assert!(ns < end, "{ns} in {bucket}, which ends at {end}");
            assert!(ns < 1024 || end - ns <= ns / 4 + 1, "{ns}: {end}");
            ns += ns / 7 + 1;
        }
        assert_eq!(Histogram::bucket(0), 0);
        assert_eq!(Histogram::bucket(u64::MAX), Histogram::BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_of_what_was_counted() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile(50), None);
        for ns in (1..=100).map(|us| us * 1000) {
            histogram.counts[Histogram::bucket(ns)] += 1;
        }
        let median = histogram.percentile(50).unwrap();
        assert!((50_000..=62_500).contains(&median), "{median}");
        let last = histogram.percentile(100).unwrap();
        assert!((100_000..=125_000).contains(&last), "{last}");
        assert_eq!(histogram.total(), 100);
    }
}
