//! The thread that drives the hub.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use holdfast_core::watch::{Hub, HubStats, Limits};
use holdfast_engine::mvcc::{MvccError, View};
use holdfast_proto::limits;
use parking_lot::Mutex;

use super::Host;
use super::handle::WatchHandle;
use super::inbox::{Ask, Feed, Inbox, Wait, Work};
use super::pipe::{Pipe, PipeEnd};

/// How watches behave.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How often an idle watcher that asked for it is told how far it is (`--watch-progress-notify-interval`).
    pub progress_interval: Duration,
    /// Encoded length from which responses to watchers that asked for it are cut: what a request may have.
    pub fragment_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { progress_interval: limits::WATCH_PROGRESS_NOTIFY, fragment_bytes: limits::MAX_RECEIVE_BYTES }
    }
}

/// Starts the thread, which listens to `feed` from then on. It ends with [`WatchHandle::stop`], or when the store fails.
///
/// # Errors
/// The system does not give a thread.
pub fn start(
    feed: &Feed,
    host: Arc<dyn Host>,
    settings: Settings,
) -> io::Result<(WatchHandle, JoinHandle<()>)> {
    let stats = Arc::new(Mutex::new(HubStats::default()));
    let handle = WatchHandle {
        inbox: Arc::clone(&feed.0),
        stats: Arc::clone(&stats),
        progress_interval: settings.progress_interval.max(limits::MIN_WATCH_PROGRESS_NOTIFY),
    };
    let inbox = Arc::clone(&feed.0);
    let thread = std::thread::Builder::new().name("watch".into()).spawn(move || {
        let stopping = StopWhenDone(&inbox);
        let result = run(&inbox, &*host, &stats, settings);
        drop(stopping);
        if let Err(error) = result {
            host.store_failed(error);
        }
    })?;
    Ok((handle, thread))
}

/// Nobody takes anything from the inbox any longer, also after a panic: who asks is told so.
struct StopWhenDone<'a>(&'a Inbox);

impl Drop for StopWhenDone<'_> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Runs until it is told to stop. The hub is dropped at the end, and with it every stream ends.
fn run(inbox: &Inbox, host: &dyn Host, stats: &Mutex<HubStats>, settings: Settings) -> Result<(), MvccError> {
    let limits = Limits { fragment_bytes: settings.fragment_bytes, ..Limits::default() };
    let mut hub = Hub::new(limits, host.view()?.revision());
    let begun = Instant::now();
    let mut busy = false;
    loop {
        let wait = match hub.next_tick() {
            _ if busy => Wait::No,
            Some(due) => Wait::Until(begun + due),
            None => Wait::Forever,
        };
        let work = inbox.take(&wait, hub.stats().watchers == 0);
        if work.stopped {
            return Ok(());
        }
        // Pinned after the work was taken: as new as every revision in it, and as all that had been acknowledged to those
        // who ask.
        let view = host.view()?;
        hub.set_identity(host.identity());
        busy = work.more;
        handle(&mut hub, work, &view, begun)?;
        hub.tick(begun.elapsed());
        busy |= hub.catch_up(&view)?;
        *stats.lock() = hub.stats();
    }
}

fn handle(hub: &mut Hub<PipeEnd>, work: Work, view: &View, begun: Instant) -> Result<(), MvccError> {
    if let Some(through) = work.lost {
        hub.lost(through);
    }
    for batch in &work.changes {
        hub.dispatch(batch, view)?;
    }
    for (pipe, ask) in work.asks {
        answer(hub, &pipe, ask, view, begun);
    }
    Ok(())
}

fn answer(hub: &mut Hub<PipeEnd>, pipe: &Pipe, ask: Ask, view: &View, begun: Instant) {
    if let Ask::Open { end, progress_interval } = ask {
        let stream = hub.open(end, progress_interval, begun.elapsed());
        pipe.stream.set(stream).expect("a stream is opened once");
        return;
    }
    let Some(&stream) = pipe.stream.get() else { return };
    match ask {
        Ask::Open { .. } => {}
        Ask::Room => return hub.room(stream),
        Ask::Close => return hub.close(stream),
        Ask::Create(request) => hub.create(stream, &request, view),
        Ask::Refuse(reason) => hub.refuse(stream, reason, view),
        Ask::Cancel(id) => hub.cancel(stream, id, view),
        Ask::Progress => hub.progress(stream),
    }
    pipe.handled();
}
