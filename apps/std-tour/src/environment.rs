//! Arguments, environment variables, standard streams.

use std::env;
use std::io::{Read, Write, stderr, stdin, stdout};

use tour::{Check, Outcome, ensure, same};

pub const CHECKS: &[Check] = &[
    Check::new("arguments", arguments),
    Check::new("variables", variables),
    Check::new("standard output and error", output),
];

/// Reads all of the standard input, which must not be empty.
pub const STDIN: Check = Check::new("standard input", input);

fn arguments() -> Outcome {
    let program = env::args().next().ok_or("the program has no name")?;
    ensure!(
        program.ends_with("std-tour"),
        "the program's name is {program:?}"
    );
    let rest: Vec<String> = env::args().skip(1).collect();
    Ok(format!("{rest:?}"))
}

fn variables() -> Outcome {
    const NAME: &str = "DARNER_TOUR_OWN";
    ensure!(env::var_os(NAME).is_none(), "{NAME} is set already");
    // SAFETY: no other thread is running: those of the checks before this one
    // have ended, and this one starts none.
    unsafe { env::set_var(NAME, "a value") };
    same!(env::var(NAME)?, "a value");
    ensure!(
        env::vars().any(|(name, _)| name == NAME),
        "{NAME} is not listed"
    );
    // SAFETY: as above.
    unsafe { env::remove_var(NAME) };
    same!(env::var(NAME), Err(env::VarError::NotPresent));
    // What `--env DARNER_TOUR=...` set, if anything.
    Ok(format!(
        "DARNER_TOUR={}",
        env::var("DARNER_TOUR").unwrap_or_default()
    ))
}

fn output() -> Outcome {
    writeln!(stderr(), "this line is for standard error")?;
    stdout().write_all("       Grüße in UTF-8, ".as_bytes())?;
    stdout().flush()?;
    println!("in two parts");
    Ok("written and flushed".into())
}

fn input() -> Outcome {
    let mut text = String::new();
    stdin().read_to_string(&mut text)?;
    ensure!(!text.is_empty(), "nothing came");
    same!(stdin().read(&mut [0; 10])?, 0);
    Ok(format!(
        "{} lines, {} bytes, then its end",
        text.lines().count(),
        text.len()
    ))
}
