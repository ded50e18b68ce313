#![allow(clippy::unwrap_used)]
//! What etcdctl 3.5.1 printed for these answers.

use holdfast_proto::{
    etcdserverpb as pb,
    mvccpb::{Event, KeyValue},
};

use super::*;

const HEADER: pb::ResponseHeader = pb::ResponseHeader {
    cluster_id: 3_586_811_377_195_397_337,
    member_id: 7_616_583_982_444_832_909,
    revision: 13,
    raft_term: 2,
};

const JSON_HEADER: &str =
    r#"{"cluster_id":3586811377195397337,"member_id":7616583982444832909,"revision":13,"raft_term":2}"#;

const FIELDS_HEADER: &str = "\
\"ClusterID\" : 3586811377195397337
\"MemberID\" : 7616583982444832909
\"Revision\" : 13
\"RaftTerm\" : 2
";

fn foo() -> KeyValue {
    KeyValue {
        key: "foo".into(),
        create_revision: 2,
        mod_revision: 9,
        version: 8,
        value: "bar".into(),
        lease: 0,
    }
}

fn rendered(reply: &Reply<'_>, format: Format, hex: bool) -> Result<Vec<u8>, Unsupported> {
    let mut page = Page::default();
    Printer { format, hex, values_only: false }.render(reply, &mut page)?;
    Ok(page.out)
}

fn text(reply: &Reply<'_>, format: Format) -> String {
    String::from_utf8(rendered(reply, format, false).unwrap()).unwrap()
}

#[test]
fn formats_are_found_by_their_names() {
    for (format, name) in Format::NAMES {
        assert_eq!(Format::from_name(name), Some(format));
        assert_eq!(format.name(), name);
    }
    assert_eq!(Format::from_name("bogus"), None);
    assert_eq!(Format::from_name(""), None);
}

#[test]
fn a_get_in_all_formats() {
    let response = pb::RangeResponse { header: Some(HEADER), kvs: vec![foo()], more: true, count: 1 };
    let reply = Reply::Get(&response);
    assert_eq!(text(&reply, Format::Simple), "foo\nbar\n");
    assert_eq!(rendered(&reply, Format::Simple, true).unwrap(), b"\\x66\\x6f\\x6f\n\\x62\\x61\\x72\n");
    assert_eq!(
        text(&reply, Format::Json),
        format!(
            "{{\"header\":{JSON_HEADER},\"kvs\":[{{\"key\":\"Zm9v\",\"create_revision\":2,\"mod_revision\":9,\
             \"version\":8,\"value\":\"YmFy\"}}],\"more\":true,\"count\":1}}\n"
        )
    );
    assert_eq!(
        text(&reply, Format::Fields),
        format!(
            "{FIELDS_HEADER}\"Key\" : \"foo\"\n\"CreateRevision\" : 2\n\"ModRevision\" : 9\n\"Version\" : 8\n\
             \"Value\" : \"bar\"\n\"Lease\" : 0\n\"More\" : true\n\"Count\" : 1\n"
        )
    );
    assert_eq!(
        rendered(&reply, Format::Protobuf, false).unwrap(),
        b"\n\x18\x08\xd9\xe1\xbe\xf0\x99\xbe\xba\xe31\x10\x8d\xd1\xb7\x9c\xf1\xd8\xe2\xd9i\x18\r \x02\
          \x12\x10\n\x03foo\x10\x02\x18\t \x08*\x03bar\x18\x01 \x01"
    );
    assert_eq!(rendered(&reply, Format::Table, false), Err(Unsupported));
}

