import type { CompareResult, CompareTarget, EventType, FilterType, SortOrder, SortTarget } from './enums.js'

// Requests and responses of keys, watches and leases, as etcd3 has them: names of the wire, and 64-bit integers as text.

export interface IResponseHeader {
  cluster_id: string
  member_id: string
  revision: string
  raft_term: string
}

export interface IRangeRequest {
  key?: Buffer | undefined
  range_end?: Buffer | undefined
  limit?: string | number | undefined
  revision?: string | number | undefined
  sort_order?: SortOrder | keyof typeof SortOrder | undefined
  sort_target?: SortTarget | keyof typeof SortTarget | undefined
  serializable?: boolean | undefined
  keys_only?: boolean | undefined
  count_only?: boolean | undefined
  min_mod_revision?: string | number | undefined
  max_mod_revision?: string | number | undefined
  min_create_revision?: string | number | undefined
  max_create_revision?: string | number | undefined
}

export interface IRangeResponse {
  header: IResponseHeader
  kvs: IKeyValue[]
  more: boolean
  count: string
}

export interface IPutRequest {
  key?: Buffer | undefined
  value?: Buffer | undefined
  lease?: string | number | undefined
  prev_kv?: boolean | undefined
  ignore_value?: boolean | undefined
  ignore_lease?: boolean | undefined
}

export interface IPutResponse {
  header: IResponseHeader
  prev_kv: IKeyValue
}

export interface IDeleteRangeRequest {
  key?: Buffer | undefined
  range_end?: Buffer | undefined
  prev_kv?: boolean | undefined
}

export interface IDeleteRangeResponse {
  header: IResponseHeader
  deleted: string
  prev_kvs: IKeyValue[]
}

export interface IRequestOp {
  request_range?: IRangeRequest | undefined
  request_put?: IPutRequest | undefined
  request_delete_range?: IDeleteRangeRequest | undefined
  request_txn?: ITxnRequest | undefined
}

export interface IResponseOp {
  response_range: IRangeResponse
  response_put: IPutResponse
  response_delete_range: IDeleteRangeResponse
  response_txn: ITxnResponse
}

export interface ICompare {
  result?: CompareResult | keyof typeof CompareResult | undefined
  target?: CompareTarget | keyof typeof CompareTarget | undefined
  key?: Buffer | undefined
  version?: string | number | undefined
  create_revision?: string | number | undefined
  mod_revision?: string | number | undefined
  value?: Buffer | undefined
  lease?: string | number | undefined
  range_end?: Buffer | undefined
}

export interface ITxnRequest {
  compare?: ICompare[] | undefined
  success?: IRequestOp[] | undefined
  failure?: IRequestOp[] | undefined
}

export interface ITxnResponse {
  header: IResponseHeader
  succeeded: boolean
  responses: IResponseOp[]
}

export interface ICompactionRequest {
  revision?: string | number | undefined
  physical?: boolean | undefined
}

export interface ICompactionResponse {
  header: IResponseHeader
}

export interface IWatchRequest {
  create_request?: IWatchCreateRequest | undefined
  cancel_request?: IWatchCancelRequest | undefined
  progress_request?: IWatchProgressRequest | undefined
}

export interface IWatchCreateRequest {
  key?: Buffer | undefined
  range_end?: Buffer | undefined
  start_revision?: string | number | undefined
  progress_notify?: boolean | undefined
  filters?: (FilterType | keyof typeof FilterType)[] | undefined
  prev_kv?: boolean | undefined
  watch_id?: string | number | undefined
  fragment?: boolean | undefined
}

export interface IWatchCancelRequest {
  watch_id?: string | number | undefined
}

export type IWatchProgressRequest = object

export interface IWatchResponse {
  header: IResponseHeader
  watch_id: string
  created: boolean
  canceled: boolean
  compact_revision: string
  cancel_reason: string
  fragment: boolean
  events: IEvent[]
}

export interface ILeaseGrantRequest {
  TTL?: string | number | undefined
  ID?: string | number | undefined
}

export interface ILeaseGrantResponse {
  header: IResponseHeader
  ID: string
  TTL: string
  error: string
}

export interface ILeaseRevokeRequest {
  ID?: string | number | undefined
}

export interface ILeaseRevokeResponse {
  header: IResponseHeader
}

export interface ILeaseCheckpoint {
  ID?: string | number | undefined
  remaining_TTL?: string | number | undefined
}

export interface ILeaseCheckpointRequest {
  checkpoints?: ILeaseCheckpoint[] | undefined
}

export interface ILeaseCheckpointResponse {
  header?: IResponseHeader | undefined
}

export interface ILeaseKeepAliveRequest {
  ID?: string | number | undefined
}

export interface ILeaseKeepAliveResponse {
  header: IResponseHeader
  ID: string
  TTL: string
}

export interface ILeaseTimeToLiveRequest {
  ID?: string | number | undefined
  keys?: boolean | undefined
}

export interface ILeaseTimeToLiveResponse {
  header: IResponseHeader
  ID: string
  TTL: string
  grantedTTL: string
  keys: Buffer[]
}

export type ILeaseLeasesRequest = object

export interface ILeaseStatus {
  ID: string
}

export interface ILeaseLeasesResponse {
  header: IResponseHeader
  leases: ILeaseStatus[]
}

export interface IKeyValue {
  key: Buffer
  create_revision: string
  mod_revision: string
  version: string
  value: Buffer
  lease: string
}

export interface IEvent {
  type: keyof typeof EventType
  kv: IKeyValue
  prev_kv: IKeyValue
}
