//! Giving up: the reason goes to COM1 and, as a control record, to the port of
//! the command line's `control=`; then the VM ends through the port of `exit=`, or
//! stops.

use alloc::format;
use core::fmt;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use darner_loader::options::Ports;
use uart_16550::{Config, Uart16550};
use x86_64::instructions::hlt;
use x86_64::instructions::port::PortWriteOnly;

const COM1: u16 = 0x3f8;
/// What the debug exit device gets; QEMU ends with status 3.
const FAILED: u32 = 1;

/// 0 is "none": it is no port that a device could have here.
static CONTROL: AtomicU16 = AtomicU16::new(0);
static EXIT: AtomicU16 = AtomicU16::new(0);
static FAILING: AtomicBool = AtomicBool::new(false);

/// From now on failures are reported on these ports too.
pub fn use_ports(ports: Ports) {
    CONTROL.store(ports.control.unwrap_or(0), Ordering::Relaxed);
    EXIT.store(ports.exit.unwrap_or(0), Ordering::Relaxed);
}

/// Reports why the program cannot be started, and ends the VM.
pub fn fail(reason: impl fmt::Display) -> ! {
    // A failure while reporting a failure has nobody to tell.
    if !FAILING.swap(true, Ordering::Relaxed) {
        let reason = format!("{reason}").replace('\n', " ");
        let control = CONTROL.load(Ordering::Relaxed);
        if control != 0 {
            let mut port = PortWriteOnly::<u8>::new(control);
            for byte in format!("loader-error {reason}\n").bytes() {
                // SAFETY: whoever wrote the command line says that a debug console
                // is there.
                unsafe { port.write(byte) };
            }
        }
        // SAFETY: COM1 is a UART or nothing at all; the loader alone uses it now.
        if let Ok(mut uart) = unsafe { Uart16550::new_port(COM1) }
            && uart.init(Config::default()).is_ok()
        {
            uart.send_bytes_exact(b"darner-loader: ");
            uart.send_bytes_exact(reason.as_bytes());
            uart.send_bytes_exact(b"\r\n");
        }
    }
    let exit = EXIT.load(Ordering::Relaxed);
    if exit != 0 {
        // SAFETY: as above, for the debug exit device.
        unsafe { PortWriteOnly::<u32>::new(exit).write(FAILED) };
    }
    loop {
        hlt();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    fail(format_args!(
        "this is a bug in the loader: {}; report it with the program that you tried to start",
        info
    ))
}
