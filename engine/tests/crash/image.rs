//! What a crash can leave of a recorded history.

use crate::common::Numbers;
use crate::disk::{META_BYTES, Op};

/// The smallest piece of a write that a disk keeps or loses as a whole.
pub const SECTOR_BYTES: usize = 512;

/// A file, what happened to it, and what its engine promised.
pub struct History {
    pub base: Vec<u8>,
    pub ops: Vec<Op>,
    pub page_size: usize,
    /// The mark of the state in the base.
    pub base_mark: u64,
    /// After so many operations the engine has said that this mark is durable.
    pub promises: Vec<(usize, u64)>,
}

/// What becomes of the writes that no sync covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// None of them arrived.
    Lost,
    /// All of them arrived.
    Kept,
    /// Each sector by chance.
    Sectors,
    /// Each page by chance.
    Pages,
    /// They arrived in another order, as far as the crash let them; the last one is torn at a sector.
    ShuffledSectors,
    /// The same, torn at a page.
    ShuffledPages,
}

impl Fate {
    pub const BY_CHANCE: [Self; 4] = [Self::Sectors, Self::Pages, Self::ShuffledSectors, Self::ShuffledPages];
}

/// Goes through the prefixes of a history from the first to the last.
pub struct Walk<'h> {
    history: &'h History,
    /// The base with everything that a sync covers.
    synced: Vec<u8>,
    /// Operations in it.
    covered: usize,
}

impl<'h> Walk<'h> {
    pub fn new(history: &'h History) -> Self {
        Self { history, synced: history.base.clone(), covered: 0 }
    }

    /// What a crash after the first `crash` operations leaves; `crash` does not go back from call to call.
    pub fn image(&mut self, crash: usize, fate: Fate, numbers: &mut Numbers) -> Vec<u8> {
        let ops = &self.history.ops[..crash];
        let sync = ops.iter().rposition(|op| *op == Op::Sync).map_or(0, |at| at + 1);
        for op in &ops[self.covered.min(sync)..sync] {
            apply(&mut self.synced, op);
        }
        self.covered = self.covered.max(sync);
        let mut image = self.synced.clone();
        survive(&mut image, &ops[sync..], fate, self.history.page_size, numbers);
        image
    }
}

/// Puts `bytes` at a place, making the file longer when it must be.
pub fn put(image: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if image.len() < end {
        image.resize(end, 0);
    }
    image[offset..end].copy_from_slice(bytes);
}

/// An operation that arrived.
pub fn apply(image: &mut Vec<u8>, op: &Op) {
    match op {
        Op::Write { offset, data } => put(image, *offset as usize, data),
        Op::SetLen { len } => image.resize(*len as usize, 0),
        Op::Sync => {}
    }
}

/// The pieces of a write that are kept or lost as wholes.
fn pieces(offset: u64, data: &[u8], unit: usize) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let place = offset as usize + at;
        let bytes = (unit - place % unit).min(data.len() - at);
        let piece = &data[at..at + bytes];
        at += bytes;
        (bytes > 0).then_some((place, piece))
    })
}

/// Applies what is left of operations that no sync covers.
pub fn survive(image: &mut Vec<u8>, ops: &[Op], fate: Fate, page_size: usize, numbers: &mut Numbers) {
    // Tearing "at a page" keeps pages whole; a sector is the least in any case.
    let unit = match fate {
        Fate::Pages | Fate::ShuffledPages => page_size.max(SECTOR_BYTES),
        _ => SECTOR_BYTES,
    };
    match fate {
        Fate::Lost => {}
        Fate::Kept => ops.iter().for_each(|op| apply(image, op)),
        Fate::Sectors | Fate::Pages => {
            let per_mille = [30, 200, 500, 800, 970][numbers.below(5) as usize];
            for op in ops {
                let mut kept = || numbers.below(1000) < per_mille;
                if let Op::Write { offset, data } = op {
                    pieces(*offset, data, unit)
                        .filter(|_| kept())
                        .for_each(|(at, piece)| put(image, at, piece));
                } else if kept() {
                    apply(image, op);
                }
            }
        }
        Fate::ShuffledSectors | Fate::ShuffledPages => {
            let mut order: Vec<&Op> = ops.iter().collect();
            for n in (1..order.len()).rev() {
                order.swap(n, numbers.below(n as u64 + 1) as usize);
            }
            let arrived = numbers.below(order.len() as u64 + 1) as usize;
            for op in &order[..arrived] {
                apply(image, op);
            }
            if let Some(Op::Write { offset, data }) = order.get(arrived) {
                let all = pieces(*offset, data, unit).count() as u64;
                let front = numbers.below(all + 1) as usize;
                pieces(*offset, data, unit).take(front).for_each(|(at, piece)| put(image, at, piece));
            }
        }
    }
}

impl History {
    /// What the engine had promised to keep, when the crash came.
    pub fn promised(&self, crash: usize) -> u64 {
        let made = self.promises.iter().rev().find(|(ops, _)| *ops <= crash);
        made.map_or(self.base_mark, |(_, mark)| *mark)
    }

    /// The mark that the image of a crash must be opened with: that of the newest meta page that stands whole in it.
    /// An error when that is less than was promised.
    pub fn expected(&self, image: &[u8], crash: usize) -> Result<u64, String> {
        let whole = |op: &Op| match (op.meta_mark(), op) {
            (Some(mark), Op::Write { offset, data }) => {
                let at = *offset as usize;
                (image.get(at..at + META_BYTES) == Some(data)).then_some(mark)
            }
            _ => None,
        };
        let newest = self.ops[..crash].iter().rev().find_map(whole).unwrap_or(self.base_mark);
        let promised = self.promised(crash);
        if newest < promised {
            return Err(format!(
                "mark {promised} was promised, and the newest whole meta page has mark {newest}"
            ));
        }
        Ok(newest)
    }
}
