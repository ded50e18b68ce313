//! `lease grant`.

use holdfast_proto::etcdserverpb as pb;

use crate::{
    cli::command::{Command, Invocation, Work},
    failure::{Code, Failure, Outcome},
    globals::Session,
    go_text::number,
    output::Reply,
};

pub(super) const COMMAND: Command = Command {
    name: "grant",
    args: "<ttl> [flags]",
    about: "Grants a lease that ends after <ttl> seconds without renewal.",
    details: "The server raises times that are too short for it.",
    example: "lease grant 60",
    flags: &[],
    children: &[],
    work: Some(|invocation| -> Work { Box::pin(run(invocation)) }),
};

async fn run(mut invocation: Invocation) -> Outcome {
    if invocation.args.len() != 1 {
        return Err(Failure::bad_args("lease grant command needs TTL argument"));
    }
    let ttl = number::parse_int(&invocation.arg_text(0), 10)
        .map_err(|reason| Failure::bad_args(format_args!("bad TTL ({reason})")))?;
    let mut session = Session::open(&mut invocation).await?;
    let response = session
        .client
        .lease_grant(pb::LeaseGrantRequest { ttl, id: 0 })
        .await
        .map_err(|error| Failure::new(Code::Error, format_args!("failed to grant lease ({error})")))?;
    session.printer.print(&Reply::LeaseGrant(&response))
}
