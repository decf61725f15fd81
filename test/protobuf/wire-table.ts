/** The protocol of etcd 3.7.1 as its servers speak it, written down apart from `proto/`, which is checked against it. */

/** `package.Message: number name: type; …`, the members of a oneof with its name. */
export const wireMessages = `
mvccpb.KeyValue: 1 key: bytes; 2 create_revision: int64; 3 mod_revision: int64; 4 version: int64; 5 value: bytes; 6 lease: int64
mvccpb.Event: 1 type: EventType; 2 kv: KeyValue; 3 prev_kv: KeyValue
authpb.UserAddOptions: 1 no_password: bool
authpb.User: 1 name: bytes; 2 password: bytes; 3 roles: repeated string; 4 options: UserAddOptions
authpb.Permission: 1 permType: Type; 2 key: bytes; 3 range_end: bytes
authpb.Role: 1 name: bytes; 2 keyPermission: repeated Permission
etcdserverpb.ResponseHeader: 1 cluster_id: uint64; 2 member_id: uint64; 3 revision: int64; 4 raft_term: uint64
etcdserverpb.RangeRequest: 1 key: bytes; 2 range_end: bytes; 3 limit: int64; 4 revision: int64; 5 sort_order: SortOrder; 6 sort_target: SortTarget; 7 serializable: bool; 8 keys_only: bool; 9 count_only: bool; 10 min_mod_revision: int64; 11 max_mod_revision: int64; 12 min_create_revision: int64; 13 max_create_revision: int64
etcdserverpb.RangeResponse: 1 header: ResponseHeader; 2 kvs: repeated mvccpb.KeyValue; 3 more: bool; 4 count: int64
etcdserverpb.PutRequest: 1 key: bytes; 2 value: bytes; 3 lease: int64; 4 prev_kv: bool; 5 ignore_value: bool; 6 ignore_lease: bool
etcdserverpb.PutResponse: 1 header: ResponseHeader; 2 prev_kv: mvccpb.KeyValue
etcdserverpb.DeleteRangeRequest: 1 key: bytes; 2 range_end: bytes; 3 prev_kv: bool
etcdserverpb.DeleteRangeResponse: 1 header: ResponseHeader; 2 deleted: int64; 3 prev_kvs: repeated mvccpb.KeyValue
etcdserverpb.RequestOp: 1 request_range: RangeRequest in request; 2 request_put: PutRequest in request; 3 request_delete_range: DeleteRangeRequest in request; 4 request_txn: TxnRequest in request
etcdserverpb.ResponseOp: 1 response_range: RangeResponse in response; 2 response_put: PutResponse in response; 3 response_delete_range: DeleteRangeResponse in response; 4 response_txn: TxnResponse in response
etcdserverpb.Compare: 1 result: CompareResult; 2 target: CompareTarget; 3 key: bytes; 4 version: int64 in target_union; 5 create_revision: int64 in target_union; 6 mod_revision: int64 in target_union; 7 value: bytes in target_union; 8 lease: int64 in target_union; 64 range_end: bytes
etcdserverpb.TxnRequest: 1 compare: repeated Compare; 2 success: repeated RequestOp; 3 failure: repeated RequestOp
etcdserverpb.TxnResponse: 1 header: ResponseHeader; 2 succeeded: bool; 3 responses: repeated ResponseOp
etcdserverpb.CompactionRequest: 1 revision: int64; 2 physical: bool
etcdserverpb.CompactionResponse: 1 header: ResponseHeader
etcdserverpb.HashRequest:
etcdserverpb.HashKVRequest: 1 revision: int64
etcdserverpb.HashKVResponse: 1 header: ResponseHeader; 2 hash: uint32; 3 compact_revision: int64; 4 hash_revision: int64
etcdserverpb.HashResponse: 1 header: ResponseHeader; 2 hash: uint32
etcdserverpb.SnapshotRequest:
etcdserverpb.SnapshotResponse: 1 header: ResponseHeader; 2 remaining_bytes: uint64; 3 blob: bytes; 4 version: string
etcdserverpb.WatchRequest: 1 create_request: WatchCreateRequest in request_union; 2 cancel_request: WatchCancelRequest in request_union; 3 progress_request: WatchProgressRequest in request_union
etcdserverpb.WatchCreateRequest: 1 key: bytes; 2 range_end: bytes; 3 start_revision: int64; 4 progress_notify: bool; 5 filters: repeated FilterType; 6 prev_kv: bool; 7 watch_id: int64; 8 fragment: bool
etcdserverpb.WatchCancelRequest: 1 watch_id: int64
etcdserverpb.WatchProgressRequest:
etcdserverpb.WatchResponse: 1 header: ResponseHeader; 2 watch_id: int64; 3 created: bool; 4 canceled: bool; 5 compact_revision: int64; 6 cancel_reason: string; 7 fragment: bool; 11 events: repeated mvccpb.Event
etcdserverpb.LeaseGrantRequest: 1 TTL: int64; 2 ID: int64
etcdserverpb.LeaseGrantResponse: 1 header: ResponseHeader; 2 ID: int64; 3 TTL: int64; 4 error: string
etcdserverpb.LeaseRevokeRequest: 1 ID: int64
etcdserverpb.LeaseRevokeResponse: 1 header: ResponseHeader
etcdserverpb.LeaseCheckpoint: 1 ID: int64; 2 remaining_TTL: int64
etcdserverpb.LeaseCheckpointRequest: 1 checkpoints: repeated LeaseCheckpoint
etcdserverpb.LeaseCheckpointResponse: 1 header: ResponseHeader
etcdserverpb.LeaseKeepAliveRequest: 1 ID: int64
etcdserverpb.LeaseKeepAliveResponse: 1 header: ResponseHeader; 2 ID: int64; 3 TTL: int64
etcdserverpb.LeaseTimeToLiveRequest: 1 ID: int64; 2 keys: bool
etcdserverpb.LeaseTimeToLiveResponse: 1 header: ResponseHeader; 2 ID: int64; 3 TTL: int64; 4 grantedTTL: int64; 5 keys: repeated bytes
etcdserverpb.LeaseLeasesRequest:
etcdserverpb.LeaseStatus: 1 ID: int64
etcdserverpb.LeaseLeasesResponse: 1 header: ResponseHeader; 2 leases: repeated LeaseStatus
etcdserverpb.Member: 1 ID: uint64; 2 name: string; 3 peerURLs: repeated string; 4 clientURLs: repeated string; 5 isLearner: bool
etcdserverpb.MemberAddRequest: 1 peerURLs: repeated string; 2 isLearner: bool
etcdserverpb.MemberAddResponse: 1 header: ResponseHeader; 2 member: Member; 3 members: repeated Member
etcdserverpb.MemberRemoveRequest: 1 ID: uint64
etcdserverpb.MemberRemoveResponse: 1 header: ResponseHeader; 2 members: repeated Member
etcdserverpb.MemberUpdateRequest: 1 ID: uint64; 2 peerURLs: repeated string
etcdserverpb.MemberUpdateResponse: 1 header: ResponseHeader; 2 members: repeated Member
etcdserverpb.MemberListRequest: 1 linearizable: bool
etcdserverpb.MemberListResponse: 1 header: ResponseHeader; 2 members: repeated Member
etcdserverpb.MemberPromoteRequest: 1 ID: uint64
etcdserverpb.MemberPromoteResponse: 1 header: ResponseHeader; 2 members: repeated Member
etcdserverpb.DefragmentRequest:
etcdserverpb.DefragmentResponse: 1 header: ResponseHeader
etcdserverpb.MoveLeaderRequest: 1 targetID: uint64
etcdserverpb.MoveLeaderResponse: 1 header: ResponseHeader
etcdserverpb.AlarmRequest: 1 action: AlarmAction; 2 memberID: uint64; 3 alarm: AlarmType
etcdserverpb.AlarmMember: 1 memberID: uint64; 2 alarm: AlarmType
etcdserverpb.AlarmResponse: 1 header: ResponseHeader; 2 alarms: repeated AlarmMember
etcdserverpb.DowngradeRequest: 1 action: DowngradeAction; 2 version: string
etcdserverpb.DowngradeResponse: 1 header: ResponseHeader; 2 version: string
etcdserverpb.DowngradeVersionTestRequest: 1 ver: string
etcdserverpb.StatusRequest:
etcdserverpb.StatusResponse: 1 header: ResponseHeader; 2 version: string; 3 dbSize: int64; 4 leader: uint64; 5 raftIndex: uint64; 6 raftTerm: uint64; 7 raftAppliedIndex: uint64; 8 errors: repeated string; 9 dbSizeInUse: int64; 10 isLearner: bool; 11 storageVersion: string; 12 dbSizeQuota: int64; 13 downgradeInfo: DowngradeInfo
etcdserverpb.DowngradeInfo: 1 enabled: bool; 2 targetVersion: string
etcdserverpb.AuthEnableRequest:
etcdserverpb.AuthDisableRequest:
etcdserverpb.AuthStatusRequest:
etcdserverpb.AuthenticateRequest: 1 name: string; 2 password: string
etcdserverpb.AuthUserAddRequest: 1 name: string; 2 password: string; 3 options: authpb.UserAddOptions; 4 hashedPassword: string
etcdserverpb.AuthUserGetRequest: 1 name: string
etcdserverpb.AuthUserDeleteRequest: 1 name: string
etcdserverpb.AuthUserChangePasswordRequest: 1 name: string; 2 password: string; 3 hashedPassword: string
etcdserverpb.AuthUserGrantRoleRequest: 1 user: string; 2 role: string
etcdserverpb.AuthUserRevokeRoleRequest: 1 name: string; 2 role: string
etcdserverpb.AuthRoleAddRequest: 1 name: string
etcdserverpb.AuthRoleGetRequest: 1 role: string
etcdserverpb.AuthUserListRequest:
etcdserverpb.AuthRoleListRequest:
etcdserverpb.AuthRoleDeleteRequest: 1 role: string
etcdserverpb.AuthRoleGrantPermissionRequest: 1 name: string; 2 perm: authpb.Permission
etcdserverpb.AuthRoleRevokePermissionRequest: 1 role: string; 2 key: bytes; 3 range_end: bytes
etcdserverpb.AuthEnableResponse: 1 header: ResponseHeader
etcdserverpb.AuthDisableResponse: 1 header: ResponseHeader
etcdserverpb.AuthStatusResponse: 1 header: ResponseHeader; 2 enabled: bool; 3 authRevision: uint64
etcdserverpb.AuthenticateResponse: 1 header: ResponseHeader; 2 token: string
etcdserverpb.AuthUserAddResponse: 1 header: ResponseHeader
etcdserverpb.AuthUserGetResponse: 1 header: ResponseHeader; 2 roles: repeated string
etcdserverpb.AuthUserDeleteResponse: 1 header: ResponseHeader
etcdserverpb.AuthUserChangePasswordResponse: 1 header: ResponseHeader
etcdserverpb.AuthUserGrantRoleResponse: 1 header: ResponseHeader
etcdserverpb.AuthUserRevokeRoleResponse: 1 header: ResponseHeader
etcdserverpb.AuthRoleAddResponse: 1 header: ResponseHeader
etcdserverpb.AuthRoleGetResponse: 1 header: ResponseHeader; 2 perm: repeated authpb.Permission
etcdserverpb.AuthRoleListResponse: 1 header: ResponseHeader; 2 roles: repeated string
etcdserverpb.AuthUserListResponse: 1 header: ResponseHeader; 2 users: repeated string
etcdserverpb.AuthRoleDeleteResponse: 1 header: ResponseHeader
etcdserverpb.AuthRoleGrantPermissionResponse: 1 header: ResponseHeader
etcdserverpb.AuthRoleRevokePermissionResponse: 1 header: ResponseHeader
etcdserverpb.RangeStreamResponse: 1 range_response: RangeResponse
v3lockpb.LockRequest: 1 name: bytes; 2 lease: int64
v3lockpb.LockResponse: 1 header: etcdserverpb.ResponseHeader; 2 key: bytes
v3lockpb.UnlockRequest: 1 key: bytes
v3lockpb.UnlockResponse: 1 header: etcdserverpb.ResponseHeader
v3electionpb.CampaignRequest: 1 name: bytes; 2 lease: int64; 3 value: bytes
v3electionpb.CampaignResponse: 1 header: etcdserverpb.ResponseHeader; 2 leader: LeaderKey
v3electionpb.LeaderKey: 1 name: bytes; 2 key: bytes; 3 rev: int64; 4 lease: int64
v3electionpb.LeaderRequest: 1 name: bytes
v3electionpb.LeaderResponse: 1 header: etcdserverpb.ResponseHeader; 2 kv: mvccpb.KeyValue
v3electionpb.ResignRequest: 1 leader: LeaderKey
v3electionpb.ResignResponse: 1 header: etcdserverpb.ResponseHeader
v3electionpb.ProclaimRequest: 1 leader: LeaderKey; 2 value: bytes
v3electionpb.ProclaimResponse: 1 header: etcdserverpb.ResponseHeader
grpc.health.v1.HealthListRequest:
grpc.health.v1.HealthListResponse: 1 statuses: map<string,HealthCheckResponse>
grpc.health.v1.HealthCheckRequest: 1 service: string
grpc.health.v1.HealthCheckResponse: 1 status: ServingStatus
`

