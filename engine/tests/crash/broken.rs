//! Disks that break their promises: right answers, or faults that are named.
//!
//! - **A lying sync**: it is reported, and some of the writes before it never arrive, while later ones do. Lost pages
//!   are found by their checksums. A lost meta page leaves the file in an older state, whole as it stands; then the
//!   caller, whose log says from where it can replay, must compare, and refuses a gap.
//! - **A stray write** lands at another place of the file: the page that should be there is stale, and the one that was
//!   there is gone. Both are found by their checksums. A meta page that lands in the other slot is the newest state all
//!   the same.
//! - **Decay**: bits flip in what was synced.
//!
//! What nobody can promise: that a stray write is found in the process that wrote it, before it reads the page from
//! the disk again.

use crate::common::Numbers;
use crate::disk::{META_BYTES, Op};
use crate::image::{Fate, Walk, apply, put, survive};
use crate::judge::{Verdict, Wrong, tolerant};
use crate::scale::{BROKEN, Tally, images, seed};
use crate::story::{Story, plans, tell};

/// Judges an image, with the log cut at once where a checkpoint was promised, or a checkpoint later.
fn judge(story: &Story, image: Vec<u8>, crash: usize, late: bool, tally: &mut Tally) -> Result<(), Wrong> {
    let promised = story.history.promised(crash);
    let before = story.history.promises.iter().map(|(_, mark)| *mark).rfind(|mark| *mark < promised);
    let log_start = if late { before.unwrap_or(story.history.base_mark) } else { promised };
    tally.images += 1;
    match tolerant(image, story, log_start)? {
        Verdict::Whole { mark } if mark >= promised => tally.newest += 1,
        Verdict::Whole { mark } => {
            assert!(mark >= log_start, "the judge refuses what the log does not reach");
            tally.older += 1;
        }
        Verdict::RefusedAtOpen(what) => {
            if !what.contains("simulated") && !what.contains("file in memory") {
                return Err(format!("the refusal does not name the file: {what}"));
            }
            tally.refused_at_open += 1;
        }
        Verdict::RefusedByLog { mark } => {
            assert!(mark < log_start);
            tally.refused_by_log += 1;
        }
        Verdict::Faults { .. } => tally.refused_pages += 1,
    }
    Ok(())
}

/// Runs `each` on stories until the family has its share of images.
fn family(
    name: &str,
    share: usize,
    per_story: usize,
    mut each: impl FnMut(&Story, &mut Numbers, &mut Tally) -> Result<(), Wrong>,
) -> Tally {
    let (goal, mut tally, mut round) = (images(share), Tally::default(), 0);
    'all: loop {
        for plan in plans(seed() + 500 + round) {
            let story = tell(plan);
            let mut numbers = Numbers(plan.seed ^ 0xbad);
            for n in 0..per_story {
                if let Err(wrong) = each(&story, &mut numbers, &mut tally) {
                    panic!(
                        "{wrong}\n  {name}, image {n} of {plan:?}\n  HOLDFAST_CRASH_SEED={}",
                        seed() + round
                    );
                }
            }
            if round > 0 && tally.images >= goal {
                break 'all;
            }
        }
        round += 1;
        if tally.images >= goal {
            break;
        }
    }
    tally.tell(name);
    assert!(tally.images >= goal);
    tally
}

