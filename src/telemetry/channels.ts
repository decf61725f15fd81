import { type Channel, channel } from 'node:diagnostics_channel'
import { type Effect, type ErrorCode, isEtcdError } from '../core/errors.js'

/** Published on `etcdkit:call` when a call has ended, whatever came of it. Keys and values are never in it. */
export interface CallRecord {
  /** The RPC, for example `KV.Range`. */
  readonly method: string
  /** From the call to its end, in milliseconds. */
  readonly durationMs: number
  /** Part of it that was spent waiting for a connection. */
  readonly connectMs: number
  /** Part of it that was spent waiting between attempts. */
  readonly backoffMs: number
  /** How often it was sent. */
  readonly attempts: number
  /** The member that answered, or failed to, last. */
  readonly endpoint: string | undefined
  /** Size of the answer; 0 if there was none. */
  readonly responseBytes: number
  readonly outcome: CallOutcome
}

/** Published on `etcdkit:attempt` when one sending of a call has ended. */
export interface AttemptRecord {
  readonly method: string
  /** Which attempt of the call it was, from 1. */
  readonly attempt: number
  readonly durationMs: number
  /** The member it was sent to; `undefined` when there was none to send it to. */
  readonly endpoint: string | undefined
  readonly outcome: CallOutcome
}

/** Published on `etcdkit:authenticate` when a token was asked for. Neither the token nor the password is in it. */
export interface AuthenticateRecord {
  readonly username: string | undefined
  /** The member that was asked last. */
  readonly endpoint: string | undefined
  readonly reason: 'first' | 'expiring' | 'rejected'
  readonly durationMs: number
  readonly outcome: CallOutcome
}

/** How a call or an attempt ended. */
export type CallOutcome =
  | { readonly ok: true }
  | { readonly ok: false; readonly aborted: true }
  | {
      readonly ok: false
      readonly aborted: false
      readonly code: ErrorCode
      readonly effect: Effect
      readonly error: Error
    }

/** The `node:diagnostics_channel` channels of this library. Nothing is built for a channel that nobody listens to. */
export const channels: { readonly call: Channel; readonly attempt: Channel; readonly authenticate: Channel } = {
  call: channel('etcdkit:call'),
  attempt: channel('etcdkit:attempt'),
  authenticate: channel('etcdkit:authenticate'),
}

/** The outcome that a rejection stands for: whatever is no error of this library is the caller's own abort. */
export function outcomeOf(error: unknown): CallOutcome {
  if (!isEtcdError(error)) return { ok: false, aborted: true }
  return { ok: false, aborted: false, code: error.code, effect: error.effect, error }
}
