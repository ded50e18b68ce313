//! Range, answered by splicing stored bytes.
//!
//! The store keeps each version in the wire form of `mvccpb.KeyValue`. Decoding it into a message, only for the codec to
//! encode it again, would cost more than the read. So the method has a service of its own, whose encoder writes the
//! few fields around the stored bytes.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BufMut;
use holdfast_core::apply;
use holdfast_engine::mvcc::{MvccError, RangeResult};
use holdfast_proto::error::EtcdError;
use holdfast_proto::etcdserverpb as pb;
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint};
use tonic::codec::{Codec, EncodeBuf, Encoder};
use tonic::server::UnaryService;
use tonic::{Request, Response, Status};
use tonic_prost::ProstDecoder;
use tower::Service;

use super::{Services, checks};

/// The method's path.
pub(super) const PATH: &str = "/etcdserverpb.KV/Range";

/// Keys in a range from which on it is read on a thread of its own: page faults stall the thread that meets them, and a
/// long scan would hold up the requests beside it.
const INLINE_KEYS: i64 = 128;

/// Reads a range for a request: linearizable unless it asks not to be.
pub(super) async fn answer(
    services: &Services,
    request: &pb::RangeRequest,
) -> Result<(RangeResult, pb::ResponseHeader), Status> {
    checks::range(request)?;
    let member = services.member();
    if !request.serializable {
        member.read_barrier().await?;
    }
    let view = member.view()?;
    let header = member.header_at(view.revision());
    member.count_ranges(1);
    let result = if is_short(request) {
        view.range(&apply::range_query(request))
    } else {
        let request = request.clone();
        super::on_scan_thread(move || view.range(&apply::range_query(&request))).await?
    };
    match result {
        Ok(result) => Ok((result, header)),
        Err(MvccError::Compacted { .. }) => Err(EtcdError::Compacted.into()),
        Err(MvccError::FutureRevision { .. }) => Err(EtcdError::FutureRev.into()),
        Err(error) => Err(member.store_failed(error)),
    }
}

/// Whether a range reads few rows whatever the keys are: one key, a count at the current revision, or the first few keys
/// in their order. A sort or a filter looks at all of them.
pub(super) fn is_short(request: &pb::RangeRequest) -> bool {
    if request.range_end.is_empty() {
        return true;
    }
    if request.count_only {
        return request.revision <= 0;
    }
    let in_key_order = request.sort_target == pb::range_request::SortTarget::Key as i32
        && request.sort_order != pb::range_request::SortOrder::Descend as i32;
    let filters = [
        request.min_mod_revision,
        request.max_mod_revision,
        request.min_create_revision,
        request.max_create_revision,
    ];
    in_key_order && filters == [0; 4] && (1..=INLINE_KEYS).contains(&request.limit)
}

/// The tower service behind [`PATH`].
#[derive(Clone)]
pub(super) struct RangeService {
    services: Services,
    max_receive_bytes: usize,
}

impl RangeService {
    pub(super) fn new(services: Services, max_receive_bytes: usize) -> Self {
        Self { services, max_receive_bytes }
    }
}

type Answer = (RangeResult, pb::ResponseHeader);

impl UnaryService<pb::RangeRequest> for RangeService {
    type Response = Answer;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Answer>, Status>> + Send>>;

    fn call(&mut self, request: Request<pb::RangeRequest>) -> Self::Future {
        let services = self.services.clone();
        Box::pin(async move { answer(&services, request.get_ref()).await.map(Response::new) })
    }
}

impl Service<http::Request<axum::body::Body>> for RangeService {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<axum::body::Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(RangeCodec)
                .accept_compressed(tonic::codec::CompressionEncoding::Gzip)
                .max_decoding_message_size(service.max_receive_bytes);
            Ok(grpc.unary(service, request).await)
        })
    }
}

/// Decodes requests with prost; encodes answers by hand.
#[derive(Default)]
struct RangeCodec;

impl Codec for RangeCodec {
    type Encode = Answer;
    type Decode = pb::RangeRequest;
    type Encoder = RangeEncoder;
    type Decoder = ProstDecoder<pb::RangeRequest>;

