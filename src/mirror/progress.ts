import { EtcdError } from '../core/errors.js'

/** A revision, and its cluster if known. */
export interface Position {
  readonly clusterId: string | undefined
  readonly revision: number
}

/** The progress of a mirror. */
export type Progress = Position &
  /** Comparing both sides, the source as of `revision`, up to the key that ends in `after`. */
  (
    | { readonly phase: 'listing'; readonly after: Buffer; readonly deletes: boolean }
    /** The destination has all changes up to `revision`. (The stored word is `following`.) */
    | { readonly phase: 'following' }
  )

interface Record {
  readonly source: string
  /** Absent if it was not known. */
  readonly clusterId?: string | undefined
  readonly phase: Progress['phase']
  readonly revision: number
  readonly after?: string | undefined
  readonly deletes?: boolean | undefined
}

/**
 * Encodes the value of the progress key. `stamp` is unique per transaction, so that a read shows whether a transaction
 * with a lost response was applied.
 */
export function encodeProgress(progress: Progress, prefix: Buffer, stamp: string): string {
  const { phase, clusterId, revision } = progress
  const listing =
    progress.phase === 'listing' ? { after: progress.after.toString('base64'), deletes: progress.deletes } : {}
  return JSON.stringify({ source: prefix.toString('base64'), clusterId, phase, revision, ...listing, stamp })
}

/** Decodes the value of the progress key. Throws `DECODE_FAILED` if it is invalid or belongs to another prefix. */
export function decodeProgress(text: string, prefix: Buffer): Progress {
  const { source, clusterId, phase, revision, after, deletes } = recordOf(text)
  if (source !== prefix.toString('base64')) {
    throw undecodable(`it is that of the prefix ${JSON.stringify(Buffer.from(source, 'base64').toString())}`)
  }
  if (phase === 'following') return { phase, clusterId, revision }
  return { phase, clusterId, revision, after: Buffer.from(after ?? '', 'base64'), deletes: deletes === true }
}

function recordOf(text: string): Record {
  try {
    const record: unknown = JSON.parse(text)
    if (isRecord(record)) return record
  } catch {}
  throw undecodable('it is something else')
}

function isRecord(value: unknown): value is Record {
  const { source, clusterId, phase, revision } = Object(value)
  const isPhase = phase === 'listing' || phase === 'following'
  const isCluster = clusterId === undefined || typeof clusterId === 'string'
  return typeof source === 'string' && isCluster && isPhase && Number.isSafeInteger(revision) && revision > 0
}

function undecodable(reason: string): EtcdError {
  const message = `the key at the destination does not hold the progress of this mirror: ${reason}`
  return new EtcdError(message, { code: 'DECODE_FAILED', effect: 'none' })
}
