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
 * `hashRevision` and `compactRevision`; where one of these differs, the hashes cannot be compared.
 */
export interface HashKvResult extends HashResult {
  /** The revision of the last compaction; −1 before the first. */
  readonly compactRevision: number
  /** The revision that the hash is of: the one that was asked for, or that of the store. */
  readonly hashRevision: number
}

/** The hash out of an answer. */
export function hashResult({ header, hash }: HashResponse, endpoint: string): HashResult {
  return { endpoint, memberId: header?.memberId ?? '0', revision: header?.revision ?? 0, hash }
}

/** Reads the answers to the question for the hash at `revision`, 0 for now. */
export function hashKvResultAt(revision: number): (response: HashKVResponse, endpoint: string) => HashKvResult {
  return (response, endpoint) => {
    const result = hashResult(response, endpoint)
    const { compactRevision } = response
    // Before 3.6, members do not say what the hash is of.
    const asked = revision === 0 ? result.revision : revision
    return { ...result, compactRevision, hashRevision: response.hashRevision === 0 ? asked : response.hashRevision }
  }
}
