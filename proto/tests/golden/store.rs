//! Records of the store.

use holdfast_proto::{authpb, etcdserverpb, leasepb, mvccpb};

use crate::{assert_golden, hex};

#[test]
fn key_value() {
    let kv = mvccpb::KeyValue {
        key: "/tmp".into(),
        create_revision: 6,
        mod_revision: 6,
        version: 1,
        value: "t".into(),
        lease: 0,
    };
    assert_golden(&kv, &hex("0a 04 2f746d70 10 06 18 06 20 01 2a 01 74"));
}

#[test]
fn tombstone_has_a_key_only() {
    let kv = mvccpb::KeyValue { key: "b".into(), ..Default::default() };
    assert_golden(&kv, &hex("0a 01 62"));
}

#[test]
fn negative_lease_takes_ten_bytes() {
    let kv = mvccpb::KeyValue { key: "k".into(), lease: -1, ..Default::default() };
    assert_golden(&kv, &hex("0a 01 6b 30 ffffffffffffffffff01"));
}

#[test]
fn lease() {
    let lease = leasepb::Lease { id: 0x0102, ttl: 60, remaining_ttl: 0 };
    assert_golden(&lease, &hex("08 8202 10 3c"));
}

/// The key of the alarm bucket is the alarm itself.
#[test]
fn alarm_member() {
    let bytes = hex("08 89 9b 8a 98 95 dc f9 b8 92 01 10 01");
    let alarm = etcdserverpb::AlarmMember {
        member_id: 0x9271_e6e1_5302_8d89,
        alarm: etcdserverpb::AlarmType::Nospace.into(),
    };
    assert_golden(&alarm, &bytes);
}

/// Servers from 3.4 on write the options of a user also when they say nothing.
#[test]
fn user_with_empty_options() {
    let user = authpb::User {
        name: "u".into(),
        password: "p".into(),
        roles: vec!["r".to_owned()],
        options: Some(authpb::UserAddOptions { no_password: false }),
    };
    assert_golden(&user, &hex("0a 01 75 12 01 70 1a 01 72 22 00"));
}

#[test]
fn role() {
    let permission = authpb::Permission {
        perm_type: authpb::permission::Type::Readwrite.into(),
        key: "p".into(),
        range_end: "q".into(),
    };
    let role = authpb::Role { name: "r1".into(), key_permission: vec![permission] };
    assert_golden(&role, &hex("0a 02 7231 12 08 08 02 12 01 70 1a 01 71"));
}

/// The first event of a store: type PUT is zero and not written.
#[test]
fn watch_answer_keeps_its_gap_in_numbers() {
    let answer = etcdserverpb::WatchResponse {
        watch_id: -1,
        events: vec![mvccpb::Event::default()],
        ..Default::default()
    };
    assert_golden(&answer, &hex("10 ffffffffffffffffff01 5a 00"));
}

/// An enum value that this release does not know is kept, so that the server can refuse it by name.
#[test]
fn unknown_enum_values_survive() {
    let range = etcdserverpb::RangeRequest { key: "k".into(), sort_target: 77, ..Default::default() };
    assert_golden(&range, &hex("0a 01 6b 30 4d"));
    assert!(etcdserverpb::range_request::SortTarget::try_from(range.sort_target).is_err());
}
