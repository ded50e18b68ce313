//! `del`: deletes a key or a range of keys.

use holdfast_proto::etcdserverpb as pb;

use super::{
    call_failed,
    key_range::{Extent, KeyRange},
};
use crate::{
    cli::{
        command::{Command, Invocation, Work},
        flag::{Flag, Values},
    },
    failure::{Failure, Outcome},
    globals::Session,
    output::Reply,
};

pub(super) const COMMAND: Command = Command {
    name: "del",
    args: "<key> [range_end] [flags]",
    about: "Deletes a key, or all keys from <key> up to but not including <range_end>.",
    details: "",
    example: "del /tmp/ --prefix --prev-kv",
    flags: FLAGS,
    children: &[],
    work: Some(|invocation| -> Work { Box::pin(run(invocation)) }),
};

/// Also the flags of `del` in a transaction.
const FLAGS: &[Flag] = &[
    Flag::switch("prefix", "Delete all keys that begin with <key>."),
    Flag::switch("prev-kv", "Also print the deleted keys."),
    Flag::switch("from-key", "Delete all keys from <key> on."),
    Flag::switch("range", "Confirm that a range is meant; it needs no confirmation here."),
];

async fn run(mut invocation: Invocation) -> Outcome {
    let request = request(&invocation.values, &invocation.args)?;
    let mut session = Session::open(&mut invocation).await?;
    let response = session.client.delete_range(request).await.map_err(call_failed)?;
    session.printer.print(&Reply::Del(&response))
}

/// The request of a command line, or of a line in a transaction.
pub(super) fn request(values: &Values, args: &[Vec<u8>]) -> Result<pb::DeleteRangeRequest, Failure> {
    let (key, range_end) = match args {
        [key] => (key, None),
        [key, range_end] => (key, Some(range_end.as_slice())),
        _ => {
            return Err(Failure::bad_args(
                "del command needs one argument as key and an optional argument as range_end",
            ));
        }
    };
    let extent = Extent::from_flags(values.bool("prefix"), values.bool("from-key"))?;
    Ok(KeyRange::new(extent, key, range_end)?.into_delete(values.bool("prev-kv")))
}
