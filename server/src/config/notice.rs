//! What is found while the configuration is read, before there is a logger to say it with.

/// One line for the log, kept until the log can be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A variable was used as the value of a flag.
    VariableUsed {
        /// Its name.
        name: String,
        /// Its value.
        value: String,
    },
    /// A variable begins like ours but stands for no flag, or is empty.
    VariableUnknown {
        /// `NAME=value`.
        text: String,
    },
    /// `ETCD_VERSION` cannot be used as a flag and is dropped.
    VersionVariable {
        /// Its value.
        value: String,
    },
    /// A flag that tunes a part that is not there.
    NoEffect {
        /// The flag.
        flag: &'static str,
        /// Why it has none.
        why: &'static str,
    },
    /// HTTP and gRPC share a port.
    SinglePort,
    /// The member goes by the default name.
    DefaultName,
    /// The data directory was made up from the name.
    DataDirDefault {
        /// The directory.
        path: String,
    },
    /// The address advertised was taken from the machine's default route.
    DefaultHost {
        /// The address.
        host: String,
    },
}

impl Notice {
    /// Writes it to the log, with etcd's message and fields.
    pub fn log(&self) {
        match self {
            Self::VariableUsed { name, value } => tracing::info!(
                "variable-name" = %name,
                "variable-value" = %value,
                "recognized and used environment variable"
            ),
            Self::VariableUnknown { text } => {
                tracing::warn!("environment-variable" = %text, "unrecognized environment variable");
            }
            Self::VersionVariable { value } => tracing::warn!(
                key = "ETCD_VERSION",
                value = %value,
                "cannot set special environment variable"
            ),
            Self::NoEffect { flag, why } => {
                tracing::warn!("flag-name" = flag, reason = why, "flag has no effect in holdfast");
            }
            Self::SinglePort => tracing::warn!(
                "Running http and grpc server on single port. This is not recommended for production."
            ),
            Self::DefaultName => tracing::warn!(
                name = "default",
                "it isn't recommended to use default name, please set a value for --name. Note that etcd might run \
                 into issue when multiple members have the same default name"
            ),
            Self::DataDirDefault { path } => {
                tracing::warn!("data-dir" = %path, "'data-dir' was empty; using default");
            }
            Self::DefaultHost { host } => tracing::info!(host = %host, "detected default host for advertise"),
        }
    }
}
