//! `get`: reads a key or a range of keys.

use holdfast_proto::etcdserverpb as pb;
use pb::range_request::{SortOrder, SortTarget};

use super::{
    call_failed,
    key_range::{Extent, KeyRange},
};
use crate::{
    cli::{
        command::{Command, Invocation, Work},
        flag::{Flag, Values},
    },
    failure::{Code, Failure, Outcome},
    globals::Session,
    output::{Format, Reply},
};

pub(super) const COMMAND: Command = Command {
    name: "get",
    args: "<key> [range_end] [flags]",
    about: "Reads a key, or all keys from <key> up to but not including <range_end>.",
    details: "",
    example: "get /registry/pods/ --prefix --keys-only --limit=10",
    flags: FLAGS,
    children: &[],
    work: Some(|invocation| -> Work { Box::pin(run(invocation)) }),
};

/// Also the flags of `get` in a transaction.
const FLAGS: &[Flag] = &[
    Flag::text("consistency", "l", "Read through the leader's quorum (l) or what the server has (s)."),
    Flag::text("order", "", "Order of the keys: ASCEND or DESCEND."),
    Flag::text("sort-by", "", "What the order goes by: CREATE, KEY, MODIFY, VALUE or VERSION."),
    Flag::int("limit", "Largest number of keys; 0 means all."),
    Flag::switch("prefix", "Read all keys that begin with <key>."),
    Flag::switch("from-key", "Read all keys from <key> on."),
    Flag::int("rev", "Read what the keys were at this revision; 0 means now."),
    Flag::switch("keys-only", "Leave the values out."),
    Flag::switch("count-only", "Only count the keys."),
    Flag::switch("print-value-only", "Print the values without the keys (simple format)."),
    Flag::int("min-create-rev", "Leave out keys created before this revision."),
    Flag::int("max-create-rev", "Leave out keys created after this revision."),
    Flag::int("min-mod-rev", "Leave out keys last changed before this revision."),
    Flag::int("max-mod-rev", "Leave out keys last changed after this revision."),
    Flag::switch("stream", "Let the server send the keys in pieces."),
];

async fn run(mut invocation: Invocation) -> Outcome {
    let request = request(&invocation.values, &invocation.args)?;
    let mut session = Session::open(&mut invocation).await?;
    let values = &invocation.values;
    let response = if values.bool("stream") {
        session.client.range_stream(request).await
    } else {
        session.client.range(request).await
    };
    let response = response.map_err(call_failed)?;
    let format = session.printer.format;
    if values.bool("count-only") && format != Format::Fields {
        return Err(Failure::bad_args("--count-only is only for `--write-out=fields`"));
    }
    if values.bool("print-value-only") {
        if format != Format::Simple {
            return Err(Failure::bad_args("print-value-only is only for `--write-out=simple`"));
        }
        session.printer.values_only = true;
    }
    session.printer.print(&Reply::Get(&response))
}

/// The request of a command line, or of a line in a transaction. Arguments after the second one are ignored.
pub(super) fn request(values: &Values, args: &[Vec<u8>]) -> Result<pb::RangeRequest, Failure> {
    let Some(key) = args.first() else {
        return Err(Failure::bad_args(
            "get command needs one argument as key and an optional argument as range_end",
        ));
    };
    let extent = Extent::from_flags(values.bool("prefix"), values.bool("from-key"))?;
    if values.bool("keys-only") && values.bool("count-only") {
        return Err(Failure::bad_args(
            "`--keys-only` and `--count-only` cannot be set at the same time, choose one",
        ));
    }
    let serializable = match values.text("consistency") {
        "l" => false,
        "s" => true,
        other => return Err(bad_feature(format_args!("unknown consistency flag {other:?}"))),
    };
    let range = KeyRange::new(extent, key, args.get(1).map(Vec::as_slice))?;
    let (order, target) = sorting(values.text("order"), values.text("sort-by"))?;
    let (min_create, max_create) = bounds(values, "Create")?;
    let (min_mod, max_mod) = bounds(values, "Mod")?;
    Ok(pb::RangeRequest {
        key: range.key,
        range_end: range.end,
        limit: values.int("limit"),
        revision: values.int("rev").max(0),
        sort_order: order.into(),
        sort_target: target.into(),
        serializable,
        keys_only: values.bool("keys-only"),
        count_only: values.bool("count-only"),
        min_mod_revision: min_mod,
        max_mod_revision: max_mod,
        min_create_revision: min_create,
        max_create_revision: max_create,
    })
}

fn bad_feature(message: impl std::fmt::Display) -> Failure {
    Failure::new(Code::BadFeature, message)
}

fn sorting(order: &str, target: &str) -> Result<(SortOrder, SortTarget), Failure> {
    let sort_order = match order.to_uppercase().as_str() {
        "" => SortOrder::None,
        "ASCEND" => SortOrder::Ascend,
        "DESCEND" => SortOrder::Descend,
        _ => return Err(bad_feature(format_args!("bad sort order {order}"))),
    };
    let sort_target = match target.to_uppercase().as_str() {
        "" | "KEY" => SortTarget::Key,
        "CREATE" => SortTarget::Create,
        "MODIFY" => SortTarget::Mod,
        "VALUE" => SortTarget::Value,
        "VERSION" => SortTarget::Version,
        _ => return Err(bad_feature(format_args!("bad sort target {target}"))),
    };
    // Keys come in ascending order by themselves; asking for it would make the server collect all of them
    // before it looks at the limit.
    let redundant = sort_target == SortTarget::Key && sort_order == SortOrder::Ascend;
    Ok((if redundant { SortOrder::None } else { sort_order }, sort_target))
}

/// The lowest and highest revision of one kind. `kind` is `Create` or `Mod`.
fn bounds(values: &Values, kind: &str) -> Result<(i64, i64), Failure> {
    let name = kind.to_lowercase();
    let (min, max) = (values.int(&format!("min-{name}-rev")), values.int(&format!("max-{name}-rev")));
    if max != 0 && min > max {
        return Err(bad_feature(format_args!("getMin{kind}Rev(={min}) > getMax{kind}Rev(={max})")));
    }
    Ok((min, max))
}
