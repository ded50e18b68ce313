//! `compaction`: removes the history before a revision.

use holdfast_proto::etcdserverpb as pb;

use super::call_failed;
use crate::{
    cli::{
        command::{Command, Invocation, Work},
        flag::Flag,
    },
    failure::{Code, Failure, Outcome},
    globals::Session,
    go_text::number,
    output::write_stdout,
};

pub(super) const COMMAND: Command = Command {
    name: "compaction",
    args: "<revision> [flags]",
    about: "Removes the history of all keys before a revision.",
    details: "",
    example: "compaction 4711 --physical",
    flags: &[Flag::switch("physical", "Wait until the old revisions have left the disk.")],
    children: &[],
    work: Some(|invocation| -> Work { Box::pin(run(invocation)) }),
};

async fn run(mut invocation: Invocation) -> Outcome {
    if invocation.args.len() != 1 {
        return Err(Failure::bad_args("compaction command needs 1 argument"));
    }
    let revision =
        number::parse_int(&invocation.arg_text(0), 10).map_err(|reason| Failure::new(Code::Error, reason))?;
    let physical = invocation.values.bool("physical");
    let mut session = Session::open(&mut invocation).await?;
    session.client.compact(pb::CompactionRequest { revision, physical }).await.map_err(call_failed)?;
    write_stdout(format!("compacted revision {revision}\n").as_bytes())
}
