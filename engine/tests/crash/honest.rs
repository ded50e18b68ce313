//! Losses of power on an honest disk: every prefix of every history, with whatever became of the unsynced writes.

use crate::common::Numbers;
use crate::image::{Fate, History, Walk};
use crate::judge::{Wrong, exact, works_on};
use crate::scale::{HONEST, Tally, images, seed};
use crate::story::{Plan, Story, go_on, plans, tell};

/// One crash in so many is followed by work and a second crash.
const SECOND_CRASH_EVERY: usize = 40;

/// Crashes at every operation; the first thing that is wrong ends it.
pub fn crash_everywhere(story: &Story, tally: &mut Tally) -> Result<(), Wrong> {
    let history = &story.history;
    let mut walk = Walk::new(history);
    for crash in 0..=history.ops.len() {
        let by_chance = Fate::BY_CHANCE[crash % 4];
        let certain = if crash % 2 == 0 { Fate::Lost } else { Fate::Kept };
        for fate in [by_chance, certain] {
            one(story, history, &mut walk, crash, fate, tally).map_err(|wrong| {
                format!("{wrong}\n  crash after operation {crash}, {fate:?}, {:?}", story.plan)
            })?;
        }
    }
    Ok(())
}

fn one(
    story: &Story,
    history: &History,
    walk: &mut Walk<'_>,
    crash: usize,
    fate: Fate,
    tally: &mut Tally,
) -> Result<(), Wrong> {
    let mut numbers = Numbers(story.plan.seed ^ (crash as u64) << 20 ^ fate as u64);
    let image = walk.image(crash, fate, &mut numbers);
    tally.images += 1;
    let again = tally.images.is_multiple_of(SECOND_CRASH_EVERY).then(|| image.clone());
    let (db, model) = exact(image, story, crash, tally.images.is_multiple_of(8))?;
    tally.newest += 1;
    if tally.images.is_multiple_of(4) {
        works_on(&db, &model)?;
        tally.worked_on += 1;
    }
    drop(db);
    if let Some(image) = again {
        let seed = numbers.next();
        let plan = Plan { commits: 2, cadence: 1, busy: false, seed, ..story.plan };
        let story = go_on(plan, image, (*model).clone());
        second_crash(&story, tally)
            .map_err(|wrong| format!("{wrong}\n  after a restart and more work, with seed {seed}"))?;
        debug_assert!(history.page_size == story.history.page_size, "a file keeps its page size");
    }
    Ok(())
}

/// Crashes at some points of a life that began with a crash.
fn second_crash(story: &Story, tally: &mut Tally) -> Result<(), Wrong> {
    let mut walk = Walk::new(&story.history);
    let mut numbers = Numbers(story.plan.seed);
    let last = story.history.ops.len();
    for n in 0..=7 {
        let crash = last * n / 7;
        let fate = Fate::BY_CHANCE[numbers.below(4) as usize];
        let image = walk.image(crash, fate, &mut numbers);
        tally.images += 1;
        tally.second_crashes += 1;
        let (db, model) = exact(image, story, crash, false)
            .map_err(|wrong| format!("{wrong}\n  second crash after operation {crash}, {fate:?}"))?;
        tally.newest += 1;
        if n % 4 == 0 {
            works_on(&db, &model)?;
            tally.worked_on += 1;
        }
    }
    Ok(())
}

#[test]
fn every_prefix_of_every_history() {
    let (goal, mut tally, mut round) = (images(HONEST), Tally::default(), 0);
    while round == 0 || tally.images < goal {
        for plan in plans(seed() + round) {
            let story = tell(plan);
            assert!(story.history.promises.len() > 1, "the workload makes checkpoints");
            if let Err(wrong) = crash_everywhere(&story, &mut tally) {
                panic!("{wrong}\n  HOLDFAST_CRASH_SEED={}", seed() + round);
            }
        }
        round += 1;
    }
    tally.tell("honest disk");
    assert_eq!(tally.images, tally.newest, "an honest disk loses nothing, and nothing is refused");
    assert!(tally.second_crashes > tally.images / 10 && tally.worked_on > tally.images / 5);
}
