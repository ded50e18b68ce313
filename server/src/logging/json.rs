//! Lists and objects as fields of a log line.
//!
//! `tracing` knows numbers, booleans, texts and `Debug`; zap's lines also have lists (`"listen-peer-urls":["…"]`). A value
//! wrapped by [`json`] is formatted as JSON and tells the layer so through a thread-local flag. The flag cannot be set by the
//! text of a value, so that nothing a client sends can pose as JSON.

use std::cell::Cell;
use std::fmt::{Debug, Formatter, Result};

use serde::Serialize;

thread_local! {
    static FORMATTED: Cell<bool> = const { Cell::new(false) };
}

/// A field whose value is written into the line as JSON: `tracing::info!(args = ?json(&args), "Running: ")`.
pub fn json<T: Serialize + ?Sized>(value: &T) -> Json<'_, T> {
    Json(value)
}

/// See [`json`].
pub struct Json<'a, T: ?Sized>(&'a T);

impl<T: Serialize + ?Sized> Debug for Json<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let text = serde_json::to_string(self.0).map_err(|_| std::fmt::Error)?;
        FORMATTED.set(true);
        f.write_str(&text)
    }
}

/// Formats a field; tells whether the text is JSON already.
pub(super) fn format(value: &dyn Debug) -> (String, bool) {
    FORMATTED.set(false);
    let text = format!("{value:?}");
    // A wrapper inside another value's Debug output has set the flag as well; then the whole is no JSON.
    let is_json = FORMATTED.replace(false) && serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
    (text, is_json)
}
