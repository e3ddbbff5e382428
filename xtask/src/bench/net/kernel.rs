//! The Linux that Darner is compared with: Debian 12's kernel for clouds, and busybox to
//! start it with.

use std::fs;
use std::path::{Path, PathBuf};

use crate::debian::{self, Apt};
use crate::error::{Context, Error, Result};
use crate::workspace;

/// Debian 12.
const SUITE: &str = "bookworm";
/// Depends on the kernel's package, whose name has its version.
const NEWEST: &str = "linux-image-cloud-amd64";
const BUSYBOX: &str = "busybox-static";

/// The modules of a network card, each behind those that it needs.
const MODULES: [&str; 8] = [
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci",
    "net/core/failover",
    "drivers/net/net_failover",
    "drivers/net/virtio_net",
];

/// Kept last: with it, all is there.
const VERSION: &str = "version";

/// A Linux that can be booted, kept under the cache folder.
pub struct Linux {
    dir: PathBuf,
    /// The package's name.
    pub version: String,
}

impl Linux {
    /// Finds it, or fetches it from Debian and says so.
    pub fn ready() -> Result<Self> {
        let dir = workspace::cache_dir()?.join(format!("linux-{SUITE}"));
        if !dir.join(VERSION).is_file() {
            fetch(&dir).map_err(|error| {
                Error::usage(format!(
                    "Debian's kernel, to compare with, cannot be had: {error}"
                ))
            })?;
        }
        let version = read(&dir.join(VERSION))?;
        let version = String::from_utf8_lossy(&version).into_owned();
        Ok(Self { dir, version })
    }

    /// The kernel, as boot loaders and QEMU want it.
    pub fn image(&self) -> PathBuf {
        self.dir.join("vmlinuz")
    }

    /// The program that has all commands.
    pub fn busybox(&self) -> Result<Vec<u8>> {
        read(&self.dir.join("busybox"))
    }

    /// The modules' names and contents, in the order in which they are to be loaded.
    pub fn modules(&self) -> Result<Vec<(String, Vec<u8>)>> {
        MODULES
            .into_iter()
            .map(|path| {
                let name = file_name(path);
                Ok((name.clone(), read(&self.dir.join(name))?))
            })
            .collect()
    }
}

fn file_name(module: &str) -> String {
    let name = module.rsplit('/').next().unwrap_or(module);
    format!("{name}.ko")
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).context(|| format!("read {}", path.display()))
}

fn fetch(dir: &Path) -> Result<()> {
    debian::check_tools()?;
    // What an interrupted one has left.
    let _ = fs::remove_dir_all(dir);
    fs::create_dir_all(dir).context(|| format!("make the folder {}", dir.display()))?;
    let keep = |from: &Path, name: &str| {
        fs::copy(from, dir.join(name))
            .map(drop)
            .context(|| format!("copy {}", from.display()))
    };
    let apt = Apt::of(SUITE)?;
    let depends = apt.depends(NEWEST)?;
    let package = depends
        .iter()
        .find(|name| name.starts_with("linux-image-"))
        .ok_or_else(|| {
            Error::failed(format!(
                "found that {NEWEST} depends on {depends:?}, expected a kernel"
            ))
        })?;
    eprintln!("xtask: fetching Debian's packages {package} and {BUSYBOX} (to compare with)");
    let release = package.trim_start_matches("linux-image-");
    let unpacked = apt.unpack(package)?;
    keep(&unpacked.join(format!("boot/vmlinuz-{release}")), "vmlinuz")?;
    for module in MODULES {
        let place = format!("lib/modules/{release}/kernel/{module}.ko");
        keep(&unpacked.join(place), &file_name(module))?;
    }
    keep(&apt.unpack(BUSYBOX)?.join("bin/busybox"), "busybox")?;
    apt.remove();
    fs::write(dir.join(VERSION), release).context(|| format!("write to {}", dir.display()))?;
    eprintln!("xtask: installed: {}", dir.display());
    Ok(())
}
