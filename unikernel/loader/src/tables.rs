//! How many page tables the identity mapping needs above the first 4 GiB, which
//! the entry code maps by itself.

/// What the entry code's own tables map.
pub const MAPPED_AT_ENTRY: u64 = 4 << 30;
const GIB: u64 = 1 << 30;
/// What one third-level table maps.
const HALF_TIB: u64 = 512 << 30;

/// The number of 4 KiB tables that map `MAPPED_AT_ENTRY..end`.
pub fn needed(end: u64, gib_pages: bool) -> u64 {
    if end <= MAPPED_AT_ENTRY {
        return 0;
    }
    // The entry code's third-level table serves the first half TiB.
    let third_level = end.div_ceil(HALF_TIB) - 1;
    let second_level = if gib_pages {
        0
    } else {
        end.div_ceil(GIB) - MAPPED_AT_ENTRY / GIB
    };
    third_level + second_level
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_machines_need_none() {
        assert_eq!(needed(16 << 20, false), 0);
        assert_eq!(needed(4 << 30, false), 0);
    }

    #[test]
    fn large_pages_need_a_table_per_gib() {
        assert_eq!(needed((4 << 30) + 1, false), 1);
        assert_eq!(needed(7 << 30, false), 3);
        assert_eq!(needed(7 << 30, true), 0);
    }

    #[test]
    fn huge_machines_need_third_level_tables() {
        assert_eq!(needed(512 << 30, true), 0);
        assert_eq!(needed(513 << 30, true), 1);
        assert_eq!(needed(513 << 30, false), 1 + 509);
    }
}
