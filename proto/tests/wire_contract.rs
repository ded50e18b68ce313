//! Our `.proto` files against a list of what etcd 3.7 has, so that no field can drift, vanish or appear.

#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;

use prost::Message;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet,
    field_descriptor_proto::{Label, Type},
};

const EXPECTED: &str = include_str!("fixtures/wire_contract.txt");

#[test]
fn the_contract_is_etcds() {
    let expected: BTreeSet<String> =
        EXPECTED.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    let descriptors = FileDescriptorSet::decode(holdfast_proto::FILE_DESCRIPTOR_SET).unwrap();
    let actual = contract(&descriptors);
    let missing: Vec<_> = expected.difference(&actual).collect();
    let surplus: Vec<_> = actual.difference(&expected).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "missing: {missing:#?}\nsurplus: {surplus:#?}");
}

/// A list that was cut off, or a descriptor set without content, must not pass.
#[test]
fn the_list_is_complete() {
    let count = |kind: &str| EXPECTED.lines().filter(|line| line.starts_with(kind)).count();
    assert_eq!(count("rpc "), 52);
    assert_eq!(count("message "), 145);
    assert_eq!(count("field "), 378);
    assert_eq!(count("value "), 71);
    assert_eq!(count("reserved "), 2);
}

/// Only the packages that were proto2 in etcd may be: it decides whether zeros are written.
#[test]
fn syntax_is_kept() {
    let descriptors = FileDescriptorSet::decode(holdfast_proto::FILE_DESCRIPTOR_SET).unwrap();
    let proto2: Vec<_> = descriptors
        .file
        .iter()
        .filter(|file| file.syntax.as_deref().unwrap_or("proto2") == "proto2")
        .map(prost_types::FileDescriptorProto::name)
        .collect();
    assert_eq!(proto2, ["etcdserverpb/etcdserver.proto", "raftpb.proto"]);
}

/// The descriptor set in the form of the list.
fn contract(descriptors: &FileDescriptorSet) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for file in &descriptors.file {
        for message in &file.message_type {
            describe_message(file.package(), message, &mut lines);
        }
        for values in &file.enum_type {
            describe_enum(file.package(), values, &mut lines);
        }
        for service in &file.service {
            for method in &service.method {
                let stream = |streaming| if streaming { "stream " } else { "" };
                lines.insert(format!(
                    "rpc {}.{}.{} = {}{} -> {}{}",
                    file.package(),
                    service.name(),
                    method.name(),
                    stream(method.client_streaming()),
                    method.input_type().trim_start_matches('.'),
                    stream(method.server_streaming()),
                    method.output_type().trim_start_matches('.'),
                ));
            }
        }
    }
    lines
}

fn describe_message(scope: &str, message: &DescriptorProto, lines: &mut BTreeSet<String>) {
    let name = format!("{scope}.{}", message.name());
    lines.insert(format!("message {name}"));
    for range in &message.reserved_range {
        for number in range.start()..range.end() {
            lines.insert(format!("reserved {name} {number}"));
        }
    }
    for reserved in &message.reserved_name {
        lines.insert(format!("reserved {name} {reserved}"));
    }
    for field in &message.field {
        lines.insert(describe_field(&name, message, field));
    }
    for values in &message.enum_type {
        describe_enum(&name, values, lines);
    }
    for nested in message.nested_type.iter().filter(|nested| !is_map_entry(nested)) {
        describe_message(&name, nested, lines);
    }
}

fn describe_field(scope: &str, message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let entry = message
        .nested_type
        .iter()
        .find(|nested| is_map_entry(nested) && field.type_name() == format!(".{scope}.{}", nested.name()));
    let kind = match entry {
        Some(entry) => format!("map<{}, {}>", type_of(&entry.field[0]), type_of(&entry.field[1])),
        None if field.label() == Label::Repeated => format!("repeated {}", type_of(field)),
        None => type_of(field),
    };
    let union = match field.oneof_index {
        Some(index) if !field.proto3_optional() => {
            format!(" oneof {}", message.oneof_decl[index as usize].name())
        }
        _ => String::new(),
    };
    format!("field {scope}.{} = {} {kind}{union}", field.name(), field.number())
}

fn describe_enum(scope: &str, values: &EnumDescriptorProto, lines: &mut BTreeSet<String>) {
    for value in &values.value {
        lines.insert(format!("value {scope}.{}.{} = {}", values.name(), value.name(), value.number()));
    }
}

fn is_map_entry(message: &DescriptorProto) -> bool {
    message.options.as_ref().is_some_and(prost_types::MessageOptions::map_entry)
}

fn type_of(field: &FieldDescriptorProto) -> String {
    match field.r#type() {
        Type::Bool => "bool".to_owned(),
        Type::Bytes => "bytes".to_owned(),
        Type::Int64 => "int64".to_owned(),
        Type::String => "string".to_owned(),
        Type::Uint32 => "uint32".to_owned(),
        Type::Uint64 => "uint64".to_owned(),
        Type::Enum | Type::Message => field.type_name().trim_start_matches('.').to_owned(),
        other => format!("{other:?}"),
    }
}
