//! Alarms: raised by a member, in force for all.

use std::collections::BTreeSet;

use holdfast_engine::mvcc::{ApplyTxn, MvccError, View, trees};
use holdfast_proto::etcdserverpb as pb;
use pb::alarm_request::AlarmAction;
use prost::Message as _;

use super::{Failure, header, unreadable};

/// The alarms in force, each a member and a kind. Kinds outside etcd's enum are kept as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alarms(BTreeSet<(i32, u64)>);

impl Alarms {
    /// Reads what the store holds.
    pub(super) fn load(view: &View) -> Result<Self, MvccError> {
        let mut alarms = BTreeSet::new();
        for entry in view.aux_entries(trees::ALARMS)? {
            let (key, _) = entry?;
            let alarm = pb::AlarmMember::decode(key)
                .map_err(|_| unreadable(trees::ALARMS, key, "the key is not an AlarmMember"))?;
            alarms.insert((alarm.alarm, alarm.member_id));
        }
        Ok(Self(alarms))
    }

    /// Whether any member has raised an alarm of this kind.
    pub fn raised(&self, kind: pb::AlarmType) -> bool {
        self.0.iter().any(|(raised, _)| *raised == kind as i32)
    }

    /// Whether this member has raised an alarm of this kind.
    pub fn raised_by(&self, member_id: u64, kind: pb::AlarmType) -> bool {
        self.0.contains(&(kind as i32, member_id))
    }

    /// All alarms, by kind and member.
    pub fn all(&self) -> Vec<pb::AlarmMember> {
        self.0.iter().map(|&(alarm, member_id)| pb::AlarmMember { member_id, alarm }).collect()
    }

    fn of_kind(&self, kind: i32) -> Vec<pb::AlarmMember> {
        let mut found = self.all();
        found.retain(|alarm| kind == pb::AlarmType::None as i32 || alarm.alarm == kind);
        found
    }
}

/// Lists, raises or clears alarms. Returns whether something changed.
pub(super) fn apply(
    txn: &mut ApplyTxn,
    alarms: &mut Alarms,
    request: &pb::AlarmRequest,
) -> Result<(pb::AlarmResponse, bool), Failure> {
    let this = pb::AlarmMember { member_id: request.member_id, alarm: request.alarm };
    let entry = (request.alarm, request.member_id);
    let key = this.encode_to_vec();
    let mut changed = false;
    let found = match AlarmAction::try_from(request.action) {
        Ok(AlarmAction::Get) => alarms.of_kind(request.alarm),
        Ok(AlarmAction::Activate) if request.alarm == pb::AlarmType::None as i32 => Vec::new(),
        Ok(AlarmAction::Activate) => {
            changed = alarms.0.insert(entry);
            txn.aux_put(trees::ALARMS, &key, &[])?;
            vec![this]
        }
        Ok(AlarmAction::Deactivate) => {
            changed = alarms.0.remove(&entry);
            txn.aux_delete(trees::ALARMS, &key)?;
            if changed { vec![this] } else { Vec::new() }
        }
        // Real servers die of an unknown action; nothing is done for it here.
        Err(_) => Vec::new(),
    };
    Ok((pb::AlarmResponse { header: header(txn.revision()), alarms: found }, changed))
}
