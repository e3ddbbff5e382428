//! The call of the kernel behind all this.

/// Runs the kernel's test or measurement of that name; the number that it found.
#[cfg(target_os = "hermit")]
pub fn run(name: &str, argument: u64) -> Result<u64, String> {
    unsafe extern "C" {
        fn sys_selftest(name: *const u8, len: usize, argument: u64, result: *mut u64) -> i32;
    }
    let mut found = 0;
    // SAFETY: the kernel reads the name and writes one number.
    let status = unsafe { sys_selftest(name.as_ptr(), name.len(), argument, &mut found) };
    match -status {
        0 => Ok(found),
        hermit_abi::ENOENT => Err("the kernel has none of that name".into()),
        hermit_abi::EIO => Err("the kernel's log says why".into()),
        error => Err(format!("error {error}")),
    }
}

/// Elsewhere there is another kernel.
#[cfg(not(target_os = "hermit"))]
pub fn run(_name: &str, _argument: u64) -> Result<u64, String> {
    Err("this kernel does not test itself: run it with `cargo xtask run kernel-tests`".into())
}
