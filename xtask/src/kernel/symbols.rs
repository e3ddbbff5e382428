//! What is in a library: its members and the symbols that they define.

use std::collections::BTreeSet;
use std::path::Path;

use object::read::archive::ArchiveFile;
use object::{Object, ObjectSymbol};

use crate::error::{Context, Result};

/// The global symbols that the object files of a static library define.
pub fn defined_in_library(path: &Path) -> Result<BTreeSet<String>> {
    let data = std::fs::read(path).context(|| format!("read {}", path.display()))?;
    let what = || format!("read {} as a static library", path.display());
    let archive = ArchiveFile::parse(&*data).context(what)?;
    let mut names = BTreeSet::new();
    for member in archive.members() {
        let content = member.context(what)?.data(&*data).context(what)?;
        // rustc puts a member of metadata beside the objects.
        let Ok(file) = object::File::parse(content) else {
            continue;
        };
        names.extend(
            file.symbols()
                .filter(|symbol| symbol.is_global() && symbol.is_definition())
                .filter_map(|symbol| symbol.name().ok().map(str::to_owned)),
        );
    }
    Ok(names)
}

/// Whether the kernel's object gives this symbol to the program.
pub fn is_kernel_interface(name: &str) -> bool {
    name == "_start" || name.starts_with("sys_")
}

/// Whether the cipher's object gives this symbol to the kernel.
pub fn is_cipher_interface(name: &str) -> bool {
    name.starts_with("darner_cipher_")
}

/// Whether the builtins' object gives this symbol to the program: C functions,
/// but neither Rust's mangled names and nameless constants nor the compiler's
/// own helpers, which the program has from its own `compiler_builtins`.
pub fn is_c_function(name: &str) -> bool {
    !name.starts_with('_') && !name.starts_with("rust_") && !name.contains('.')
}

#[cfg(test)]
mod tests {
    use super::{is_c_function, is_kernel_interface};

    #[test]
    fn only_the_interface_stays_global() {
        assert!(is_kernel_interface("_start") && is_kernel_interface("sys_futex_wait"));
        assert!(!is_kernel_interface("memcpy") && !is_kernel_interface("_RNvCs_3foo"));
        assert!(is_c_function("memcpy") && is_c_function("lgamma_r"));
        assert!(!is_c_function("anon.3a63.18.llvm.1355"));
        assert!(
            !is_c_function("__udivti3")
                && !is_c_function("_ZN4core")
                && !is_c_function("rust_begin_unwind")
        );
    }
}
