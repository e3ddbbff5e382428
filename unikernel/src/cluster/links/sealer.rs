//! The cipher of the links: compiled like all of the kernel, or to use the processor's vector registers.

use alloc::vec;
use core::ffi::c_void;

use darner_cipher::{KEY_BYTES, NONCE_BYTES, TAG_BYTES, Task};

use crate::arch::vectors;
use crate::time::uptime_ns;

unsafe extern "C" {
    fn darner_cipher_seal(task: *mut c_void);
    fn darner_cipher_open(task: *mut c_void);
}

/// One of the two. Both say the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealer {
    /// Without vector registers.
    Portable,
    /// With them, which are the program's and have to be saved: on most processors several times as fast.
    Vectors,
}

impl Sealer {
    const ALL: [Self; 2] = [Self::Portable, Self::Vectors];

    /// From the command line.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "portable" => Some(Self::Portable),
            "vectors" => Some(Self::Vectors),
            _ => None,
        }
    }

    /// The one that is faster on this processor: an emulator may take longer for vectors. Boot.
    ///
    /// # Panics
    /// They do not agree on what a message is encrypted to.
    pub fn fastest() -> Self {
        const BYTES: usize = 4096;
        const TRIES: usize = 2;
        let mut messages = Self::ALL.map(|_| vec![0; BYTES]);
        let mut best = [u64::MAX; Self::ALL.len()];
        for _ in 0..TRIES {
            for (index, message) in messages.iter_mut().enumerate() {
                let begun = uptime_ns();
                let tag = Self::ALL[index].sealed(&[1; KEY_BYTES], [2; NONCE_BYTES], &[], message);
                best[index] = best[index].min(uptime_ns() - begun);
                message[..TAG_BYTES].copy_from_slice(&tag);
            }
            assert_eq!(messages[0], messages[1], "found two ciphers, not one");
        }
        log::debug!("a page is encrypted in {best:?} ns ({:?})", Self::ALL);
        match best[1] < best[0] {
            true => Self::Vectors,
            false => Self::Portable,
        }
    }

    /// The same for links.
    pub fn for_links(self) -> &'static dyn darner_link::Sealer {
        match self {
            Self::Portable => &Self::Portable,
            Self::Vectors => &Self::Vectors,
        }
    }

    fn sealed(
        self,
        key: &[u8; KEY_BYTES],
        nonce: [u8; NONCE_BYTES],
        associated: &[u8],
        data: &mut [u8],
    ) -> [u8; TAG_BYTES] {
        let mut task = Task {
            key,
            nonce,
            associated,
            data,
            tag: [0; TAG_BYTES],
            is_done: false,
        };
        match self {
            Self::Portable => task.seal(),
            // SAFETY: the function wants such a task, which is this frame's own; it does not block.
            Self::Vectors => unsafe {
                vectors::lend(darner_cipher_seal, (&raw mut task).cast());
            },
        }
        assert!(task.is_done, "a message is shorter than 256 GiB");
        task.tag
    }
}

/// Thread context.
impl darner_link::Sealer for Sealer {
    fn seal(
        &self,
        key: &[u8; KEY_BYTES],
        nonce: [u8; NONCE_BYTES],
        associated: &[u8],
        data: &mut [u8],
    ) -> [u8; TAG_BYTES] {
        self.sealed(key, nonce, associated, data)
    }

    fn open(
        &self,
        key: &[u8; KEY_BYTES],
        nonce: [u8; NONCE_BYTES],
        associated: &[u8],
        data: &mut [u8],
        tag: [u8; TAG_BYTES],
    ) -> bool {
        let mut task = Task {
            key,
            nonce,
            associated,
            data,
            tag,
            is_done: false,
        };
        match self {
            Self::Portable => task.open(),
            // SAFETY: as in `sealed`.
            Self::Vectors => unsafe {
                vectors::lend(darner_cipher_open, (&raw mut task).cast());
            },
        }
        task.is_done
    }
}
