//! `lease keep-alive`: renews a lease once, or until it ends.
//!
//! A renewal is sent when a third of the lease's time has passed. When the stream breaks, it is opened again,
//! until the lease must have ended on the server.

use std::time::Duration;

use futures_util::stream;
use holdfast_proto::{error::EtcdError, etcdserverpb as pb};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    cli::{
        command::{Command, Invocation, Work},
        flag::Flag,
    },
    client::{Client, error::CallError},
    failure::Outcome,
    globals::Session,
    output::{Format, Reply, write_stdout},
};

pub(super) const COMMAND: Command = Command {
    name: "keep-alive",
    args: "<leaseID> [flags]",
    about: "Renews a lease again and again, until it ends or the command is interrupted.",
    details: "",
    example: "lease keep-alive 694d77aa9e38260f --once",
    flags: &[Flag::switch("once", "Renew the lease once and end.")],
    children: &[],
    work: Some(|invocation| -> Work { Box::pin(run(invocation)) }),
};

/// How long the first answer may take; after it the lease's own time counts.
const FIRST_ANSWER: Duration = Duration::from_secs(5);

/// Pause before a stream that broke is opened again.
const PAUSE: Duration = Duration::from_millis(500);

async fn run(mut invocation: Invocation) -> Outcome {
    let id = super::lease_id(&invocation, "lease keep-alive command needs lease ID as argument")?;
    let once = invocation.values.bool("once");
    let mut session = Session::open(&mut invocation).await?;
    if once {
        let response = renew_once(&mut session.client, id).await.map_err(super::read_failed)?;
        return session.printer.print(&Reply::LeaseKeepAlive(&response));
    }
    let mut deadline = Instant::now() + FIRST_ANSWER;
    while let Some(response) = renew_until(&mut session.client, id, deadline).await {
        session.printer.print(&Reply::LeaseKeepAlive(&response))?;
        let ttl = Duration::from_secs(response.ttl.unsigned_abs());
        deadline = Instant::now() + ttl;
        sleep(ttl / 3).await;
    }
    if session.printer.format == Format::Simple {
        write_stdout(format!("lease {id:016x} expired or revoked.\n").as_bytes())?;
    }
    Ok(())
}

/// Renews the lease, by `deadline` if need be with several attempts; none when it has ended.
async fn renew_until(client: &mut Client, id: i64, deadline: Instant) -> Option<pb::LeaseKeepAliveResponse> {
    while let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        match timeout(left, renew(client, id)).await.ok()? {
            Ok(response) => return Some(response),
            Err(CallError::Server(EtcdError::LeaseNotFound)) => return None,
            Err(error) if error.is_unavailable() => client.disconnect(),
            Err(_) => return None,
        }
        sleep(PAUSE.min(left)).await;
    }
    None
}

async fn renew_once(client: &mut Client, id: i64) -> Result<pb::LeaseKeepAliveResponse, CallError> {
    client
        .limited(async move |client| {
            loop {
                match renew(client, id).await {
                    Err(error) if error.is_unavailable() => {
                        client.disconnect();
                        sleep(PAUSE).await;
                    }
                    outcome => return outcome,
                }
            }
        })
        .await
}

/// Sends one renewal. A lease that does not exist is answered with a time of 0.
async fn renew(client: &mut Client, id: i64) -> Result<pb::LeaseKeepAliveResponse, CallError> {
    let mut answers = client.lease_keep_alive(stream::iter([pb::LeaseKeepAliveRequest { id }])).await?;
    match answers.message().await? {
        Some(response) if response.ttl > 0 => Ok(response),
        Some(_) => Err(CallError::Server(EtcdError::LeaseNotFound)),
        None => Err(CallError::Transport("the stream of renewals ended without an answer".to_owned())),
    }
}
