//! The multi-version store through crashes: every key at every kept revision, the hash at each of them, leases, and
//! compactions that were cut in the middle and go on.

mod judge;
#[path = "../../../src/mvcc/tests/model.rs"]
#[allow(dead_code)] // the unit tests of the store use more of it
mod model;
mod story;

use crate::common::Numbers;
use crate::image::{Fate, Walk};
use crate::judge::Wrong;
use crate::scale::{STORE, STORE_DECAY, Tally, images, seed};
use judge::{decayed, finishes, survives};
use story::{Life, Plan, go_on, live};

/// One crash in so many is followed by work and a second crash.
const SECOND_CRASH_EVERY: usize = 30;

fn crash_everywhere(life: &Life, step: usize, tally: &mut Tally) -> Result<(), Wrong> {
    let mut walk = Walk::new(&life.history);
    for crash in (0..=life.history.ops.len()).step_by(step) {
        let mut numbers = Numbers(life.plan.seed ^ (crash as u64) << 16);
        let fate = match crash / step % 6 {
            4 => Fate::Lost,
            5 => Fate::Kept,
            n => Fate::BY_CHANCE[n],
        };
        let image = walk.image(crash, fate, &mut numbers);
        one(life, image, crash, tally).map_err(|wrong| {
            format!("{wrong}\n  crash after operation {crash}, {fate:?}, {:?}", life.plan)
        })?;
    }
    Ok(())
}

fn one(life: &Life, image: Vec<u8>, crash: usize, tally: &mut Tally) -> Result<(), Wrong> {
    tally.images += 1;
    let again =
        (step_of(life) == 1 && tally.images.is_multiple_of(SECOND_CRASH_EVERY)).then(|| image.clone());
    let (store, model) = survives(image, life, crash)?;
    tally.newest += 1;
    if tally.images.is_multiple_of(3) {
        finishes(&store, model.clone())?;
        tally.worked_on += 1;
    }
    drop(store);
    if let Some(image) = again {
        let plan = Plan { commits: 6, seed: life.plan.seed + crash as u64, second: true, ..life.plan };
        let before = tally.images;
        crash_everywhere(&go_on(plan, image, model), 4, tally)
            .map_err(|wrong| format!("{wrong}\n  in a life that began with a crash"))?;
        tally.second_crashes += tally.images - before;
    }
    Ok(())
}

/// A second life is not followed by a third.
fn step_of(life: &Life) -> usize {
    if life.plan.second { 4 } else { 1 }
}

#[test]
fn the_store_through_crashes() {
    let (goal, mut tally, mut round) = (images(STORE), Tally::default(), 0);
    while round == 0 || tally.images < goal {
        for (n, page_size) in [512, 4096, 512].into_iter().enumerate() {
            let cadence = [1, 3, 6][n];
            let seed = (seed() + round) * 10 + n as u64;
            let life = live(Plan { page_size, cadence, commits: 60, seed, second: false });
            if let Err(wrong) = crash_everywhere(&life, 1, &mut tally) {
                panic!("{wrong}\n  HOLDFAST_CRASH_SEED={}", crate::scale::seed() + round);
            }
        }
        round += 1;
    }
    tally.tell("store");
    assert_eq!(tally.images, tally.newest, "an honest disk loses nothing, and nothing is refused");
    assert!(tally.worked_on > tally.images / 4 && tally.second_crashes > 0);
}

#[test]
fn the_store_on_a_disk_that_decays() {
    let (goal, mut tally, mut round) = (images(STORE_DECAY), Tally::default(), 0);
    while tally.images < goal {
        let life =
            live(Plan { page_size: 512, cadence: 4, commits: 50, seed: seed() + round, second: false });
        let mut numbers = Numbers(seed() + round);
        let (ops, _) = *life.history.promises.last().unwrap();
        let whole = Walk::new(&life.history).image(ops, Fate::Kept, &mut numbers);
        let used = whole.iter().rposition(|&byte| byte != 0).unwrap() as u64 + 1;
        for n in 0..200 {
            let mut image = whole.clone();
            let at = numbers.below(used) as usize;
            image[at] ^= 1 << numbers.below(8);
            tally.images += 1;
            match decayed(image, &life, life.history.promised(ops)) {
                Ok(true) => tally.refused_pages += 1,
                Ok(false) => tally.newest += 1,
                Err(wrong) => {
                    panic!("{wrong}\n  image {n}, byte {at}, HOLDFAST_CRASH_SEED={}", seed() + round)
                }
            }
        }
        round += 1;
    }
    tally.tell("store, decay");
    assert!(tally.refused_pages > tally.images / 4 && tally.newest > 0);
}
