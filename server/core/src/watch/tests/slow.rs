//! Clients that read slowly or not at all.

use super::{Ask, World};
use crate::watch::{Limits, Outlet, What};

fn ask(key: &str) -> Ask {
    Ask { key: key.to_owned().into(), ..Ask::default() }
}

#[test]
fn a_client_that_never_reads_costs_a_bounded_amount() {
    let limits = Limits::default();
    let mut world = World::new(limits);
    let (dead, alive) = (world.open(), world.open());
    for client in [dead, alive] {
        world.create(client, ask("k"));
        world.create(client, Ask { prev_kv: true, ..ask("k") });
    }
    let value = "v".repeat(10_000);
    let mut most = 0;
    for _ in 0..2_000 {
        world.put("k", &value);
        world.tell_all();
        world.catch_up();
        world.read_all(alive);
        let load = world.clients[dead].queue.load();
        most = most.max(load.bytes);
        assert!(load.responses <= limits.stream_responses + 2);
    }
    assert!(most <= limits.stream_bytes + 25_000, "{most}");
    assert_eq!(world.hub.stats().synced, 2, "the other client is not held up");
    assert_eq!(world.hub.stats().demotions, 2);
    // And when it reads after all, nothing is missing.
    world.settle();
    assert_eq!(world.hub.stats().synced, 4);
}

#[test]
fn large_responses_wait_one_at_a_time() {
    let limits = Limits { stream_bytes: 1000, step_bytes: 5000, ..Limits::default() };
    let mut world = World::new(limits);
    world.open();
    for _ in 0..50 {
        world.put("k", &"v".repeat(1000));
    }
    world.tell_all();
    world.create(0, Ask { start_revision: 2, ..ask("k") });
    world.catch_up();
    let load = world.clients[0].queue.load();
    assert!(load.bytes > 5000 && load.bytes < 7000, "{load:?}");
    world.settle();
}

#[test]
fn waiting_watchers_of_a_stream_take_turns() {
    let limits = Limits { stream_responses: 4, ..Limits::default() };
    let mut world = World::new(limits);
    world.open();
    for n in 0..20 {
        world.create(0, Ask { key: format!("k{n}").into(), ..Ask::default() });
    }
    world.read_all(0);
    // 20 watchers may have 20 responses waiting; the 21st parks its watcher.
    let everybody = |world: &mut World| {
        world.write(|txn| (0..20).for_each(|n| txn.put(format!("k{n}").as_bytes(), b"v", 0).unwrap()));
        world.tell_all();
    };
    everybody(&mut world);
    assert_eq!(world.hub.stats().synced, 20);
    for _ in 0..50 {
        everybody(&mut world);
    }
    assert_eq!(world.hub.stats().synced, 0);
    // A slow reader under steady load: each watcher gets its share.
    let mut got = [0; 20];
    for _ in 0..400 {
        world.step();
        for response in world.read(0, 1) {
            got[usize::try_from(response.watch_id).unwrap()] += 1;
        }
        everybody(&mut world);
    }
    assert!(got.iter().all(|share| (15..=25).contains(share)), "{got:?}");
    world.settle();
}

#[test]
fn a_late_watcher_is_not_kept_waiting_by_long_histories() {
    let limits = Limits { step_revisions: 10, ..Limits::default() };
    let mut world = World::new(limits);
    world.open();
    for _ in 0..1000 {
        world.put("k", "v");
    }
    world.tell_all();
    for _ in 0..3 {
        world.create(0, Ask { start_revision: 2, ..ask("k") });
    }
    world.step();
    // All three share the same piece of history.
    let waiting = world.read_all(0);
    assert_eq!(waiting.iter().filter(|response| matches!(response.what, What::Events { .. })).count(), 3);
    world.create(0, Ask { start_revision: 995, ..ask("k") });
    // Each of the others has its turn before, and with it all three move.
    let steps = (1..1000).take_while(|_| world.step() && world.hub.stats().synced == 0).count();
    assert!(steps <= 4, "{steps}");
    world.settle();
}

#[test]
fn a_cancelled_watcher_leaves_its_turn_to_others() {
    let mut world = World::new(Limits { stream_responses: 2, ..Limits::default() });
    world.open();
    for n in 0..2 {
        world.create(0, Ask { watch_id: n + 1, ..ask("k") });
    }
    world.read_all(0);
    for _ in 0..3 {
        world.put("k", "v");
        world.tell_all();
    }
    // Both are parked. There is room for one; it is let on and cancelled before its turn, when the room is gone.
    world.read(0, 2);
    assert_eq!(world.hub.stats().ready, 2);
    world.ask_progress(0);
    for _ in 0..2 {
        world.create(0, Ask { start_revision: -1, ..ask("k") });
    }
    world.step();
    world.cancel(0, 1);
    world.settle();
}
