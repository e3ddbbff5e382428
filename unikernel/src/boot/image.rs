//! The loaded image, as its own ELF headers describe it.

use core::hash::{BuildHasher, Hasher};

use foldhash::quality::FixedState;

use crate::abi::user;
use crate::layout::{PAGE, align_down, align_up};
use crate::memory::paging::Rights;

/// The image as its program headers describe it, relative to its first byte.
pub(super) struct Image {
    /// Where its first byte is.
    pub base: u64,
}

#[repr(C)]
struct ProgramHeader {
    kind: u32,
    flags: u32,
    offset: u64,
    address: u64,
    physical: u64,
    file_bytes: u64,
    bytes: u64,
    align: u64,
}

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_GNU_RELRO: u32 = 0x6474_e552;
const PF_X: u32 = 1;
const PF_W: u32 = 2;
const DT_RELA: u64 = 7;
const DT_RELASZ: u64 = 8;
const R_X86_64_RELATIVE: u32 = 8;

impl Image {
    fn headers(&self) -> &[ProgramHeader] {
        // SAFETY: the loader has loaded a valid ELF file whose first segment holds
        // the file header and the program headers (e_phoff at 32, e_phnum at 56).
        unsafe {
            let offset = (self.base as *const u8).add(32).cast::<u64>().read();
            let count = (self.base as *const u8).add(56).cast::<u16>().read();
            core::slice::from_raw_parts(
                (self.base + offset) as *const ProgramHeader,
                usize::from(count),
            )
        }
    }

    fn find(&self, kind: u32) -> Option<&ProgramHeader> {
        self.headers().iter().find(|header| header.kind == kind)
    }

    /// Bytes from its first to its last, in memory.
    pub fn bytes(&self) -> u64 {
        let end = |header: &ProgramHeader| header.address + header.bytes;
        self.headers()
            .iter()
            .filter(|header| header.kind == PT_LOAD)
            .map(end)
            .max()
            .unwrap_or(0)
    }

    /// What may be done with the page at `offset`. The end of a relocation-only
    /// part is a page boundary by the linker's rule.
    pub fn rights(&self, offset: u64) -> Option<Rights> {
        let covers = |header: &&ProgramHeader| {
            align_down(header.address, PAGE) <= offset
                && offset < align_up(header.address + header.bytes, PAGE)
        };
        let loads = || {
            self.headers()
                .iter()
                .filter(|header| header.kind == PT_LOAD)
        };
        let relro = self.find(PT_GNU_RELRO);
        let mut rights = None;
        for header in loads().filter(covers) {
            rights = Some(match header.flags & (PF_W | PF_X) {
                0 => Rights::Const,
                PF_X => Rights::Text,
                _ => Rights::Data,
            });
        }
        let constant = relro.is_some_and(|relro| {
            align_down(relro.address, PAGE) <= offset
                && offset + PAGE <= align_down(relro.address + relro.bytes, PAGE)
        });
        if constant && rights == Some(Rights::Data) {
            Some(Rights::Const)
        } else {
            rights
        }
    }

    /// Where the program's variables are: start and end of whole pages. The kernel's own, which
    /// lie between them, are left out.
    pub fn variables(&self) -> impl Iterator<Item = (u64, u64)> {
        let end = self.base + align_up(self.bytes(), PAGE);
        let is_variable = |page: u64| {
            self.rights(page - self.base) == Some(Rights::Data)
                && !user::is_kernels(page as usize, (page + PAGE) as usize)
        };
        let pages = move |from: u64| (from..end).step_by(PAGE as usize);
        let mut at = self.base;
        core::iter::from_fn(move || {
            let start = pages(at).find(|&page| is_variable(page))?;
            at = pages(start).find(|&page| !is_variable(page)).unwrap_or(end);
            Some((start, at))
        })
    }

    /// A hash of code, constants, and what the program's variables begin with: the same for the same image, once
    /// it is relocated, as long as the program has not run. The kernel's variables are left out, which have
    /// changed by then. It tells images apart, and need not withstand anybody: a node that has the key
    /// is believed what it says.
    pub fn hash(&self) -> [u8; 32] {
        let mut words = [1, 2, 3, 4].map(|seed| FixedState::with_seed(seed).build_hasher());
        for offset in (0..align_up(self.bytes(), PAGE)).step_by(PAGE as usize) {
            let (start, rights) = (self.base + offset, self.rights(offset));
            let is_kernels = user::is_kernels(start as usize, (start + PAGE) as usize);
            match rights {
                None => continue,
                Some(Rights::Data) if is_kernels => continue,
                Some(_) => {}
            }
            // SAFETY: the page is of the image, which is mapped at `base`, and nobody writes to it:
            // the program does not run yet, and the kernel's variables are left out.
            let page = unsafe { core::slice::from_raw_parts(start as *const u8, PAGE as usize) };
            for word in &mut words {
                word.write_u64(offset);
                word.write(page);
            }
        }
        let mut hash = [0; 32];
        for (place, word) in hash.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.finish().to_le_bytes());
        }
        hash
    }

    /// Where its code is: start and end (exclusive), relative to its first byte.
    pub fn text(&self) -> Option<(u64, u64)> {
        let header = self
            .headers()
            .iter()
            .find(|header| header.kind == PT_LOAD && header.flags & PF_X != 0)?;
        Some((header.address, header.address + header.bytes))
    }

    /// Writes every relocated word for an image that runs at `target`. An error is
    /// the kind of a relocation that cannot be done here.
    pub fn relocate(&self, target: u64) -> Result<(), u32> {
        let Some(dynamic) = self.find(PT_DYNAMIC) else {
            return Ok(());
        };
        let mut table = 0;
        let mut table_bytes = 0;
        let words = (self.base + dynamic.address) as *const [u64; 2];
        for index in 0..dynamic.bytes / 16 {
            // SAFETY: the dynamic section is loaded and has that many entries.
            let [tag, value] = unsafe { words.add(index as usize).read() };
            match tag {
                DT_RELA => table = value,
                DT_RELASZ => table_bytes = value,
                _ => {}
            }
        }
        let entries = (self.base + table) as *const [u64; 3];
        for index in 0..table_bytes / 24 {
            // SAFETY: as above, for the relocation table.
            let [offset, info, addend] = unsafe { entries.add(index as usize).read() };
            if info as u32 != R_X86_64_RELATIVE {
                return Err(info as u32);
            }
            // SAFETY: a relocation of this image names a word within it, which is
            // writable through the loader's identity mapping.
            unsafe {
                ((self.base + offset) as *mut u64).write_unaligned(target.wrapping_add(addend))
            };
        }
        Ok(())
    }
}
