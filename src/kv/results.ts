import type { KeyValue } from '../core/key-value.js'
import type { ReadMode } from '../core/read-policy.js'
import type { PutResponse, ResponseHeader } from '../protobuf/generated/messages.js'
import { endpointOf } from '../transport/call-progress.js'
import type { CallContext } from '../transport/transport.js'

/** The member that answered, and the revision of the store. */
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

/** The result of `range()`. */
export interface RangeResult extends ResponseInfo {
  /** The revision that the keys are as of. */
  readonly revision: number
  readonly kvs: KeyValue[]
  /** The number of keys in the whole range, or from its cursor on, whatever the limit and the filters. */
  readonly count: number
  /** Whether the limit cut the answer off. */
  readonly more: boolean
  /** For the `cursor` option of the next read, at the same revision. `undefined` at the end, or with another sort order. */
  readonly cursor: string | undefined
  /** How the read was served. */
  readonly mode: ReadMode
  /**
   * The result may be older than what this client has seen: it was answered without a leader (`fallback`), or from memory.
   * Or the informer that answered may be cut off: its member has sent nothing for 3 s.
   */
  readonly stale: boolean
}

/** The result of `put()` and `touch()`. */
export interface PutResult extends ResponseInfo {
  /** The previous key and value, with the option `prevKv`; `undefined` if the key did not exist. */
  readonly prevKv: KeyValue | undefined
}

/** The result of `delete()` and `deleteRange()`. */
export interface DeleteResult extends ResponseInfo {
  /** Number of deleted keys. */
  readonly deleted: number
  /** The deleted keys and values, with the option `prevKv`. */
  readonly prevKvs: KeyValue[]
}

/** The result of `putIf()` and `deleteIf()`. */
export type ConditionalResult =
  | (ResponseInfo & { readonly succeeded: true })
  /** The key had another revision: nothing was changed, and `current` is its state. */
  | (ResponseInfo & { readonly succeeded: false; readonly current: KeyValue | undefined })

/** The result of `update()`. */
export interface UpdateResult {
  /** Whether anything was written; `false` when the function returned `undefined`. */
  readonly changed: boolean
  /** The revision of the write, or of the read if nothing was written. */
  readonly revision: number
  /** Number of calls of the function. */
  readonly attempts: number
}

/** The common part of all results. */
export function responseInfo(header: ResponseHeader | undefined, { progress }: CallContext): ResponseInfo {
  const { revision = 0, memberId, clusterId } = header ?? {}
  return { revision, endpoint: endpointOf(progress) ?? '', memberId, clusterId }
}

/** The result of a put. Puts are made often, so its object is made once. */
export function putResult({ header, prevKv }: PutResponse, { progress }: CallContext): PutResult {
  const { revision = 0, memberId, clusterId } = header ?? {}
  return { revision, endpoint: endpointOf(progress) ?? '', memberId, clusterId, prevKv }
}
