//! The suite can fail: each mutant breaks one rule, and must be noticed.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::disk::Mutant;
use crate::honest::crash_everywhere;
use crate::scale::Tally;
use crate::story::{Kind, Plan, plans, tell};

/// The first thing that the suite says about a mutant.
fn caught(mutant: Mutant, kinds: impl Fn(Kind) -> bool) -> Option<(usize, String)> {
    let mut images = 0;
    for round in 0..4 {
        for plan in plans(900 + round).into_iter().filter(|plan| kinds(plan.kind)) {
            let plan = Plan { busy: false, mutant, ..plan };
            let mut tally = Tally::default();
            // What a mutant leaves may end in an assertion of the engine as well: that is being noticed, too.
            let outcome = catch_unwind(AssertUnwindSafe(|| crash_everywhere(&tell(plan), &mut tally)));
            images += tally.images;
            match outcome {
                Ok(Ok(())) => {}
                Ok(Err(wrong)) => return Some((images, wrong)),
                Err(_) => return Some((images, "an assertion of the engine".to_owned())),
            }
        }
    }
    None
}

#[track_caller]
fn assert_caught(mutant: Mutant, kinds: impl Fn(Kind) -> bool, by: &[&str]) {
    let Some((images, wrong)) = caught(mutant, kinds) else {
        panic!("{mutant:?} was not noticed");
    };
    println!("{mutant:?} is noticed at image {images}: {wrong}");
    assert!(by.iter().any(|part| wrong.contains(part)), "{mutant:?} was noticed by something else: {wrong}");
}

fn usual(kind: Kind) -> bool {
    kind != Kind::Shrinks
}

#[test]
fn without_a_mutation_nothing_is_noticed() {
    assert_eq!(caught(Mutant::None, |kind| kind == Kind::Mixed), None);
}

#[test]
fn pages_that_are_not_synced_before_the_meta_page() {
    assert_caught(Mutant::NoFirstSync, usual, &["checksum", "reads of tree", "refused", "is damaged"]);
}

#[test]
fn a_meta_page_that_is_not_synced() {
    assert_caught(Mutant::NoSecondSync, usual, &["was promised"]);
}

#[test]
fn a_sync_that_comes_too_early() {
    assert_caught(Mutant::SyncTooEarly, usual, &["reads of tree", "refused", "is damaged"]);
}

#[test]
fn a_meta_page_before_its_pages() {
    assert_caught(Mutant::MetaFirst, usual, &["reads of tree", "refused", "is damaged"]);
}

#[test]
fn meta_pages_that_are_always_written_to_the_same_place() {
    assert_caught(Mutant::OneSlot, usual, &["was promised", "refused"]);
}

#[test]
fn pages_of_the_durable_root_that_are_used_again() {
    assert_caught(Mutant::ReusesDurable, |kind| kind == Kind::Overwrites, &["reads of tree", "is damaged"]);
}

#[test]
fn a_file_that_is_cut_too_far() {
    assert_caught(Mutant::CutsTooFar, |kind| kind == Kind::Shrinks, &["it has been cut", "refused"]);
}
