//! Where the responses of a stream go.

use super::Response;

/// What waits in an outlet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Responses.
    pub responses: usize,
    /// Bytes of their events.
    pub bytes: usize,
}

impl Load {
    /// Whether both numbers lie below those of `limit`.
    pub fn is_below(self, limit: Self) -> bool {
        self.responses < limit.responses && self.bytes < limit.bytes
    }
}

/// The end of a stream on the server's side: a queue from which the client is sent what it takes. The hub sees to its
/// bounds, an outlet takes everything.
pub trait Outlet {
    /// What waits now. It may shrink at any time, and grows by [`Outlet::push`] only.
    fn load(&self) -> Load;

    /// Appends a response.
    fn push(&mut self, response: Response);

    /// Asks for one call of [`super::Hub::room`] as soon as the load is below `limit`. Returns false, and will not call,
    /// if it is so already.
    fn wake_below(&mut self, limit: Load) -> bool;
}
