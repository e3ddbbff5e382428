//! The cipher of the links, with the processor's vector registers.

use core::ffi::c_void;

use darner_cipher::{KEY_BYTES, NONCE_BYTES, TAG_BYTES, Task};

use crate::arch::vectors;

unsafe extern "C" {
    fn darner_cipher_seal(task: *mut c_void);
    fn darner_cipher_open(task: *mut c_void);
}

/// That of the crate `darner-cipher`, as the program's target has it. Thread context.
pub struct Sealer;

impl darner_link::Sealer for Sealer {
    fn seal(
        &self,
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
        // SAFETY: the function wants such a task, which is this frame's own; it does not block.
        unsafe { vectors::lend(darner_cipher_seal, (&raw mut task).cast()) };
        assert!(task.is_done, "a message is shorter than 256 GiB");
        task.tag
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
        // SAFETY: as in `seal`.
        unsafe { vectors::lend(darner_cipher_open, (&raw mut task).cast()) };
        task.is_done
    }
}