/** `package.Enum: NAME=number, …`. */
export const wireEnums = `
mvccpb.Event.EventType: PUT=0, DELETE=1
authpb.Permission.Type: READ=0, WRITE=1, READWRITE=2
etcdserverpb.RangeRequest.SortOrder: NONE=0, ASCEND=1, DESCEND=2
etcdserverpb.RangeRequest.SortTarget: KEY=0, VERSION=1, CREATE=2, MOD=3, VALUE=4
etcdserverpb.Compare.CompareResult: EQUAL=0, GREATER=1, LESS=2, NOT_EQUAL=3
etcdserverpb.Compare.CompareTarget: VERSION=0, CREATE=1, MOD=2, VALUE=3, LEASE=4
etcdserverpb.WatchCreateRequest.FilterType: NOPUT=0, NODELETE=1
etcdserverpb.AlarmType: NONE=0, NOSPACE=1, CORRUPT=2
etcdserverpb.AlarmRequest.AlarmAction: GET=0, ACTIVATE=1, DEACTIVATE=2
etcdserverpb.DowngradeRequest.DowngradeAction: VALIDATE=0, ENABLE=1, CANCEL=2
grpc.health.v1.HealthCheckResponse.ServingStatus: UNKNOWN=0, SERVING=1, NOT_SERVING=2, SERVICE_UNKNOWN=3
`

