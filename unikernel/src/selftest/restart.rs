//! The short ways of `sys_malloc` and `sys_free` begin anew when they are interrupted.

use alloc::format;

use darner_lwkt::MayBlock;

use super::Found;
use crate::abi::malloc;
use crate::memory::heap;

/// Has all CPUs empty their magazines, `rounds` times, whatever they are doing; gives
/// how often. The program allocates meanwhile, and looks at what it gets.
pub fn reclaim(rounds: u64) -> Found {
    // SAFETY: this is a thread, and uses this in no section.
    let leave = unsafe { MayBlock::assume() };
    for _ in 0..rounds {
        heap::reclaim_everywhere(&leave);
    }
    Ok(rounds)
}

/// Looks at every address in and around the sequences; gives how many are in them.
pub fn addresses(_: u64) -> Found {
    let mut inside = 0;
    for (first, last) in malloc::sequences() {
        if malloc::restart(first - 1) != first - 1 || malloc::restart(last + 1) != last + 1 {
            return Err(format!(
                "what is around {first:#x}..={last:#x} is not left alone"
            ));
        }
        for address in first..=last {
            if malloc::restart(address) != first {
                return Err(format!(
                    "interrupted at {address:#x}, not begun anew at {first:#x}"
                ));
            }
            inside += 1;
        }
    }
    Ok(inside)
}
