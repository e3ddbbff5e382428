//! Endings without a fault, and no ending at all.

use crate::Outcome;

/// Exits at once with the number in `argument`.
pub fn exit(argument: Option<&str>) -> Outcome {
    let number = argument.ok_or("usage: faults exit NUMBER")?;
    let code: i32 = number
        .parse()
        .map_err(|error| format!("exit {number}: {error}"))?;
    std::process::exit(code)
}

/// The same in another thread, which in a cluster is on another node.
pub fn exit_in_thread(argument: Option<&str>) -> Outcome {
    let argument = argument.map(str::to_owned);
    let thread = std::thread::spawn(move || {
        if let Err(error) = exit(argument.as_deref()) {
            eprintln!("{error}");
        }
    });
    // It does not come to an end before the program does, unless the number is missing.
    let _ = thread.join();
    Err("the other thread has not exited".into())
}

/// Returns an error from `main`, which means exit code 1.
pub fn return_error() -> Outcome {
    Err("this is the error that main returns".into())
}

/// Fails to read a file.
pub fn missing_file() -> Outcome {
    match std::fs::read("/no/such/file") {
        Ok(_) => Err("a file that does not exist was read".into()),
        Err(error) => Err(format!("cannot read /no/such/file: {error}").into()),
    }
}

/// Aborts.
pub fn abort() -> Outcome {
    std::process::abort()
}

/// Fails with 3 where `argument` is the number of this node of a cluster; elsewhere
/// waits as [`hang_idle`] does.
pub fn fail_on_node(argument: Option<&str>) -> Outcome {
    let failing = argument.ok_or("usage: faults fail-on-node NUMBER")?;
    let node = std::env::var("DARNER_NODE")
        .map_err(|error| format!("DARNER_NODE: {error}; expected to be in a cluster"))?;
    match node == failing {
        true => std::process::exit(3),
        false => hang_idle(),
    }
}

/// Keeps the CPU busy until someone outside puts an end to it.
pub fn hang() -> Outcome {
    loop {
        std::hint::spin_loop();
    }
}

/// Waits until someone outside puts an end to it.
pub fn hang_idle() -> Outcome {
    loop {
        std::thread::park();
    }
}
