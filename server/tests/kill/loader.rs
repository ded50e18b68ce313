//! Clients that load keys until nothing is left or the server is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::task::JoinSet;

use crate::common::grpc::Client;
use crate::input::Input;

/// Clients that load at the same time, over a few connections.
const TASKS: usize = 64;
const CONNECTIONS: usize = 4;

/// What is to be loaded and what the server has acknowledged.
pub(crate) struct Ledger {
    /// The next number that nobody has sent yet.
    next: AtomicUsize,
    /// Numbers that were sent and not acknowledged: they may have been written or not.
    open: Mutex<Vec<usize>>,
    /// Number and revision of what was acknowledged.
    acknowledged: Mutex<Vec<(usize, i64)>>,
    count: AtomicUsize,
}

impl Ledger {
    pub(crate) fn new() -> Self {
        Self {
            next: AtomicUsize::new(0),
            open: Mutex::new(Vec::new()),
            acknowledged: Mutex::new(Vec::new()),
            count: AtomicUsize::new(0),
        }
    }

    /// How many puts were acknowledged.
    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Number and revision of every put that was acknowledged.
    pub(crate) fn acknowledged(&self) -> Vec<(usize, i64)> {
        self.acknowledged.lock().clone()
    }

    /// The newest acknowledged revision.
    pub(crate) fn newest(&self) -> i64 {
        self.acknowledged.lock().iter().map(|(_, revision)| *revision).max().unwrap_or(1)
    }

    fn take(&self, len: usize) -> Option<usize> {
        if let Some(number) = self.open.lock().pop() {
            return Some(number);
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        (number < len).then_some(number)
    }
}

/// Loads from `url` until all is loaded or calls fail.
pub(crate) async fn load(input: Arc<dyn Input>, ledger: Arc<Ledger>, url: &str) {
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        // The server may have been killed already.
        let Ok(client) = Client::try_connect(url).await else { return };
        connections.push(client);
    }
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let (input, ledger) = (Arc::clone(&input), Arc::clone(&ledger));
        let client = connections[task % CONNECTIONS].clone();
        tasks.spawn(async move {
            while let Some(number) = ledger.take(input.len()) {
                match client.put(input.key(number), input.value(number)).await {
                    Ok(revision) => {
                        ledger.acknowledged.lock().push((number, revision));
                        ledger.count.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(_) => return ledger.open.lock().push(number),
                }
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
}
