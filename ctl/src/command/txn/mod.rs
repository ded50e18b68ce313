//! `txn`: runs a transaction that is typed or piped in.

mod compare;
mod script;

use std::io::{self, BufReader};

use super::call_failed;
use crate::{
    cli::{
        command::{Command, Invocation, Work},
        flag::Flag,
    },
    failure::{Failure, Outcome},
    globals::Session,
    output::Reply,
};

pub(super) const COMMAND: Command = Command {
    name: "txn",
    args: "[flags]",
    about: "Runs a transaction read from stdin.",
    details: "Stdin has three sections, each ended by an empty line: comparisons, the requests if\n\
              all of them hold, and the requests otherwise.\n\
              A comparison is TARGET(\"KEY\") OP \"VALUE\", with TARGET one of ver, create, mod, val and lease,\n\
              and OP one of =, !=, < and >. A request is a get, put or del command with its flags.",
    example: "txn -i",
    flags: &[Flag::switch("interactive", "Announce each section before it is read.").short('i')],
    children: &[],
    work: Some(|invocation| -> Work { Box::pin(run(invocation)) }),
};

async fn run(mut invocation: Invocation) -> Outcome {
    if !invocation.args.is_empty() {
        return Err(Failure::bad_args("txn command does not accept argument"));
    }
    let announce = invocation.values.bool("interactive");
    let request = script::read(&mut BufReader::new(io::stdin().lock()), announce)?;
    let mut session = Session::open(&mut invocation).await?;
    let response = session.client.txn(request).await.map_err(call_failed)?;
    session.printer.print(&Reply::Txn(&response))
}
