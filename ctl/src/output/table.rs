//! The `table` format: lists of records only.

use super::{
    Reply, Unsupported, ascii_table,
    rows::{self, Rows},
};

/// Appends the reply.
pub(super) fn render(reply: &Reply<'_>, out: &mut Vec<u8>) -> Result<(), Unsupported> {
    let Rows { columns, records } = match reply {
        Reply::MemberList(response) => rows::members(response),
        Reply::EndpointHealth(list) => rows::health(list),
        Reply::EndpointStatus(list) => rows::status(list),
        Reply::EndpointHash(list) => rows::hashes(list),
        _ => return Err(Unsupported),
    };
    out.extend_from_slice(ascii_table::render(&columns, &records).as_bytes());
    Ok(())
}
