//! Shootdowns by several CPUs at the same time, while messages storm.

use alloc::boxed::Box;
use alloc::format;
use core::sync::atomic::{AtomicU64, Ordering};

use darner_lwkt::{Critical, Machine};
use x86_64::registers::control::Cr3;

use super::gang::{Member, on_every_cpu};
use super::{Failure, Found, spin_until};
use crate::arch::tlb;
use crate::layout::PAGE;
use crate::memory::frames;
use crate::memory::paging::{self, Rights};
use crate::memory::regions::{self, Content};
use crate::sched::{self, Kernel};

/// A page whose frame changes again and again. Each frame holds the number of the
/// change that brought it, so who reads an old number has an old translation.
#[repr(align(128))]
struct Changing {
    address: u64,
    /// Its own frame, and another one, used in turn.
    frames: [u64; 2],
    /// The last change that all CPUs have been told of.
    changes: AtomicU64,
}

struct Pages {
    /// One for each CPU, which alone changes it; all read it.
    changing: Box<[Changing]>,
    sent: AtomicU64,
    ran: AtomicU64,
    stale: AtomicU64,
}

/// Has each CPU change its page `changes` times. Gives how many messages ran
/// meanwhile.
pub fn run(changes: u64) -> Found {
    let pages: Option<Box<[Changing]>> = (0..Kernel::cpus()).map(|_| Changing::new()).collect();
    let changing = pages.ok_or("there is no memory for a page for each CPU")?;
    // For ever: a message that is lost now may run later.
    let pages: &'static Pages = Box::leak(Box::new(Pages {
        changing,
        sent: AtomicU64::new(0),
        ran: AtomicU64::new(0),
        stale: AtomicU64::new(0),
    }));
    on_every_cpu(&|member| storm(pages, member, changes))?;
    for page in &pages.changing {
        page.give_back();
    }
    let stale = pages.stale.load(Ordering::Relaxed);
    if stale > 0 {
        return Err(format!(
            "{stale} readings went by a translation that had been shot down"
        ));
    }
    Ok(pages.ran.load(Ordering::Relaxed))
}

/// One CPU's part.
fn storm(pages: &'static Pages, member: &Member<'_>, changes: u64) -> Result<(), Failure> {
    let cpus = member.members();
    for number in 1..=changes {
        for target in 0..cpus {
            let sent = sched::messages().try_send(&Critical::enter(), target, move |_| {
                pages.look();
                pages.ran.fetch_add(1, Ordering::Release);
            });
            match sent {
                Ok(()) => pages.sent.fetch_add(1, Ordering::Relaxed),
                Err(_) => break,
            };
        }
        pages.changing[member.cpu].change(number);
        pages.look();
    }
    member.barrier()?;
    spin_until("all messages to run", || {
        pages.ran.load(Ordering::Acquire) == pages.sent.load(Ordering::Relaxed)
    })
}

impl Pages {
    /// Reads all pages.
    fn look(&self) {
        for page in &self.changing {
            // In this order: what is read now is at least as new.
            let least = page.changes.load(Ordering::Acquire);
            // SAFETY: the page is mapped until the test ends; its owner changes what
            // it maps to, in one step, never whether.
            let found = unsafe { (page.address as *const u64).read_volatile() };
            if found < least {
                self.stale.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl Changing {
    fn new() -> Option<Self> {
        let address = regions::map(PAGE, Rights::Data, Content::Zeroed)?;
        let first = entry(address).load(Ordering::Relaxed) & ADDRESS;
        let page = Self {
            address,
            frames: [first, frames::allocate_page()?],
            changes: AtomicU64::new(0),
        };
        Some(page)
    }

    /// Change `number`: by the page's CPU.
    fn change(&self, number: u64) {
        let frame = self.frames[(number % 2) as usize];
        // SAFETY: the frame is this page's, in the direct map, and no CPU reads it
        // since the last change was shot down.
        unsafe { (paging::direct(frame) as *mut u64).write_volatile(number) };
        let entry = entry(self.address);
        let flags = entry.load(Ordering::Relaxed) & !ADDRESS;
        entry.store(frame | flags, Ordering::Release);
        tlb::shootdown(self.address, 1);
        self.changes.store(number, Ordering::Release);
    }

    /// Gives the memory back, with the frame that the region came with.
    fn give_back(&self) {
        let last = self.changes.load(Ordering::Relaxed);
        // The next change with an even number.
        self.change(last / 2 * 2 + 2);
        frames::free_page(self.frames[1]);
        if regions::unmap(self.address, PAGE).is_err() {
            log::error!("the page at {:#x} is not a region", self.address);
        }
    }
}

/// The bits of an entry that are an address.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;

/// The last-level entry of a page that is mapped in 4 KiB.
fn entry(address: u64) -> &'static AtomicU64 {
    const ENTRIES: u64 = 512;
    let mut table = Cr3::read().0.start_address().as_u64();
    for level in (1..4).rev() {
        let index = (address >> (12 + 9 * level)) % ENTRIES;
        // SAFETY: the tables of a mapped page are in RAM, and so in the direct map.
        let entry =
            unsafe { ((paging::direct(table) as *const u64).add(index as usize)).read_volatile() };
        table = entry & ADDRESS;
    }
    let index = (address >> 12) % ENTRIES;
    // SAFETY: as above; it is read and written as a whole, also by the CPU.
    unsafe { AtomicU64::from_ptr((paging::direct(table) as *mut u64).add(index as usize)) }
}
