//! Services whose time has not come. They are known, so that clients get a clear answer.

use std::pin::Pin;

use holdfast_proto::etcdserverpb::auth_server::Auth;
use holdfast_proto::v3electionpb::election_server::Election;
use holdfast_proto::v3lockpb::lock_server::Lock;
use holdfast_proto::{etcdserverpb as pb, v3electionpb, v3lockpb};
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use super::Services;

/// The answer of a method that this version does not have.
pub(super) fn not_yet(method: &str) -> Status {
    Status::unimplemented(format!("holdfast: {method} is not available in this version"))
}

/// Implements methods that are not available yet.
macro_rules! later {
    ($($method:ident: $request:ty => $response:ty, $name:literal;)*) => {
        $(
            fn $method<'life0, 'async_trait>(
                &'life0 self,
                _: Request<$request>,
            ) -> Pin<Box<dyn Future<Output = Result<Response<$response>, Status>> + Send + 'async_trait>>
            where
                'life0: 'async_trait,
                Self: 'async_trait,
            {
                Box::pin(std::future::ready(Err(not_yet($name))))
            }
        )*
    };
}

impl Auth for Services {
    later! {
        auth_enable: pb::AuthEnableRequest => pb::AuthEnableResponse, "AuthEnable";
        auth_disable: pb::AuthDisableRequest => pb::AuthDisableResponse, "AuthDisable";
        auth_status: pb::AuthStatusRequest => pb::AuthStatusResponse, "AuthStatus";
        authenticate: pb::AuthenticateRequest => pb::AuthenticateResponse, "Authenticate";
        user_add: pb::AuthUserAddRequest => pb::AuthUserAddResponse, "UserAdd";
        user_get: pb::AuthUserGetRequest => pb::AuthUserGetResponse, "UserGet";
        user_list: pb::AuthUserListRequest => pb::AuthUserListResponse, "UserList";
        user_delete: pb::AuthUserDeleteRequest => pb::AuthUserDeleteResponse, "UserDelete";
        user_change_password: pb::AuthUserChangePasswordRequest => pb::AuthUserChangePasswordResponse, "UserChangePassword";
        user_grant_role: pb::AuthUserGrantRoleRequest => pb::AuthUserGrantRoleResponse, "UserGrantRole";
        user_revoke_role: pb::AuthUserRevokeRoleRequest => pb::AuthUserRevokeRoleResponse, "UserRevokeRole";
        role_add: pb::AuthRoleAddRequest => pb::AuthRoleAddResponse, "RoleAdd";
        role_get: pb::AuthRoleGetRequest => pb::AuthRoleGetResponse, "RoleGet";
        role_list: pb::AuthRoleListRequest => pb::AuthRoleListResponse, "RoleList";
        role_delete: pb::AuthRoleDeleteRequest => pb::AuthRoleDeleteResponse, "RoleDelete";
        role_grant_permission: pb::AuthRoleGrantPermissionRequest => pb::AuthRoleGrantPermissionResponse, "RoleGrantPermission";
        role_revoke_permission: pb::AuthRoleRevokePermissionRequest => pb::AuthRoleRevokePermissionResponse, "RoleRevokePermission";
    }
}

impl Lock for Services {
    later! {
        lock: v3lockpb::LockRequest => v3lockpb::LockResponse, "Lock";
        unlock: v3lockpb::UnlockRequest => v3lockpb::UnlockResponse, "Unlock";
    }
}

impl Election for Services {
    type ObserveStream = Pin<Box<dyn Stream<Item = Result<v3electionpb::LeaderResponse, Status>> + Send>>;

    later! {
        campaign: v3electionpb::CampaignRequest => v3electionpb::CampaignResponse, "Campaign";
        proclaim: v3electionpb::ProclaimRequest => v3electionpb::ProclaimResponse, "Proclaim";
        leader: v3electionpb::LeaderRequest => v3electionpb::LeaderResponse, "Leader";
        observe: v3electionpb::LeaderRequest => Self::ObserveStream, "Observe";
        resign: v3electionpb::ResignRequest => v3electionpb::ResignResponse, "Resign";
    }
}
