//! `endpoint health`: asks each endpoint for a key, which only a member of a working cluster can answer.

use std::time::Instant;

use bytes::Bytes;
use futures_util::{StreamExt, stream::FuturesUnordered};
use holdfast_proto::{error::EtcdError, etcdserverpb as pb};

use crate::{
    cli::command::{Command, Invocation, Work},
    client::{Client, address::Address, error::CallError},
    failure::{Code, Failure, Outcome},
    globals::Session,
    output::{EndpointHealth, Reply},
};

pub(super) const COMMAND: Command = Command {
    name: "health",
    args: "[flags]",
    about: "Shows which endpoints serve.",
    details: "A healthy endpoint answers a linearizable read and has no alarm. The endpoints are asked at the\n\
              same time and shown in the order of their answers.",
    example: "endpoint health --cluster",
    flags: &[],
    children: &[],
    work: Some(|invocation| -> Work { Box::pin(run(invocation)) }),
};

/// The key that is read. It need not exist, and a user need not be allowed to read it.
const PROBE: Bytes = Bytes::from_static(b"health");

async fn run(mut invocation: Invocation) -> Outcome {
    let mut session = Session::open(&mut invocation).await?;
    let addresses = super::chosen(&invocation, &mut session).await?;
    let probes: FuturesUnordered<_> =
        addresses.iter().map(|address| probe(session.client.only(address), address)).collect();
    let list: Vec<EndpointHealth> = probes.collect().await;
    session.printer.print(&Reply::EndpointHealth(&list))?;
    if list.iter().any(|row| row.error.is_some()) {
        return Err(Failure::new(Code::Error, "unhealthy cluster"));
    }
    Ok(())
}

async fn probe(mut client: Client, address: &Address) -> EndpointHealth {
    let start = Instant::now();
    let answer = client.range(pb::RangeRequest { key: PROBE, ..Default::default() }).await;
    let took = start.elapsed();
    let error = match answer {
        Ok(_) | Err(CallError::Server(EtcdError::PermissionDenied)) => alarms(&mut client).await,
        Err(error) => Some(error.to_string()),
    };
    EndpointHealth { endpoint: address.to_string(), took, error }
}

/// What the alarms of the cluster say, if there are any.
async fn alarms(client: &mut Client) -> Option<String> {
    let everything =
        pb::AlarmRequest { action: pb::alarm_request::AlarmAction::Get.into(), ..Default::default() };
    let Ok(response) = client.alarm(everything).await else {
        return Some("Unable to fetch the alarm list".to_owned());
    };
    if response.alarms.is_empty() {
        return None;
    }
    let mut text = "Active Alarm(s): ".to_owned();
    for alarm in &response.alarms {
        text.push_str(match pb::AlarmType::try_from(alarm.alarm) {
            Ok(pb::AlarmType::Nospace) => "NOSPACE ",
            Ok(pb::AlarmType::Corrupt) => "CORRUPT ",
            _ => "UNKNOWN ",
        });
    }
    Some(text)
}
