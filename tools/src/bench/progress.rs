//! The progress bar, on standard error; there is none when that is not a terminal.

use std::{cell::Cell, rc::Rc, time::Duration};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinHandle;

/// Time between two drawings. A request only adds to a counter.
const REDRAW: Duration = Duration::from_millis(200);

/// Counts finished operations, and draws them.
#[derive(Debug)]
pub(crate) struct Progress {
    done: Rc<Cell<u64>>,
    bar: ProgressBar,
    drawer: Option<JoinHandle<()>>,
}

impl Progress {
    /// A bar of `total` operations; `hidden` keeps it off the terminal. Must be made inside a local task set.
    pub(crate) fn new(total: u64, hidden: bool) -> Self {
        let bar = ProgressBar::new(total);
        if hidden {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let done = Rc::new(Cell::new(0));
        let drawer = (!bar.is_hidden()).then(|| {
            let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {percent}% {per_sec} {eta}");
            bar.set_style(style.expect("the template is well formed"));
            let (bar, done) = (bar.clone(), Rc::clone(&done));
            tokio::task::spawn_local(async move {
                loop {
                    bar.set_position(done.get());
                    tokio::time::sleep(REDRAW).await;
                }
            })
        });
        Self { done, bar, drawer }
    }

    /// One more operation is done.
    pub(crate) fn increment(&self) {
        self.done.set(self.done.get() + 1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(drawer) = &self.drawer {
            drawer.abort();
            self.bar.set_position(self.done.get());
            self.bar.abandon();
            // The bar has left the cursor at its end; the report begins on a line of its own.
            eprintln!();
        }
    }
}
