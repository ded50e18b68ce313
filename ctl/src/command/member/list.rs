//! `member list`.

use holdfast_proto::etcdserverpb as pb;

use super::super::call_failed;
use crate::{
    cli::{
        command::{Command, Invocation, Work},
        flag::Flag,
    },
    failure::{Code, Failure, Outcome},
    globals::Session,
    output::Reply,
};

pub(super) const COMMAND: Command = Command {
    name: "list",
    args: "[flags]",
    about: "Lists the members of the cluster.",
    details: "In the simple format each line has the identifier, the state, the name, the addresses for\n\
              members and for clients, and whether the member is a learner.",
    example: "member list -w table",
    flags: &[Flag::text("consistency", "l", "Ask through the leader's quorum (l) or one server alone (s).")],
    children: &[],
    work: Some(|invocation| -> Work { Box::pin(run(invocation)) }),
};

async fn run(mut invocation: Invocation) -> Outcome {
    let linearizable = match invocation.values.text("consistency") {
        "l" => true,
        "s" => false,
        other => {
            return Err(Failure::new(Code::BadFeature, format_args!("unknown consistency flag {other:?}")));
        }
    };
    let mut session = Session::open(&mut invocation).await?;
    let request = pb::MemberListRequest { linearizable };
    let response = session.client.member_list(request).await.map_err(call_failed)?;
    session.printer.print(&Reply::MemberList(&response))
}
