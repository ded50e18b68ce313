//! `endpoint hashkv`.

use holdfast_proto::etcdserverpb as pb;

use crate::{
    cli::{
        command::{Command, Invocation, Work},
        flag::Flag,
    },
    failure::{Code, Failure, Outcome},
    globals::Session,
    output::{EndpointHash, Reply},
};

pub(super) const COMMAND: Command = Command {
    name: "hashkv",
    args: "[flags]",
    about: "Shows a hash of the keys of each endpoint; equal members have equal hashes.",
    details: "",
    example: "endpoint hashkv --cluster --rev=4711",
    flags: &[Flag::int("rev", "Hash the history up to this revision; 0 means all.")],
    children: &[],
    work: Some(|invocation| -> Work { Box::pin(run(invocation)) }),
};

async fn run(mut invocation: Invocation) -> Outcome {
    let mut session = Session::open(&mut invocation).await?;
    let revision = invocation.values.int("rev");
    let mut list = Vec::new();
    let mut failure = None;
    for address in super::chosen(&invocation, &mut session).await? {
        let endpoint = address.to_string();
        match session.client.only(&address).hash_kv(pb::HashKvRequest { revision }).await {
            Ok(hash) => list.push(EndpointHash { endpoint, hash }),
            Err(error) => {
                eprintln!("Failed to get the hash of endpoint {endpoint} ({error})");
                failure = Some(Failure::new(Code::Error, error));
            }
        }
    }
    session.printer.print(&Reply::EndpointHash(&list))?;
    failure.map_or(Ok(()), Err)
}
