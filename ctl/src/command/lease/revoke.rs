//! `lease revoke`.

use holdfast_proto::etcdserverpb as pb;

use crate::{
    cli::command::{Command, Invocation, Work},
    failure::{Code, Failure, Outcome},
    globals::Session,
    output::Reply,
};

pub(super) const COMMAND: Command = Command {
    name: "revoke",
    args: "<leaseID> [flags]",
    about: "Ends a lease and deletes the keys attached to it.",
    details: "",
    example: "lease revoke 694d77aa9e38260f",
    flags: &[],
    children: &[],
    work: Some(|invocation| -> Work { Box::pin(run(invocation)) }),
};

async fn run(mut invocation: Invocation) -> Outcome {
    let id = super::lease_id(&invocation, "lease revoke command needs 1 argument")?;
    let mut session = Session::open(&mut invocation).await?;
    let response = session
        .client
        .lease_revoke(pb::LeaseRevokeRequest { id })
        .await
        .map_err(|error| Failure::new(Code::Error, format_args!("failed to revoke lease ({error})")))?;
    session.printer.print(&Reply::LeaseRevoke(id, &response))
}
