//! Turns the `.proto` files into Rust: protox compiles them, so that no protoc has to be installed, and
//! tonic-prost-build writes messages, clients and servers.

use std::{env, error::Error, fs, path::PathBuf};

use protox::prost::Message;
use tonic_prost_build::FileDescriptorSet;

/// Every file of the contract, relative to `proto/`.
const FILES: &[&str] = &[
    "authpb.proto",
    "etcdserverpb/auth.proto",
    "etcdserverpb/cluster.proto",
    "etcdserverpb/etcdserver.proto",
    "etcdserverpb/header.proto",
    "etcdserverpb/kv.proto",
    "etcdserverpb/lease.proto",
    "etcdserverpb/maintenance.proto",
    "etcdserverpb/raft_internal.proto",
    "etcdserverpb/watch.proto",
    "health.proto",
    "leasepb.proto",
    "membershippb.proto",
    "mvccpb.proto",
    "raftpb.proto",
    "v3election.proto",
    "v3lock.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(FILES, ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), without_comments(descriptors.clone()).encode_to_vec())?;
    tonic_prost_build::configure()
        .bytes(".") // payloads are shared with the buffers they came in, not copied
        .btree_map(".") // the same message always encodes to the same bytes
        .compile_fds(with_readable_names(descriptors))?;
    Ok(())
}

/// The comments serve the generated code only; the descriptor set inside the binary does without them.
fn without_comments(mut descriptors: FileDescriptorSet) -> FileDescriptorSet {
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    descriptors
}

/// The generator would make `peer_ur_ls` of `peerURLs`. Names do not go over the wire, so the code may have better ones;
/// the descriptor set keeps etcd's, which JSON goes by.
fn with_readable_names(mut descriptors: FileDescriptorSet) -> FileDescriptorSet {
    let messages = descriptors.file.iter_mut().flat_map(|file| &mut file.message_type);
    for field in messages.flat_map(|message| &mut message.field) {
        match field.name() {
            "peerURLs" => field.name = Some("peer_urls".to_owned()),
            "clientURLs" => field.name = Some("client_urls".to_owned()),
            _ => {}
        }
    }
    descriptors
}
