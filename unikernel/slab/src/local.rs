//! An owner's way into the heap.

use core::alloc::Layout;
use core::marker::PhantomData;
use core::ptr::NonNull;

use crate::class::{self, CLASSES, TABLE};
use crate::heap::Heap;
use crate::magazine;
use crate::part::Part;
use crate::source::{Environment, Misuse};

/// An owner's part of a [`Heap`]: what it allocates and frees by.
///
/// There is one at a time for each owner, and it is used from one context at a time: in
/// a kernel, by its CPU, within critical sections.
pub struct Local<'h, E: Environment> {
    part: NonNull<Part<E>>,
    _heap: PhantomData<&'h Heap<E>>,
}

// SAFETY: the part belongs to nothing but this, and nothing in it to a thread.
unsafe impl<E: Environment + Sync> Send for Local<'_, E> {}

impl<E: Environment> Heap<E> {
    /// The part of `owner`, unless somebody has it, or there is no memory for it. Memory
    /// that a former holder left in it is the new one's.
    ///
    /// # Panics
    /// When there is no such owner.
    pub fn claim(&self, owner: usize) -> Option<Local<'_, E>> {
        let part = self.claim_part(owner)?;
        // SAFETY: the part is there, and the caller's alone.
        unsafe { part.as_ref() }.enter(self);
        Some(Local {
            part,
            _heap: PhantomData,
        })
    }
}

impl<E: Environment> Heap<E> {
    /// The part of `owner`, if somebody had it once and nobody has it now.
    #[cfg(feature = "linux")]
    pub(crate) fn claim_existing(&self, owner: usize) -> Option<Local<'_, E>> {
        self.part(owner)?;
        self.claim(owner)
    }
}

impl<'h, E: Environment> Local<'h, E> {
    #[inline(always)]
    fn part(&self) -> &Part<E> {
        // SAFETY: the part was claimed, and is there as long as the heap.
        unsafe { self.part.as_ref() }
    }

    /// Forgets the claim, for [`Local::from_raw`] to be remembered.
    pub fn into_raw(self) -> NonNull<()> {
        let part = self.part.cast();
        core::mem::forget(self);
        part
    }

    /// What [`Local::into_raw`] gave away.
    ///
    /// # Safety
    /// `raw` came from a `Local` of a heap of this type that is still there, and nothing else
    /// was made of it that is still used.
    #[inline(always)]
    pub const unsafe fn from_raw(raw: NonNull<()>) -> Self {
        Self {
            part: raw.cast(),
            _heap: PhantomData,
        }
    }

    /// Where the magazines are of masks from 0 on, one for each 8 masks. They stay there. See
    /// [`magazine`].
    pub fn magazines(&self) -> [NonNull<()>; magazine::ENTRIES] {
        core::array::from_fn(|entry| {
            let class = class::of_entry(entry);
            NonNull::from(self.part().magazine(class)).cast()
        })
    }

    /// The number of the owner.
    pub fn owner(&self) -> usize {
        usize::from(self.part().owner)
    }

    /// Memory for `layout`; none if there is none left, after all that can be given up
    /// from here was. A size of 0 is taken as 1.
    #[inline]
    pub fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        if let Some(magazine) = self.part().magazine_for(class::mask(layout))
            && let Some(chunk) = magazine.pop()
        {
            return Some(chunk);
        }
        self.part().allocate_slowly(layout)
    }

    /// As [`Local::allocate`], and all bytes are 0.
    pub fn allocate_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let part = self.part();
        if let Some(class) = class_of(layout) {
            if let Some(chunk) = part.take_zero(class) {
                return Some(chunk);
            }
            let chunk = self.allocate(layout)?;
            // SAFETY: the chunk is at least that long, and the caller's alone.
            unsafe { chunk.write_bytes(0, layout.size()) };
            return Some(chunk);
        }
        part.or_after_reclaim(|part| part.heap().allocate_run(layout, true))
    }

    /// Gives memory back, whoever allocated it.
    ///
    /// # Safety
    /// `memory` was allocated from this heap with this layout, and is not used any more.
    #[inline]
    pub unsafe fn deallocate(&mut self, memory: NonNull<u8>, layout: Layout) {
        // What is wrong is seen at once with debug assertions, else when it is sent home.
        if cfg!(debug_assertions) && !self.part().may_free(memory, layout) {
            return;
        }
        if let Some(magazine) = self.part().magazine_for(class::mask(layout))
            && magazine.push(memory)
        {
            return;
        }
        self.part().deallocate_slowly(memory, layout);
    }

    /// Changes the size of memory, in place if that can be. None, and the memory as it was,
    /// if there is none left.
    ///
    /// # Safety
    /// `memory` was allocated from this heap with this layout; if the result is not
    /// none, it is not used any more. `new_size` is valid with the layout's alignment.
    pub unsafe fn reallocate(
        &mut self,
        memory: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: as the caller says.
        let new = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        if self.resize(memory, layout, new) {
            return Some(memory);
        }
        let moved = self.allocate(new)?;
        // SAFETY: both are as long as the shorter one, and distinct; the caller does not use
        // the old one any more.
        unsafe {
            moved.copy_from_nonoverlapping(memory, layout.size().min(new_size));
            self.deallocate(memory, layout);
        }
        Some(moved)
    }

    /// Changes the size of memory where it is, to `new`, of the same alignment; whether that can
    /// be. If not, the memory is as it was.
    pub fn resize(&mut self, memory: NonNull<u8>, layout: Layout, new: Layout) -> bool {
        match (class_of(layout), class_of(new)) {
            (Some(old), Some(new)) => old == new,
            (None, None) => self.part().heap().resize_run(memory, layout, new),
            _ => false,
        }
    }

    /// Takes note of what others freed in zones that had left the lists, and gives up
    /// those that are empty: what an owner should do that was
    /// [notified](crate::Notify::owner). A few instructions when there is nothing.
    pub fn collect(&mut self) {
        self.part().collect_class(CLASSES);
    }

    /// Gives up all that can be from here: sends home all chunks at hand, gives up empty
    /// zones, and decommits all free units, whoever used them. How many pages were
    /// decommitted. For idle times, and when memory is short.
    pub fn reclaim(&mut self) -> usize {
        self.part().reclaim()
    }

    /// How many chunks the owner has sent home to others' zones. Their owners need not have
    /// been told: one that still lists a zone finds out when it looks for memory or reclaims.
    pub fn remote_frees(&self) -> u64 {
        self.part()
            .remote_frees
            .load(core::sync::atomic::Ordering::Relaxed)
    }
}

