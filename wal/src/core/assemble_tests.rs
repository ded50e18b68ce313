//! The assembler by itself: places, order of completion, and what a release may let go of.

use bytes::Bytes;

use super::*;
use crate::format::group::GroupHeader;
use crate::format::record::Record;

const BLOCK: u32 = 4096;
const SEGMENT: u64 = 8192 + 4 * 4096;

fn assembler() -> Assembler {
    let lap = Lap { number: 1, salt: 11 };
    let mut segments = Segments::default();
    segments.push(1, lap, SEGMENT);
    let start = Start {
        block: BLOCK,
        metadata: Bytes::from_static(b"m"),
        active: Active { sequence: 1, lap, offset: 8192, bytes: SEGMENT, empty: true },
        highest_lap: 1,
        next_group: 1,
        tail: Tail::new(LogStart::default(), 1),
        segments,
        sealed: true,
    };
    Assembler::new(start, 8192, false)
}

fn batch(first: u64, count: u64, len: usize, hard_state: bool) -> Item {
    let entry = |index| Entry { index, term: 1, kind: 0, data: Bytes::from(vec![1; len]) };
    let state = HardState { term: 1, vote: 1, commit: first + count - 1 };
    let batch = Batch {
        reset: None,
        entries: (first..first + count).map(entry).collect(),
        hard_state: hard_state.then_some(state),
    };
    Item::Batch(PendingBatch::new(batch, first + count - 1))
}

/// Fills the next group; its place, header and records.
fn fill(assembler: &mut Assembler, items: &mut VecDeque<Item>) -> (GroupWrite, GroupHeader, Vec<Record>) {
    let mut out = AlignedBuffer::default();
    let Fill::Group(write) = assembler.fill(items, &mut out) else { panic!("a group was due") };
    let lap = assembler.start.active.lap;
    let header = GroupHeader::decode(out.bytes(), lap).expect("it was just written");
    let end = HEADER_BYTES + header.payload_bytes as usize;
    let payload = Bytes::copy_from_slice(&out.bytes()[HEADER_BYTES..end]);
    assert!(header.matches(&payload, lap));
    (write, header, header.decode_records(payload).expect("it was just written"))
}

fn roll(assembler: &mut Assembler, items: &mut VecDeque<Item>) {
    assert_eq!(assembler.fill(items, &mut AlignedBuffer::default()), Fill::Roll);
    let header = assembler.next_header(12, SEGMENT);
    assembler.rolled(&header);
}

#[test]
fn a_group_is_all_that_waits_and_a_large_batch_is_split() {
    let mut assembler = assembler();
    let mut items: VecDeque<Item> = [batch(1, 2, 100, false), batch(3, 1, 100, true)].into();
    let (write, header, records) = fill(&mut assembler, &mut items);
    assert_eq!(write.place, Place { segment: 1, offset: 8192, bytes: 4096 });
    assert_eq!((header.number, header.durable_through, records.len()), (1, 0, 4));
    // Three entries of 3,000 bytes and a hard state: two fit a group of at most 8,192 bytes.
    items.push_back(batch(4, 3, 3000, true));
    let (write, _, records) = fill(&mut assembler, &mut items);
    assert_eq!((write.number, write.place.offset, write.place.bytes, records.len()), (2, 12288, 8192, 2));
    let (_, _, records) = fill(&mut assembler, &mut items);
    assert!(matches!(records[..], [Record::Entry(_), Record::HardState(_)]), "the hard state comes last");
    for number in 1..=2 {
        assembler.complete(number);
    }
    assert_eq!(assembler.take_ready(), Some(3), "the split batch is not durable yet");
    assembler.complete(3);
    assert_eq!(assembler.take_ready(), Some(6));
    assert_eq!(assembler.take_ready(), None);
}

#[test]
fn groups_are_durable_in_order_whatever_the_order_of_completion() {
    let mut assembler = assembler();
    let mut items: VecDeque<Item> = [batch(1, 1, 10, false)].into();
    fill(&mut assembler, &mut items);
    items.push_back(batch(2, 1, 10, false));
    let (_, second, _) = fill(&mut assembler, &mut items);
    assert_eq!(second.durable_through, 0, "the first is in flight");
    assert!(assembler.complete(2).durable.is_empty());
    assert_eq!((assembler.take_ready(), assembler.durable_through()), (None, 0));
    assert_eq!(assembler.complete(1).durable.len(), 2);
    assert_eq!((assembler.take_ready(), assembler.durable_through()), (Some(2), 2));
    items.push_back(batch(3, 1, 10, false));
    assert_eq!(fill(&mut assembler, &mut items).1.durable_through, 2);
}

