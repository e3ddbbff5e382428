//! Random bytes, from the processor's generator and from the hypervisor's; where both are
//! there, one is mixed into the other. No other source is invented.
//!
//! The hypervisor gives a seed at boot, of which ChaCha20 makes as many bytes as are asked
//! for. Each time its key is replaced by bytes that nobody gets to see, so that what was
//! given out cannot be found again in memory.

use core::arch::x86_64::{_rdrand64_step, _rdseed64_step};

use hermit_abi::{EINVAL, EIO, ENOSYS};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use raw_cpuid::CpuId;

use super::user::{Errno, UserSlice, answer_size};
use crate::arch::cpu::tsc;
use crate::sync::Lock;

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

/// The processor's generator.
#[derive(Clone, Copy)]
enum Processor {
    Rdrand,
    Rdseed,
}

impl Processor {
    fn find() -> Option<Self> {
        let cpuid = CpuId::new();
        let has_rdrand = cpuid
            .get_feature_info()
            .is_some_and(|info| info.has_rdrand());
        let has_rdseed = cpuid
            .get_extended_feature_info()
            .is_some_and(|info| info.has_rdseed());
        match (has_rdrand, has_rdseed) {
            (true, _) => Some(Self::Rdrand),
            (false, true) => Some(Self::Rdseed),
            (false, false) => None,
        }
    }

    fn word(self) -> Result<u64, Errno> {
        match self {
            // SAFETY: CPUID says that the instruction is there.
            Self::Rdrand => word(|| unsafe { rdrand() }),
            // SAFETY: as above.
            Self::Rdseed => word(|| unsafe { rdseed() }),
        }
    }
}

/// Bytes of a seed.
pub const SEED_BYTES: usize = 32;
/// Bytes that are given out under one key, at most.
const CHUNK: usize = 256;

/// What the hypervisor's seeds have become.
static POOL: Lock<Option<ChaCha20Rng>> = Lock::new(None);

/// Whether anything here makes random bytes.
pub fn is_there() -> bool {
    Processor::find().is_some() || POOL.lock().is_some()
}

/// Mixes in a seed that nobody else knows. Boot.
pub fn add_seed(mut seed: [u8; SEED_BYTES]) {
    let mut pool = POOL.lock();
    if let Some(before) = &mut *pool {
        let mut mask = [0; SEED_BYTES];
        before.fill_bytes(&mut mask);
        for (byte, mask) in seed.iter_mut().zip(mask) {
            *byte ^= mask;
        }
    }
    *pool = Some(ChaCha20Rng::from_seed(seed));
}

/// Fills `bytes` from the pool, if it has a seed. Whether it has.
fn fill_from_pool(bytes: &mut [u8; CHUNK]) -> bool {
    let mut pool = POOL.lock();
    let Some(generator) = &mut *pool else {
        return false;
    };
    let mut key = [0; SEED_BYTES];
    generator.fill_bytes(&mut key);
    generator.fill_bytes(bytes);
    *generator = ChaCha20Rng::from_seed(key);
    true
}

/// Mixes the processor's generator into `bytes`.
fn mix(processor: Processor, bytes: &mut [u8]) -> Result<(), Errno> {
    for chunk in bytes.chunks_mut(size_of::<u64>()) {
        let word = processor.word()?.to_ne_bytes();
        for (byte, word) in chunk.iter_mut().zip(word) {
            *byte ^= word;
        }
    }
    Ok(())
}

/// Random bytes. ENOSYS: nothing here makes any; EIO: what does is broken.
fn random(processor: Option<Processor>, length: usize) -> Result<[u8; CHUNK], Errno> {
    let mut bytes = [0; CHUNK];
    let has_seed = fill_from_pool(&mut bytes);
    let mixed = processor.map(|processor| mix(processor, &mut bytes[..length]));
    match mixed {
        None if !has_seed => Err(Errno(ENOSYS)),
        Some(Err(error)) if !has_seed => Err(error),
        // What the pool gives is random without the processor's help.
        _ => Ok(bytes),
    }
}

fn read_entropy(into: *mut u8, len: usize, flags: u32) -> Result<usize, Errno> {
    if flags != 0 {
        return Err(Errno(EINVAL));
    }
    let processor = Processor::find();
    let slice = UserSlice::new(into, len)?;
    for offset in (0..len).step_by(CHUNK) {
        let length = CHUNK.min(len - offset);
        let bytes = random(processor, length)?;
        slice.copy_out(offset, &bytes[..length]);
    }
    Ok(len)
}

/// Fills `bytes` for the kernel itself. Any context but interrupt handlers. ENOSYS: nothing
/// here makes random bytes; EIO: what does is broken.
pub fn fill(bytes: &mut [u8]) -> Result<(), Errno> {
    let processor = Processor::find();
    for chunk in bytes.chunks_mut(CHUNK) {
        let random = random(processor, chunk.len())?;
        chunk.copy_from_slice(&random[..chunk.len()]);
    }
    Ok(())
}

/// A number to begin with that others cannot guess; where nothing makes random bytes, from
/// the time-stamp counter, which is little. Any context but interrupt handlers.
pub fn seed() -> u64 {
    let mut bytes = [0; size_of::<u64>()];
    match fill(&mut bytes) {
        Ok(()) => u64::from_ne_bytes(bytes),
        Err(_) => tsc().wrapping_mul(0x9e37_79b9_7f4a_7c15),
    }
}

/// Fills `len` bytes at `buf` with random data and returns `len`. ENOSYS: neither the
/// processor nor the hypervisor has a generator; EIO: the only one is broken.
pub extern "C" fn sys_read_entropy(buf: *mut u8, len: usize, flags: u32) -> isize {
    answer_size(read_entropy(buf, len, flags))
}
