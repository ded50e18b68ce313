//! Every error a client can get from the server by name, in one table.
//!
//! Clients of etcd recognise errors by their *text*: the official Go client looks the status message up in a table and
//! ignores the code. So the texts below are part of the wire contract, to the letter, and so are the codes, which other
//! clients and the JSON gateway go by.
//!
//! The variants of the first part are named as in etcd's Go module without the prefix `ErrGRPC`. Two of them are
//! declared there with one code and yet arrive with code `Unknown`, because etcd's server sends the client's form of
//! the error; the table has the code that arrives. The second part are texts that have no declared error and arrive
//! as `Unknown`. The third are answers that etcd leaves to its RPC framework.

use tonic::{Code, Status};

/// Turns the table into the enum and everything that is derived from it, so that nothing can be listed in one place
/// and be missing in another. A text that stands in it twice is an unreachable pattern, which the compiler reports.
macro_rules! errors {
    ($($(#[$doc:meta])+ $name:ident = $code:ident $text:literal;)+) => {
        /// An error that reaches the client as the status of its call.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
        pub enum EtcdError {
            $($(#[$doc])+ #[error($text)] $name,)+
        }

        impl EtcdError {
            /// Every error, in the order of the table.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The code that goes over the wire with it.
            pub const fn code(self) -> Code {
                match self {
                    $(Self::$name => Code::$code,)+
                }
            }

            /// The text that goes over the wire with it.
            pub const fn message(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }

            /// The error with exactly this text, whatever code it came with.
            pub fn from_message(message: &str) -> Option<Self> {
                match message {
                    $($text => Some(Self::$name),)+
                    _ => None,
                }
            }
        }
    };
}

errors! {
    // Part 1: the errors that etcd declares.

    /// A range, put, deletion, comparison or lock key without a key.
    EmptyKey = InvalidArgument "etcdserver: key is not provided";
    /// A put that keeps value or lease of a key that does not exist; also an operation of a transaction left unset.
    KeyNotFound = InvalidArgument "etcdserver: key not found";
    /// A put that shall keep the value brings one.
    ValueProvided = InvalidArgument "etcdserver: value is provided";
    /// A put that shall keep the lease brings one.
    LeaseProvided = InvalidArgument "etcdserver: lease is provided";
    /// A transaction has more comparisons or operations in one list than the server allows.
    TooManyOps = InvalidArgument "etcdserver: too many operations in txn request";
    /// A transaction writes a key twice.
    DuplicateKey = InvalidArgument "etcdserver: duplicate key given in txn request";
    /// The client names its version in metadata that is no UTF-8. Since 3.6.
    InvalidClientAPIVersion = InvalidArgument "etcdserver: invalid client api version";
    /// A range asks for an order or a sort target that does not exist. Since 3.6.
    InvalidSortOption = InvalidArgument "etcdserver: invalid sort option";
    /// The revision asked for is below the compacted one. Also the reason of a watch refused for a negative start.
    Compacted = OutOfRange "etcdserver: mvcc: required revision has been compacted";
    /// The revision asked for is above the current one.
    FutureRev = OutOfRange "etcdserver: mvcc: required revision is a future revision";
    /// The database has reached its quota, or the alarm of an earlier time it did is still raised.
    NoSpace = ResourceExhausted "etcdserver: mvcc: database space exceeded";
    /// A put, a transaction or a revocation names a lease that does not exist.
    LeaseNotFound = NotFound "etcdserver: requested lease not found";
    /// A lease is asked for with an identifier in use.
    LeaseExist = FailedPrecondition "etcdserver: lease already exists";
    /// A lease is asked for with a longer life than allowed ([`MAX_LEASE_TTL_SECONDS`](crate::limits::MAX_LEASE_TTL_SECONDS)).
    LeaseTTLTooLarge = OutOfRange "etcdserver: too large lease TTL";
    /// A watch stream ended because its client cancelled it.
    WatchCanceled = Cancelled "etcdserver: watch canceled";
    /// A member to be added got the identifier of another.
    MemberExist = FailedPrecondition "etcdserver: member ID already exist";
    /// A peer URL belongs to another member already.
    PeerURLExist = FailedPrecondition "etcdserver: Peer URLs already exists";
    /// After the change of membership too few started members would be left for a quorum. Declared as
    /// FailedPrecondition, arrives as Unknown.
    MemberNotEnoughStarted = Unknown "etcdserver: re-configuration failed due to not enough started members";
    /// Peer URLs are missing or malformed.
    MemberBadURLs = InvalidArgument "etcdserver: given member URLs are invalid";
    /// The member is unknown, or was removed.
    MemberNotFound = NotFound "etcdserver: member not found";
    /// Only learners can be promoted, and this member votes already.
    MemberNotLearner = FailedPrecondition "etcdserver: can only promote a learner member";
    /// The learner to be promoted has less than nine tenths of the leader's log.
    LearnerNotReady = FailedPrecondition "etcdserver: can only promote a learner member which is in sync with leader";
    /// One learner more would exceed `--max-learners`.
    TooManyLearners = FailedPrecondition "etcdserver: too many learner members in cluster";
    /// A member of another cluster asked; on the peer port only.
    ClusterIDMismatch = FailedPrecondition "etcdserver: cluster ID mismatch";
    /// The encoded entry of the raft log would be larger than `--max-request-bytes`.
    RequestTooLarge = InvalidArgument "etcdserver: request is too large";
    /// Applying lags too far behind committing to take in more. Declared as ResourceExhausted, arrives as Unknown.
    RequestTooManyRequests = Unknown "etcdserver: too many requests";
    /// Authentication cannot be put in force without a user `root`.
    RootUserNotExist = FailedPrecondition "etcdserver: root user does not exist";
    /// Authentication cannot be put in force while the user `root` lacks the role `root`.
    RootRoleNotExist = FailedPrecondition "etcdserver: root user does not have root role";
    /// A user of that name exists.
    UserAlreadyExist = FailedPrecondition "etcdserver: user name already exists";
    /// A user without a name was to be made; also any call without identity while authentication is in force.
    UserEmpty = InvalidArgument "etcdserver: user name is empty";
    /// There is no such user, or the caller's own was deleted.
    UserNotFound = FailedPrecondition "etcdserver: user name not found";
    /// A role of that name exists.
    RoleAlreadyExist = FailedPrecondition "etcdserver: role name already exists";
    /// There is no such role.
    RoleNotFound = FailedPrecondition "etcdserver: role name not found";
    /// A role without a name was to be made.
    RoleEmpty = InvalidArgument "etcdserver: role name is empty";
    /// Unknown user or wrong password; which of the two is not told.
    AuthFailed = InvalidArgument "etcdserver: authentication failed, invalid user ID or password";
    /// A permission was to be granted without saying which.
    PermissionNotGiven = InvalidArgument "etcdserver: permission not given";
    /// The caller lacks the right.
    PermissionDenied = PermissionDenied "etcdserver: permission denied";
    /// A role was to be taken from a user that does not have it.
    RoleNotGranted = FailedPrecondition "etcdserver: role is not granted to the user";
    /// A permission was to be taken from a role that does not have exactly that one.
    PermissionNotGranted = FailedPrecondition "etcdserver: permission is not granted to the role";
    /// Logging in makes no sense while authentication is not in force.
    AuthNotEnabled = FailedPrecondition "etcdserver: authentication is not enabled";
    /// The token is malformed, unknown or has expired.
    InvalidAuthToken = Unauthenticated "etcdserver: invalid auth token";
    /// `root` was to be deleted or stripped while authentication is in force, or a permission has an empty range.
    InvalidAuthMgmt = InvalidArgument "etcdserver: invalid auth management";
    /// Users or roles changed after the caller's token was made, or while the call was under way.
    AuthOldRevision = InvalidArgument "etcdserver: revision of auth store is old";
    /// The member knows no leader, and the call needs one or insists on one.
    NoLeader = Unavailable "etcdserver: no leader";
    /// Leadership can be handed over by the leader only.
    NotLeader = FailedPrecondition "etcdserver: not leader";
    /// The leader changed while a linearizable read or a lease look-up waited for it.
    LeaderChanged = Unavailable "etcdserver: leader changed";
    /// The cluster version does not offer this call yet. Unavailable up to 3.5.
    NotCapable = FailedPrecondition "etcdserver: not capable";
    /// The member is shutting down.
    Stopped = Unavailable "etcdserver: server stopped";
    /// No answer came from the cluster in time; whether the request was or will be applied is not known.
    Timeout = Unavailable "etcdserver: request timed out";
    /// As `Timeout`, and the request began shortly before a leader was elected anew.
    TimeoutDueToLeaderFail = Unavailable "etcdserver: request timed out, possibly due to previous leader failure";
    /// As `Timeout`, and the leader or, for the leader, a quorum has not been reachable since the request began.
    TimeoutDueToConnectionLost = Unavailable "etcdserver: request timed out, possibly due to connection lost";
    /// The member did not apply, within a second, what was committed when a lease call or promotion came.
    TimeoutWaitAppliedIndex = Unavailable
        "etcdserver: request timed out, waiting for the applied index took too long";
    /// Membership is not changed while too few members are connected.
    Unhealthy = Unavailable "etcdserver: unhealthy cluster";
    /// The alarm that members' data differ is raised.
    Corrupt = DataLoss "etcdserver: corrupt cluster";
    /// A learner serves only its status, its snapshot and serializable ranges. Unavailable up to 3.5.
    NotSupportedForLearner = FailedPrecondition "etcdserver: rpc not supported for learner";
    /// Leadership cannot go to a learner or to an unknown member.
    BadLeaderTransferee = FailedPrecondition "etcdserver: bad leader transferee";
    /// The target of a downgrade is not of the form major.minor or major.minor.patch.
    WrongDowngradeVersionFormat = InvalidArgument "etcdserver: wrong downgrade target version format";
    /// The target of a downgrade is not one minor below the cluster version.
    InvalidDowngradeTargetVersion = InvalidArgument "etcdserver: invalid downgrade target version";
    /// A downgrade was asked for before the cluster version is known. Unavailable up to 3.5.
    ClusterVersionUnavailable = FailedPrecondition "etcdserver: cluster version not found during downgrade";
    /// A downgrade is under way already.
    DowngradeInProcess = FailedPrecondition "etcdserver: cluster has a downgrade job in progress";
    /// There is no downgrade to cancel. Since 3.6 the caller gets success instead.
    NoInflightDowngrade = FailedPrecondition "etcdserver: no inflight downgrade job";
    /// The server gave up a wait because it was cancelled.
    Canceled = Cancelled "etcdserver: request canceled";
    /// Declared for completeness; what arrives is [`Self::ContextDeadlineExceeded`].
    DeadlineExceeded = DeadlineExceeded "etcdserver: context deadline exceeded";

    // Part 2: texts without a declared error.

    /// A password login of a user made without password, or with a stored hash that is no base64.
    NoPasswordUser = Unknown "auth: authentication failed, password was given for no password user";
    /// A login while the server has only the public key of its signed tokens.
    VerifyOnly = Unknown "auth: token signing attempted with verify-only key";
    /// The handing over of leadership did not end in time.
    TimeoutLeaderTransfer = Unknown "etcdserver: request timed out, leader transfer took too long";
    /// A downgrade request with an action that does not exist.
    UnknownMethod = Unknown "etcdserver: unknown method";
    /// A lease was to be renewed by a member that has just stopped leading.
    NotPrimaryLessor = Unknown "not a primary lessor";
    /// Nobody leads the election asked for.
    ElectionNoLeader = Unknown "election: no leader";
    /// A value was to be proclaimed under a leadership that has ended.
    ElectionNotLeader = Unknown "election: not leader";
    /// A value was to be proclaimed, or a leadership given up, without saying which.
    ElectionNoLeaderKey = Unknown "\"leader\" field must be provided";
    /// The lease of a caller waiting for a lock ended.
    MutexSessionExpired = Unknown "mutex: session is expired";
    /// bcrypt looks at 72 bytes of a password at most, so longer ones are refused.
    PasswordTooLong = Unknown "bcrypt: password length exceeds 72 bytes";

    // Part 3: answers that etcd leaves to its RPC framework.

    /// The caller gave up.
    ContextCanceled = Cancelled "context canceled";
    /// The caller's deadline passed; also a proposal that found no leader for the whole of the server's own time-out.
    ContextDeadlineExceeded = DeadlineExceeded "context deadline exceeded";
    /// Health was asked of a service other than the server as a whole.
    UnknownHealthService = NotFound "unknown service";
    /// A streamed range asks for an order other than by key, ascending.
    RangeStreamSortOrder = Unimplemented "RangeStream does not support custom sort orders";
    /// A streamed range asks for limits on revisions.
    RangeStreamRevisionFilter = Unimplemented "RangeStream does not support revision filters";
}

impl EtcdError {
    /// The status this error has inside Lock and Election calls: whatever its own code, there it arrives as Unknown,
    /// because etcd runs them through its own client and passes on only the text.
    pub fn into_bare_status(self) -> Status {
        Status::new(Code::Unknown, self.message())
    }

    /// The line a Go client prints for it, `rpc error: code = … desc = …`, which also stands in some texts.
    pub fn go_text(self) -> String {
        format!("rpc error: code = {} desc = {}", code_name(self.code()), self.message())
    }
}

impl From<EtcdError> for Status {
    fn from(error: EtcdError) -> Self {
        Status::new(error.code(), error.message())
    }
}

/// The name of a code as gRPC's Go library prints it, and etcd's clients, logs and metric labels with it.
pub const fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "Canceled",
        Code::Unknown => "Unknown",
        Code::InvalidArgument => "InvalidArgument",
        Code::DeadlineExceeded => "DeadlineExceeded",
        Code::NotFound => "NotFound",
        Code::AlreadyExists => "AlreadyExists",
        Code::PermissionDenied => "PermissionDenied",
        Code::ResourceExhausted => "ResourceExhausted",
        Code::FailedPrecondition => "FailedPrecondition",
        Code::Aborted => "Aborted",
        Code::OutOfRange => "OutOfRange",
        Code::Unimplemented => "Unimplemented",
        Code::Internal => "Internal",
        Code::Unavailable => "Unavailable",
        Code::DataLoss => "DataLoss",
        Code::Unauthenticated => "Unauthenticated",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_text_is_unique_and_leads_back_to_its_error() {
        let texts: BTreeSet<_> = EtcdError::ALL.iter().map(|error| error.message()).collect();
        assert_eq!(texts.len(), EtcdError::ALL.len());
        for &error in EtcdError::ALL {
            assert_eq!(EtcdError::from_message(error.message()), Some(error));
            assert_eq!(error.to_string(), error.message());
        }
        assert_eq!(EtcdError::from_message("etcdserver: something else"), None);
    }

    #[test]
    fn a_status_carries_code_and_text() {
        for &error in EtcdError::ALL {
            let status = Status::from(error);
            assert_eq!((status.code(), status.message()), (error.code(), error.message()));
            let bare = error.into_bare_status();
            assert_eq!((bare.code(), bare.message()), (Code::Unknown, error.message()));
        }
    }

    /// The Go names of codes are those of the protobuf definition, except for one letter that tonic doubles.
    #[test]
    fn codes_are_named_as_in_go() {
        for number in 0..17 {
            let code = Code::from(number);
            let expected = match code {
                Code::Ok => "OK".to_owned(),
                Code::Cancelled => "Canceled".to_owned(),
                other => format!("{other:?}"),
            };
            assert_eq!(code_name(code), expected);
        }
        assert_eq!(
            EtcdError::LeaseTTLTooLarge.go_text(),
            "rpc error: code = OutOfRange desc = etcdserver: too large lease TTL"
        );
    }
}
