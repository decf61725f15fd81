import { assertOptions, describe, optionalSignal } from '../core/validate.js'
import { type CallOptions as EngineOptions, InvalidArgumentError } from '../index.js'
import type { CallContext } from './rpc/call-context.js'

/** Options of a call: those of grpc-js, of which `deadline` and `signal` have an effect here. */
export interface CallOptions {
  /** When the call is given up: a date, or milliseconds since 1970. @default 10 s from now */
  deadline?: Date | number | undefined
  /** Ends the call. An addition to what etcd3 has. */
  signal?: AbortSignal | undefined
  /** Refused. */
  host?: string | undefined
  /** Refused. */
  parent?: unknown
  /** Refused. */
  propagate_flags?: number | undefined
  /** Refused. */
  credentials?: unknown
  /** Refused. */
  interceptors?: unknown[] | undefined
  /** Refused. */
  interceptor_providers?: unknown[] | undefined
}

/** Options of calls that have none of their own, or a function that gives them. */
export type CallOptionsFactory = CallOptions | ((context: CallContext) => CallOptions)

const refused = ['host', 'parent', 'propagate_flags', 'credentials', 'interceptors', 'interceptor_providers'] as const

/** Options that are none, or an object. */
export function checkedOptions(options: CallOptions | undefined): CallOptions | undefined {
  if (options !== undefined) assertOptions('a call', options)
  return options
}

/** The options of a call, over those that are the default for it. */
export function resolveCallOptions(
  own: CallOptions | undefined,
  defaults: CallOptionsFactory | undefined,
  context: CallContext,
): CallOptions | undefined {
  checkedOptions(own)
  if (defaults === undefined) return own
  return { ...(typeof defaults === 'function' ? defaults(context) : defaults), ...own }
}

/** The options as the engine takes them. Throws `InvalidArgumentError` for an option that cannot be obeyed. */
export function toEngineOptions(options: CallOptions | undefined): EngineOptions {
  if (options === undefined) return {}
  const name = refused.find((one) => options[one] !== undefined)
  if (name !== undefined) throw new InvalidArgumentError(`the call option \`${name}\` of grpc-js is not supported`)
  const { deadline, signal } = options
  optionalSignal('signal', signal)
  return { signal, timeoutMs: deadline === undefined ? undefined : timeLeft(deadline) }
}

/** Milliseconds until a deadline; 0 when it has passed. */
export function timeLeft(deadline: Date | number): number {
  const at = deadline instanceof Date ? deadline.getTime() : deadline
  if (typeof at === 'number' && !Number.isNaN(at)) return Math.max(0, at - Date.now())
  throw new InvalidArgumentError(`\`deadline\` must be a date or milliseconds since 1970, got ${describe(deadline)}`)
}

/** Whichever of two deadlines comes first. */
export function earlierDeadline(a: CallOptions | undefined, b: CallOptions | undefined): CallOptions | undefined {
  if (b?.deadline === undefined) return a
  const deadline = Math.min(Number(a?.deadline ?? Number.POSITIVE_INFINITY), Number(b.deadline))
  return { ...a, deadline }
}
