//! Ctrl-C while the tool works. The terminal tells the tool, too, which then ends what it has begun and writes its state; without anybody
//! who reads what it says of that, it would be killed in the middle.

use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many wait for the tool.
static HELD: AtomicUsize = AtomicUsize::new(0);
static LISTEN: Once = Once::new();
/// What shells say of a program that Ctrl-C has ended.
const INTERRUPTED: i32 = 130;

pub struct Held;

/// Until it is dropped, an interrupt does not end this program.
pub fn hold() -> Held {
    HELD.fetch_add(1, Ordering::SeqCst);
    LISTEN.call_once(|| {
        let (ready, wait) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
            runtime.block_on(async {
                // Listens as soon as it is polled once.
                let mut next = Box::pin(tokio::signal::ctrl_c());
                let first = std::future::poll_fn(|context| std::task::Poll::Ready(next.as_mut().poll(context))).await;
                let _ = ready.send(());
                if first.is_pending() && next.await.is_err() {
                    return;
                }
                loop {
                    if HELD.load(Ordering::SeqCst) == 0 {
                        std::process::exit(INTERRUPTED);
                    }
                    if tokio::signal::ctrl_c().await.is_err() {
                        return;
                    }
                }
            });
        });
        let _ = wait.recv();
    });
    Held
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.fetch_sub(1, Ordering::SeqCst);
    }
}
