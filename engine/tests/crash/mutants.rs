//! The suite can fail: each mutant breaks one rule, and must be noticed.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use holdfast_engine::file::MemFile;

use crate::common::Numbers;
use crate::disk::Mutant;
use crate::honest::crash_everywhere;
use crate::image::{Fate, Walk};
use crate::judge::{exact, open, same};
use crate::scale::Tally;
use crate::seal::{newest_meta, seal};
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

/// An engine that did not compare the checksums of some kind of page would answer what stands there: that is seen as
/// wrong data. Here the checksums are made right instead.
#[test]
fn decay_that_the_checksums_do_not_show() {
    for (kind, name) in [(2_u8, "leaves"), (4, "overflow runs")] {
        let plan = plans(7).into_iter().find(|plan| plan.kind == Kind::Large).unwrap();
        let story = tell(Plan { busy: false, cadence: plan.commits, ..plan });
        let last = story.history.ops.len();
        let image = Walk::new(&story.history).image(last, Fate::Kept, &mut Numbers(1));
        let (_, model) = exact(image.clone(), &story, last, true).unwrap_or_else(|wrong| panic!("{wrong}"));
        let size = plan.page_size as usize;
        let pages = (8192 / size..image.len() / size).map(|page| page * size);
        let mut wrong = 0;
        for page in pages.filter(|page| image[*page] == kind) {
            let mut image = image.clone();
            // The last byte that is not zero belongs to a value.
            let at = (page + 40..page + size).rfind(|at| image[*at] != 0).unwrap();
            image[at] ^= 0x10;
            let meta = newest_meta(&image);
            seal(&mut image, meta);
            // Pages that are free by now change nothing.
            let db = open(&Arc::new(MemFile::with_image(image)), size, 0).unwrap();
            match same(&db, &model, false) {
                Err(found) if found.contains("WRONG DATA") => wrong += 1,
                Err(other) => println!("{name}: {other}"),
                Ok(()) => {}
            }
        }
        assert!(wrong > 0, "changed {name} under a right checksum are wrong data");
    }
}
