import { types } from 'node:util'
import { CallerError } from './hostile.js'
import { etcd3, kit } from './package-entries.js'

/** How a call ended: a value, an error, or not yet. */
export type Outcome =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'error'; readonly error: unknown; readonly isSync: boolean }
  | { readonly kind: 'pending'; readonly settled: Promise<Outcome> }

const graceMs = 15

/** Calls, and waits a moment for what it promises. An iteration is begun and left. */
export async function outcomeOf(call: () => unknown): Promise<Outcome> {
  let returned: unknown
  try {
    returned = call()
  } catch (error) {
    return { kind: 'error', error, isSync: true }
  }
  const promise = promiseOf(returned)
  if (promise === undefined) return { kind: 'value', value: returned }
  const settled = promise.then(
    (value): Outcome => ({ kind: 'value', value: types.isPromise(returned) ? value : returned }),
    (error: unknown): Outcome => ({ kind: 'error', error, isSync: false }),
  )
  let timer: NodeJS.Timeout | undefined
  const grace = new Promise<Outcome>((resolve) => {
    timer = setTimeout(() => resolve({ kind: 'pending', settled }), graceMs)
  })
  const outcome = await Promise.race([settled, grace])
  clearTimeout(timer)
  return outcome
}

/** A native promise: a transaction is a thenable, too, but to be committed. */
function promiseOf(returned: unknown): Promise<unknown> | undefined {
  if (types.isPromise(returned)) return returned.then((value) => ({ value }))
  if (typeof returned !== 'object' || returned === null || types.isProxy(returned)) return undefined
  if (!(Symbol.asyncIterator in returned)) return undefined
  return begin(returned as AsyncIterable<unknown>)
}

async function begin(iterable: AsyncIterable<unknown>): Promise<void> {
  const iterator = iterable[Symbol.asyncIterator]()
  const first = iterator.next()
  const timer = setTimeout(() => iterator.return?.(), graceMs / 2)
  try {
    await first
    await iterator.return?.()
  } finally {
    clearTimeout(timer)
  }
}

/** Whether the call was refused for its arguments, by the library or by an argument itself. */
export function isRefusal(outcome: Outcome): boolean {
  return outcome.kind === 'error' && isInvalidArgument(outcome.error)
}

function isInvalidArgument(error: unknown): boolean {
  // A message of etcd3 without a key is refused by the member.
  if (isOfEtcd3(error)) return kit.isEtcdError(error.cause, 'INVALID_ARGUMENT')
  return kit.isEtcdError(error, 'INVALID_ARGUMENT') || kit.isEtcdError(error, 'EMPTY_KEY')
}

const etcd3Errors = Object.values(etcd3).filter((value) => Object(value).prototype instanceof Error)

/** Errors without a class, with the words of etcd3. */
const etcd3Texts =
  /^(Unexpected .* in |The TTL in an etcd lease must|Cannot set a lock TTL|Attempted to release a lock|Unknown isolation level|Cannot construct an etcd client|You cannot delete ranges|"\w+" is not supported in )/

function isOfEtcd3(error: unknown): error is Error {
  if (!(error instanceof Error)) return false
  return etcd3Errors.includes(error.constructor as never) || etcd3Texts.test(error.message)
}

/** What the engine throws when it touches a revoked proxy, or calls a class. */
export function isFromEngine(error: unknown): boolean {
  return (
    error instanceof TypeError && /a proxy that has been revoked|cannot be invoked without 'new'/.test(error.message)
  )
}

/** What is wrong with an error, or `undefined`. */
export function errorFault(error: unknown): string | undefined {
  if (error instanceof CallerError || isFromEngine(error)) return undefined
  // What the file system refuses is passed on, as documented.
  if (error instanceof Error && 'syscall' in error) return undefined
  if (isOfEtcd3(error)) return undefined
  if (!(error instanceof kit.EtcdError)) return `threw ${error instanceof Error ? error.stack : String(error)}`
  if (error.code === 'UNKNOWN' && error.grpcCode === undefined) return `has the code UNKNOWN: ${error.stack}`
  if (error.code !== 'INVALID_ARGUMENT') return undefined
  if (error.effect !== 'none' || error.retryable) return `was refused with the effect ${error.effect}: ${error.message}`
  if (
    !/`[\w.[\]$]+`|^options of |\btakes\b|\bmust\b|exclude|requires|only once|a call of another client/.test(
      error.message,
    )
  )
    return `names no argument: ${error.message}`
  return error.message.length > 600 ? `has a message of ${error.message.length} characters` : undefined
}
