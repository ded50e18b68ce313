//! `lease timetolive`.

use holdfast_proto::etcdserverpb as pb;

use crate::{
    cli::{
        command::{Command, Invocation, Work},
        flag::Flag,
    },
    failure::Outcome,
    globals::Session,
    output::Reply,
};

pub(super) const COMMAND: Command = Command {
    name: "timetolive",
    args: "<leaseID> [flags]",
    about: "Shows how long a lease still lives.",
    details: "",
    example: "lease timetolive 694d77aa9e38260f --keys",
    flags: &[Flag::switch("keys", "Also show the keys attached to the lease.")],
    children: &[],
    work: Some(|invocation| -> Work { Box::pin(run(invocation)) }),
};

async fn run(mut invocation: Invocation) -> Outcome {
    let id = super::lease_id(&invocation, "lease timetolive command needs lease ID as argument")?;
    let keys = invocation.values.bool("keys");
    let mut session = Session::open(&mut invocation).await?;
    let request = pb::LeaseTimeToLiveRequest { id, keys };
    let response = session.client.lease_time_to_live(request).await.map_err(super::read_failed)?;
    session.printer.print(&Reply::LeaseTimeToLive(&response, keys))
}
