//! Panics. The target aborts on a panic: nothing unwinds, nothing is caught.

use crate::Outcome;

/// Panics in the main thread. A frame of its own: what is asked is whether backtraces name it.
#[inline(never)]
pub fn panic() -> Outcome {
    panic!("this is the panic of main");
}

/// Panics in another thread, which ends the whole program.
pub fn thread_panic() -> Outcome {
    let thread = std::thread::Builder::new()
        .name("doomed".into())
        .spawn(|| panic!("this is the panic of a thread"))?;
    // Where panics unwind, joining reports it; here the program ends before that.
    match thread.join() {
        Ok(()) => Err("the thread did not panic".into()),
        Err(_) => Err("the thread panicked and the program went on".into()),
    }
}

/// Panics while the first panic is being reported.
pub fn double_panic() -> Outcome {
    std::panic::set_hook(Box::new(|info| {
        eprintln!("the hook was called for: {info}");
        panic!("this is the second panic");
    }));
    panic!("this is the first panic");
}
