//! The console: COM1 for the program's standard output and input, and a debug
//! console (or COM1 again) for standard error and the kernel's messages.

use alloc::collections::VecDeque;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use spin::mutex::{SpinMutex, SpinMutexGuard};
use uart_16550::backend::PioBackend;
use uart_16550::spec::registers::{IER, LSR, offsets};

use uart_16550::{Config, Uart16550};
use x86_64::instructions::port::Port;

use crate::arch::{apic, idt};
use crate::control::{self, DebugPort};
use crate::params::Params;
use crate::platform::InterruptLine;
use crate::sched::{self, InterruptThread, WaitQueue};
use crate::sync::RwLock;
use crate::time::monotonic_ns;
use crate::{abi, panic};

const COM1: u16 = 0x3f8;
/// The number of COM1's interrupt.
pub const IRQ: u32 = 4;
/// What a terminal sends for the end of input.
const END_OF_TRANSMISSION: u8 = 0x04;
/// Bytes written under one hold of the lock.
const CHUNK: usize = 256;

type Uart = Uart16550<PioBackend>;

/// The port is only touched under this lock. It is not a `Lock`: a long write must not
/// keep interrupts off. No interrupt handler takes it, and nothing is done under it that a
/// critical section is entered for: its end could give the CPU to a thread that spins for
/// the lock. Interrupt threads do not spin for it ([`patiently`]).
static UART: SpinMutex<Option<Uart>> = SpinMutex::new(None);
static STDERR_PORT: AtomicU16 = AtomicU16::new(0);
static STDERR: SpinMutex<()> = SpinMutex::new(());
static FRAMED: AtomicBool = AtomicBool::new(false);
static INPUT_ENABLED: AtomicBool = AtomicBool::new(false);
static INPUT: RwLock<Input> = RwLock::new(Input::new());
static READERS: WaitQueue = WaitQueue::new();
static INPUT_THREAD: InterruptThread = InterruptThread::new(0).named("console");

/// Received bytes and where in the framing we are.
struct Input {
    ready: VecDeque<u8>,
    /// Bytes of the current frame's header that are here.
    header: [u8; 2],
    header_len: usize,
    /// Bytes of the current frame that are still to come.
    frame_left: usize,
    ended: bool,
}

impl Input {
    const fn new() -> Self {
        Self {
            ready: VecDeque::new(),
            header: [0; 2],
            header_len: 0,
            frame_left: 0,
            ended: false,
        }
    }

    fn push(&mut self, byte: u8) {
        if self.ended {
            return;
        }
        if !FRAMED.load(Ordering::Relaxed) {
            if byte == END_OF_TRANSMISSION {
                self.ended = true;
            } else {
                self.ready.push_back(byte);
            }
            return;
        }
        if self.frame_left > 0 {
            self.ready.push_back(byte);
            self.frame_left -= 1;
            return;
        }
        self.header[self.header_len] = byte;
        self.header_len += 1;
        if self.header_len == 2 {
            self.header_len = 0;
            self.frame_left = usize::from(u16::from_le_bytes(self.header));
            self.ended = self.frame_left == 0;
        }
    }
}

/// Finds COM1 and the port for standard error. Called once, at boot.
pub fn init(params: &Params) {
    STDERR_PORT.store(params.stderr.unwrap_or(0), Ordering::Relaxed);
    FRAMED.store(params.framed_stdin, Ordering::Relaxed);
    // SAFETY: COM1's ports, which nothing else in the kernel touches.
    if let Ok(mut uart) = unsafe { Uart::new_port(COM1) }
        && uart.init(Config::default()).is_ok()
    {
        *UART.lock() = Some(uart);
    }
}

/// Routes COM1's interrupt to the boot CPU, so that readers can sleep. Boot.
pub fn enable_input(line: &InterruptLine) {
    let work = || {
        on_input();
        None
    };
    if !INPUT_THREAD.start(0, work) {
        log::error!(
            "no memory for the thread that serves standard input: reads that would wait fail"
        );
        return;
    }
    apic::route(line.ioapic, line.pin, idt::SERIAL, line.active_low);
    if UART.lock().is_some() {
        INPUT_ENABLED.store(true, Ordering::Relaxed);
    }
    // What came before the device was set up is lost: say from when on it is not.
    control::record(format_args!("stdin"));
}

/// Has the device interrupt when there is input, or not. It does so only while
/// somebody waits: input that nobody reads would have it interrupt at every byte that
/// is written (QEMU does).
///
/// Needs no lock: nothing else writes this register once the device is set up.
fn interrupt_on_input(wanted: bool) {
    let enabled = if wanted {
        IER::DATA_READY
    } else {
        IER::empty()
    };
    // SAFETY: COM1's interrupt enable register; the vector has a handler.
    unsafe { Port::new(COM1 + offsets::IER as u16).write(enabled.bits()) };
}

/// COM1 has interrupted. What an interrupt has put off.
pub fn on_interrupt() {
    interrupt_on_input(false);
    INPUT_THREAD.ask();
}

/// Tells those who wait for input; the reader fetches the bytes itself. It may be many
/// who wait, so this is a thread's work.
fn on_input() {
    READERS.wake_all();
    abi::event::readiness_changed();
}

/// How long an interrupt thread lets others go on that have the console, in ns.
const PATIENCE: u64 = 50_000;

