import type { KeyValue } from '../core/key-value.js'
import type { ReadMode } from '../core/read-policy.js'
import type { PutResponse, ResponseHeader } from '../protobuf/generated/messages.js'
import { endpointOf } from '../transport/call-progress.js'
import type { CallContext } from '../transport/transport.js'

/** Who answered, and how far the key space was. */
export interface ResponseInfo {
  /** The revision of the store when the answer was made; of a write, the revision that the write made. */
  readonly revision: number
  /** The member that answered, as its endpoint. */
  readonly endpoint: string
  /** The member that answered, as its id in hexadecimal. */
  readonly memberId: string | undefined
  /** The member's cluster, as its id in hexadecimal; `undefined` for an answer from an informer. */
  readonly clusterId: string | undefined
}

/** What `range()` resolves to. */
export interface RangeResult extends ResponseInfo {
  /** The revision that the keys are as of. */
  readonly revision: number
  readonly kvs: KeyValue[]
  /** The number of keys in the whole range, or from its cursor on, whatever the limit and the filters. */
  readonly count: number
  /** Whether the limit cut the answer off. */
  readonly more: boolean
  /** Where to go on, at the same revision: for the `cursor` option. `undefined` at the end, or under another sort order. */
  readonly cursor: string | undefined
  /** How the read was served. */
  readonly mode: ReadMode
  /**
   * It may be older than what this client has seen: answered without a leader, by `fallback`, or from memory. Or the informer
   * that answered may be cut off: its member has sent nothing for 3 s.
   */
  readonly stale: boolean
}

/** What `put()` resolves to. */
export interface PutResult extends ResponseInfo {
  /** What the key held before, where `prevKv` asked for it and there was something. */
  readonly prevKv: KeyValue | undefined
}

/** What `delete()` and `deleteRange()` resolve to. */
export interface DeleteResult extends ResponseInfo {
  /** How many keys were deleted. */
  readonly deleted: number
  /** What they held, where `prevKv` asked for it. */
  readonly prevKvs: KeyValue[]
}

/** What `putIf()` and `deleteIf()` resolve to. */
export type ConditionalResult =
  | (ResponseInfo & { readonly succeeded: true })
  /** The key had another revision: nothing was changed, and `current` is what it holds. */
  | (ResponseInfo & { readonly succeeded: false; readonly current: KeyValue | undefined })

/** What `update()` resolves to. */
export interface UpdateResult {
  /** Whether anything was written; `false` when the function returned `undefined`. */
  readonly changed: boolean
  /** The revision of the write, or of the read if nothing was written. */
  readonly revision: number
  /** How often the function was called. */
  readonly attempts: number
}

/** What every result says about its answer. */
export function responseInfo(header: ResponseHeader | undefined, { progress }: CallContext): ResponseInfo {
  const { revision = 0, memberId, clusterId } = header ?? {}
  return { revision, endpoint: endpointOf(progress) ?? '', memberId, clusterId }
}

/** The result of a put. Puts are made often, so its object is made once. */
export function putResult({ header, prevKv }: PutResponse, { progress }: CallContext): PutResult {
  const { revision = 0, memberId, clusterId } = header ?? {}
  return { revision, endpoint: endpointOf(progress) ?? '', memberId, clusterId, prevKv }
}
