//! The global flags, and the settings that follow from them.

use std::time::Duration;

use crate::{
    cli::{
        command::Invocation,
        environment,
        flag::{Flag, Values},
    },
    client::{
        Client,
        address::Address,
        options::{Credentials, Options},
    },
    failure::{Code, Failure},
    output::{Format, Printer},
    prompt,
};

/// The flags that every command takes.
pub(crate) const FLAGS: &[Flag] = &[
    Flag::list("endpoints", "127.0.0.1:2379", "Addresses of the servers, comma-separated."),
    Flag::switch("debug", "Print the settings in force on stderr."),
    Flag::text("write-out", "simple", "Output format: fields, json, protobuf, simple or table.").short('w'),
    Flag::switch("hex", "Print keys and values as hexadecimal escapes."),
    Flag::duration("dial-timeout", "2s", "Longest time to wait for one connection attempt."),
    Flag::duration("command-timeout", "5s", "Longest time for a command that is meant to end by itself."),
    Flag::duration("keepalive-time", "2s", "Pause between two probes of an open connection."),
    Flag::duration("keepalive-timeout", "6s", "Longest time to wait for the answer to such a probe."),
    Flag::int("max-request-bytes", "Largest request to send, in bytes; 0 means 2097152."),
    Flag::int("max-recv-bytes", "Largest answer to accept, in bytes; 0 means 2147483647."),
    Flag::switch_on(
        "insecure-transport",
        "Connect without TLS unless an endpoint or a certificate asks for it.",
    ),
    Flag::switch_on("insecure-discovery", "Accept endpoints without TLS from a DNS discovery."),
    Flag::switch("insecure-skip-tls-verify", "Accept any certificate of a server; for tests only."),
    Flag::text("cert", "", "File with the certificate to show to the server."),
    Flag::text("key", "", "File with the private key of that certificate."),
    Flag::text("cacert", "", "File with the certificates that the server's must be signed by."),
    Flag::text("user", "", "User name, or name:password; the password is asked for when it is missing."),
    Flag::text("password", "", "Password; --user is then taken as the name only."),
    Flag::text("auth-jwt-token", "", "Token to authenticate with instead of a user and password."),
    Flag::text("discovery-srv", "", "Domain whose SRV records name the endpoints.").short('d'),
    Flag::text("discovery-srv-name", "", "Suffix of the service name to ask that domain for."),
];

/// Largest request to send unless a flag says otherwise.
const DEFAULT_MAX_REQUEST_BYTES: usize = 2 * 1024 * 1024;

/// Largest answer to accept unless a flag says otherwise.
const DEFAULT_MAX_RECEIVE_BYTES: usize = i32::MAX as usize;

/// What a command that talks to servers starts from.
#[derive(Debug)]
pub(crate) struct Session {
    /// Talks to whichever of the endpoints answers.
    pub(crate) client: Client,
    /// Prints answers.
    pub(crate) printer: Printer,
    /// Whether `--command-timeout` was given.
    pub(crate) timeout_is_explicit: bool,
}

impl Session {
    /// Takes the environment, checks all global flags, and authenticates when a user is given.
    ///
    /// # Errors
    /// A setting is wrong or needs what this build lacks, or the server rejects the user.
    pub(crate) async fn open(invocation: &mut Invocation) -> Result<Self, Failure> {
        Self::open_exempting(invocation, &[]).await
    }

    /// Like [`Session::open`]; does not warn about the variables named.
    pub(crate) async fn open_exempting(
        invocation: &mut Invocation,
        exempt: &[&str],
    ) -> Result<Self, Failure> {
        let values = &mut invocation.values;
        environment::apply(values, FLAGS, text_variables(), exempt)?;
        if values.bool("debug") {
            print_settings(values);
        }
        let options = options(values)?;
        let credentials = credentials(values)?;
        let format = Format::from_name(values.text("write-out"))
            .ok_or_else(|| Failure::new(Code::BadFeature, "unsupported output format"))?;
        let timeout_is_explicit = values.is_changed("command-timeout");
        let printer = Printer { format, hex: values.bool("hex"), values_only: false };
        let mut client = Client::new(options);
        client.authenticate(credentials).await.map_err(|error| Failure::new(Code::BadConnection, error))?;
        Ok(Self { client, printer, timeout_is_explicit })
    }
}

/// The environment without what is not text; no flag has such a value.
fn text_variables() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

fn print_settings(values: &Values) {
    let mut lines: Vec<String> = FLAGS
        .iter()
        .map(|flag| format!("{}={}", environment::variable(flag), values.shown(flag.name)))
        .collect();
    lines.sort();
    for line in lines {
        eprintln!("{line}");
    }
}

