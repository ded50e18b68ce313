//! How much is tried, with which seed, and the telling of it.

use std::io::Write as _;

/// Images of an ordinary run, by family; each family asserts that it reaches its number.
pub const HONEST: usize = 12_000;
pub const BROKEN: usize = 6_000;
pub const STORE: usize = 3_000;
pub const STORE_DECAY: usize = 1_000;

const USUAL: usize = HONEST + BROKEN + STORE + STORE_DECAY;
const _: () = assert!(USUAL >= 10_000, "an ordinary run is at least so many");

/// What the environment asks for, as a multiple of an ordinary run.
fn factor() -> f64 {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<f64>().ok());
    if let Some(images) = number("HOLDFAST_CRASH_IMAGES") {
        return images / USUAL as f64;
    }
    if number("HOLDFAST_LONG_TESTS").is_some_and(|n| n > 0.0) { 20.0 } else { 1.0 }
}

/// How many images a family makes.
pub fn images(usual: usize) -> usize {
    (usual as f64 * factor()) as usize
}

/// The seed of everything.
pub fn seed() -> u64 {
    std::env::var("HOLDFAST_CRASH_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(1)
}

/// What came of the images.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    pub images: usize,
    /// The newest durable state, exactly.
    pub newest: usize,
    /// An older one, which the caller's log still reaches.
    pub older: usize,
    /// Refused when it was opened, by the engine.
    pub refused_at_open: usize,
    /// Opened, but refused by the caller: its log does not reach back so far.
    pub refused_by_log: usize,
    /// Opened, and some answers were errors that name a page.
    pub refused_pages: usize,
    /// Worked on after the restart.
    pub worked_on: usize,
    /// Crashes after the work that followed a crash.
    pub second_crashes: usize,
}

impl Tally {
    /// Says it even when the test passes.
    pub fn tell(&self, family: &str) {
        let _ = writeln!(
            std::io::stderr(),
            "crash suite, {family} (seed {}): {} images ({} of them second crashes), {} newest state, {} older state, \
             {} refused at open, {} refused by the log, {} with refused pages, {} worked on",
            seed(),
            self.images,
            self.second_crashes,
            self.newest,
            self.older,
            self.refused_at_open,
            self.refused_by_log,
            self.refused_pages,
            self.worked_on,
        );
    }
}
