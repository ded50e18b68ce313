//! What the harnesses have in common.
//!
//! * [`guard`]: processes and folders that must not outlive us. * [`machine`]: where it was measured.
//! * [`numbers`]: medians, and numbers as text. * [`places`]: folders of the build. * [`readme`]: where tables are written.

pub(crate) mod guard;
pub(crate) mod machine;
pub(crate) mod numbers;
pub(crate) mod places;
pub(crate) mod readme;
