//! Very many connections at once.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use crate::pair::v4;
use tour::{Check, Outcome, same};

pub const CHECKS: &[Check] = &[Check::new("connections at once", crowd)];

/// How many, unless the command line says otherwise.
const CONNECTIONS: u32 = 1_000;

fn wanted() -> Result<u32, Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip_while(|arg| arg != "--crowd");
    match (args.next(), args.next()) {
        (None, _) => Ok(CONNECTIONS),
        (Some(_), Some(number)) => Ok(number.parse()?),
        (Some(_), None) => Err("--crowd wants a number".into()),
    }
}

fn crowd() -> Outcome {
    let connections = wanted()?;
    let listener = TcpListener::bind(v4())?;
    let at = listener.local_addr()?;
    let server = thread::spawn(move || serve(&listener, connections));
    let mut clients = Vec::new();
    for number in 0..connections {
        let mut client = TcpStream::connect(at)?;
        client.write_all(&number.to_be_bytes())?;
        clients.push(client);
    }
    let mut answer = [0; 4];
    for (number, client) in clients.iter_mut().enumerate() {
        client.read_exact(&mut answer)?;
        same!(!u32::from_be_bytes(answer), number as u32);
    }
    let error = |error| format!("the server: {error}");
    server
        .join()
        .map_err(|_| "the server panicked")?
        .map_err(error)?;
    Ok(format!("{connections}, each asked and answered"))
}

/// Answers no one before all are there.
fn serve(listener: &TcpListener, connections: u32) -> std::io::Result<()> {
    let accepted: Result<Vec<_>, _> = listener.incoming().take(connections as usize).collect();
    for mut stream in accepted? {
        let mut number = [0; 4];
        stream.read_exact(&mut number)?;
        stream.write_all(&(!u32::from_be_bytes(number)).to_be_bytes())?;
    }
    Ok(())
}
