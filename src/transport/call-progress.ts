import type { EtcdError } from '../core/errors.js'
import type { ReadMode } from '../core/read-policy.js'

/** Request metadata. Frozen and shared between calls, so that its gRPC form is made once. */
export type CallMetadata = Readonly<Record<string, string>>

/** The attempts of a call, recorded while somebody listens. */
export interface AttemptLog {
  /** Adds the attempts of the batch that carried the call. */
  absorb(batch: CallProgress): void
}

/** The calls that one batch carries. */
export interface BatchedCalls {
  /** Their RPC, for example `KV.Range`. */
  readonly method: string
  readonly calls: readonly { readonly progress: CallProgress }[]
}

/** An answer from memory: the member that had given it, and its size. */
export interface CachedAnswer {
  readonly endpoint: string | undefined
  readonly bytes: number
}

/** Written by the authentication interceptor. */
interface AuthSection {
  /** The token that is sent, if any. */
  token: string | undefined
  /** Time spent waiting for a token. */
  authMs: number
}

/** Written by the metadata interceptor. */
interface MetadataSection {
  metadata: CallMetadata
}

/** Written by the retry interceptor. */
interface RetrySection {
  /** Time spent waiting between attempts. */
  backoffMs: number
  /** An attempt that was repeated may have been applied. */
  mayBeApplied: boolean
  /** The failure that the last repeat was made for. */
  lastFailure: EtcdError | undefined
  /** The endpoints that the last repeat kept away from. */
  failedEndpoints: ReadonlySet<string> | undefined
}

/** Written by the base transport and its connections. */
interface WireSection {
  /** How often the call was sent. */
  attempts: number
  /** Time spent waiting for a connection. */
  connectMs: number
  /** The member that answered or failed last. */
  endpoint: string | undefined
  /** Size of its answer. */
  responseBytes: number
}

/** Written by `encodeOnce()`. */
interface EncodingSection {
  encodedRequest: unknown
  /** The request as bytes, so that a repeat sends what the first attempt sent. */
  message: Buffer | undefined
}

/** Written by the read modes. */
interface ReadSection {
  /** How a read was served last. */
  servedAs: ReadMode | undefined
  /** The read was answered without a leader, and may be older than what this client has seen. */
  isStale: boolean
  cachedAnswer: CachedAnswer | undefined
}

/** Written by the observer of calls. */
interface TraceSection {
  attemptLog: AttemptLog | undefined
}

/** Written by the batching of calls. */
interface BatchSection {
  /** The calls that this one carries; `undefined` for a caller's own. */
  batch: BatchedCalls | undefined
}

/** What has happened to a call so far. Everybody reads it; each section has one writer, which `progressOf` serves. */
export interface CallProgress
  extends Readonly<AuthSection>,
    Readonly<MetadataSection>,
    Readonly<RetrySection>,
    Readonly<WireSection>,
    Readonly<EncodingSection>,
    Readonly<ReadSection>,
    Readonly<TraceSection>,
    Readonly<BatchSection> {}

interface HasProgress {
  readonly progress: CallProgress
}

/** The writable view of each section, for the one part that keeps it. All are views of the same object, so they cost nothing. */
export const progressOf = {
  auth: ({ progress }: HasProgress): AuthSection => progress,
  metadata: ({ progress }: HasProgress): MetadataSection => progress,
  retry: ({ progress }: HasProgress): RetrySection => progress,
  wire: ({ progress }: HasProgress): WireSection => progress,
  encoding: ({ progress }: HasProgress): EncodingSection => progress,
  reads: ({ progress }: HasProgress): ReadSection => progress,
  trace: ({ progress }: HasProgress): TraceSection => progress,
  batch: ({ progress }: HasProgress): BatchSection => progress,
} as const

const noMetadata: CallMetadata = Object.freeze({})

/** The progress of a call that nothing has happened to. */
export function newProgress(metadata: CallMetadata = noMetadata): CallProgress {
  return {
    token: undefined,
    authMs: 0,
    metadata,
    backoffMs: 0,
    mayBeApplied: false,
    lastFailure: undefined,
    failedEndpoints: undefined,
    attempts: 0,
    connectMs: 0,
    endpoint: undefined,
    responseBytes: 0,
    encodedRequest: undefined,
    message: undefined,
    servedAs: undefined,
    isStale: false,
    cachedAnswer: undefined,
    attemptLog: undefined,
    batch: undefined,
  }
}

/** The member that gave the answer, or failed to give one, last. */
export function endpointOf({ cachedAnswer, endpoint }: CallProgress): string | undefined {
  return cachedAnswer === undefined ? endpoint : cachedAnswer.endpoint
}

/** Size of the answer. */
export function responseBytesOf({ cachedAnswer, responseBytes }: CallProgress): number {
  return cachedAnswer === undefined ? responseBytes : cachedAnswer.bytes
}

/** Counts what a batch went through, until now, as a part of the call that it carried; the answer had `responseBytes`. */
export function absorbBatch(call: TimedCall, batch: TimedCall, responseBytes: number): void {
  const progress: Writable<CallProgress> = call.progress
  const { endpoint, attempts, lastFailure, authMs, backoffMs, connectMs } = batch.progress
  progress.endpoint = endpoint
  progress.attempts += attempts
  progress.lastFailure = lastFailure
  progress.responseBytes = responseBytes
  // A call that has joined the batch in flight may have been made after the batch had waited.
  if (call.startedAt <= batch.startedAt) {
    progress.authMs += authMs
    progress.backoffMs += backoffMs
    progress.connectMs += connectMs
  }
  progress.attemptLog?.absorb(batch.progress)
}

interface TimedCall extends HasProgress {
  readonly startedAt: number
}

type Writable<T> = { -readonly [Name in keyof T]: T[Name] }
