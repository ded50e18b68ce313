//! The records inside a group: each has a type and a length before its body.
//!
//! ```text
//! type u8 | kind u8 | zero u16 | body length u32 | body
//! entry 1: kind = the caller's; body = index u64, term u64, data
//! hard state 2: body = term u64, vote u64, commit u64
//! reset 3: body = index u64, term u64
//! ```

use bytes::Bytes;

use super::{get_u32, get_u64};
use crate::types::{Entry, HardState, LogStart};

/// Type, kind, padding, length.
const PREFIX_BYTES: usize = 8;
/// Index and term before an entry's data.
const ENTRY_FIXED_BYTES: usize = 16;
/// Bytes of a hard state's record.
pub(crate) const HARD_STATE_BYTES: usize = PREFIX_BYTES + 24;
/// Bytes of a reset's record.
pub(crate) const RESET_BYTES: usize = PREFIX_BYTES + 16;

const TYPE_ENTRY: u8 = 1;
const TYPE_HARD_STATE: u8 = 2;
const TYPE_RESET: u8 = 3;

/// Bytes of an entry's record.
pub(crate) fn entry_bytes(data: usize) -> usize {
    PREFIX_BYTES + ENTRY_FIXED_BYTES + data
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    /// An entry of the replicated log.
    Entry(Entry),
    /// The hard state from here on.
    HardState(HardState),
    /// All entries are void; the log starts anew behind this place.
    Reset(LogStart),
}

/// What is before an entry's data.
pub(crate) fn entry_prefix(entry: &Entry) -> [u8; PREFIX_BYTES + ENTRY_FIXED_BYTES] {
    let mut out = [0; PREFIX_BYTES + ENTRY_FIXED_BYTES];
    out[0] = TYPE_ENTRY;
    out[1] = entry.kind;
    out[4..8].copy_from_slice(&((ENTRY_FIXED_BYTES + entry.data.len()) as u32).to_le_bytes());
    out[8..16].copy_from_slice(&entry.index.to_le_bytes());
    out[16..24].copy_from_slice(&entry.term.to_le_bytes());
    out
}

/// The record of a hard state.
pub(crate) fn hard_state(state: &HardState) -> [u8; HARD_STATE_BYTES] {
    let mut out = [0; HARD_STATE_BYTES];
    out[0] = TYPE_HARD_STATE;
    out[4..8].copy_from_slice(&24u32.to_le_bytes());
    out[8..16].copy_from_slice(&state.term.to_le_bytes());
    out[16..24].copy_from_slice(&state.vote.to_le_bytes());
    out[24..32].copy_from_slice(&state.commit.to_le_bytes());
    out
}

/// The record of a reset.
pub(crate) fn reset(start: LogStart) -> [u8; RESET_BYTES] {
    let mut out = [0; RESET_BYTES];
    out[0] = TYPE_RESET;
    out[4..8].copy_from_slice(&16u32.to_le_bytes());
    out[8..16].copy_from_slice(&start.index.to_le_bytes());
    out[16..24].copy_from_slice(&start.term.to_le_bytes());
    out
}

/// Reads all records of a payload. Entries share its memory. An error is a sentence about what is wrong.
pub(crate) fn decode_all(mut payload: Bytes, count: u32) -> Result<Vec<Record>, &'static str> {
    // The count is not trusted for the allocation: a record takes at least its prefix.
    let mut records = Vec::with_capacity((count as usize).min(payload.len() / PREFIX_BYTES));
    while !payload.is_empty() {
        records.push(decode_one(&mut payload)?);
    }
    if records.len() != count as usize {
        return Err("the number of records is not the one in the header");
    }
    Ok(records)
}

/// Takes one record off the front.
fn decode_one(payload: &mut Bytes) -> Result<Record, &'static str> {
    if payload.len() < PREFIX_BYTES {
        return Err("a record is cut short");
    }
    let (tag, kind, body_len) = (payload[0], payload[1], get_u32(payload, 4) as usize);
    if body_len > payload.len() - PREFIX_BYTES {
        return Err("a record is longer than its group");
    }
    let mut body = payload.split_to(PREFIX_BYTES + body_len).split_off(PREFIX_BYTES);
    match (tag, body_len) {
        (TYPE_ENTRY, ENTRY_FIXED_BYTES..) => {
            let (index, term) = (get_u64(&body, 0), get_u64(&body, 8));
            Ok(Record::Entry(Entry { index, term, kind, data: body.split_off(ENTRY_FIXED_BYTES) }))
        }
        (TYPE_HARD_STATE, 24) => Ok(Record::HardState(HardState {
            term: get_u64(&body, 0),
            vote: get_u64(&body, 8),
            commit: get_u64(&body, 16),
        })),
        (TYPE_RESET, 16) => Ok(Record::Reset(LogStart { index: get_u64(&body, 0), term: get_u64(&body, 8) })),
        (TYPE_ENTRY | TYPE_HARD_STATE | TYPE_RESET, _) => Err("a record has an impossible length"),
        _ => Err("a record has an unknown type"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn records_read_back_as_written() {
        let entry = Entry { index: 5, term: 2, kind: 1, data: Bytes::from_static(b"payload") };
        let empty = Entry { index: 6, term: 2, kind: 0, data: Bytes::new() };
        let state = HardState { term: 3, vote: 4, commit: 5 };
        let start = LogStart { index: 9, term: 8 };
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&reset(start));
        for e in [&entry, &empty] {
            bytes.extend_from_slice(&entry_prefix(e));
            bytes.extend_from_slice(&e.data);
        }
        bytes.extend_from_slice(&hard_state(&state));
        assert_eq!(bytes.len(), RESET_BYTES + entry_bytes(7) + entry_bytes(0) + HARD_STATE_BYTES);
        let records = decode_all(Bytes::from(bytes), 4).unwrap();
        let expected =
            [Record::Reset(start), Record::Entry(entry), Record::Entry(empty), Record::HardState(state)];
        assert_eq!(records, expected);
    }

    #[test]
    fn impossible_records_are_refused() {
        let state = hard_state(&HardState::default());
        let with = |at: usize, value: u8| {
            let mut bytes = state.to_vec();
            bytes[at] = value;
            decode_all(Bytes::from(bytes), 1)
        };
        assert!(with(0, 0).is_err(), "unknown type");
        assert!(with(0, 9).is_err(), "unknown type");
        assert!(with(4, 25).is_err(), "longer than the group");
        assert!(with(7, 255).is_err(), "far longer than the group");
        assert!(with(4, 8).is_err(), "an impossible length");
        assert!(decode_all(Bytes::copy_from_slice(&state), 2).is_err(), "wrong count");
        assert!(decode_all(Bytes::copy_from_slice(&state), u32::MAX).is_err(), "wrong count");
        assert!(decode_all(Bytes::copy_from_slice(&state[..31]), 1).is_err(), "cut");
        assert!(decode_all(Bytes::copy_from_slice(&state[..3]), 1).is_err(), "cut");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(0u8..32, 0..300), count: u32) {
            let _ = decode_all(Bytes::from(bytes), count);
        }
    }
}
