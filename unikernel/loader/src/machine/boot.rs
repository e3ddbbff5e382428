//! From 64-bit mode to the program.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

use darner_loader::initrd::Initrd;
use darner_loader::options::{Ports, UnclosedQuote};
use darner_loader::plan::Plan;
use darner_loader::start_info::{MAGIC, MemoryMapEntry, Module, StartInfo};
use darner_loader::tables::MAPPED_AT_ENTRY;
use darner_loader::tree::Machine;
use darner_loader::{cpu, program, tables};
use hermit_entry::Entry;
use hermit_entry::boot_info::{
    BootInfo, DeviceTreeAddress, HardwareInfo, PlatformInfo, RawBootInfo, SerialPortBase,
};
use hermit_entry::elf::{KernelObject, LoadedKernel};
use raw_cpuid::CpuId;
use x86_64::registers::model_specific::{Efer, EferFlags};

use super::fail::{fail, use_ports};
use super::{identity, physical};

const PAGE: u64 = 4096;
/// The kernel maps its image with large pages.
const IMAGE_ALIGN: u64 = 2 << 20;
const COM1: SerialPortBase = SerialPortBase::new(0x3f8).unwrap();

unsafe extern "C" {
    #[link_name = "__loader_start"]
    static LOADER_START: u8;
    #[link_name = "__loader_end"]
    static LOADER_END: u8;
}

/// Everything between the entry code and the program.
pub extern "C" fn boot(start_info: u64, loader_tsc: u64) -> ! {
    // SAFETY: PVH passes the start info's address; a structure that is not one is
    // refused before anything in it is followed.
    let info = StartInfo::decode(unsafe { physical::array(start_info) });
    if info.magic != MAGIC || info.version < 1 {
        fail(format_args!(
            "the VMM passed no PVH start info with a memory map (found magic {:#x}, version {}; expected {MAGIC:#x}, 1 or later); \
             use a VMM that boots by PVH, such as QEMU 4.0 or later with -kernel",
            info.magic, info.version
        ));
    }
    let command_line = command_line(&info);
    let map = memory_map(&info);
    let cpu = CpuId::new();
    if let Some(missing) = cpu::missing(&cpu) {
        fail(format_args!(
            "this CPU lacks {missing}, which every program needs; give the VM a newer CPU model (-cpu max for QEMU)"
        ));
    }

    let mut plan = Plan::new(map.iter().copied());
    let loader = (&raw const LOADER_START).expose_provenance() as u64
        ..(&raw const LOADER_END).expose_provenance() as u64;
    plan.take(loader.clone());
    let map_bytes = map.len() * MemoryMapEntry::BYTES;
    let module_bytes = info.modules as usize * Module::BYTES;
    plan.take(range(start_info, StartInfo::BYTES));
    plan.take(range(info.memory_map, map_bytes));
    plan.take(range(info.module_list, module_bytes));
    plan.take(range(info.command_line, command_line.len() + 1));
    for module in modules(&info) {
        plan.take_given("the initrd", module.range())
            .unwrap_or_else(|error| fail(error));
    }
    let Some(module) = modules(&info).next() else {
        fail(
            "the VMM passed no initrd, so there is no program; give it one (-initrd FILE for QEMU)",
        );
    };

    let mut reserved = Vec::from([loader]);
    reserved.extend(map_high_memory(&mut plan, cpu::has_gib_pages(&cpu)));
    // SAFETY: the VMM put the module there; nothing is placed over it.
    let initrd = unsafe { physical::bytes(module.start, module.bytes as usize) };
    let initrd = Initrd::recognise(initrd).unwrap_or_else(|error| fail(error));
    let program = program::parse(initrd.program()).unwrap_or_else(|error| fail(error));
    let image = place(&mut plan, &program);
    let archive = match initrd {
        Initrd::Archive { .. } => Some(module.range()),
        Initrd::Program(_) => None,
    };
    reserved.extend(archive.clone());
    reserved.push(image.clone());

    // One more reservation than there are so far: the tree itself.
    let bound = Machine::bound(plan.ram().len(), reserved.len() + 1, command_line.len())
        .next_multiple_of(PAGE);
    let tree = plan
        .place("the device tree", bound, PAGE, MAPPED_AT_ENTRY)
        .unwrap_or_else(|error| fail(error));
    reserved.push(tree..tree + bound);
    let machine = Machine {
        ram: plan.ram(),
        reserved: &reserved,
        command_line,
        archive: archive.as_ref(),
        rsdp: (info.rsdp != 0).then_some(info.rsdp),
        loader_tsc,
    };
    write_tree(&machine, tree..tree + bound);

    let loaded = load(&program, &image);
    enter(loaded, tree, plan.ram_end())
}

fn range(start: u64, len: usize) -> Range<u64> {
    start..start.saturating_add(len as u64)
}

