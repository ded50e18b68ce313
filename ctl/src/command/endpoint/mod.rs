//! `endpoint …`: each of the endpoints by itself.

mod hashkv;
mod health;
mod status;

use holdfast_proto::etcdserverpb as pb;

use crate::{
    cli::{
        command::{Command, Invocation},
        flag::Flag,
    },
    client::address::Address,
    failure::{Code, Failure},
    globals::Session,
};

pub(super) const COMMAND: Command = Command {
    name: "endpoint",
    args: "",
    about: "Looks at each of the endpoints by itself.",
    details: "",
    example: "",
    flags: &[Flag::switch("cluster", "Look at the addresses of all members instead of the endpoints given.")],
    children: &[health::COMMAND, status::COMMAND, hashkv::COMMAND],
    work: None,
};

/// The endpoints to look at.
async fn chosen(invocation: &Invocation, session: &mut Session) -> Result<Vec<Address>, Failure> {
    if !invocation.values.bool("cluster") {
        return Ok(session.client.endpoints().to_vec());
    }
    let members =
        session.client.member_list(pb::MemberListRequest { linearizable: true }).await.map_err(|error| {
            Failure::new(
                Code::Error,
                format_args!("failed to fetch endpoints from etcd cluster member list: {error}"),
            )
        })?;
    let addresses: Vec<Address> = members
        .members
        .iter()
        .flat_map(|member| &member.client_urls)
        .map(|url| Address::parse(url))
        .collect();
    if let Some(address) = addresses.iter().find(|address| address.wants_tls()) {
        let message =
            format_args!("TLS is not available in this build, but the member at {address} asks for it");
        return Err(Failure::new(Code::Error, message));
    }
    Ok(addresses)
}
