//! Progress: when it is told, and that it is true. That it is always true is checked by every client of every test.

use super::world::INTERVAL;
use super::{Ask, World};
use crate::watch::{Limits, What};

fn ask(key: &str) -> Ask {
    Ask { key: key.to_owned().into(), ..Ask::default() }
}

fn world() -> World {
    let mut world = World::new(Limits::default());
    world.open();
    world
}

impl World {
    /// Progress that has been told, by watcher.
    fn progress(&mut self) -> Vec<(i64, i64)> {
        let told = self.read_all(0).into_iter().filter(|response| response.what == What::Progress);
        told.map(|response| (response.watch_id, response.revision)).collect()
    }

    fn asked_progress(&mut self) -> Vec<(i64, i64)> {
        self.ask_progress(0);
        self.progress()
    }

    fn ticked(&mut self) -> Vec<(i64, i64)> {
        self.now += INTERVAL;
        self.hub.tick(self.now);
        self.progress()
    }
}

#[test]
fn on_request() {
    let mut world = world();
    assert_eq!(world.asked_progress(), [], "without a watcher there is nothing to tell");
    world.create(0, ask("a"));
    assert_eq!(world.asked_progress(), [(-1, 1)]);
    let r = world.put("b", "1");
    assert_eq!(world.asked_progress(), [(-1, 1)], "the hub has not been told of it");
    world.tell_all();
    assert_eq!(world.asked_progress(), [(-1, r)]);
    // One that waits for the future holds it back.
    world.create(0, Ask { watch_id: 5, start_revision: r + 1, ..ask("a") });
    assert_eq!(world.asked_progress(), []);
    world.cancel(0, 5);
    assert_eq!(world.asked_progress(), [(-1, r)]);
    world.create(0, Ask { start_revision: r + 1, ..ask("a") });
    world.put("b", "2");
    world.tell_all();
    assert_eq!(world.asked_progress(), [(-1, r + 1)]);
    // So does one that catches up.
    world.create(0, Ask { start_revision: 1, ..ask("a") });
    assert_eq!(world.asked_progress(), []);
    world.catch_up();
    assert_eq!(world.asked_progress(), [(-1, r + 1)]);
}

#[test]
fn an_ended_watcher_holds_it_back_until_it_is_cancelled() {
    let mut world = world();
    world.put("a", "1");
    let r = world.put("a", "2");
    world.tell_all();
    world.compact(r);
    world.create(0, ask("a"));
    world.create(0, Ask { watch_id: 4, start_revision: 1, ..ask("a") });
    world.catch_up();
    assert_eq!(world.asked_progress(), []);
    world.cancel(0, 4);
    assert_eq!(world.asked_progress(), [(-1, r)]);
}

#[test]
fn from_time_to_time() {
    let mut world = world();
    world.create(0, ask("a"));
    world.create(0, Ask { progress_notify: true, ..ask("a") });
    world.create(0, Ask { progress_notify: true, ..ask("b") });
    world.create(0, Ask { progress_notify: true, start_revision: 3, ..ask("b") });
    assert_eq!(world.ticked(), [(1, 1), (2, 1)]);
    world.now += INTERVAL / 2;
    world.hub.tick(world.now);
    assert_eq!(world.progress(), [], "not before its time");
    assert_eq!(world.hub.next_tick(), Some(world.now + INTERVAL / 2));
    world.put("a", "1");
    world.tell_all();
    world.now += INTERVAL / 2;
    world.hub.tick(world.now);
    assert_eq!(world.progress(), [(2, 2)], "the other had an event");
    world.put("c", "1");
    world.tell_all();
    assert_eq!(world.ticked(), [(1, 3), (2, 3), (3, 3)]);
    world.cancel(0, 2);
    assert_eq!(world.ticked(), [(1, 3), (3, 3)]);
    world.close(0);
    assert_eq!(world.hub.next_tick(), None);
}

#[test]
fn not_while_it_catches_up() {
    let mut world = world();
    world.put("a", "1");
    world.tell_all();
    world.create(0, Ask { progress_notify: true, start_revision: 1, ..ask("a") });
    assert_eq!(world.ticked(), []);
    world.catch_up();
    world.read_all(0);
    assert_eq!(world.ticked(), [], "it had an event");
    assert_eq!(world.ticked(), [(0, 2)]);
}