#[test]
fn without_syncs_nothing_is_claimed() {
    let mut assembler = assembler();
    assembler.claims = false;
    for index in 1..=3 {
        let (write, header, _) = fill(&mut assembler, &mut [batch(index, 1, 10, false)].into());
        assert_eq!(header.durable_through, 0);
        assembler.complete(write.number);
        assert_eq!(assembler.take_ready(), Some(index), "tickets are reported all the same");
    }
    assert_eq!(assembler.next_header(1, SEGMENT).durable_through, 0);
    assert_eq!(assembler.fill_seal(&mut AlignedBuffer::default()), Fill::Nothing);
}

#[test]
fn a_new_segment_begins_with_the_hard_state() {
    let mut assembler = assembler();
    let mut items: VecDeque<Item> = [batch(1, 1, 8000, true), batch(2, 1, 8000, false)].into();
    fill(&mut assembler, &mut items);
    fill(&mut assembler, &mut items);
    items.push_back(batch(3, 1, 10, false));
    roll(&mut assembler, &mut items);
    let (write, _, records) = fill(&mut assembler, &mut items);
    assert_eq!((write.place.segment, write.place.offset), (2, 8192));
    assert!(matches!(records[..], [Record::HardState(HardState { commit: 1, .. }), Record::Entry(_)]));
}

/// The log fills two segments; the first may go only when a group of the second that carries the release is durable,
/// not when the release is merely known.
#[test]
fn a_segment_goes_when_its_release_is_durable_elsewhere() {
    let mut assembler = assembler();
    let mut items: VecDeque<Item> = [batch(1, 2, 8000, false)].into();
    for _ in 0..2 {
        let (write, ..) = fill(&mut assembler, &mut items);
        assembler.complete(write.number);
    }
    items.push_back(batch(3, 1, 10, false));
    roll(&mut assembler, &mut items);
    let (third, ..) = fill(&mut assembler, &mut items);
    items.push_back(Item::Release(2));
    items.push_back(batch(4, 1, 10, false));
    let (fourth, header, _) = fill(&mut assembler, &mut items);
    assert_eq!(header.released, LogStart { index: 2, term: 1 });
    assert!(assembler.complete(third.number).unneeded.is_empty(), "the release is not durable yet");
    let gone: Vec<u64> = assembler.complete(fourth.number).unneeded.iter().map(|s| s.sequence).collect();
    assert_eq!(gone, [1]);
}

#[test]
fn a_release_that_frees_a_segment_gets_a_group_of_its_own() {
    let mut assembler = assembler();
    let mut items: VecDeque<Item> = [batch(1, 3, 8000, false)].into();
    fill(&mut assembler, &mut items);
    fill(&mut assembler, &mut items);
    roll(&mut assembler, &mut items);
    fill(&mut assembler, &mut items);
    items.push_back(Item::Release(1));
    assert_eq!(assembler.fill(&mut items, &mut AlignedBuffer::default()), Fill::Nothing, "nothing is freed");
    items.push_back(Item::Release(2));
    let (write, header, records) = fill(&mut assembler, &mut items);
    assert_eq!((header.released.index, records.len()), (2, 0));
    assert_eq!(assembler.fill(&mut items, &mut AlignedBuffer::default()), Fill::Nothing, "once is enough");
    let gone: usize = (1..=write.number).map(|number| assembler.complete(number).unneeded.len()).sum();
    assert_eq!(gone, 1);
}

#[test]
fn a_seal_is_written_once_and_only_when_it_says_something() {
    let mut assembler = assembler();
    let mut out = AlignedBuffer::default();
    assert_eq!(assembler.fill_seal(&mut out), Fill::Nothing, "an empty log");
    let (first, ..) = fill(&mut assembler, &mut [batch(1, 1, 10, false)].into());
    assert_eq!(assembler.fill_seal(&mut out), Fill::Nothing, "a group is in flight");
    assembler.complete(first.number);
    let Fill::Group(seal) = assembler.fill_seal(&mut out) else { panic!("a seal was due") };
    assembler.complete(seal.number);
    assert_eq!(assembler.fill_seal(&mut AlignedBuffer::default()), Fill::Nothing, "it is sealed");
}
