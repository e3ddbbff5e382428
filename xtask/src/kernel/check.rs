//! Checks the finished library. A linker is content with an empty one, so what
//! is missing is found here or not before the program fails to boot.

use std::collections::BTreeSet;

use object::read::archive::ArchiveFile;
use object::{Object, ObjectSection, ObjectSymbol};

use super::link::{OS_ABI_OFFSET, OS_ABI_STANDALONE};
use super::{abi_list, symbols};
use crate::error::{Context, Error, Result};

/// The notes by which loaders know the program: section and owner.
const NOTES: [(&str, &[u8]); 2] = [
    (".note.hermit.entry-version", b"HERMIT\0"),
    (".note.ABI-tag", b"GNU\0"),
];
const SECTIONS: [&str; 4] = ["ktext", "krodata", "kdata", "kbss"];
const PAGE: u64 = 4096;

/// Refuses a library that no program could boot with.
pub fn archive(data: &[u8], expected: &BTreeSet<String>) -> Result<()> {
    let problems =
        problems(data, expected).context(|| "read back the finished libhermit.a".into())?;
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::failed(format!(
        "libhermit.a would not work:\n  {}",
        problems.join("\n  ")
    )))
}

fn problems(data: &[u8], expected: &BTreeSet<String>) -> object::Result<Vec<String>> {
    let archive = ArchiveFile::parse(data)?;
    let mut problems = Vec::new();
    let has_table = archive
        .symbols()?
        .is_some_and(|mut table| table.next().is_some());
    if !has_table {
        problems.push("the archive has no symbol table: linkers would take nothing from it".into());
    }
    let mut kernel = None;
    for member in archive.members() {
        let member = member?;
        let name = String::from_utf8_lossy(member.name()).into_owned();
        let content = member.data(data)?;
        let os_abi = content.get(OS_ABI_OFFSET).copied().unwrap_or(0);
        if os_abi != OS_ABI_STANDALONE {
            problems.push(format!(
                "{name}: found OS ABI {os_abi}, expected {OS_ABI_STANDALONE} (standalone)"
            ));
        }
        if name == "kernel.o" {
            kernel = Some(object::File::parse(content)?);
        }
    }
    match kernel {
        Some(kernel) => check_kernel(&kernel, expected, &mut problems)?,
        None => problems.push("kernel.o is missing".into()),
    }
    Ok(problems)
}

fn check_kernel(
    kernel: &object::File<'_>,
    expected: &BTreeSet<String>,
    problems: &mut Vec<String>,
) -> object::Result<()> {
    let mut defined = BTreeSet::new();
    for symbol in kernel
        .symbols()
        .filter(|symbol| symbol.is_global() && symbol.is_definition())
    {
        let name = symbol.name()?;
        if !symbols::is_kernel_interface(name) {
            problems.push(format!(
                "`{name}` is global, and is no part of the interface"
            ));
        } else if name.starts_with("sys_") && !abi_list::is_known(name, expected) {
            problems.push(format!(
                "`{name}` is in no list of functions: neither hermit-abi's nor Darner's own"
            ));
        }
        if name == "_start" {
            check_entry(kernel, &symbol, problems)?;
        }
        defined.insert(name);
    }
    if !defined.contains("_start") {
        problems.push("`_start` is missing: the program would have no entry".into());
    }
    for name in expected
        .iter()
        .filter(|name| !defined.contains(name.as_str()))
    {
        problems.push(format!("`{name}`, which a program may call, is missing"));
    }
    for (section, owner) in NOTES {
        let found = kernel
            .section_by_name(section)
            .map(|section| section.data())
            .transpose()?;
        // A note opens with the lengths of owner and content, and its type.
        if found.is_none_or(|note| note.get(12..12 + owner.len()) != Some(owner)) {
            let owner = String::from_utf8_lossy(&owner[..owner.len() - 1]);
            problems.push(format!("the {owner} note ({section}) is missing"));
        }
    }
    for name in SECTIONS {
        match kernel.section_by_name(name) {
            Some(section) if section.align() >= PAGE && section.size() % PAGE == 0 => {}
            Some(section) => problems.push(format!(
                "section {name}: found {} bytes aligned to {}, expected whole pages",
                section.size(),
                section.align()
            )),
            None => problems.push(format!("section {name} is missing")),
        }
    }
    // A stray section would be merged with the program's of the same name.
    for stray in [
        ".text",
        ".rodata",
        ".data",
        ".bss",
        ".tdata",
        ".tbss",
        ".init_array",
    ] {
        if kernel.sections().any(|section| {
            let name = section.name().unwrap_or("");
            // Constants with addresses keep the linkers' name for them, in whole pages.
            let padded =
                name == ".data.rel.ro" && section.align() >= PAGE && section.size() % PAGE == 0;
            section.size() > 0
                && !padded
                && (name == stray || name.starts_with(&format!("{stray}.")))
        }) {
            problems.push(format!(
                "section {stray} of the kernel would share pages with the program's"
            ));
        }
    }
    Ok(())
}

fn check_entry(
    kernel: &object::File<'_>,
    entry: &object::Symbol<'_, '_>,
    problems: &mut Vec<String>,
) -> object::Result<()> {
    let code = match entry.section_index() {
        Some(index) => kernel
            .section_by_index(index)?
            .data_range(entry.address(), entry.size().max(1))?,
        None => None,
    };
    if !code.is_some_and(|code| code.iter().any(|byte| *byte != 0)) {
        problems.push("`_start` has no code".into());
    }
    Ok(())
}
