//! What a stream sends: `WatchResponse`, with its events as ready-made bytes.

use bytes::Bytes;
use holdfast_proto::etcdserverpb as pb;
use prost::Message as _;
use smallvec::SmallVec;

/// Events of a response as fields of the message, in order. Most responses carry one.
pub(super) type Frames = SmallVec<[Bytes; 1]>;

/// Who answers, and in which term: the part of a response's header that the hub does not decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Identity {
    /// The cluster.
    pub cluster_id: u64,
    /// This member.
    pub member_id: u64,
    /// Its current term.
    pub raft_term: u64,
}

/// What a response says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The watcher was made.
    Created,
    /// The watcher was not made, for this reason.
    Refused(&'static str),
    /// The watcher has ended because the client wanted it.
    Canceled,
    /// The watcher has ended: events that it was still to be given have gone with the compaction to this revision.
    Compacted(i64),
    /// Everything up to the response's revision has been sent.
    Progress,
    /// Events, of which more follow in the next response if `fragment` is set.
    Events {
        /// Whether what belongs together was cut here.
        fragment: bool,
    },
}

/// One response of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The watcher; −1 for the whole stream, or for a watcher that was not made.
    pub watch_id: i64,
    /// Revision in the header.
    pub revision: i64,
    /// What it says.
    pub what: What,
    events: Frames,
}

/// What an event in a queue costs beside its own bytes, which it may share with other responses.
const HANDLE_BYTES: usize = size_of::<Bytes>();

impl Response {
    pub(super) fn new(watch_id: i64, revision: i64, what: What) -> Self {
        Self { watch_id, revision, what, events: Frames::new() }
    }

    pub(super) fn events(watch_id: i64, revision: i64, events: Frames) -> Self {
        Self { watch_id, revision, what: What::Events { fragment: false }, events }
    }

    /// The events in wire form: pieces that follow the bytes of [`Response::head`], in order.
    pub fn frames(&self) -> &[Bytes] {
        &self.events
    }

    /// Bytes that it keeps alive while it waits.
    pub fn held_bytes(&self) -> usize {
        self.events.iter().map(|event| event.len() + HANDLE_BYTES).sum()
    }

    /// The message up to its events, in wire form.
    pub fn head(&self, who: Identity) -> Vec<u8> {
        self.message(who).encode_to_vec()
    }

    /// Length of the whole message in wire form.
    pub fn encoded_len(&self, who: Identity) -> usize {
        self.message(who).encoded_len() + self.events.iter().map(Bytes::len).sum::<usize>()
    }

    fn message(&self, who: Identity) -> pb::WatchResponse {
        let header = pb::ResponseHeader {
            cluster_id: who.cluster_id,
            member_id: who.member_id,
            revision: self.revision,
            raft_term: who.raft_term,
        };
        let mut message = pb::WatchResponse {
            header: Some(header),
            watch_id: self.watch_id,
            ..pb::WatchResponse::default()
        };
        match self.what {
            What::Created => message.created = true,
            What::Refused(reason) => {
                message.created = true;
                message.canceled = true;
                reason.clone_into(&mut message.cancel_reason);
            }
            What::Canceled => message.canceled = true,
            What::Compacted(revision) => {
                message.canceled = true;
                message.compact_revision = revision;
            }
            What::Progress => {}
            What::Events { fragment } => message.fragment = fragment,
        }
        message
    }

