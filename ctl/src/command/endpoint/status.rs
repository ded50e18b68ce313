//! `endpoint status`.

use holdfast_proto::etcdserverpb as pb;

use crate::{
    cli::command::{Command, Invocation, Work},
    failure::{Code, Failure, Outcome},
    globals::Session,
    output::{EndpointStatus, Reply},
};

pub(super) const COMMAND: Command = Command {
    name: "status",
    args: "[flags]",
    about: "Shows the state of each endpoint.",
    details: "In the simple format each line has the columns of the table format, separated by commas.\n\
              Servers of version 3.6 and later fill more columns than older ones; they are shown when at\n\
              least one server fills them.",
    example: "endpoint status --cluster -w table",
    flags: &[],
    children: &[],
    work: Some(|invocation| -> Work { Box::pin(run(invocation)) }),
};

async fn run(mut invocation: Invocation) -> Outcome {
    let mut session = Session::open(&mut invocation).await?;
    let mut list = Vec::new();
    let mut failed = false;
    for address in super::chosen(&invocation, &mut session).await? {
        let endpoint = address.to_string();
        match session.client.only(&address).status(pb::StatusRequest {}).await {
            Ok(status) => list.push(EndpointStatus { endpoint, status }),
            Err(error) => {
                failed = true;
                eprintln!("Failed to get the status of endpoint {endpoint} ({error})");
            }
        }
    }
    session.printer.print(&Reply::EndpointStatus(&list))?;
    if failed { Err(Failure::silent(Code::Error)) } else { Ok(()) }
}
