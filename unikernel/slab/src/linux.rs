//! The allocator as the global one of a Linux program: an owner for each thread.
//!
//! A thread that ends leaves its part, and all zones in it, to the next that starts. Code
//! that runs after that, and threads beyond the number of owners, share one part, under
//! a lock.

mod pages;

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::mem::ManuallyDrop;
use core::ptr::{NonNull, null_mut};

use spin::once::Once;

use self::pages::Pages;
use crate::heap::Heap;
use crate::local::Local;
use crate::lock::{Lock, Yield};
use crate::source::{Environment, Notify};
use crate::statistics::Statistics;
use crate::{UNIT, bookkeeping_bytes};

/// How many owners there are.
const OWNERS: usize = 1024;
/// The one that is shared.
const SHARED: usize = 0;
/// Bytes of addresses to ask for, and the least to be content with.
const BYTES: (usize, usize) = (1 << 40, 1 << 28);

/// The pages of this process.
struct Process {
    chunks: Pages,
    book: Pages,
}

impl Notify for Process {
    /// Owners find what was freed when they need it, and threads that wait need nothing.
    fn owner(&self, _owner: usize) {}

    fn memory_short(&self) -> bool {
        let Some(heap) = HEAP.get() else {
            return false;
        };
        // Those that no thread has. Others cannot be asked.
        let idle = (0..OWNERS).filter_map(|owner| heap.claim_existing(owner));
        idle.map(|mut local| local.reclaim()).sum::<usize>() > 0
    }
}

impl Environment for Process {
    type Chunks = Pages;
    type Bookkeeping = Pages;

    fn chunks(&self) -> &Pages {
        &self.chunks
    }

    fn bookkeeping(&self) -> &Pages {
        &self.book
    }
}

static HEAP: Once<Heap<Process>, Yield> = Once::new();
static LEFT: Lock<Option<NonNullPart>> = Lock::new(None);

/// The shared part.
struct NonNullPart(NonNull<()>);

// SAFETY: a part belongs to no thread.
unsafe impl Send for NonNullPart {}

/// What a thread has of the heap.
struct Thread(Cell<Option<NonNull<()>>>);

impl Drop for Thread {
    fn drop(&mut self) {
        PART.set(None);
        if let Some(part) = self.0.take() {
            // SAFETY: the thread had it, and does not use it any more.
            drop(unsafe { Local::<Process>::from_raw(part) });
        }
    }
}

thread_local! {
    /// The thread's part, as long as it has one.
    static PART: Cell<Option<NonNull<()>>> = const { Cell::new(None) };
    /// The same, to be given up when the thread ends.
    static THREAD: Thread = const { Thread(Cell::new(None)) };
}

/// The allocator; there is one heap, of the process.
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: darner_slab::Slab = darner_slab::Slab;
///
/// fn main() {
///     assert_eq!([1, 2].map(Box::new).map(|boxed| *boxed), [1, 2]);
///     assert!(darner_slab::Slab.statistics().is_some_and(|heap| heap.in_use() > 0));
/// }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Slab;

impl Slab {
    /// The heap in numbers, if it was ever used.
    pub fn statistics(&self) -> Option<Statistics> {
        HEAP.get().map(Heap::statistics)
    }

    /// Gives up what the calling thread, and threads that have ended, can. How many pages
    /// went back to the system.
    pub fn reclaim(&self) -> usize {
        let mine = with(Local::reclaim, || 0);
        let idle = HEAP
            .get()
            .into_iter()
            .flat_map(|heap| (0..OWNERS).filter_map(|owner| heap.claim_existing(owner)));
        mine + idle.map(|mut local| local.reclaim()).sum::<usize>()
    }
}

/// Calls `call` with the thread's part, or `none` if there is no heap.
#[inline(always)]
fn with<R>(call: impl FnOnce(&mut Local<'static, Process>) -> R, none: fn() -> R) -> R {
    match PART.get() {
        Some(part) => {
            // SAFETY: the thread has it, and `call` does not come here again: nothing in
            // it allocates.
            let mut local = ManuallyDrop::new(unsafe { Local::from_raw(part) });
            call(&mut local)
        }
        None => with_new(call, none),
    }
}

/// Gets the thread a part, or uses the shared one.
#[cold]
#[inline(never)]
fn with_new<R>(call: impl FnOnce(&mut Local<'static, Process>) -> R, none: fn() -> R) -> R {
    let Some(heap) = heap() else {
        return none();
    };
    let claimed = THREAD.try_with(|thread| {
        let local = (SHARED + 1..OWNERS).find_map(|owner| heap.claim(owner))?;
        let part = local.into_raw();
        thread.0.set(Some(part));
        PART.set(Some(part));
        Some(part)
    });
    if let Ok(Some(part)) = claimed {
        // SAFETY: as in `with`.
        let mut local = ManuallyDrop::new(unsafe { Local::from_raw(part) });
        return call(&mut local);
    }
    let mut shared = LEFT.lock();
    if shared.is_none() {
        *shared = heap
            .claim(SHARED)
            .map(|local| NonNullPart(local.into_raw()));
    }
    let Some(&NonNullPart(part)) = shared.as_ref() else {
        return none();
    };
    // SAFETY: it is the lock's, which is held.
    let mut local = ManuallyDrop::new(unsafe { Local::from_raw(part) });
    call(&mut local)
}

/// Frees memory that the heap handed out with this layout. A closure of so much would be
/// put on the stack in each call, for this one that is rare.
#[cold]
#[inline(never)]
fn deallocate_with_new(memory: NonNull<u8>, layout: Layout) {
    // SAFETY: as the caller says.
    with_new(
        move |local| unsafe { local.deallocate(memory, layout) },
        || (),
    );
}

fn heap() -> Option<&'static Heap<Process>> {
    if let Some(heap) = HEAP.get() {
        return Some(heap);
    }
    HEAP.try_call_once(|| {
        let mut bytes = BYTES.0;
        while bytes >= BYTES.1 {
            let book = bookkeeping_bytes::<Process>(bytes, OWNERS);
            let pages = Pages::reserve(bytes, UNIT).zip(Pages::reserve(book, UNIT));
            if let Some((chunks, book)) = pages {
                return Heap::new(Process { chunks, book }, OWNERS).map_err(drop);
            }
            bytes /= 2;
        }
        Err(())
    })
    .ok()
}

// SAFETY: it hands out memory that the heap says is nobody else's; it does not unwind,
// unless it is told of a wrong free with debug assertions on.
unsafe impl GlobalAlloc for Slab {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        with(move |local| pointer(local.allocate(layout)), null_mut)
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        with(
            move |local| pointer(local.allocate_zeroed(layout)),
            null_mut,
        )
    }

    #[inline]
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller passes what `alloc` gave out.
        let memory = unsafe { NonNull::new_unchecked(memory) };
        match PART.get() {
            // SAFETY: as in `with`, and as the caller says.
            Some(part) => unsafe {
                ManuallyDrop::new(Local::<Process>::from_raw(part)).deallocate(memory, layout);
            },
            None => deallocate_with_new(memory, layout),
        }
    }

    #[inline]
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller passes what `alloc` gave out.
        let memory = unsafe { NonNull::new_unchecked(memory) };
        // SAFETY: as the caller says.
        let resize = move |local: &mut Local<'static, Process>| {
            // SAFETY: as the caller says.
            pointer(unsafe { local.reallocate(memory, layout, new_size) })
        };
        with(resize, null_mut)
    }
}

#[inline(always)]
fn pointer(memory: Option<NonNull<u8>>) -> *mut u8 {
    memory.map_or(null_mut(), NonNull::as_ptr)
}
