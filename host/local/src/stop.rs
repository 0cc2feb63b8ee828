//! One wish to stop, heard by threads and tasks alike.

use std::sync::Arc;
use tokio::sync::watch;

#[derive(Clone)]
pub struct Stop {
    wish: Arc<watch::Sender<bool>>,
}

impl Default for Stop {
    fn default() -> Self {
        Stop { wish: Arc::new(watch::Sender::new(false)) }
    }
}

impl Stop {
    /// Nothing new is taken from now on.
    pub fn request(&self) {
        self.wish.send_replace(true);
    }

    pub fn is_requested(&self) -> bool {
        *self.wish.borrow()
    }

    /// Returns when somebody has asked.
    pub async fn requested(&self) {
        // Cannot fail: `self` holds the sender.
        let _ = self.wish.subscribe().wait_for(|wish| *wish).await;
    }
}
