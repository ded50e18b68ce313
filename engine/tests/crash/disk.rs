//! A disk that records what it is asked to do, and mutants of it that record something else.
//!
//! The engine always works on a file that behaves; only the record is bent. So a mutant is an engine that breaks
//! a rule, as far as a crash can tell.

use std::sync::{Arc, Mutex};

use holdfast_engine::file::{FileError, MemFile, PageFile};

/// Bytes of a meta page, and where the second one is.
pub const META_BYTES: usize = 4096;

/// Something that happened to the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    Write { offset: u64, data: Vec<u8> },
    SetLen { len: u64 },
    Sync,
}

impl Op {
    /// The mark of the meta page that this writes, if it writes one.
    pub fn meta_mark(&self) -> Option<u64> {
        match self {
            Self::Write { offset: 0 | 4096, data } if data.len() == META_BYTES => {
                Some(u64::from_le_bytes(data[24..32].try_into().unwrap()))
            }
            _ => None,
        }
    }
}

/// A rule that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// None.
    None,
    /// The pages are not synced before the meta page is written.
    NoFirstSync,
    /// The meta page is not synced before the checkpoint is reported.
    NoSecondSync,
    /// The first sync comes one write too early.
    SyncTooEarly,
    /// The meta page is written and synced before the pages that it leads to.
    MetaFirst,
    /// The meta page is always written to the same place.
    OneSlot,
    /// Every third checkpoint is taken for done though its meta page was never written: what the meta page before
    /// it holds is then used again.
    ReusesDurable,
    /// The file is cut into the pages that the durable root needs.
    CutsTooFar,
}

/// What runs while the disk syncs.
pub type During = Box<dyn FnMut() + Send>;

/// The disk.
pub struct Disk {
    file: MemFile,
    mutant: Mutant,
    record: Mutex<Record>,
    during_sync: Mutex<Option<During>>,
}

#[derive(Default)]
struct Record {
    ops: Vec<Op>,
    metas: usize,
    /// A meta page is being forgotten: so are its syncs.
    forgets: bool,
}

impl Disk {
    pub fn new(image: Vec<u8>, mutant: Mutant) -> Arc<Self> {
        let record = Mutex::default();
        Arc::new(Self { file: MemFile::with_image(image), mutant, record, during_sync: Mutex::default() })
    }

    /// Operations so far.
    pub fn operations(&self) -> usize {
        self.record.lock().unwrap().ops.len()
    }

    /// The mark of the newest meta page in the record.
    pub fn newest_meta_mark(&self) -> Option<u64> {
        self.record.lock().unwrap().ops.iter().rev().find_map(Op::meta_mark)
    }

    /// Everything that happened.
    pub fn take_record(&self) -> Vec<Op> {
        std::mem::take(&mut self.record.lock().unwrap().ops)
    }

    /// Has something happen at each sync from now on.
    pub fn during_sync(&self, during: Option<During>) {
        *self.during_sync.lock().unwrap() = during;
    }
}

impl Record {
    fn write(&mut self, mutant: Mutant, op: Op) {
        if op.meta_mark().is_none() {
            self.ops.push(op);
            return;
        }
        self.metas += 1;
        match (mutant, op) {
            (Mutant::ReusesDurable, _) if self.metas.is_multiple_of(3) => self.forgets = true,
            (Mutant::MetaFirst, meta) => {
                // The pages were synced just now: take them back, and put them behind the meta page.
                self.ops.pop();
                let at = self.ops.iter().rposition(|op| *op == Op::Sync).map_or(0, |at| at + 1);
                self.ops.splice(at..at, [meta, Op::Sync]);
            }
            (Mutant::OneSlot, Op::Write { data, .. }) => self.ops.push(Op::Write { offset: 0, data }),
            (_, op) => self.ops.push(op),
        }
    }

    fn sync(&mut self, mutant: Mutant) {
        let after_meta = self.ops.last().is_some_and(|op| op.meta_mark().is_some());
        let first = self.ops.iter().all(|op| *op != Op::Sync);
        let dropped = match mutant {
            _ if first => false,
            Mutant::NoFirstSync => !after_meta,
            Mutant::NoSecondSync => after_meta,
            _ => self.forgets && std::mem::take(&mut self.forgets),
        };
        if dropped {
            return;
        }
        let early = mutant == Mutant::SyncTooEarly && !first && !after_meta;
        self.ops.insert(self.ops.len() - usize::from(early), Op::Sync);
    }
}

impl PageFile for Disk {
    fn len(&self) -> u64 {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> Result<(), FileError> {
        let cut = self.mutant == Mutant::CutsTooFar && len < self.len();
        self.file.set_len(len)?;
        let len = if cut { len / 8 } else { len };
        self.record.lock().unwrap().ops.push(Op::SetLen { len });
        Ok(())
    }

    fn bytes(&self, offset: u64, len: usize) -> Result<&[u8], FileError> {
        self.file.bytes(offset, len)
    }

    fn write_at(&self, offset: u64, parts: &[&[u8]]) -> Result<(), FileError> {
        self.file.write_at(offset, parts)?;
        self.record.lock().unwrap().write(self.mutant, Op::Write { offset, data: parts.concat() });
        Ok(())
    }

    fn sync(&self) -> Result<(), FileError> {
        self.file.sync()?;
        self.record.lock().unwrap().sync(self.mutant);
        if let Some(work) = &mut *self.during_sync.lock().unwrap() {
            work();
        }
        Ok(())
    }

    fn name(&self) -> String {
        "simulated disk".to_owned()
    }
}
