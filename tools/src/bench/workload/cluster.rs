//! Single calls beside the load: authentication, status, compaction, hash.

use std::time::Instant;

use bytes::Bytes;
use holdfast_proto::etcdserverpb::{
    AuthenticateRequest, AuthenticateResponse, CompactionRequest, HashKvRequest, HashKvResponse,
    RangeRequest, RangeResponse, StatusRequest, StatusResponse,
};
use prost::Message;

use crate::bench::{
    report::{go_duration, si_bytes},
    run::BenchError,
    wire::{CallError, Caller, Connection, Dial, Frames, Keep},
};

/// One call outside the load: nothing about it is tuned.
async fn ask<M: Message + Default>(
    caller: &mut Caller,
    path: &'static str,
    request: &impl Message,
) -> Result<M, CallError> {
    let route = caller.connection().route(path);
    caller.call(&route, Frames::default().encode(request), Keep::Messages).await?.message()
}

/// The token of `name`.
pub(crate) async fn authenticate(
    caller: &mut Caller,
    name: &str,
    password: &str,
) -> Result<String, CallError> {
    let request = AuthenticateRequest { name: name.to_owned(), password: password.to_owned() };
    let reply: AuthenticateResponse = ask(caller, "/etcdserverpb.Auth/Authenticate", &request).await?;
    Ok(reply.token)
}

async fn status(caller: &mut Caller) -> Result<StatusResponse, CallError> {
    ask(caller, "/etcdserverpb.Maintenance/Status", &StatusRequest::default()).await
}

/// The endpoint whose member leads.
pub(crate) async fn leader(endpoints: &[String], dial: &Dial) -> Result<String, BenchError> {
    for endpoint in endpoints {
        let mut caller = Connection::open(endpoint, dial).await?.caller();
        let status = status(&mut caller).await.map_err(|source| BenchError::Call {
            what: format!("failed to get the status of endpoint {endpoint}"),
            source,
        })?;
        let member = status.header.map_or(0, |header| header.member_id);
        if member != 0 && member == status.leader {
            return Ok(endpoint.clone());
        }
    }
    Err(BenchError::Flags("failed to find a leader endpoint".to_owned()))
}

/// One read of `key`.
pub(crate) async fn read(caller: &mut Caller, key: &[u8]) -> Result<RangeResponse, CallError> {
    let request = RangeRequest { key: Bytes::copy_from_slice(key), ..RangeRequest::default() };
    ask(caller, "/etcdserverpb.KV/Range", &request).await
}

/// Compacts to `delta` revisions before the newest, unless that is no further than `last`; returns how far the
/// history has been compacted.
pub(crate) async fn compact(caller: &mut Caller, delta: i64, last: i64) -> Result<i64, CallError> {
    let newest = read(caller, b"foo").await?.header.map_or(0, |header| header.revision);
    let revision = newest.saturating_sub(delta);
    if revision <= last {
        return Ok(last);
    }
    let request = CompactionRequest { revision, ..CompactionRequest::default() };
    let _: holdfast_proto::etcdserverpb::CompactionResponse =
        ask(caller, "/etcdserverpb.KV/Compact", &request).await?;
    Ok(revision)
}

/// The block that `put --check-hashkv` prints.
pub(crate) async fn hash_summary(caller: &mut Caller) -> Result<String, BenchError> {
    let endpoint = caller.connection().endpoint().to_owned();
    let failed = |what: &str| {
        let what = format!("Failed to get the {what} of endpoint {endpoint}");
        move |source| BenchError::Call { what, source }
    };
    let start = Instant::now();
    let hash: HashKvResponse = ask(caller, "/etcdserverpb.Maintenance/HashKV", &HashKvRequest::default())
        .await
        .map_err(failed("hashkv"))?;
    let taken = start.elapsed();
    let status = status(caller).await.map_err(failed("status"))?;
    Ok(format!(
        "HashKV Summary:\n\tHashKV: {}\n\tEndpoint: {endpoint}\n\tTime taken to get hashkv: {}\n\tDB size: {}\n",
        hash.hash,
        go_duration(taken),
        si_bytes(status.db_size.max(0).unsigned_abs()),
    ))
}
