//! Turns a backtrace's addresses into functions and lines.

use std::path::Path;

use addr2line::Loader;
use object::{Object, ObjectSymbol};

use crate::error::{Context, Result};

/// Frames beyond these are only counted: an overflow of the stack has thousands.
const SHOWN: usize = 40;

/// One line of text a frame, with its place below it where that is known.
///
/// `addresses` are those of the ELF file, innermost first. All are return
/// addresses, hence one past the call, but for the first when the CPU itself
/// reported it (`exact`). Paths are shown as seen from the `roots`.
pub fn backtrace(elf: &Path, roots: &[&Path], addresses: &[u64], exact: bool) -> Result<String> {
    let loader = Loader::new(elf).context(|| format!("read the symbols of {}", elf.display()))?;
    let mut text = String::from("backtrace, innermost first:\n");
    let mut number = 0;
    for (index, &address) in addresses.iter().take(SHOWN).enumerate() {
        let probe = if index == 0 && exact {
            address
        } else {
            address.saturating_sub(1)
        };
        let frames = frames(&loader, probe);
        if frames.is_empty() {
            text.push_str(&format!("{number:4}: {address:#x}\n"));
            number += 1;
        }
        for (name, place) in frames {
            text.push_str(&format!("{number:4}: {name}\n"));
            if let Some(place) = place {
                let place = Path::new(&place);
                let short = roots.iter().find_map(|root| place.strip_prefix(root).ok());
                text.push_str(&format!(
                    "          at {}\n",
                    short.unwrap_or(place).display()
                ));
            }
            number += 1;
        }
    }
    if addresses.len() > SHOWN {
        text.push_str(&format!(
            "      and {} calls more\n",
            addresses.len() - SHOWN
        ));
    }
    Ok(text)
}

/// The variables of a program.
#[derive(Debug, Default)]
pub struct Variables {
    /// By address: that, bytes, and the name as the symbol table has it.
    symbols: Vec<(u64, u64, String)>,
}

impl Variables {
    /// Those that the symbols of the ELF file tell of.
    pub fn of(elf: &Path) -> Result<Self> {
        let about = || format!("read the symbols of {}", elf.display());
        let bytes = std::fs::read(elf).context(about)?;
        let file = object::File::parse(&bytes[..]).context(about)?;
        let is_variable = |symbol: &object::Symbol<'_, '_>| {
            symbol.kind() == object::SymbolKind::Data && symbol.size() > 0
        };
        let variables = file.symbols().filter(is_variable);
        let mut symbols: Vec<(u64, u64, String)> = variables
            .filter_map(|symbol| {
                let name = symbol.name().ok()?;
                Some((symbol.address(), symbol.size(), name.to_owned()))
            })
            .collect();
        symbols.sort_unstable();
        Ok(Self { symbols })
    }

    /// The one at an address of the file, and how far behind its start that is.
    pub fn at(&self, address: u64) -> Option<(String, u64)> {
        let behind = self
            .symbols
            .partition_point(|&(start, ..)| start <= address);
        let (start, size, name) = self.symbols[..behind].last()?;
        let offset = address - start;
        (offset < *size).then(|| (demangled(name), offset))
    }
}

/// The variable at an address of the ELF file, if its symbols tell.
pub fn variable(elf: &Path, address: u64) -> Result<Option<String>> {
    Ok(Variables::of(elf)?.at(address).map(|(name, _)| name))
}

/// The function at an address, and those that were inlined into it, innermost
/// first, each with file and line.
fn frames(loader: &Loader, probe: u64) -> Vec<(String, Option<String>)> {
    let mut found = Vec::new();
    if let Ok(mut frames) = loader.find_frames(probe) {
        while let Ok(Some(frame)) = frames.next() {
            let name = frame
                .function
                .as_ref()
                .and_then(|function| Some(demangled(&function.raw_name().ok()?)));
            let place = frame
                .location
                .and_then(|location| Some(format!("{}:{}", location.file?, location.line?)));
            found.push((name.unwrap_or_else(|| format!("{probe:#x}")), place));
        }
    }
    // Line tables know functions by their last name only; what was not inlined
    // has its full one in the symbol table.
    if let Some(symbol) = loader.find_symbol(probe).map(demangled) {
        match found.last_mut() {
            Some((name, _)) => *name = symbol,
            None => found.push((symbol, None)),
        }
    }
    found
}

fn demangled(name: &str) -> String {
    format!("{:#}", rustc_demangle::demangle(name))
}

#[cfg(test)]
mod tests {
    use super::Variables;

    /// As long as two words: the second has a place within it.
    static LOOKED_FOR: [u64; 2] = [3, 4];

    #[test]
    fn variables_have_names() {
        // Where the linker put it, which is not where it runs.
        let elf = std::env::current_exe().unwrap();
        let variables = Variables::of(&elf).unwrap();
        let name = "symbolize::tests::LOOKED_FOR";
        let is_it = |(_, size, symbol): &&(u64, u64, String)| {
            *size == 16 && super::demangled(symbol).ends_with(name)
        };
        assert_eq!(std::hint::black_box(&LOOKED_FOR)[1], 4);
        let &(start, ..) = variables.symbols.iter().find(is_it).unwrap();
        for offset in [0, 8, 15] {
            let (found, at) = variables.at(start + offset).unwrap();
            assert!(found.ends_with(name), "{found}");
            assert_eq!(at, offset);
        }
        let next = variables.at(start + 16);
        assert!(next.is_none_or(|(found, _)| !found.ends_with(name)));
        assert_eq!(variables.at(0), None);
    }
}
