//! Numbers that look random, the same each time.

/// The number at a place of a sequence (Steele, Lea and Flood, 2014).
pub(super) fn at(seed: u64, place: u64) -> u64 {
    let mut z = seed.wrapping_add(place.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The same, from 0 to 1.
pub(super) fn unit(seed: u64, place: u64) -> f64 {
    (at(seed, place) >> 11) as f64 / (1_u64 << 53) as f64
}
