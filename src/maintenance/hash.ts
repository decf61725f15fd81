import type { HashKVResponse, HashResponse } from '../protobuf/generated/messages.js'

/** The hash of a member's whole database. */
export interface HashResult {
  readonly endpoint: string
  readonly memberId: string
  /** The revision of the member's store. */
  readonly revision: number
  /** A CRC-32, as an unsigned number. */
  readonly hash: number
}

/**
 * The hash of a member's keys and their history. Two members have the same keys if `hash` is equal at equal
 * `hashRevision` and `compactRevision`. If one of these differs, the hashes are not comparable.
 */
export interface HashKvResult extends HashResult {
  /** The revision of the last compaction; −1 before the first one. */
  readonly compactRevision: number
  /** The hashed revision: the requested one, or that of the store. */
  readonly hashRevision: number
}

/** Converts a response. */
export function hashResult({ header, hash }: HashResponse, endpoint: string): HashResult {
  return { endpoint, memberId: header?.memberId ?? '0', revision: header?.revision ?? 0, hash }
}

/** Converts responses to a request for the hash at `revision`; 0 stands for the current one. */
export function hashKvResultAt(revision: number): (response: HashKVResponse, endpoint: string) => HashKvResult {
  return (response, endpoint) => {
    const result = hashResult(response, endpoint)
    const { compactRevision } = response
    // Before 3.6, members do not report which revision they hashed.
    const asked = revision === 0 ? result.revision : revision
    return { ...result, compactRevision, hashRevision: response.hashRevision === 0 ? asked : response.hashRevision }
  }
}
