//! Figures of the multi-version store on a real file, with many keys.
//!
//! The store is loaded by a process of its own, which answers phase by phase as a contender does, so that its memory can
//! be told and it can be killed. Batches are of 500 revisions with one put each. Checkpoints run in the background as in
//! a member: when 16 MiB have been put since the last, or after five seconds. One store is loaded in the order of keys,
//! another in random order.
//!
//! * [`phase`]: what is measured; [`store`]: how. * [`checkpointer`]: the thread. * [`mod@run`]: the parent; its
//!   [`table`] is Markdown.

mod checkpointer;
mod phase;
mod run;
mod store;
mod table;

pub(crate) use phase::MvccPhase;
pub(crate) use run::run;
pub(crate) use store::serve;