fn options(values: &Values) -> Result<Options, Failure> {
    refuse_discovery(values)?;
    let endpoints: Vec<Address> = values.list("endpoints").iter().map(|text| Address::parse(text)).collect();
    if endpoints.is_empty() {
        return Err(Failure::new(Code::BadConnection, "etcdclient: no available endpoints"));
    }
    refuse_tls(values, &endpoints)?;
    Ok(Options {
        endpoints,
        dial_timeout: values.duration("dial-timeout"),
        call_timeout: Some(values.duration("command-timeout")),
        keepalive_interval: values.duration("keepalive-time").max(Duration::from_secs(1)),
        keepalive_timeout: values.duration("keepalive-timeout"),
        max_send_bytes: size(values, "max-request-bytes", DEFAULT_MAX_REQUEST_BYTES)?,
        max_receive_bytes: size(values, "max-recv-bytes", DEFAULT_MAX_RECEIVE_BYTES)?,
    })
}

fn size(values: &Values, name: &str, default: usize) -> Result<usize, Failure> {
    match values.int(name) {
        0 => Ok(default),
        bytes => usize::try_from(bytes)
            .map_err(|_| Failure::bad_args(format_args!("--{name} must not be negative, got {bytes}"))),
    }
}

/// No resolver for SRV records is linked.
fn refuse_discovery(values: &Values) -> Result<(), Failure> {
    if values.text("discovery-srv").is_empty() && values.text("discovery-srv-name").is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        Code::Error,
        "DNS discovery is not available in this build; list the servers with --endpoints",
    ))
}

/// No TLS library is linked: whoever asks for TLS must not get a connection without it.
fn refuse_tls(values: &Values, endpoints: &[Address]) -> Result<(), Failure> {
    for name in ["cert", "key", "cacert"] {
        if values.is_changed(name) && values.text(name).is_empty() {
            return Err(Failure::bad_args(format_args!("empty string is passed to --{name} option")));
        }
    }
    let cause = if let Some(address) = endpoints.iter().find(|address| address.wants_tls()) {
        format!("endpoint {address}")
    } else if let Some(name) = ["cert", "key", "cacert"].into_iter().find(|name| values.is_changed(name)) {
        format!("flag --{name}")
    } else if !values.bool("insecure-transport") {
        "flag --insecure-transport=false".to_owned()
    } else if values.bool("insecure-skip-tls-verify") {
        "flag --insecure-skip-tls-verify".to_owned()
    } else {
        return Ok(());
    };
    Err(Failure::new(
        Code::Error,
        format_args!("TLS is not available in this build, but {cause} asks for it"),
    ))
}

/// Who the caller says to be; asks for a missing password.
fn credentials(values: &Values) -> Result<Credentials, Failure> {
    let token = values.text("auth-jwt-token");
    if !token.is_empty() {
        return Ok(Credentials::Token(token.to_owned()));
    }
    let (user, password) = (values.text("user"), values.text("password"));
    if user.is_empty() {
        return Ok(Credentials::None);
    }
    let (user, password) = match user.split_once(':') {
        _ if !password.is_empty() => (user, password.to_owned()),
        Some((user, password)) => (user, password.to_owned()),
        None => (user, prompt::password("Password: ").map_err(|error| Failure::new(Code::Error, error))?),
    };
    Ok(Credentials::Password { user: user.to_owned(), password })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn with(pairs: &[(&str, &str)]) -> Values {
        let mut values = Values::default();
        values.declare(FLAGS);
        for (name, value) in pairs {
            values.set(name, value).unwrap();
        }
        values
    }

    #[test]
    fn tls_and_discovery_are_refused_in_the_open() {
        for (name, value, code) in [
            ("endpoints", "https://a:1", 1),
            ("endpoints", "a:1,unixs:///x", 1),
            ("cacert", "/x", 1),
            ("cert", "/x", 1),
            ("cacert", "", 128),
            ("insecure-transport", "false", 1),
            ("insecure-skip-tls-verify", "true", 1),
            ("discovery-srv", "example.com", 1),
            ("endpoints", "", 2),
            ("max-request-bytes", "-1", 128),
        ] {
            let failure = options(&with(&[(name, value)])).unwrap_err();
            assert_eq!(failure.code(), code, "--{name}={value}");
        }
        assert!(options(&with(&[("insecure-transport", "true")])).is_ok());
    }

    #[test]
    fn the_password_comes_from_its_flag_or_from_the_user() {
        let read = |pairs: &[(&str, &str)]| credentials(&with(pairs)).unwrap();
        assert_eq!(read(&[]), Credentials::None);
        assert_eq!(read(&[("password", "x")]), Credentials::None);
        let password = |user: &str, password: &str| Credentials::Password {
            user: user.into(),
            password: password.into(),
        };
        assert_eq!(read(&[("user", "a:b:c")]), password("a", "b:c"));
        assert_eq!(read(&[("user", "a:b"), ("password", "c")]), password("a:b", "c"));
        assert_eq!(read(&[("user", "a"), ("auth-jwt-token", "t")]), Credentials::Token("t".into()));
    }
}
