//! Random histories, watchers and clients: everybody is sent exactly what it must be.

use proptest::prelude::*;

use super::{Ask, World};
use crate::watch::Limits;

/// Small, so that every bound is met all the time.
const LIMITS: Limits = Limits {
    stream_responses: 3,
    stream_bytes: 400,
    fragment_bytes: 150,
    response_bytes: 200,
    step_revisions: 4,
    step_bytes: 300,
    step_watchers: 3,
    step_comparisons: 20,
};

#[derive(Debug, Clone)]
enum Step {
    Put {
        key: String,
        len: usize,
    },
    Delete {
        key: String,
        end: String,
    },
    Txn {
        put: Vec<String>,
        delete: String,
    },
    /// So many revisions before the current one.
    Compact {
        back: i64,
    },
    Tell {
        count: usize,
    },
    Lose {
        keep: usize,
    },
    Open,
    Close {
        client: usize,
    },
    Create {
        client: usize,
        ask: Ask,
        start: Start,
    },
    Cancel {
        client: usize,
        id: i64,
    },
    Progress {
        client: usize,
    },
    Read {
        client: usize,
        count: usize,
    },
    CatchUp,
    Tick,
}

#[derive(Debug, Clone, Copy)]
enum Start {
    Now,
    Negative,
    /// Relative to the current revision.
    At(i64),
}

fn key() -> impl Strategy<Value = String> {
    "[a-d][a-b]?"
}

fn end() -> impl Strategy<Value = String> {
    prop_oneof![3 => Just(String::new()), 1 => Just("\0".to_owned()), 3 => "[b-e]"]
}

fn ask() -> impl Strategy<Value = Ask> {
    let filters = prop::collection::vec(0i32..3, 0..2);
    let id = prop_oneof![3 => Just(0i64), 1 => 1i64..4, 1 => Just(-5i64)];
    (key(), end(), any::<[bool; 3]>(), filters, id).prop_map(|(key, end, flags, filters, watch_id)| Ask {
        key: key.into(),
        range_end: end.into(),
        progress_notify: flags[0],
        prev_kv: flags[1],
        fragment: flags[2],
        filters,
        watch_id,
        start_revision: 0,
    })
}

fn start() -> impl Strategy<Value = Start> {
    prop_oneof![
        3 => Just(Start::Now),
        1 => Just(Start::Negative),
        6 => (-30i64..4).prop_map(Start::At),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let client = || 0usize..4;
    prop_oneof![
        10 => (key(), 0usize..120).prop_map(|(key, len)| Step::Put { key, len }),
        3 => (key(), end()).prop_map(|(key, end)| Step::Delete { key, end }),
        2 => (prop::collection::vec("[a-d]", 0..5), "[a-d][a-b]")
            .prop_map(|(put, delete)| Step::Txn { put, delete }),
        2 => (0i64..20).prop_map(|back| Step::Compact { back }),
        6 => (1usize..6).prop_map(|count| Step::Tell { count }),
        1 => (0usize..3).prop_map(|keep| Step::Lose { keep }),
        1 => Just(Step::Open),
        1 => client().prop_map(|client| Step::Close { client }),
        6 => (client(), ask(), start()).prop_map(|(client, ask, start)| Step::Create { client, ask, start }),
        2 => (client(), -1i64..5).prop_map(|(client, id)| Step::Cancel { client, id }),
        3 => client().prop_map(|client| Step::Progress { client }),
        8 => (client(), 1usize..6).prop_map(|(client, count)| Step::Read { client, count }),
        5 => Just(Step::CatchUp),
        1 => Just(Step::Tick),
    ]
}

impl World {
    fn take(&mut self, step: Step) {
        let client = |at: usize, world: &Self| at % world.clients.len();
        match step {
            Step::Put { key, len } => drop(self.put(&key, &"v".repeat(len))),
            Step::Delete { key, end } => drop(self.delete(&key, &end)),
            Step::Txn { put, delete } => drop(self.write(|txn| {
                txn.delete_range(delete.as_bytes(), b"", false).unwrap();
                let put: std::collections::BTreeSet<String> = put.into_iter().collect();
                for key in put {
                    txn.put(key.as_bytes(), b"txn", 7).unwrap();
                }
            })),
            Step::Compact { back } => self.compact(self.view().revision() - back),
            Step::Tell { count } => self.tell(count),
            Step::Lose { keep } => self.lose(keep),
            Step::Open => drop(self.open()),
            Step::Close { client: at } => self.close(client(at, self)),
            Step::Create { client: at, mut ask, start } => {
                ask.start_revision = match start {
                    Start::Now => 0,
                    Start::Negative => -1,
                    Start::At(offset) => (self.view().revision() + offset).max(1),
                };
                self.create(client(at, self), ask);
            }
            Step::Cancel { client: at, id } => self.cancel(client(at, self), id),
            Step::Progress { client: at } => self.ask_progress(client(at, self)),
            Step::Read { client: at, count } => {
                let at = client(at, self);
                if self.clients[at].open {
                    self.read(at, count);
                }
            }
            Step::CatchUp => drop(self.step()),
            Step::Tick => {
                self.now += super::world::INTERVAL;
                self.hub.tick(self.now);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn everybody_is_sent_what_it_must_be(steps in prop::collection::vec(step(), 1..250)) {
        let mut world = World::new(LIMITS);
        world.open();
        world.open();
        for step in steps {
            world.take(step);
            for client in world.clients.iter().filter(|client| client.open) {
                client.check_bounds(&LIMITS);
            }
        }
        world.settle();
        world.settle();
    }
}
