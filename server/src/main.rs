//! `holdfast`: one member of a cluster. Behaves the same when it is started through a link named `etcd`.

use holdfast_server::node::FullNode;

/// Threads of the runtime free what other threads allocated, which this allocator is good at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let args = std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let env: Vec<_> = std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .collect();
    holdfast_server::start::main::<FullNode>(args, &env)
}
