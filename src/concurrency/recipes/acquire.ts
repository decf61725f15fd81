import { withAnySignal } from '../../core/abort.js'
import { halfJitterMs } from '../../core/backoff.js'
import { isEtcdError, isPassing } from '../../core/errors.js'
import { sleep, waitWithin } from '../../core/wait.js'
import { ForeignKeyError } from '../lock/foreign-key-error.js'
import { LockTimeoutError, LockUnavailableError } from '../lock/lock-errors.js'
import type { LockSession } from '../lock/lock-key.js'
import { type LockOptions, type LockTerms, lockTerms } from '../lock/lock-options.js'
import { withdrawWithin } from '../lock/release.js'
import { Grant } from './grant.js'
import type { OwnKey } from './own-key.js'
import { type Line, Place } from './place.js'
import type { RecipeHost } from './recipe-host.js'

/** One who wants something. */
export interface GrantRequest extends LockTerms {
  readonly name: string
  /** Whether to wait for a turn. */
  readonly waits: boolean
  /** What has to be so before a place is taken; it throws if it is not. */
  readonly prepare?: ((signal: AbortSignal) => Promise<void>) | undefined
}

const backoff = { baseMs: 50, maxMs: 1000 }

/** Checks what a caller asks for. */
export function grantRequest(owner: string, name: string, options: LockOptions, waits: boolean): GrantRequest {
  return { name, ...lockTerms(owner, options, waits), waits }
}

/** Waits in a line. Rejects with the caller's signal or time, when the place in the line is given up. */
export function acquire(host: RecipeHost, line: Line, request: GrantRequest): Promise<Grant> {
  const name = Buffer.concat([host.namespace, Buffer.from(request.name)])
  return host.observer.lockAsked({ name, kind: line.kind }, () => acquireInTime(host, line, request))
}

/** How far it has come, for the error of a wait that takes too long. */
interface Progress {
  key?: OwnKey | undefined
  /** What failed last, before there was a key. */
  trouble?: unknown
}

async function acquireInTime(host: RecipeHost, line: Line, request: GrantRequest): Promise<Grant> {
  const abort = new AbortController()
  const progress: Progress = {}
  const obtaining = obtain(host, line, request, abort.signal, progress)
  try {
    const { name, timeoutMs } = request
    const reason = (): unknown => host.obstacle() ?? progress.key?.trouble ?? progress.trouble
    return await waitWithin(obtaining, request, () => new LockTimeoutError(name, timeoutMs, undefined, reason()))
  } catch (error) {
    abort.abort(error)
    const withdrawing = obtaining.then(
      (late) => late.release(),
      () => {},
    )
    await withdrawWithin(withdrawing, host)
    throw error
  }
}

/** Gets a turn, as often as that takes: with a lease that ends while it waits, a place is lost, and another one taken. */
async function obtain(
  host: RecipeHost,
  line: Line,
  request: GrantRequest,
  signal: AbortSignal,
  progress: Progress,
): Promise<Grant> {
  for (let failures = 0; ; failures += 1) {
    let session: LockSession | undefined
    try {
      await request.prepare?.(signal)
      session = await host.session(request.ttlSeconds, signal)
      const place = new Place(line, session, host)
      Object.assign(progress, { key: place.key, trouble: undefined })
      const { key, fence } = await takeTurn(place, request, signal)
      return new Grant(request.name, fence, { key, kind: line.kind }, host)
    } catch (error) {
      if (signal.aborted || isEtcdError(error, 'LOCK_UNAVAILABLE')) throw error
      const isLost = session?.signal.aborted === true || isEtcdError(error, 'LEASE_NOT_FOUND')
      if (isLost) session?.revoke().catch(() => {})
      else if (!isPassing(error) && !(error instanceof ForeignKeyError)) throw error
      Object.assign(progress, { key: undefined, trouble: error })
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
  try {
    const taken = await withAnySignal([signal, key.session.signal], (either) =>
      waits ? place.acquire(value, either) : place.tryAcquire(value, either),
    )
    if (typeof taken === 'number') return { key, fence: taken }
    throw new LockUnavailableError(name, taken)
  } catch (error) {
    await key.leave()
    throw error
  }
}
