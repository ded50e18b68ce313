//! The steps that were observed on a running etcd 3.5.1, and what it answered.

use super::world::message;
use super::{Ask, World};
use crate::watch::{Limits, Response, What};
use holdfast_proto::etcdserverpb::WatchResponse;
use holdfast_proto::{mvccpb, watch as texts};

fn ask(key: &str, end: &str) -> Ask {
    Ask { key: key.to_owned().into(), range_end: end.to_owned().into(), ..Ask::default() }
}

fn from(start_revision: i64, ask: Ask) -> Ask {
    Ask { start_revision, ..ask }
}

fn world() -> World {
    let mut world = World::new(Limits::default());
    world.open();
    world
}

impl World {
    fn answers(&mut self) -> Vec<(i64, What)> {
        self.responses().into_iter().map(|response| (response.watch_id, response.what)).collect()
    }

    fn responses(&mut self) -> Vec<Response> {
        self.tell_all();
        let mut read = Vec::new();
        loop {
            self.catch_up();
            match self.read_all(0) {
                more if more.is_empty() => return read,
                more => read.extend(more),
            }
        }
    }

    /// Of each response with events: header revision and what happened.
    fn told(&mut self) -> Vec<(i64, Vec<String>)> {
        self.responses().iter().map(|response| (response.revision, names(&message(response)))).collect()
    }
}

fn names(response: &WatchResponse) -> Vec<String> {
    let name = |event: &mvccpb::Event| {
        let kv = event.kv.as_ref().unwrap();
        let key = String::from_utf8_lossy(&kv.key);
        let what = if event.r#type == 0 { "put" } else { "delete" };
        let prev = event.prev_kv.as_ref().map_or(String::new(), |prev| format!(" was {}", prev.mod_revision));
        format!("{what} {key}{prev}")
    };
    response.events.iter().map(name).collect()
}

const MANY: What = What::Events { fragment: false };

#[test]
fn identifiers() {
    let mut world = world();
    world.create(0, ask("foo", ""));
    world.create(0, Ask { watch_id: 7, ..ask("foo", "") });
    world.create(0, Ask { watch_id: 7, ..ask("foo", "") });
    world.create(0, ask("foo", ""));
    let duplicate = What::Refused("mvcc: duplicate watch ID provided on the WatchStream");
    let created = What::Created;
    assert_eq!(world.answers(), [(0, created), (7, created), (-1, duplicate), (1, created)]);
    world.create(0, ask("b", "a"));
    world.create(0, ask("b", "b"));
    let empty = What::Refused("mvcc: watcher range is empty");
    assert_eq!(world.answers(), [(-1, empty), (-1, empty)]);
    world.cancel(0, 1234);
    assert_eq!(world.answers(), []);
    world.cancel(0, 7);
    world.create(0, Ask { watch_id: 7, ..ask("foo", "") });
    assert_eq!(world.answers(), [(7, What::Canceled), (7, created)]);
    // Chosen ones are skipped, those of cancelled watchers are not handed out again.
    world.cancel(0, 1);
    world.create(0, Ask { watch_id: 2, ..ask("foo", "") });
    world.create(0, ask("foo", ""));
    assert_eq!(world.answers(), [(1, What::Canceled), (2, created), (3, created)]);
    world.create(0, from(-1, ask("foo", "")));
    assert_eq!(world.answers(), [(-1, What::Refused(texts::COMPACTED))]);
}

/// Three revisions of the range h to i; returns the first.
fn write_h(world: &mut World) -> i64 {
    let first = world.put("h1", "1");
    world.put("h2", "2");
    world.write(|txn| {
        txn.put(b"h1", b"3", 0).unwrap();
        txn.delete_range(b"h2", b"", false).unwrap();
        txn.put(b"h0", b"4", 0).unwrap();
    });
    first
}

