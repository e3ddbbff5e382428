//! What the kernel keeps of a thread, besides what the scheduler knows.

use alloc::sync::Arc;
use core::alloc::Layout;
use core::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use x86_64::VirtAddr;

use super::futex::Place;
use super::machine::Kernel;
use crate::abi::process;
use crate::cluster::placement::Wanted;
use crate::cluster::retirement::Given;
use crate::memory::program_heap;
use crate::memory::stacks::{Discarded, KernelStack, ProgramStack};
use crate::sync::Lock;

/// A thread's number. Never used again.
pub type Tid = u32;

/// A thread, as the kernel's queues and tables hold it.
pub type ThreadRef = Arc<darner_lwkt::Thread<Kernel>>;

/// Why a thread could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpawnError {
    /// No memory for its stacks or its thread-local storage.
    NoMemory,
    /// The node that it was to come up on is not there.
    NoNode,
}

/// The kernel's part of a thread.
pub struct Kept {
    /// Its number.
    pub tid: Tid,
    /// The error number of its last failed call.
    pub errno: AtomicI32,
    /// 1 when it has ended, which wakes those who wait for this word.
    pub(super) ended: AtomicU32,
    /// Where it runs in kernel code that an interrupt brought it to.
    pub kernel_stack: KernelStack,
    /// The base of its thread-local variables.
    pub(super) thread_pointer: VirtAddr,
    /// Where it waits for a word to change.
    pub(super) futex: Place,
    /// Where the threads come up that it starts.
    pub placement: Wanted,
    /// Pages of other nodes that it was given for an instruction that it has not done.
    pub given: Given,
    /// What is to be given back when it has ended.
    pub(super) owned: Lock<Option<Owned>>,
}

impl Kept {
    /// That of a new thread.
    pub(super) fn new(tid: Tid, kernel_stack: KernelStack, owned: Option<Owned>) -> Self {
        let thread_pointer = owned
            .as_ref()
            .and_then(|owned| owned.tls.as_ref())
            .map_or(0, |tls| tls.thread_pointer);
        Self {
            tid,
            errno: AtomicI32::new(0),
            ended: AtomicU32::new(0),
            kernel_stack,
            thread_pointer: VirtAddr::new_truncate(thread_pointer),
            futex: Place::new(),
            placement: Wanted::default(),
            given: Given::default(),
            owned: Lock::new(owned),
        }
    }

    /// Whether it is one of the program's, that has not given back what it had.
    pub(super) fn is_program(&self) -> bool {
        self.owned.lock().is_some()
    }

    /// The thread's saved error number.
    pub fn last_error(&self) -> i32 {
        self.errno.load(Ordering::Relaxed)
    }
}

/// Memory of a thread in the program's part of the address space.
pub(super) struct Owned {
    pub stack: ProgramStack,
    pub tls: Option<Tls>,
}

/// What of a thread's memory an address is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Belonging {
    /// Its stack.
    Stack,
    /// Its thread-local variables.
    ThreadLocal,
}

impl Owned {
    /// What of it `address` is in. Any context.
    pub fn part_at(&self, address: u64) -> Option<Belonging> {
        if self.stack.contains(address) {
            return Some(Belonging::Stack);
        }
        let tls = self.tls.as_ref()?;
        tls.contains(address).then_some(Belonging::ThreadLocal)
    }

    /// Gives the memory back. Not on the stack in question, no lock held.
    pub fn release(self, discarded: &mut Discarded) {
        self.stack.release(discarded);
        if let Some(tls) = self.tls {
            // SAFETY: the block came from this heap with this layout, and the only
            // thread that used it has ended.
            unsafe { program_heap::deallocate(tls.block, tls.layout) };
        }
    }
}

/// A thread's copy of the program's thread-local variables.
pub(super) struct Tls {
    block: *mut u8,
    layout: Layout,
    /// The thread pointer.
    pub thread_pointer: u64,
}

// SAFETY: the block belongs to one thread; the pointer is only used to free it.
unsafe impl Send for Tls {}

impl Tls {
    /// Whether `address` is in it.
    pub fn contains(&self, address: u64) -> bool {
        let start = self.block as u64;
        (start..start + self.layout.size() as u64).contains(&address)
    }

    /// Variant II of the TLS ABI (Drepper, "ELF handling for thread-local
    /// storage", section 3): the variables end where the thread pointer points,
    /// and the word there is the thread pointer itself.
    pub fn new() -> Result<Option<Self>, SpawnError> {
        const WORD: usize = size_of::<u64>();
        let Some(template) = process::tls() else {
            return Ok(None);
        };
        let align = template.align.max(WORD);
        let variables = template.bytes.next_multiple_of(align);
        let layout =
            Layout::from_size_align(variables + WORD, align).map_err(|_| SpawnError::NoMemory)?;
        let block = program_heap::allocate(layout);
        if block.is_null() {
            return Err(SpawnError::NoMemory);
        }
        let thread_pointer = block as u64 + variables as u64;
        // SAFETY: the block is new and has room for the variables and one word;
        // the template is the image's TLS segment.
        unsafe {
            let first = (thread_pointer - template.bytes.next_multiple_of(align) as u64) as *mut u8;
            core::ptr::copy_nonoverlapping(template.start as *const u8, first, template.file_bytes);
            core::ptr::write_bytes(
                first.add(template.file_bytes),
                0,
                variables - template.file_bytes,
            );
            (thread_pointer as *mut u64).write(thread_pointer);
        }
        Ok(Some(Self {
            block,
            layout,
            thread_pointer,
        }))
    }
}
