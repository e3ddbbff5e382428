//! The heap: a fixed piece of the loader's own memory. Only the boot CPU runs,
//! and nothing outlives the loader but the boot information, whose memory the
//! kernel keeps until it has read it.

use talc::TalcCell;
use talc::base::binning::DefaultBinning;
use talc::cell::TalcSyncCell;
use talc::source::Claim;

/// Enough for the device tree (written once, copied as it grows) with the longest
/// command line a VMM takes and a memory map of a hundred ranges.
const HEAP_BYTES: usize = 256 << 10;

static mut HEAP: [u8; HEAP_BYTES] = [0; HEAP_BYTES];

// SAFETY: the array is used by nobody else, and only one CPU runs, without
// interrupts, as long as the loader does.
#[global_allocator]
static ALLOCATOR: TalcSyncCell<Claim, DefaultBinning> =
    unsafe { TalcSyncCell::new(TalcCell::new(Claim::array(&raw mut HEAP))) };
