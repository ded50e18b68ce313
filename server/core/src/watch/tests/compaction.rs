//! Compaction against watchers that are behind, and against those that are not.

use super::{Ask, World};
use crate::watch::{Limits, What};

fn ask(key: &str) -> Ask {
    Ask { key: key.to_owned().into(), ..Ask::default() }
}

fn ends(world: &mut World) -> Vec<(i64, What)> {
    let responses = world.read_all(0).into_iter();
    responses
        .filter(|response| matches!(response.what, What::Compacted(_)))
        .map(|response| (response.watch_id, response.what))
        .collect()
}

#[test]
fn a_synced_watcher_never_notices() {
    let mut world = World::new(Limits::default());
    world.open();
    world.create(0, ask("a"));
    world.create(0, Ask { start_revision: 50, ..ask("a") });
    for _ in 0..20 {
        let r = world.put("b", "v");
        world.tell_all();
        world.compact(r);
        world.catch_up();
    }
    // Not even when the compaction is known to the store before the hub is told of the revision.
    let r = world.put("a", "v");
    world.compact(r);
    world.tell_all();
    world.catch_up();
    assert_eq!(ends(&mut world), []);
    world.settle();
    assert_eq!(world.hub.stats().synced, 2);
}

#[test]
fn a_parked_watcher_is_overtaken() {
    let mut world = World::new(Limits { stream_responses: 2, ..Limits::default() });
    world.open();
    world.create(0, ask("k"));
    world.create(0, ask("other"));
    world.read_all(0);
    for _ in 0..10 {
        world.put("k", "v");
    }
    world.tell_all();
    assert_eq!(world.hub.stats().synced, 1);
    world.compact(8);
    world.catch_up();
    // What was sent before the client stopped reading comes first, then the end: nothing in between may be missing.
    let read = world.read(0, 2);
    assert!(read.iter().all(|response| response.revision < 4), "{read:?}");
    world.catch_up();
    assert_eq!(ends(&mut world), [(0, What::Compacted(8))]);
    world.put("k", "v");
    world.put("other", "v");
    world.settle();
}

#[test]
fn a_compaction_just_below_the_cursor_takes_nothing() {
    let mut world = World::new(Limits { stream_responses: 2, ..Limits::default() });
    world.open();
    world.create(0, ask("k"));
    for _ in 0..10 {
        world.put("k", "v");
    }
    world.tell_all();
    // Created, and revision 2; it waits for revision 3.
    assert_eq!(world.clients[0].queue.pop().map(|(response, _)| response.what), Some(What::Created));
    let (created, follower) = world.clients[0].controls.pop_front().unwrap();
    world.clients[0].followers.insert(created.watch_id, follower.unwrap());
    world.compact(3);
    world.catch_up();
    assert_eq!(ends(&mut world), []);
    world.settle();
}

#[test]
fn many_are_told_in_steps() {
    let mut world = World::new(Limits { step_watchers: 7, ..Limits::default() });
    world.open();
    for _ in 0..10 {
        world.put("k", "v");
    }
    world.tell_all();
    world.compact(9);
    for _ in 0..100 {
        world.create(0, Ask { start_revision: 3, ..ask("k") });
    }
    world.create(0, Ask { start_revision: 9, ..ask("k") });
    assert!(world.step());
    assert_eq!(ends(&mut world).len(), 7);
    world.catch_up();
    assert_eq!(ends(&mut world).len(), 93);
    world.settle();
    assert_eq!(world.hub.stats().synced, 1);
}

#[test]
fn losing_revisions_loses_no_events() {
    let mut world = World::new(Limits::default());
    world.open();
    world.create(0, ask("k"));
    world.create(0, Ask { start_revision: 9, ..ask("k") });
    for _ in 0..5 {
        world.put("k", "v");
    }
    world.lose(0);
    assert_eq!(world.hub.stats().synced, 1, "the one in the future has lost nothing");
    world.put("k", "v");
    world.settle();
    for _ in 0..5 {
        world.put("k", "v");
    }
    world.lose(2);
    world.settle();
    assert_eq!(world.hub.stats().synced, 2);
}

/// The cursor of a watcher that loses revisions is where it was, not where its last event was.
#[test]
fn a_compaction_before_a_loss_ends_nobody() {
    let mut world = World::new(Limits::default());
    world.open();
    world.create(0, ask("k"));
    for _ in 0..5 {
        world.put("other", "v");
    }
    world.tell_all();
    world.compact(world.view().revision());
    world.put("k", "v");
    world.lose(0);
    world.catch_up();
    assert_eq!(ends(&mut world), []);
    world.settle();
}

#[test]
fn a_start_below_a_compaction_ends_though_the_hub_is_not_there_yet() {
    let mut world = World::new(Limits::default());
    world.open();
    for _ in 0..5 {
        world.put("k", "v");
    }
    world.compact(6);
    world.create(0, Ask { start_revision: 4, ..ask("k") });
    world.tell_all();
    world.catch_up();
    assert_eq!(ends(&mut world), [(0, What::Compacted(6))]);
}
