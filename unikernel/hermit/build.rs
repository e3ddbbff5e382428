//! Builds the kernel library and links the program with it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The features that the kernel knows: all of this crate's but those that mean
/// something to this script alone.
const KERNEL_FEATURES: [&str; 40] = [
    "acpi",
    "alloc-stats",
    "common-os",
    "console",
    "dhcpv4",
    "dns",
    "fs",
    "fsgsbase",
    "fuse",
    "gem-net",
    "idle-poll",
    "kernel-stack",
    "log-target",
    "mman",
    "mmap",
    "net",
    "net-trace",
    "newlib",
    "nostd",
    "pci",
    "pci-ids",
    "rtl8139",
    "selftest",
    "semihosting",
    "shell",
    "smp",
    "strace",
    "tcp",
    "trace",
    "udp",
    "uhyve",
    "vga",
    "virtio",
    "virtio-console",
    "virtio-fs",
    "virtio-net",
    "virtio-vsock",
    "vsock",
    "warn-prebuilt",
    "write-pcap-file",
];

/// What of the repository the kernel library is made of. Whole folders: cargo knows which of their
/// crates the kernel depends on, and builds again only what has changed.
const SOURCES: [&str; 7] = [
    ".cargo/config.toml",
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    "unikernel",
    "netstack",
    "xtask/src/kernel",
];

fn main() {
    println!("cargo:rerun-if-env-changed=DARNER_XTASK");
    println!("cargo:rerun-if-env-changed=DARNER_KERNEL_TARGET_DIR");
    if variable("CARGO_CFG_TARGET_OS") != "hermit" {
        return;
    }
    let root = root();
    for source in SOURCES {
        let source = root.join(source);
        if source.exists() {
            println!("cargo:rerun-if-changed={}", source.display());
        }
    }

    let (arch, profile) = (variable("CARGO_CFG_TARGET_ARCH"), variable("PROFILE"));
    let target_dir = match env::var_os("DARNER_KERNEL_TARGET_DIR") {
        Some(dir) if !dir.is_empty() => PathBuf::from(dir),
        _ => PathBuf::from(variable("OUT_DIR")).join("kernel"),
    };
    let mut hook = hook(&root, &target_dir);
    hook.args([
        "--arch",
        &arch,
        "--profile",
        if profile == "debug" { "dev" } else { &profile },
    ])
    .arg("--target-dir")
    .arg(&target_dir);
    if has("randomize-layout") {
        hook.arg("--randomize-layout");
    }
    if has("instrument") {
        hook.arg("--instrument-mcount");
    }
    hook.arg("--no-default-features");
    let features: Vec<_> = KERNEL_FEATURES
        .into_iter()
        .filter(|feature| has(feature))
        .collect();
    if !features.is_empty() {
        hook.arg("--features").arg(features.join(" "));
    }
    let status = match hook.status() {
        Ok(status) => status,
        Err(error) => panic!("cannot start the kernel's build, {hook:?}: {error}"),
    };
    assert!(
        status.success(),
        "the kernel's build failed ({status}): see above for what it said"
    );

    // A copy of its own: programs that share the kernel's target folder may
    // choose different features.
    let library = target_dir.join(&arch).join(&profile).join("libhermit.a");
    let own = PathBuf::from(variable("OUT_DIR"));
    if let Err(error) = std::fs::copy(&library, own.join("libhermit.a")) {
        panic!(
            "cannot copy {} to {}: {error}",
            library.display(),
            own.display()
        );
    }
    println!("cargo:rustc-link-search=native={}", own.display());
    println!("cargo:rustc-link-lib=static=hermit");
    if has("libc") {
        link_c_library();
    }
}

/// The repository: two folders up from this crate.
fn root() -> PathBuf {
    let here = PathBuf::from(variable("CARGO_MANIFEST_DIR"));
    match here.ancestors().nth(2) {
        Some(root) if root.join("xtask/Cargo.toml").is_file() => root.to_path_buf(),
        _ => panic!(
            "found no xtask/ two folders above {}: this crate works only inside the Darner repository",
            here.display()
        ),
    }
}

/// The command that builds the kernel, up to its options: the xtask that runs
/// this build, or else one compiled for the purpose.
fn hook(root: &Path, target_dir: &Path) -> Command {
    let mut command = match env::var_os("DARNER_XTASK") {
        Some(xtask) if !xtask.is_empty() => Command::new(xtask),
        _ => {
            let mut cargo = Command::new("cargo");
            cargo
                .args([
                    "run",
                    "--quiet",
                    "--package=xtask",
                    "--no-default-features",
                    "--target-dir",
                ])
                .arg(target_dir)
                .arg("--");
            cargo
        }
    };
    command.arg("build").current_dir(root);
    // What cargo tells this script is about the program's build. The kernel's
    // is for another target, and by the toolchain that its repository names.
    for (name, _) in env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        let machine = [
            "CARGO_HOME",
            "CARGO_NET_OFFLINE",
            "RUSTUP_HOME",
            "RUSTUP_AUTO_INSTALL",
        ];
        let of_build =
            text.starts_with("CARGO") || text.starts_with("RUST") || text == "LD_LIBRARY_PATH";
        if of_build && !machine.contains(&text) {
            command.env_remove(name);
        }
    }
    command
}

/// Links the C library of the machine's C compiler.
fn link_c_library() {
    let output = Command::new("cc").arg("-print-file-name=libc.a").output();
    let Some(path) = output
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok())
    else {
        panic!("the feature `libc` needs a C compiler: found no `cc`");
    };
    if let Some(folder) = Path::new(path.trim())
        .parent()
        .filter(|folder| folder.is_dir())
    {
        println!("cargo:rustc-link-search={}", folder.display());
    }
    println!("cargo:rustc-link-lib=static=c");
}

fn has(feature: &str) -> bool {
    let name = feature.to_uppercase().replace('-', "_");
    env::var_os(format!("CARGO_FEATURE_{name}")).is_some()
}

fn variable(name: &str) -> String {
    match env::var(name) {
        Ok(value) => value,
        Err(_) => panic!("cargo sets {name} for build scripts, but it is missing"),
    }
}
