//! Devices for tests and for the simulator: they keep what was written and what of it is durable apart, and so can show
//! what a crash would leave.

mod image;
mod recording;

pub use image::{Fate, SECTOR_BYTES, UnsyncedWrite};
pub use recording::RecordingDevice;