/** `package.Service/Method: Request Response kind`. */
export const wireMethods = `
etcdserverpb.KV/Range: RangeRequest RangeResponse unary
etcdserverpb.KV/RangeStream: RangeRequest RangeStreamResponse serverStream
etcdserverpb.KV/Put: PutRequest PutResponse unary
etcdserverpb.KV/DeleteRange: DeleteRangeRequest DeleteRangeResponse unary
etcdserverpb.KV/Txn: TxnRequest TxnResponse unary
etcdserverpb.KV/Compact: CompactionRequest CompactionResponse unary
etcdserverpb.Watch/Watch: WatchRequest WatchResponse bidi
etcdserverpb.Lease/LeaseGrant: LeaseGrantRequest LeaseGrantResponse unary
etcdserverpb.Lease/LeaseRevoke: LeaseRevokeRequest LeaseRevokeResponse unary
etcdserverpb.Lease/LeaseKeepAlive: LeaseKeepAliveRequest LeaseKeepAliveResponse bidi
etcdserverpb.Lease/LeaseTimeToLive: LeaseTimeToLiveRequest LeaseTimeToLiveResponse unary
etcdserverpb.Lease/LeaseLeases: LeaseLeasesRequest LeaseLeasesResponse unary
etcdserverpb.Cluster/MemberAdd: MemberAddRequest MemberAddResponse unary
etcdserverpb.Cluster/MemberRemove: MemberRemoveRequest MemberRemoveResponse unary
etcdserverpb.Cluster/MemberUpdate: MemberUpdateRequest MemberUpdateResponse unary
etcdserverpb.Cluster/MemberList: MemberListRequest MemberListResponse unary
etcdserverpb.Cluster/MemberPromote: MemberPromoteRequest MemberPromoteResponse unary
etcdserverpb.Maintenance/Alarm: AlarmRequest AlarmResponse unary
etcdserverpb.Maintenance/Status: StatusRequest StatusResponse unary
etcdserverpb.Maintenance/Defragment: DefragmentRequest DefragmentResponse unary
etcdserverpb.Maintenance/Hash: HashRequest HashResponse unary
etcdserverpb.Maintenance/HashKV: HashKVRequest HashKVResponse unary
etcdserverpb.Maintenance/Snapshot: SnapshotRequest SnapshotResponse serverStream
etcdserverpb.Maintenance/MoveLeader: MoveLeaderRequest MoveLeaderResponse unary
etcdserverpb.Maintenance/Downgrade: DowngradeRequest DowngradeResponse unary
etcdserverpb.Auth/AuthEnable: AuthEnableRequest AuthEnableResponse unary
etcdserverpb.Auth/AuthDisable: AuthDisableRequest AuthDisableResponse unary
etcdserverpb.Auth/AuthStatus: AuthStatusRequest AuthStatusResponse unary
etcdserverpb.Auth/Authenticate: AuthenticateRequest AuthenticateResponse unary
etcdserverpb.Auth/UserAdd: AuthUserAddRequest AuthUserAddResponse unary
etcdserverpb.Auth/UserGet: AuthUserGetRequest AuthUserGetResponse unary
etcdserverpb.Auth/UserList: AuthUserListRequest AuthUserListResponse unary
etcdserverpb.Auth/UserDelete: AuthUserDeleteRequest AuthUserDeleteResponse unary
etcdserverpb.Auth/UserChangePassword: AuthUserChangePasswordRequest AuthUserChangePasswordResponse unary
etcdserverpb.Auth/UserGrantRole: AuthUserGrantRoleRequest AuthUserGrantRoleResponse unary
etcdserverpb.Auth/UserRevokeRole: AuthUserRevokeRoleRequest AuthUserRevokeRoleResponse unary
etcdserverpb.Auth/RoleAdd: AuthRoleAddRequest AuthRoleAddResponse unary
etcdserverpb.Auth/RoleGet: AuthRoleGetRequest AuthRoleGetResponse unary
etcdserverpb.Auth/RoleList: AuthRoleListRequest AuthRoleListResponse unary
etcdserverpb.Auth/RoleDelete: AuthRoleDeleteRequest AuthRoleDeleteResponse unary
etcdserverpb.Auth/RoleGrantPermission: AuthRoleGrantPermissionRequest AuthRoleGrantPermissionResponse unary
etcdserverpb.Auth/RoleRevokePermission: AuthRoleRevokePermissionRequest AuthRoleRevokePermissionResponse unary
v3lockpb.Lock/Lock: LockRequest LockResponse unary
v3lockpb.Lock/Unlock: UnlockRequest UnlockResponse unary
v3electionpb.Election/Campaign: CampaignRequest CampaignResponse unary
v3electionpb.Election/Proclaim: ProclaimRequest ProclaimResponse unary
v3electionpb.Election/Leader: LeaderRequest LeaderResponse unary
v3electionpb.Election/Observe: LeaderRequest LeaderResponse serverStream
v3electionpb.Election/Resign: ResignRequest ResignResponse unary
grpc.health.v1.Health/Check: HealthCheckRequest HealthCheckResponse unary
grpc.health.v1.Health/Watch: HealthCheckRequest HealthCheckResponse serverStream
grpc.health.v1.Health/List: HealthListRequest HealthListResponse unary
`