    /// Cuts a response whose encoded length reaches `limit` into parts that stay below it, of one event at least; all but
    /// the last are marked as fragments. A smaller one, or one of a single event, comes back as it is.
    pub(super) fn cut(self, limit: usize, who: Identity) -> impl Iterator<Item = Self> {
        let cut = self.events.len() > 1 && self.encoded_len(who) >= limit;
        let head = Self::new(self.watch_id, self.revision, What::Events { fragment: true });
        // The length of a head does not depend on its events; a whole response never meets the limit.
        let (head_len, limit) = if cut { (head.encoded_len(who), limit) } else { (0, usize::MAX) };
        let mut rest = self.events.into_iter().peekable();
        std::iter::from_fn(move || {
            let first = rest.next()?;
            let mut len = head_len + first.len();
            let mut part = Frames::from_elem(first, 1);
            while let Some(event) = rest.next_if(|event| len + event.len() < limit) {
                len += event.len();
                part.push(event);
            }
            let what = What::Events { fragment: rest.peek().is_some() };
            Some(Self { what, events: part, ..head.clone() })
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const WHO: Identity = Identity { cluster_id: u64::MAX, member_id: 3, raft_term: 9 };

    fn decoded(response: &Response) -> pb::WatchResponse {
        let mut wire = response.head(WHO);
        response.frames().iter().for_each(|frame| wire.extend_from_slice(frame));
        assert_eq!(wire.len(), response.encoded_len(WHO));
        pb::WatchResponse::decode(wire.as_slice()).unwrap()
    }

    #[test]
    fn every_kind_is_a_message_of_etcd() {
        let header = pb::ResponseHeader { cluster_id: u64::MAX, member_id: 3, revision: 7, raft_term: 9 };
        let plain = pb::WatchResponse { header: Some(header), watch_id: 5, ..Default::default() };
        let wire = |what| decoded(&Response::new(5, 7, what));
        assert_eq!(wire(What::Created), pb::WatchResponse { created: true, ..plain.clone() });
        assert_eq!(wire(What::Canceled), pb::WatchResponse { canceled: true, ..plain.clone() });
        assert_eq!(wire(What::Progress), plain);
        let refused =
            pb::WatchResponse { created: true, canceled: true, cancel_reason: "no".into(), ..plain.clone() };
        assert_eq!(wire(What::Refused("no")), refused);
        let compacted = pb::WatchResponse { canceled: true, compact_revision: 4, ..plain.clone() };
        assert_eq!(wire(What::Compacted(4)), compacted);
        assert_eq!(
            wire(What::Events { fragment: true }),
            pb::WatchResponse { fragment: true, ..plain.clone() }
        );
    }

    /// An event of `len` bytes, tag and length included.
    fn event(len: usize) -> Bytes {
        Bytes::from(vec![0; len])
    }

    fn parts(lens: &[usize], limit: usize) -> Vec<(Vec<usize>, bool)> {
        let events = lens.iter().map(|len| event(*len)).collect();
        Response::events(1, 1, events)
            .cut(limit, WHO)
            .map(|part| {
                let fragment = matches!(part.what, What::Events { fragment: true });
                (part.frames().iter().map(Bytes::len).collect(), fragment)
            })
            .collect()
    }

    #[test]
    fn parts_stay_below_the_limit() {
        let head = Response::new(1, 1, What::Events { fragment: true }).encoded_len(WHO);
        assert_eq!(parts(&[100, 100], 10_000), [(vec![100, 100], false)]);
        assert_eq!(parts(&[20_000], 10_000), [(vec![20_000], false)], "one event is never cut");
        assert_eq!(
            parts(&[20_000, 20_000], 10_000),
            [(vec![20_000], true), (vec![20_000], false)],
            "each part has an event"
        );
        // Exactly at the limit is over it.
        assert_eq!(parts(&[100, 100, 2], head + 200), [(vec![100], true), (vec![100, 2], false)]);
        assert_eq!(parts(&[100, 99, 3], head + 200), [(vec![100, 99], true), (vec![3], false)]);
        // The whole does not carry the mark, which makes it two bytes shorter.
        assert_eq!(parts(&[100, 100], head + 199), [(vec![100, 100], false)]);
        assert_eq!(parts(&[100, 100], head + 198), [(vec![100], true), (vec![100], false)]);
    }

    #[test]
    fn five_megabytes_make_three_parts() {
        let million = 1_000_030;
        let limit = holdfast_proto::limits::MAX_RECEIVE_BYTES;
        let expected = [(vec![million; 2], true), (vec![million; 2], true), (vec![million], false)];
        assert_eq!(parts(&[million; 5], limit), expected);
    }
}
