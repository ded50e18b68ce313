//! `watch`: prints what happens to keys, and runs a command for each event.

mod arguments;
mod exec;
mod hub;
mod interactive;
mod watcher;

use tokio::sync::mpsc;

use crate::{
    cli::{
        command::{Command, Invocation, Work},
        flag::Flag,
    },
    failure::{Failure, Outcome},
    globals::Session,
};
use arguments::Wish;
use hub::{Hub, Order};

pub(super) const COMMAND: Command = Command {
    name: "watch",
    args: "[key or prefix] [range_end] [flags] [-- command [argument...]]",
    about: "Prints the changes of keys as they happen.",
    details: "A command behind '--' is run for each event. It finds the event in the variables ETCD_WATCH_REVISION,\n\
              ETCD_WATCH_EVENT_TYPE, ETCD_WATCH_KEY and ETCD_WATCH_VALUE, quoted except for the revision.\n\
              ETCDCTL_WATCH_KEY and ETCDCTL_WATCH_RANGE_END take the place of the arguments.\n\
              With --interactive each line of stdin is a watch command, or 'progress' to ask how far the watches are.",
    example: "watch config/ --prefix --rev=4711 -- sh -c 'echo $ETCD_WATCH_KEY changed'",
    flags: FLAGS,
    children: &[],
    work: Some(|invocation| -> Work { Box::pin(run(invocation)) }),
};

/// Also the flags of the lines of `watch -i`.
const FLAGS: &[Flag] = &[
    Flag::switch("interactive", "Read watch commands from stdin.").short('i'),
    Flag::switch("prefix", "Watch all keys that begin with the key."),
    Flag::int("rev", "Begin with the changes of this revision; 0 means now."),
    Flag::switch("prev-kv", "Also print each key as it was before."),
    Flag::switch("progress-notify", "Let the server tell from time to time how far the watch is."),
];

/// Variables that stand for the arguments.
const KEY_VARIABLE: &str = "ETCDCTL_WATCH_KEY";
const RANGE_END_VARIABLE: &str = "ETCDCTL_WATCH_RANGE_END";

/// Orders that wait while a watch is being created.
const MAX_WAITING_ORDERS: usize = 16;

async fn run(mut invocation: Invocation) -> Outcome {
    let variables = Variables::read()?;
    let (orders, waiting) = mpsc::channel(MAX_WAITING_ORDERS);
    let interactive = invocation.values.bool("interactive");
    let wish = if interactive {
        None
    } else {
        Some(Wish::new(&invocation.values, &invocation.args, invocation.before_dashes, &variables)?)
    };
    let session = Session::open_exempting(&mut invocation, &[KEY_VARIABLE, RANGE_END_VARIABLE]).await?;
    let hub = Hub::new(session.client, session.printer, interactive);
    if let Some(wish) = wish {
        orders.try_send(Order::Watch(wish)).expect("an empty queue that is held open takes an order");
    } else {
        std::thread::spawn(move || interactive::read_orders(&variables, &orders));
    }
    hub.run(waiting).await
}

/// Key and range from the environment; empty: not given.
#[derive(Debug, Clone, Default)]
struct Variables {
    key: Vec<u8>,
    range_end: Vec<u8>,
}

impl Variables {
    fn read() -> Result<Self, Failure> {
        use std::os::unix::ffi::OsStringExt;
        let read = |name| std::env::var_os(name).unwrap_or_default().into_vec();
        let variables = Self { key: read(KEY_VARIABLE), range_end: read(RANGE_END_VARIABLE) };
        if variables.key.is_empty() && !variables.range_end.is_empty() {
            let quoted = crate::go_text::quote::quote(&variables.range_end);
            return Err(Failure::bad_args(format_args!(
                "{KEY_VARIABLE} is empty but got {RANGE_END_VARIABLE}={quoted}"
            )));
        }
        Ok(variables)
    }
}