#[test]
fn live_and_from_history() {
    let mut world = world();
    world.create(0, ask("h", "i"));
    world.answers();
    let r = write_h(&mut world);
    let put_h1 = || vec!["put h1".to_owned()];
    let txn = ["put h1", "delete h2", "put h0"].map(str::to_owned).to_vec();
    let expected = [(r, put_h1()), (r + 1, vec!["put h2".to_owned()]), (r + 2, txn.clone())];
    assert_eq!(world.told(), expected);

    world.create(0, from(r, ask("h", "i")));
    let all = [put_h1(), vec!["put h2".to_owned()], txn].concat();
    assert_eq!(world.told(), [(r + 2, vec![]), (r + 2, all)]);

    world.create(0, from(r, Ask { prev_kv: true, ..ask("h", "i") }));
    let with_prev = vec![format!("put h1 was {r}"), format!("delete h2 was {}", r + 1), "put h0".to_owned()];
    let told = world.told();
    assert_eq!(told[1].1[2..], with_prev);

    let deletion = {
        let told = world.history.iter().find(|past| past.event.r#type == 1).unwrap();
        told.event.kv.clone().unwrap()
    };
    assert_eq!(deletion, mvccpb::KeyValue { key: "h2".into(), mod_revision: r + 2, ..Default::default() });
}

#[test]
fn filters() {
    for (filters, expected) in [
        (vec![0], vec!["delete h2"]),
        (vec![1], vec!["put h1", "put h2", "put h1", "put h0"]),
        (vec![0, 1], vec![]),
        (vec![9], vec!["put h1", "put h2", "put h1", "delete h2", "put h0"]),
    ] {
        let mut world = world();
        world.create(0, Ask { filters: filters.clone(), ..ask("h", "i") });
        let r = write_h(&mut world);
        let live: Vec<String> = world.told().into_iter().flat_map(|(_, names)| names).collect();
        assert_eq!(live, expected);
        world.create(0, from(r, Ask { filters, ..ask("h", "i") }));
        let past: Vec<String> = world.told().into_iter().flat_map(|(_, names)| names).collect();
        assert_eq!(past, expected);
    }
}

#[test]
fn a_start_in_the_future() {
    let mut world = world();
    let current = world.put("a", "0");
    world.create(0, from(current + 3, ask("a", "")));
    world.answers();
    for n in 1..=4 {
        world.put("a", &n.to_string());
    }
    let revisions: Vec<i64> = world.told().into_iter().map(|(revision, _)| revision).collect();
    assert_eq!(revisions, [current + 3, current + 4]);
}

#[test]
fn starts_at_and_below_a_compaction() {
    let mut world = world();
    world.put("a", "1");
    world.put("b", "1");
    let c = world.delete("a", "");
    world.compact(c);
    world.tell_all();
    world.create(0, Ask { watch_id: 9, ..from(2, ask("a", "")) });
    let responses = world.responses();
    assert_eq!((responses[0].watch_id, responses[0].what), (9, What::Created));
    let end = &responses[1];
    assert_eq!((end.watch_id, end.what, end.revision), (9, What::Compacted(c), 0));
    assert_eq!(message(end).cancel_reason, "");
    world.create(0, Ask { watch_id: 9, ..ask("a", "") });
    world.cancel(0, 9);
    assert_eq!(world.answers(), [(-1, What::Refused(texts::DUPLICATE_WATCH_ID)), (9, What::Canceled)]);
    world.create(0, from(c, ask("a", "")));
    assert_eq!(world.told(), [(c, vec![]), (c, vec!["delete a".to_owned()])]);
}

#[test]
fn five_megabytes_of_history_in_fragments() {
    let mut world = world();
    let value = "v".repeat(1_000_000);
    for key in ["f1", "f2", "f3", "f4", "f5"] {
        world.put(key, &value);
    }
    world.tell_all();
    world.create(0, from(2, Ask { fragment: true, ..ask("f", "g") }));
    world.create(0, from(2, ask("f", "g")));
    let parts: Vec<(i64, What, usize)> = world
        .responses()
        .iter()
        .map(|response| (response.watch_id, response.what, response.frames().len()))
        .collect();
    let part = |fragment| What::Events { fragment };
    let (created, first) = (What::Created, [(0, part(true), 2), (0, part(true), 2), (0, part(false), 1)]);
    assert_eq!(parts[..2], [(0, created, 0), (1, created, 0)]);
    assert_eq!(parts[2..5], first);
    // etcd would send one response of five megabytes, above what gRPC libraries take by default.
    assert_eq!(parts[5..], [(1, MANY, 2), (1, MANY, 2), (1, MANY, 1)]);
}

#[test]
fn eleven_hundred_revisions_of_history_in_two_responses() {
    let mut world = world();
    for n in 0..1100 {
        world.put("k", &n.to_string());
    }
    world.tell_all();
    world.create(0, from(2, ask("k", "")));
    let sizes: Vec<(i64, usize)> =
        world.responses().iter().map(|response| (response.revision, response.frames().len())).collect();
    assert_eq!(sizes, [(1101, 0), (1101, 1000), (1101, 100)]);
}

#[test]
fn a_long_transaction_is_one_response() {
    let mut world = world();
    world.create(0, ask("a", "\0"));
    world.write(|txn| (0..2000).for_each(|n| txn.put(format!("k{n}").as_bytes(), b"v", 0).unwrap()));
    let responses = world.responses();
    assert_eq!(responses[1].frames().len(), 2000);
    assert_eq!(responses.len(), 2);
}
