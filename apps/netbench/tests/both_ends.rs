//! The whole program, as both ends.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

const PROGRAM: &str = env!("CARGO_BIN_EXE_netbench");

fn run(args: &[&str]) -> Output {
    Command::new(PROGRAM).args(args).output().unwrap()
}

#[test]
fn two_processes_measure() {
    let mut server = Command::new(PROGRAM)
        .args(["serve", "127.0.0.1:0", "--sessions", "2"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let address = line.trim().strip_prefix("serving ").unwrap();
    let words = [
        "tcp-throughput",
        address,
        "--bytes",
        "1000000",
        "--verify",
        "--json",
    ];
    let output = run(&words);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.starts_with(r#"{"test":"tcp-throughput","bytes":1000000,"#),
        "{said}"
    );
    assert!(said.ends_with("\"wrong_bytes\":0}\n") && said.lines().count() == 1);
    assert!(run(&["tcp-rtt", address, "--count", "10"]).status.success());
    assert!(server.wait().unwrap().success());
}

#[test]
fn statuses_tell_what_went_wrong() {
    assert_eq!(run(&["tcp-throughput"]).status.code(), Some(2));
    let output = run(&["tcp-rtt", "127.0.0.1:1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("127.0.0.1:1")
    );
}