/// The command line; its ports are in use afterwards.
fn command_line(info: &StartInfo) -> &'static str {
    let bytes = if info.command_line == 0 {
        c""
    } else {
        // SAFETY: PVH has a NUL-terminated text there.
        unsafe { physical::c_string(info.command_line) }
    };
    let Ok(text) = bytes.to_str() else {
        fail("the kernel's command line is not UTF-8; give only UTF-8 text with -append");
    };
    match Ports::parse(text) {
        Ok(ports) => use_ports(ports),
        Err(UnclosedQuote(ports)) => {
            use_ports(ports);
            fail(format_args!(
                "a quote in the kernel's command line is not closed: {text}"
            ));
        }
    }
    text
}

fn memory_map(info: &StartInfo) -> Vec<MemoryMapEntry> {
    (0..u64::from(info.memory_map_entries))
        .map(|index| {
            // SAFETY: PVH says that this many entries are there.
            MemoryMapEntry::decode(unsafe {
                physical::array(info.memory_map + index * MemoryMapEntry::BYTES as u64)
            })
        })
        .collect()
}

fn modules(info: &StartInfo) -> impl Iterator<Item = Module> {
    (0..u64::from(info.modules))
        .map(|index| {
            // SAFETY: PVH says that this many entries are there.
            Module::decode(unsafe {
                physical::array(info.module_list + index * Module::BYTES as u64)
            })
        })
        .filter(|module| module.bytes > 0)
}

/// Maps the RAM above 4 GiB; returns what the tables for it occupy.
fn map_high_memory(plan: &mut Plan, gib_pages: bool) -> Option<Range<u64>> {
    let end = plan.ram_end();
    if end <= MAPPED_AT_ENTRY {
        return None;
    }
    let bytes = tables::needed(end, gib_pages) * PAGE;
    let start = if bytes == 0 {
        0
    } else {
        plan.place("the page tables", bytes, PAGE, MAPPED_AT_ENTRY)
            .unwrap_or_else(|error| fail(error))
    };
    // SAFETY: the plan gives the range to nobody else, and the entry code mapped it.
    unsafe { identity::extend(end, gib_pages, start..start + bytes) };
    (bytes != 0).then_some(start..start + bytes)
}

/// Where the program's image goes.
fn place(plan: &mut Plan, program: &KernelObject<'_>) -> Range<u64> {
    let what = "the program's image";
    let bytes = program.mem_size() as u64;
    match program.start_addr() {
        Some(start) => {
            let image = start..start.saturating_add(bytes);
            plan.place_at(what, image.clone())
                .unwrap_or_else(|error| fail(error));
            image
        }
        None => {
            let start = plan
                .place(what, bytes, IMAGE_ALIGN, u64::MAX)
                .unwrap_or_else(|error| fail(error));
            start..start + bytes
        }
    }
}

fn write_tree(machine: &Machine<'_>, place: Range<u64>) {
    let tree = match machine.tree() {
        Ok(tree) => tree,
        Err(error) => fail(format_args!(
            "the device tree cannot be written: {error}; this VM's memory map or command line is not usual"
        )),
    };
    // SAFETY: the plan gives the range to nobody else.
    let room = unsafe { physical::room(place.start, (place.end - place.start) as usize) };
    let (room, _) = room.split_at_mut(tree.len());
    room.write_copy_of_slice(&tree);
}

fn load(program: &KernelObject<'_>, image: &Range<u64>) -> LoadedKernel {
    // SAFETY: the plan gives the range to nobody else.
    let room = unsafe { physical::room(image.start, (image.end - image.start) as usize) };
    program.load_kernel(room, image.start)
}

fn enter(loaded: LoadedKernel, tree: u64, ram_end: u64) -> ! {
    let LoadedKernel {
        load_info,
        entry_point,
    } = loaded;
    let boot_info = Box::leak(Box::new(RawBootInfo::from(BootInfo {
        hardware_info: HardwareInfo {
            phys_addr_range: 0..ram_end,
            serial_port_base: Some(COM1),
            device_tree: DeviceTreeAddress::new(tree),
        },
        load_info,
        platform_info: PlatformInfo::Fdt,
    })));
    // SAFETY: the CPU has execute-disable (it was checked); nothing is mapped with
    // it yet. The kernel may so make its tables without a step in between.
    unsafe { Efer::update(|flags| flags.insert(EferFlags::NO_EXECUTE_ENABLE)) };
    // SAFETY: the entry point is within the image, which was just loaded, and its
    // note says that it speaks this protocol. The stack goes on being valid.
    unsafe {
        let entry: Entry = core::mem::transmute(core::ptr::with_exposed_provenance::<()>(
            entry_point as usize,
        ));
        entry(boot_info, 0)
    }
}