#[test]
fn watch_events_show_zeros_of_the_answer_but_not_of_the_keys() {
    let deleted = KeyValue { key: "w".into(), mod_revision: 10, ..Default::default() };
    let event = Event { r#type: 1, kv: Some(deleted), prev_kv: Some(foo()) };
    let response =
        pb::WatchResponse { header: Some(HEADER), watch_id: 7, events: vec![event], ..Default::default() };
    let reply = Reply::Watch(&response);
    assert_eq!(text(&reply, Format::Simple), "DELETE\nfoo\nbar\nw\n\n");
    assert_eq!(
        text(&reply, Format::Json),
        format!(
            "{{\"Header\":{JSON_HEADER},\"Events\":[{{\"type\":1,\"kv\":{{\"key\":\"dw==\",\"mod_revision\":10}},\
             \"prev_kv\":{{\"key\":\"Zm9v\",\"create_revision\":2,\"mod_revision\":9,\"version\":8,\"value\":\"YmFy\"}}}}],\
             \"CompactRevision\":0,\"Canceled\":false,\"Created\":false}}\n"
        )
    );
    let nothing = pb::WatchResponse { canceled: true, ..Default::default() };
    assert_eq!(
        text(&Reply::Watch(&nothing), Format::Json),
        "{\"Header\":{},\"Events\":[],\"CompactRevision\":0,\"Canceled\":true,\"Created\":false}\n"
    );
}

#[test]
fn leases_have_the_header_among_their_fields() {
    let response = pb::LeaseTimeToLiveResponse {
        header: Some(HEADER),
        id: 0x1234,
        ttl: 1,
        granted_ttl: 2,
        keys: vec!["lk".into(), "m".into()],
    };
    let with_keys = Reply::LeaseTimeToLive(&response, true);
    assert_eq!(
        text(&with_keys, Format::Simple),
        "lease 0000000000001234 granted with TTL(2s), remaining(1s), attached keys([lk m])\n"
    );
    let inner = JSON_HEADER.trim_end_matches('}');
    assert_eq!(
        text(&with_keys, Format::Json),
        format!("{inner},\"id\":4660,\"ttl\":1,\"granted-ttl\":2,\"keys\":[\"bGs=\",\"bQ==\"]}}\n")
    );
    let gone = pb::LeaseTimeToLiveResponse { ttl: -1, id: 1, ..Default::default() };
    assert_eq!(
        text(&Reply::LeaseTimeToLive(&gone, true), Format::Simple),
        "lease 0000000000000001 already expired\n"
    );
    assert_eq!(
        text(&Reply::LeaseTimeToLive(&gone, false), Format::Json),
        "{\"id\":1,\"ttl\":-1,\"granted-ttl\":0,\"keys\":null}\n"
    );
}

fn status(version: &str) -> pb::StatusResponse {
    pb::StatusResponse {
        header: Some(HEADER),
        version: version.to_owned(),
        db_size: 24576,
        leader: HEADER.member_id,
        raft_index: 68,
        raft_term: 2,
        raft_applied_index: 68,
        db_size_in_use: 20480,
        ..Default::default()
    }
}

#[test]
fn the_columns_of_a_status_follow_what_the_server_tells() {
    let old = [EndpointStatus { endpoint: "a:1".to_owned(), status: status("3.5.1") }];
    assert_eq!(
        text(&Reply::EndpointStatus(&old), Format::Simple),
        "a:1, 69b38ac7138de88d, 3.5.1, 25 kB, true, false, 2, 68, 68, \n"
    );
    let modern = pb::StatusResponse {
        storage_version: "3.6.0".to_owned(),
        db_size_quota: 2_147_483_648,
        downgrade_info: Some(pb::DowngradeInfo::default()),
        ..status("3.6.5")
    };
    let new = [EndpointStatus { endpoint: "a:1".to_owned(), status: modern }];
    assert_eq!(
        text(&Reply::EndpointStatus(&new), Format::Simple),
        "a:1, 69b38ac7138de88d, 3.6.5, 3.6.0, 25 kB, 20 kB, 17%, 2.1 GB, true, false, 2, 68, 68, , , false\n"
    );
    assert!(text(&Reply::EndpointStatus(&new), Format::Fields).contains("\"DBSizeQuota\" : 2147483648\n"));
    assert!(
        text(&Reply::EndpointStatus(&new), Format::Json)
            .contains(",\"storageVersion\":\"3.6.0\",\"dbSizeQuota\":2147483648,\"downgradeInfo\":{}}}]")
    );
}

#[test]
fn unhealthy_endpoints_stand_on_stderr() {
    let list = [
        EndpointHealth {
            endpoint: "a:1".to_owned(),
            took: std::time::Duration::from_micros(1818),
            error: None,
        },
        EndpointHealth {
            endpoint: "b:1".to_owned(),
            took: std::time::Duration::from_secs(5),
            error: Some("context deadline exceeded".to_owned()),
        },
    ];
    let mut page = Page::default();
    Printer { format: Format::Simple, hex: false, values_only: false }
        .render(&Reply::EndpointHealth(&list), &mut page)
        .unwrap();
    assert_eq!(page.out, b"a:1 is healthy: successfully committed proposal: took = 1.818ms\n");
    assert_eq!(page.err, b"b:1 is unhealthy: failed to commit proposal: context deadline exceeded\n");
    assert_eq!(
        text(&Reply::EndpointHealth(&list), Format::Json),
        "[{\"endpoint\":\"a:1\",\"health\":true,\"took\":\"1.818ms\"},\
         {\"endpoint\":\"b:1\",\"health\":false,\"took\":\"5s\",\"error\":\"context deadline exceeded\"}]\n"
    );
}

#[test]
fn members_with_hexadecimal_identifiers() {
    let member =
        pb::Member { id: HEADER.member_id, peer_urls: vec!["http://p".to_owned()], ..Default::default() };
    let response = pb::MemberListResponse {
        header: Some(pb::ResponseHeader { revision: 0, ..HEADER }),
        members: vec![member],
    };
    let reply = Reply::MemberList(&response);
    assert_eq!(text(&reply, Format::Simple), "69b38ac7138de88d, unstarted, , http://p, , false\n");
    assert_eq!(
        String::from_utf8(rendered(&reply, Format::Json, true).unwrap()).unwrap(),
        "{\"header\":{\"cluster_id\":\"31c6e9f19e0fb0d9\",\"member_id\":\"69b38ac7138de88d\",\"raft_term\":2},\
         \"members\":[{\"ID\":\"69b38ac7138de88d\",\"name\":\"\",\"peerURLs\":[\"http://p\"],\"clientURLs\":[]}]}\n"
    );
}
