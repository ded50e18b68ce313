//! How far a watcher or a stream is.
//!
//! A progress response with revision *R* promises that everything up to *R* has been sent before it, on the watcher that it
//! names or, with identifier −1, on all watchers of the stream. So it may be made only for synced watchers, and says the
//! hub's revision. Nor may it speak of revisions before the one from which a watcher wants to hear at all.

use std::time::Duration;

use holdfast_proto::watch::INVALID_WATCH_ID;

use super::StreamId;
use super::hub::{Hub, Watcher};
use super::outlet::Outlet;
use super::response::{Response, What};
use super::slab::Key;
use super::states::State;

impl Watcher {
    fn is_up_to_date(&self, revision: i64) -> bool {
        matches!(self.state, State::Synced { .. }) && self.start <= revision
    }
}

impl<O: Outlet> Hub<O> {
    /// The client asks how far its stream is. It is answered only when all its watchers are up to date, and there is one.
    pub fn progress(&mut self, stream: StreamId) {
        let revision = self.revision;
        let Some(open) = self.streams.get_mut(stream.0) else { return };
        if open.watchers.is_empty() || open.synced < open.watchers.len() {
            return;
        }
        if open.latest_start > revision {
            // The bound may be that of a watcher which is gone.
            let starts = open.watchers.values().map(|key| self.watchers[*key].start);
            open.latest_start = starts.max().unwrap_or(0);
            if open.latest_start > revision {
                return;
            }
        }
        open.outlet.push(Response::new(INVALID_WATCH_ID, revision, What::Progress));
    }

    /// When [`Hub::tick`] has something to do next.
    pub fn next_tick(&self) -> Option<Duration> {
        self.timers.first().map(|(due, _)| *due)
    }

    /// Time has passed: tells the watchers that asked for it, and have had no events since the last time, how far they are.
    pub fn tick(&mut self, now: Duration) {
        while let Some(&(due, stream)) = self.timers.first() {
            if due > now {
                break;
            }
            self.timers.pop_first();
            self.notify(stream);
            let open = &mut self.streams[stream];
            // An interval of zero would keep this loop busy for ever.
            open.progress_due =
                now.saturating_add(open.progress_interval).max(now + Duration::from_millis(1));
            self.timers.insert((open.progress_due, stream));
        }
    }

    fn notify(&mut self, stream: Key) {
        let open = &mut self.streams[stream];
        if open.notified == 0 {
            return;
        }
        let capacity = open.capacity(&self.limits);
        for (id, key) in &open.watchers {
            let watcher = &mut self.watchers[*key];
            if !watcher.progress_notify {
                continue;
            }
            // A client that does not read learns nothing from more to read.
            let quiet = std::mem::replace(&mut watcher.quiet, true);
            if quiet && watcher.is_up_to_date(self.revision) && open.outlet.load().is_below(capacity) {
                open.outlet.push(Response::new(*id, self.revision, What::Progress));
            }
        }
    }
}