/// Takes a lock of the console. An interrupt thread may have preempted its holder, and so
/// gives the CPU back instead of spinning: what it wants to say is not urgent.
fn patiently<T>(lock: &SpinMutex<T>) -> SpinMutexGuard<'_, T> {
    loop {
        if let Some(guard) = lock.try_lock() {
            return guard;
        }
        if sched::is_interrupt_thread() {
            sched::sleep_until(monotonic_ns() + PATIENCE);
        } else {
            core::hint::spin_loop();
        }
    }
}

/// Writes to standard output. Thread context; returns when the device has all.
pub fn write_stdout(bytes: &[u8]) {
    control::report_boot();
    for chunk in bytes.chunks(CHUNK) {
        if let Some(uart) = patiently(&UART).as_mut() {
            uart.send_bytes_exact(chunk);
        }
    }
}

/// Writes to standard error. Thread context.
pub fn write_stderr(bytes: &[u8]) {
    control::report_boot();
    let _line = patiently(&STDERR);
    write_stderr_unlocked(bytes);
}

fn write_stderr_unlocked(bytes: &[u8]) {
    match STDERR_PORT.load(Ordering::Relaxed) {
        0 => {
            if let Some(uart) = patiently(&UART).as_mut() {
                uart.send_bytes_exact(bytes);
            }
        }
        port => DebugPort(port).write(bytes),
    }
}

/// Moves what the device has received into the queue.
fn drain(input: &mut Input) {
    let mut bytes = [0; 64];
    loop {
        let count = UART
            .lock()
            .as_mut()
            .map_or(0, |uart| uart.receive_bytes(&mut bytes));
        if count == 0 {
            return;
        }
        for &byte in &bytes[..count] {
            input.push(byte);
        }
    }
}

/// Input is there, or has ended: a read would not block. Thread context.
pub fn stdin_ready() -> bool {
    let is_ready = {
        let mut input = INPUT.write();
        drain(&mut input);
        !input.ready.is_empty() || input.ended
    };
    if !is_ready && INPUT_ENABLED.load(Ordering::Relaxed) {
        // The caller may be about to wait for it. What has come meanwhile
        // interrupts at once.
        interrupt_on_input(true);
    }
    is_ready
}

/// Reads standard input. Blocks until there is a byte, unless `nonblocking`;
/// 0 is the end of input. Thread context.
pub fn read_stdin(buffer: &mut [u8], nonblocking: bool) -> Result<usize, i32> {
    if buffer.is_empty() {
        return Ok(0);
    }
    let mut attempt = || {
        let mut input = INPUT.write();
        // Bound what is buffered: the device holds the sender back.
        if input.ready.len() < buffer.len() {
            drain(&mut input);
        }
        if input.ready.is_empty() && !input.ended {
            if !nonblocking && INPUT_ENABLED.load(Ordering::Relaxed) {
                interrupt_on_input(true);
            }
            return None;
        }
        let count = buffer.len().min(input.ready.len());
        for (slot, byte) in buffer.iter_mut().zip(input.ready.drain(..count)) {
            *slot = byte;
        }
        Some(count)
    };
    if nonblocking {
        return attempt().ok_or(hermit_abi::EAGAIN);
    }
    if !INPUT_ENABLED.load(Ordering::Relaxed) {
        // No interrupt line is known, so nobody could wake the reader.
        return attempt().ok_or(hermit_abi::EIO);
    }
    Ok(READERS.wait_until(None, &mut attempt).unwrap_or(0))
}

/// Standard error as a formatter's target.
pub struct Stderr;

impl Write for Stderr {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let _line = patiently(&STDERR);
        write_stderr_unlocked(text.as_bytes());
        Ok(())
    }
}

/// Standard error for the last words of a node: takes no lock that a stopped CPU
/// may hold. Only after [`panic::claim_last_words`].
pub struct LastWords;

impl Write for LastWords {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        debug_assert!(panic::has_last_words(), "only one CPU speaks last");
        match STDERR_PORT.load(Ordering::Relaxed) {
            0 => {
                // SAFETY: every other CPU is stopped; a holder of the lock is one of
                // them or the code that this exception interrupted for ever.
                unsafe { UART.force_unlock() };
                if let Some(uart) = UART.lock().as_mut() {
                    uart.send_bytes_exact(text.as_bytes());
                }
            }
            port => DebugPort(port).write(text.as_bytes()),
        }
        Ok(())
    }
}

/// How long COM1 may take for what it holds at the end, in ns: the bytes of its FIFO, at
/// 300 bit/s, or for as long as a reader may rest.
const LAST_BYTES: u64 = 10_000_000_000;

/// Waits until COM1 has sent all that it has taken: what a device still holds when its
/// machine ends is lost. Only after [`panic::claim_last_words`].
pub fn flush() {
    debug_assert!(panic::has_last_words(), "only one CPU speaks last");
    // SAFETY: as for `LastWords`.
    unsafe { UART.force_unlock() };
    let mut uart = UART.lock();
    let Some(uart) = uart.as_mut() else {
        return;
    };
    let begin = monotonic_ns();
    while !uart.lsr().contains(LSR::TRANSMITTER_EMPTY) && monotonic_ns() - begin < LAST_BYTES {
        core::hint::spin_loop();
    }
}
