//! `lease list`.

use holdfast_proto::etcdserverpb as pb;

use crate::{
    cli::command::{Command, Invocation, Work},
    failure::Outcome,
    globals::Session,
    output::Reply,
};

pub(super) const COMMAND: Command = Command {
    name: "list",
    args: "[flags]",
    about: "Lists all leases that have not ended.",
    details: "",
    example: "lease list",
    flags: &[],
    children: &[],
    work: Some(|invocation| -> Work { Box::pin(run(invocation)) }),
};

async fn run(mut invocation: Invocation) -> Outcome {
    let mut session = Session::open(&mut invocation).await?;
    let response =
        session.client.lease_leases(pb::LeaseLeasesRequest {}).await.map_err(super::read_failed)?;
    session.printer.print(&Reply::LeaseList(&response))
}