#[test]
fn syncs_that_are_reported_and_do_not_happen() {
    let tally = family("lying disk", BROKEN / 3, 48, |story, numbers, tally| {
        let ops = &story.history.ops;
        let syncs: Vec<usize> = (0..ops.len()).filter(|&at| ops[at] == Op::Sync).collect();
        // The first one ends the creation; a file that was never created is the business of `honest`.
        let lying = 1 + numbers.below(syncs.len() as u64 - 1) as usize;
        let (from, to) = (syncs[lying - 1], syncs[lying]);
        let crash = to + 1 + numbers.below((ops.len() - to) as u64) as usize;
        let honest = syncs.iter().rfind(|&&at| at < crash && at != to).map_or(to, |&at| at.max(to));
        let mut image = story.history.base.clone();
        ops[..from].iter().for_each(|op| apply(&mut image, op));
        let fate = [Fate::Lost, Fate::Sectors, Fate::Pages][numbers.below(3) as usize];
        survive(&mut image, &ops[from..to], fate, story.history.page_size, numbers);
        ops[to..honest].iter().for_each(|op| apply(&mut image, op));
        survive(&mut image, &ops[honest..crash], Fate::Sectors, story.history.page_size, numbers);
        let late = numbers.below(2) == 0;
        judge(story, image, crash, late, tally)
            .map_err(|wrong| format!("{wrong}\n  the sync at {to} lied ({fate:?}), crash after {crash}"))
    });
    assert!(
        tally.refused_by_log > 0 && tally.refused_pages > 0 && tally.refused_at_open > 0 && tally.older > 0
    );
}

#[test]
fn writes_that_land_elsewhere() {
    let tally = family("stray writes", BROKEN / 3, 48, |story, numbers, tally| {
        let ops = &story.history.ops;
        let first = ops.iter().position(|op| *op == Op::Sync).unwrap() + 1;
        let writes: Vec<usize> =
            (first..ops.len()).filter(|&at| matches!(ops[at], Op::Write { .. })).collect();
        let stray = writes[numbers.below(writes.len() as u64) as usize];
        let mut image = story.history.base.clone();
        let crash = stray + 1 + numbers.below(((ops.len() - stray) as u64).min(40)) as usize;
        let mut landed = 0;
        for (at, op) in ops[..crash].iter().enumerate() {
            match op {
                Op::Write { data, .. } if at == stray => {
                    landed = elsewhere(image.len(), data.len(), story.history.page_size, numbers);
                    put(&mut image, landed, data);
                }
                op => apply(&mut image, op),
            }
        }
        let late = numbers.below(2) == 0;
        judge(story, image, crash, late, tally)
            .map_err(|wrong| format!("{wrong}\n  write {stray} landed at {landed}, crash after {crash}"))
    });
    assert!(tally.refused_pages > 0 && tally.refused_at_open > 0 && tally.newest > 0);
}

/// Another place for a write: a sector, a page, or one of the meta pages.
fn elsewhere(file: usize, bytes: usize, page_size: usize, numbers: &mut Numbers) -> usize {
    let unit = if numbers.below(2) == 0 { page_size } else { 512 };
    // Most of what is in use stands at the front.
    let range = if numbers.below(4) == 0 { file } else { file.min(64 << 10) };
    let last = range.saturating_sub(bytes) / unit;
    match numbers.below(8) {
        0 => 0,
        1 => META_BYTES,
        _ => numbers.below(last as u64 + 1) as usize * unit,
    }
}

#[test]
fn bits_that_flip_in_what_was_synced() {
    let tally = family("decay", BROKEN / 3, 48, |story, numbers, tally| {
        let ops = &story.history.ops;
        let first = ops.iter().position(|op| *op == Op::Sync).unwrap() + 1;
        let crash = first + numbers.below((ops.len() - first) as u64 + 1) as usize;
        let fate = if numbers.below(2) == 0 { Fate::Lost } else { Fate::Kept };
        let mut image = Walk::new(&story.history).image(crash, fate, numbers);
        let used = image.iter().rposition(|&byte| byte != 0).unwrap() + 1;
        let mut flipped = Vec::new();
        for _ in 0..=numbers.below(4) {
            // Every eighth in a meta page.
            let range = if numbers.below(8) == 0 { 2 * META_BYTES } else { used };
            let at = numbers.below(range as u64) as usize;
            image[at] ^= 1 << numbers.below(8);
            flipped.push(at);
        }
        let late = numbers.below(2) == 0;
        judge(story, image, crash, late, tally).map_err(|wrong| {
            format!("{wrong}\n  flipped bits in bytes {flipped:?}, crash after {crash}, {fate:?}")
        })
    });
    assert!(tally.refused_pages > 0 && tally.refused_at_open > 0 && tally.newest > 0 && tally.older > 0);
}
