//! Random bytes from the processor's generator. There is no other source yet, and
//! none is invented.

use core::arch::x86_64::{_rdrand64_step, _rdseed64_step};

use hermit_abi::{EINVAL, EIO, ENOSYS};
use raw_cpuid::CpuId;

use super::user::{Errno, UserSlice, answer_size};
use crate::arch::cpu::tsc;

/// How often an empty generator is asked again: Intel's guide for the generator
/// says that more than ten failures in a row are a broken one.
const ATTEMPTS: usize = 100;

#[target_feature(enable = "rdrand")]
fn rdrand() -> Option<u64> {
    let mut value = 0;
    (_rdrand64_step(&mut value) == 1).then_some(value)
}

#[target_feature(enable = "rdseed")]
fn rdseed() -> Option<u64> {
    let mut value = 0;
    (_rdseed64_step(&mut value) == 1).then_some(value)
}

fn word(step: impl Fn() -> Option<u64>) -> Result<u64, Errno> {
    // Some processors' generators break after sleep and then give one value for
    // ever, with success; two equal values in a row are such a one.
    let ask = || (0..ATTEMPTS).find_map(|_| step()).ok_or(Errno(EIO));
    let (first, second) = (ask()?, ask()?);
    if first == second {
        Err(Errno(EIO))
    } else {
        Ok(second)
    }
}

fn read_entropy(into: *mut u8, len: usize, flags: u32) -> Result<usize, Errno> {
    if flags != 0 {
        return Err(Errno(EINVAL));
    }
    let cpuid = CpuId::new();
    let has_rdrand = cpuid
        .get_feature_info()
        .is_some_and(|info| info.has_rdrand());
    let has_rdseed = cpuid
        .get_extended_feature_info()
        .is_some_and(|info| info.has_rdseed());
    let slice = UserSlice::new(into, len)?;
    for offset in (0..len).step_by(size_of::<u64>()) {
        let value = if has_rdrand {
            // SAFETY: CPUID says that the instruction is there.
            word(|| unsafe { rdrand() })?
        } else if has_rdseed {
            // SAFETY: as above.
            word(|| unsafe { rdseed() })?
        } else {
            return Err(Errno(ENOSYS));
        };
        let bytes = value.to_ne_bytes();
        slice.copy_out(offset, &bytes[..bytes.len().min(len - offset)]);
    }
    Ok(len)
}

/// A number to begin with that others cannot guess: from the processor's generator, or
/// without one from the time-stamp counter, which is little. Any context.
pub fn seed() -> u64 {
    let cpuid = CpuId::new();
    let random = match cpuid.get_feature_info() {
        // SAFETY: CPUID says that the instruction is there.
        Some(info) if info.has_rdrand() => word(|| unsafe { rdrand() }).ok(),
        _ => None,
    };
    random.unwrap_or_else(|| tsc().wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Fills `len` bytes at `buf` with random data and returns `len`. ENOSYS: the
/// processor has no generator; EIO: it is broken.
#[unsafe(no_mangle)]
pub extern "C" fn sys_read_entropy(buf: *mut u8, len: usize, flags: u32) -> isize {
    answer_size(read_entropy(buf, len, flags))
}