impl<E: Environment> Drop for Local<'_, E> {
    /// Sends home all chunks at hand, and leaves the zones to who claims the part next.
    fn drop(&mut self) {
        let part = self.part();
        part.flush_all();
        part.heap().release_part(part.owner);
    }
}

impl<E: Environment> Part<E> {
    #[cold]
    #[inline(never)]
    fn allocate_slowly(&self, layout: Layout) -> Option<NonNull<u8>> {
        let Some(class) = class_of(layout) else {
            return self.or_after_reclaim(|part| part.heap().allocate_run(layout, false));
        };
        if let Some(chunk) = self.magazine(class).pop() {
            return Some(chunk);
        }
        self.or_after_reclaim(|part| part.refill(class))
    }

    fn or_after_reclaim(
        &self,
        allocate: impl Fn(&Self) -> Option<NonNull<u8>>,
    ) -> Option<NonNull<u8>> {
        allocate(self).or_else(|| {
            self.reclaim();
            allocate(self).or_else(|| {
                let retry = self.heap().environment.memory_short();
                retry.then(|| allocate(self)).flatten()
            })
        })
    }

    #[cold]
    #[inline(never)]
    fn deallocate_slowly(&self, memory: NonNull<u8>, layout: Layout) {
        let Some(class) = class_of(layout) else {
            return self.heap().free_run(memory, layout);
        };
        let magazine = self.magazine(class);
        if magazine.push(memory) {
            return;
        }
        if magazine.capacity.get() < u32::from(TABLE[class].magazine) {
            magazine.grow(class);
        } else {
            self.flush(class, magazine.length().div_ceil(2) as usize);
        }
        let pushed = magazine.push(memory);
        debug_assert!(pushed, "there is room now");
    }

    fn flush_all(&self) {
        for class in 0..CLASSES {
            let length = self.magazine(class).length();
            if length > 0 {
                self.flush(class, length as usize);
            }
        }
    }

    fn reclaim(&self) -> usize {
        self.flush_all();
        self.retire_empty();
        self.heap().decommit_idle(0)
    }

    /// Whether the chunk may be freed, as far as that can be seen at once. If not, that
    /// is said.
    #[cold]
    fn may_free(&self, memory: NonNull<u8>, layout: Layout) -> bool {
        let Some(class) = class_of(layout) else {
            return true;
        };
        let address = memory.addr().get();
        let at_hand = self.magazine(class).chunks();
        let misuse = match self.home(address, class) {
            Err(_) if self.heap().environment.is_elsewhere(address) => return true,
            Err(misuse) => misuse,
            Ok(home) if home.is_free(self.owner) => Misuse::Double,
            Ok(_) if at_hand.iter().any(|chunk| chunk.get() == memory.as_ptr()) => Misuse::Double,
            Ok(_) => return true,
        };
        self.heap().refuse(misuse, address);
        false
    }
}

/// The class for a layout, or none if it takes a run of pages.
fn class_of(layout: Layout) -> Option<usize> {
    class::of(match layout.size() {
        0 => layout.align() - 1,
        _ => class::mask(layout),
    })
}
