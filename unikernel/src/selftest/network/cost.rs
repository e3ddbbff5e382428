//! What a frame costs in the driver, in ticks of the time-stamp counter.

use darner_netstack::Nic;
use darner_netstack::nic::TxOffload;

use super::packet::{self, Echo};
use super::{Found, begin, gateway, wait, with};
use crate::arch::cpu::tsc;
use crate::sched;
use crate::time::monotonic_ns;

/// Frames for which the device is told once.
const BATCH: u64 = 16;
/// How long the device gets to answer a batch, in ns.
const PAUSE: u64 = 5_000_000;

/// Starts the cards and runs `batch` for so many frames, a multiple of [`BATCH`]; the sum of
/// what it gives.
fn batches(frames: u64, mut batch: impl FnMut(&mut dyn Nic, [u8; 6]) -> Found) -> Found {
    begin(0)?;
    with(0, |card| {
        let gateway = gateway(card)?;
        (0..frames / BATCH).map(|_| batch(card, gateway)).sum()
    })
}

/// Ticks of sending so many empty frames of 64 bytes.
pub fn send(frames: u64) -> Found {
    batches(frames, |card, _| {
        let begin = tsc();
        let (_, transmit) = card.halves();
        for _ in 0..BATCH {
            if transmit.has_room() {
                transmit.send(64, &mut |_| TxOffload::default());
            }
        }
        transmit.kick();
        let ticks = tsc() - begin;
        sched::sleep_until(monotonic_ns() + PAUSE);
        Ok(ticks)
    })
}

/// Ticks of receiving so many echoes of 98 bytes, without a look at them.
pub fn receive(frames: u64) -> Found {
    batches(frames, |card, gateway| {
        let mac = card.capabilities().mac;
        for number in 0..BATCH as u16 {
            let echo = Echo { number, data: 56 };
            wait(card, "room for a frame", |card| {
                card.halves().1.has_room().then_some(())
            })?;
            let (_, transmit) = card.halves();
            transmit.send(packet::ECHO + echo.data, &mut |frame| {
                packet::echo(mac, gateway, echo, frame)
            });
        }
        card.halves().1.kick();
        sched::sleep_until(monotonic_ns() + PAUSE);
        let (receive, _) = card.halves();
        let mut received = 0;
        let begin = tsc();
        while receive.first().is_some() {
            receive.release();
            received += 1;
        }
        let ticks = tsc() - begin;
        // Ticks for a whole batch, whatever else has arrived, or has not yet.
        Ok(ticks * BATCH / u64::max(received, 1))
    })
}
