//! Reading from and writing to whatever a descriptor stands for.

use alloc::vec::Vec;

use hermit_abi::{EBADF, EISDIR, ENOMEM};

use super::descriptors::{Description, Object};
#[cfg(feature = "net")]
use super::sockets::socket::Take;
use super::user::{Errno, UserBuffer};
use crate::console;

/// The most that one transfer takes of the kernel's memory.
const PIECE: usize = 64 * 1024;
/// What is always there for a transfer: on the stack.
const SMALL: usize = 512;

/// Reads into the program's memory. Blocks where the object has nothing yet.
pub fn read(description: &Description, buffer: &UserBuffer<'_>) -> Result<usize, Errno> {
    match &description.object {
        Object::RamFile(file) => file.read(buffer),
        Object::Directory(_) => Err(Errno(EISDIR)),
        Object::Stdin => with_memory(buffer.len(), |memory| {
            let want = memory.len().min(buffer.len());
            let count = console::read_stdin(&mut memory[..want], description.nonblocking());
            let count = count.map_err(Errno)?;
            buffer.copy_out(0, &memory[..count]);
            Ok(count)
        }),
        Object::Stdout | Object::Stderr => Err(Errno(EBADF)),
        Object::EventFd(event) => event.read(description.nonblocking(), buffer),
        #[cfg(feature = "net")]
        Object::Socket(socket) => {
            let received = socket.receive(buffer, Take::Away, description.nonblocking());
            received.map(|(count, _)| count)
        }
    }
}

/// Writes from the program's memory.
pub fn write(description: &Description, buffer: &UserBuffer<'_>) -> Result<usize, Errno> {
    match &description.object {
        Object::RamFile(file) => file.write(buffer),
        Object::Directory(_) | Object::Stdin => Err(Errno(EBADF)),
        Object::Stdout => Ok(write_all(buffer, console::write_stdout)),
        Object::Stderr => Ok(write_all(buffer, console::write_stderr)),
        Object::EventFd(event) => event.write(description.nonblocking(), buffer),
        #[cfg(feature = "net")]
        Object::Socket(socket) => socket.send(buffer, None, description.nonblocking()),
    }
}

/// Gives everything to a sink that takes everything.
fn write_all(buffer: &UserBuffer<'_>, sink: impl Fn(&[u8])) -> usize {
    with_memory(buffer.len(), |memory| {
        let mut done = 0;
        while done < buffer.len() {
            let count = memory.len().min(buffer.len() - done);
            buffer.copy_in(done, &mut memory[..count]);
            sink(&memory[..count]);
            done += count;
        }
        done
    })
}

/// Lends memory of the kernel for a transfer of `len` bytes: all of it if that
/// is not much, else a part, and when memory is short a small part. Never none.
pub fn with_memory<T>(len: usize, work: impl FnOnce(&mut [u8]) -> T) -> T {
    let len = len.min(PIECE);
    if len > SMALL
        && let Ok(mut memory) = zeroed(len)
    {
        return work(&mut memory);
    }
    work(&mut [0; SMALL])
}

/// A copy of all that the program has there, or ENOMEM.
#[cfg(feature = "net")]
pub fn copied(buffer: &UserBuffer<'_>) -> Result<Vec<u8>, Errno> {
    let len = buffer.len();
    let mut memory = Vec::new();
    memory.try_reserve_exact(len).map_err(|_| Errno(ENOMEM))?;
    buffer.copy_in_uninit(0, &mut memory.spare_capacity_mut()[..len]);
    // SAFETY: there is room for `len` bytes, which have just been written.
    unsafe { memory.set_len(len) };
    Ok(memory)
}

/// Memory of the kernel, or ENOMEM.
pub fn zeroed(len: usize) -> Result<Vec<u8>, Errno> {
    let mut memory = Vec::new();
    memory.try_reserve_exact(len).map_err(|_| Errno(ENOMEM))?;
    memory.resize(len, 0);
    Ok(memory)
}