    fn encoder(&mut self) -> RangeEncoder {
        RangeEncoder
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstDecoder::default()
    }
}

/// Field numbers of `RangeResponse`.
mod field {
    pub(super) const HEADER: u32 = 1;
    pub(super) const KVS: u32 = 2;
    pub(super) const MORE: u32 = 3;
    pub(super) const COUNT: u32 = 4;
}

struct RangeEncoder;

impl Encoder for RangeEncoder {
    type Item = Answer;
    type Error = Status;

    fn encode(&mut self, (result, header): Answer, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.reserve(encoded_len(&result, &header));
        write_response(&result, &header, out);
        Ok(())
    }
}

fn encoded_len(result: &RangeResult, header: &pb::ResponseHeader) -> usize {
    // A key of one byte and a length of at most ten around each part; the sum is a reservation, not a promise.
    const AROUND: usize = 11;
    let kvs: usize = result.kvs.iter().map(|kv| 1 + encoded_len_varint(kv.len() as u64) + kv.len()).sum();
    AROUND + header.encoded_len() + kvs + 2 + AROUND
}

/// Writes the fields of a `RangeResponse`, in ascending order and with zero values left out, as prost would.
fn write_response(result: &RangeResult, header: &pb::ResponseHeader, out: &mut impl BufMut) {
    encode_key(field::HEADER, WireType::LengthDelimited, out);
    encode_varint(header.encoded_len() as u64, out);
    header.encode_raw(out);
    for kv in &result.kvs {
        encode_key(field::KVS, WireType::LengthDelimited, out);
        encode_varint(kv.len() as u64, out);
        out.put_slice(kv);
    }
    if result.more {
        encode_key(field::MORE, WireType::Varint, out);
        encode_varint(1, out);
    }
    if result.count != 0 {
        encode_key(field::COUNT, WireType::Varint, out);
        encode_varint(result.count as u64, out);
    }
}

#[cfg(test)]
mod tests {
    use holdfast_engine::mvcc::KeyValue;

    use super::*;

    #[test]
    fn what_looks_at_all_keys_is_not_short() {
        use pb::range_request::{SortOrder, SortTarget};
        let page =
            pb::RangeRequest { key: "a".into(), range_end: "b".into(), limit: 1, ..Default::default() };
        assert!(is_short(&page));
        assert!(is_short(&pb::RangeRequest { range_end: "".into(), limit: 0, ..page.clone() }));
        assert!(is_short(&pb::RangeRequest { limit: 0, count_only: true, ..page.clone() }));
        let newest = (SortTarget::Mod as i32, SortOrder::Descend as i32);
        let long = [
            pb::RangeRequest { limit: 0, ..page.clone() },
            pb::RangeRequest { limit: INLINE_KEYS + 1, ..page.clone() },
            pb::RangeRequest { sort_target: newest.0, sort_order: newest.1, ..page.clone() },
            pb::RangeRequest { sort_order: newest.1, ..page.clone() },
            pb::RangeRequest { min_mod_revision: 5, ..page.clone() },
            pb::RangeRequest { count_only: true, revision: 5, ..page },
        ];
        for request in long {
            assert!(!is_short(&request), "{request:?}");
        }
    }

    #[test]
    fn spliced_bytes_are_those_of_the_message() {
        let header = pb::ResponseHeader { cluster_id: 1, member_id: u64::MAX, revision: 300, raft_term: 2 };
        let kv = |key: &'static str, lease| {
            KeyValue {
                key: key.as_bytes(),
                create_revision: 2,
                mod_revision: 3,
                version: 1,
                value: b"value",
                lease,
            }
            .encode()
            .into()
        };
        let results = [
            RangeResult { kvs: vec![kv("a", 0), kv("b", 77)], count: 5, more: true },
            RangeResult::default(),
        ];
        for result in results {
            let mut spliced = Vec::new();
            write_response(&result, &header, &mut spliced);
            let mut message = apply::range_response(&result, 0).unwrap();
            message.header = Some(header);
            assert_eq!(spliced, message.encode_to_vec());
            assert!(encoded_len(&result, &header) >= spliced.len());
        }
    }
}
