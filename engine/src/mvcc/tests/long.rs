//! Reads in chunks with everything else going on between the chunks: writes, deletions, compaction and its steps.
//!
//! What such a read must give is written down from the model when it begins. It must give just that, or say that it
//! has outlived its limit; and it must not say so before its time.

use super::model::Model;
use super::ops::{Long, ReadSpec};
use crate::mvcc::{
    CheckWalk, CompactionSpan, HashWalk, HeldRecords, MvccError, RangeStream, RecordChunk, Store, View, trees,
};
use bytes::Bytes;

/// Ticks that a read may live. One more breaks it.
const LIMIT: u64 = 2;

type Record = (Vec<u8>, Vec<u8>);

#[derive(Default)]
pub(super) struct LongReads(Vec<Read>);

struct Read {
    ticks: u64,
    kind: Kind,
}

enum Kind {
    Stream {
        stream: RangeStream,
        chunk_bytes: usize,
        expected: Vec<Vec<u8>>,
        got: Vec<Bytes>,
    },
    Hash {
        walk: HashWalk,
        expected: (u32, i64, i64),
    },
    Records {
        held: HeldRecords,
        chunk_bytes: usize,
        expected: Vec<Record>,
        walks: usize,
    },
    /// It holds nothing back, so it has no limit either.
    Check(CheckWalk),
}

/// What came of a chunk.
enum Chunk {
    More,
    Done,
    Outlived,
}

impl LongReads {
    pub(super) fn begin(&mut self, store: &Store, model: &Model, revision: i64, long: &Long) {
        let kind = match long {
            Long::Stream(spec, chunk_bytes) => stream(store, model, revision, spec, *chunk_bytes),
            Long::Hash => {
                let walk = store.hash_kv(revision, LIMIT).unwrap();
                Kind::Hash { walk, expected: (model.hash(revision), model.compacted, revision) }
            }
            Long::Check => Kind::Check(store.check_in_chunks()),
            Long::Records(chunk_bytes) => {
                let (view, held) = store.hold_records(LIMIT).unwrap();
                assert_eq!(held.revision(), model.revision);
                Kind::Records { held, chunk_bytes: *chunk_bytes, expected: all_records(&view), walks: 0 }
            }
        };
        // A hash that a compaction has left may be of another compaction; that is compared where it is made.
        if let Kind::Hash { walk, expected } = &kind
            && let Some(known) = walk.known()
        {
            assert_eq!(known.hash_revision, expected.2);
            return;
        }
        self.0.push(Read { ticks: 0, kind });
    }

    pub(super) fn begin_compaction_hash(&mut self, store: &Store, model: &Model, span: CompactionSpan) {
        let walk = store.hash_compaction(span, LIMIT).unwrap();
        let expected = (model.compaction_hash(span.from, span.to), span.from, span.to);
        self.0.push(Read { ticks: 0, kind: Kind::Hash { walk, expected } });
    }

    /// The next chunk of one of them.
    pub(super) fn go_on(&mut self, number: usize) {
        let Some(index) = number.checked_rem(self.0.len()) else { return };
        let read = &mut self.0[index];
        let is_old = read.ticks > LIMIT && !matches!(read.kind, Kind::Check(_));
        match read.kind.next_chunk() {
            // One that needs no further root has no age.
            Chunk::Done => drop(self.0.swap_remove(index)),
            Chunk::More => assert!(!is_old),
            Chunk::Outlived => {
                assert!(is_old);
                self.0.swap_remove(index);
            }
        }
    }

    pub(super) fn give_up(&mut self, number: usize) {
        if let Some(index) = number.checked_rem(self.0.len()) {
            self.0.swap_remove(index);
        }
    }

    pub(super) fn give_up_all(&mut self) {
        self.0.clear();
    }

    /// Reads all of them to their ends.
    pub(super) fn finish(&mut self) {
        while !self.0.is_empty() {
            self.go_on(0);
        }
    }

    pub(super) fn tick(&mut self, store: &Store) {
        store.tick_holds();
        for read in &mut self.0 {
            read.ticks += 1;
        }
    }
}

fn stream(store: &Store, model: &Model, revision: i64, spec: &ReadSpec, chunk_bytes: usize) -> Kind {
    let query = spec.query(revision);
    let expected = model.range(&query);
    let stream = store.range_stream(&query, LIMIT).unwrap();
    assert_eq!((stream.count(), stream.more()), (expected.count, expected.more), "{query:?}");
    assert_eq!(stream.kvs(), expected.kvs.len() as u64);
    let bytes: usize = expected.kvs.iter().map(Vec::len).sum();
    assert_eq!(stream.wire_bytes(), bytes as u64);
    Kind::Stream { stream, chunk_bytes, expected: expected.kvs, got: Vec::new() }
}

fn all_records(view: &View) -> Vec<Record> {
    let entries = view.aux_entries(trees::RECORDS).unwrap();
    entries.map(|entry| entry.unwrap()).map(|(key, wire)| (key.into(), wire.into())).collect()
}

impl Kind {
    fn next_chunk(&mut self) -> Chunk {
        match self {
            Self::Stream { stream, chunk_bytes, expected, got } => {
                let chunk = outlived(stream.next_chunk(*chunk_bytes));
                let Ok(chunk) = chunk else { return Chunk::Outlived };
                let Some(chunk) = chunk else {
                    assert_eq!(got, expected);
                    return Chunk::Done;
                };
                assert!(!chunk.is_empty());
                got.extend(chunk);
                Chunk::More
            }
            Self::Hash { walk, expected } => match outlived(walk.step()) {
                Err(()) => Chunk::Outlived,
                Ok(None) => Chunk::More,
                Ok(Some(hash)) => {
                    assert_eq!((hash.hash, hash.compact_revision, hash.hash_revision), *expected);
                    Chunk::Done
                }
            },
            Self::Check(walk) => {
                let Some(report) = walk.step().unwrap() else { return Chunk::More };
                assert!(report.is_clean(), "{:#?}", report.faults);
                Chunk::Done
            }
            Self::Records { held, chunk_bytes, expected, walks } => {
                // Each walk is a chunk here: a walk borrows what it walks over.
                let mut walk = if *walks == 0 { held.walk() } else { held.last_walk() };
                let (mut chunk, mut got) = (RecordChunk::default(), Vec::<Record>::new());
                loop {
                    match outlived(walk.next_chunk(&mut chunk, *chunk_bytes)) {
                        Err(()) => return Chunk::Outlived,
                        Ok(false) => break,
                        Ok(true) => got.extend(chunk.iter().map(|(key, wire)| (key.into(), wire.into()))),
                    }
                }
                assert_eq!(got, *expected);
                *walks += 1;
                if *walks < 2 { Chunk::More } else { Chunk::Done }
            }
        }
    }
}

fn outlived<T>(result: Result<T, MvccError>) -> Result<T, ()> {
    match result {
        Ok(value) => Ok(value),
        Err(MvccError::Outlived { .. }) => Err(()),
        Err(other) => panic!("{other}"),
    }
}
