import { sleep } from '../core/abort.js'
import { halfJitterMs } from '../core/backoff.js'
import { InvalidArgumentError, isEtcdError } from '../core/errors.js'
import { assertKnownOptions, describe, durationMs, optionalSignal, positiveInteger } from '../core/validate.js'
import { waitWithin } from '../core/wait-within.js'
import { LockTimeoutError, LockUnavailableError } from '../lock/lock-errors.js'
import { isPassing, type LockSession } from '../lock/lock-key.js'
import type { LockOptions } from '../lock/locks.js'
import { Grant } from './grant.js'
import type { OwnKey } from './own-key.js'
import { type Line, Place } from './place.js'
import type { RecipeHost } from './recipe-host.js'

/** One who wants something. */
export interface GrantRequest {
  readonly name: string
  readonly ttlSeconds: number
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
  readonly value: string
  /** Whether to wait for a turn. */
  readonly waits: boolean
  /** What has to be so before a place is taken; it throws if it is not. */
  readonly prepare?: ((signal: AbortSignal) => Promise<void>) | undefined
}

const optionNames = ['ttlSeconds', 'timeoutMs', 'signal', 'value']
const defaults = { ttlSeconds: 10, waitMs: 60_000, tryMs: 10_000 }
const backoff = { baseMs: 50, maxMs: 1000 }

/** The name of a recipe: what its keys begin with, before a slash. */
export function recipeName(name: unknown): string {
  if (typeof name === 'string' && name !== '') return name
  throw new InvalidArgumentError(`\`name\` must be a string of at least one letter, got ${describe(name)}`)
}

/** Checks what a caller asks for. */
export function grantRequest(owner: string, name: string, options: LockOptions, waits: boolean): GrantRequest {
  assertKnownOptions(owner, options, optionNames)
  const { value = '' } = options
  if (typeof value !== 'string') throw new InvalidArgumentError(`\`value\` must be a string, got ${describe(value)}`)
  const signal = optionalSignal('signal', options.signal)
  signal?.throwIfAborted()
  const defaultTimeoutMs = waits ? defaults.waitMs : defaults.tryMs
  return {
    name,
    ttlSeconds: positiveInteger('ttlSeconds', options.ttlSeconds ?? defaults.ttlSeconds),
    timeoutMs: durationMs('timeoutMs', options.timeoutMs ?? defaultTimeoutMs),
    signal,
    value,
    waits,
  }
}

/** Waits in a line. Rejects at once with the caller's signal or time; then the place in the line is given up, too. */
export function acquire(host: RecipeHost, line: Line, request: GrantRequest): Promise<Grant> {
  const name = Buffer.concat([host.namespace, Buffer.from(request.name)])
  return host.observer.lockAsked({ name, kind: line.kind }, () => acquireInTime(host, line, request))
}

async function acquireInTime(host: RecipeHost, line: Line, request: GrantRequest): Promise<Grant> {
  const abort = new AbortController()
  let trouble: unknown
  const obtaining = obtain(host, line, request, abort.signal, (error) => {
    trouble = error
  })
  try {
    const { name, timeoutMs } = request
    return await waitWithin(obtaining, request, () => new LockTimeoutError(name, timeoutMs, undefined, trouble))
  } catch (error) {
    abort.abort(error)
    obtaining.then(
      (late) => late.release(),
      () => {},
    )
    throw error
  }
}

/** Gets a turn, as often as that takes: with a lease that ends while it waits, a place is lost, and another one taken. */
async function obtain(
  host: RecipeHost,
  line: Line,
  request: GrantRequest,
  signal: AbortSignal,
  troubled: (error: unknown) => void,
): Promise<Grant> {
  for (let failures = 0; ; failures += 1) {
    let session: LockSession | undefined
    try {
      await request.prepare?.(signal)
      session = await host.session(request.ttlSeconds, signal)
      const { key, fence } = await takeTurn(new Place(line, session, host), request, signal)
      return new Grant(request.name, fence, key, host.observer)
    } catch (error) {
      if (signal.aborted || isEtcdError(error, 'LOCK_UNAVAILABLE')) throw error
      const isLost = session?.signal.aborted === true || isEtcdError(error, 'LEASE_NOT_FOUND')
      if (isLost) session?.revoke().catch(() => {})
      else if (!isPassing(error)) throw error
      troubled(error)
      await sleep(halfJitterMs(failures + 1, backoff), signal)
    }
  }
}

interface Turn {
  readonly key: OwnKey
  readonly fence: number
}

async function takeTurn(place: Place, { name, value, waits }: GrantRequest, signal: AbortSignal): Promise<Turn> {
  const { key } = place
  const either = AbortSignal.any([signal, key.session.signal])
  try {
    const taken = await (waits ? place.acquire(value, either) : place.tryAcquire(value, either))
    if (typeof taken === 'number') return { key, fence: taken }
    throw new LockUnavailableError(name, taken)
  } catch (error) {
    await key.leave()
    throw error
  }
}
