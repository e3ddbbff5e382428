//! The call behind `darner::stats`, made by programs of other versions, or wrong ones.

use crate::Outcome;
#[cfg(not(target_os = "hermit"))]
use crate::numbers::NOT_LOOKED_AT;

/// The kernel writes no more than there is room for, and nothing at bad addresses.
#[cfg(target_os = "hermit")]
pub fn run() -> Outcome {
    unsafe extern "C" {
        fn sys_darner_stats(into: *mut u64, bytes: usize) -> i32;
    }
    const UNTOUCHED: u64 = u64::MAX;
    const EFAULT: i32 = 14;
    // More than this kernel knows, as a later program may have.
    let mut numbers = vec![UNTOUCHED; 4096];
    let mut ask = |offset: usize, bytes: usize| {
        numbers.fill(UNTOUCHED);
        // SAFETY: the kernel writes so many bytes at most, and there are as many.
        let written = unsafe { sys_darner_stats(numbers[offset..].as_mut_ptr(), bytes) };
        let touched = numbers
            .iter()
            .filter(|&&number| number != UNTOUCHED)
            .count();
        (written, touched)
    };
    let known = ask(0, 4096 * size_of::<u64>());
    if known.0 <= 0 || known.1 * size_of::<u64>() != known.0 as usize {
        return Err(format!("asked for all, {known:?} bytes and numbers came"));
    }
    // Nothing, the first number, the machine's and one more, all but one.
    for count in [0, 1, 5, known.1 - 1] {
        let bytes = count * size_of::<u64>();
        let found = ask(4096 - count, bytes);
        if found != (bytes as i32, count) {
            return Err(format!("asked for {bytes} bytes, {found:?} came"));
        }
    }
    // Null, the kernel's half, and no address at all.
    for address in [0, usize::MAX << 40, 1 << 62] {
        // SAFETY: there is nothing of the program's that the kernel could write to.
        let status = unsafe { sys_darner_stats(std::ptr::without_provenance_mut(address), 64) };
        if status != -EFAULT {
            return Err(format!("found {status} for {address:#x}, expected EFAULT"));
        }
    }
    Ok(format!("the kernel knows {} numbers", known.1))
}

/// Elsewhere there is no such call.
#[cfg(not(target_os = "hermit"))]
pub fn run() -> Outcome {
    Ok(NOT_LOOKED_AT.into())
}
