import { halfJitterMs } from '../core/backoff.js'
import { EtcdError, isEtcdError } from '../core/errors.js'
import { sleep } from '../core/wait.js'
import type { ServerWatch } from './server-watch.js'

/** What a check needs. */
export interface RewindCheckHost {
  /** The revision of the cluster by a linearizable read within the watch's range. */
  currentRevision(watch: ServerWatch): Promise<number>
  isWatching(watch: ServerWatch): boolean
  /** The cluster has gone back behind what the watch has seen. */
  rewound(watch: ServerWatch, error: EtcdError): void
}

const backoff = { baseMs: 100, maxMs: 5000 }

/**
 * Finds out what it means that a member shows less than a watch has seen. It may only lag behind; but if the cluster was
 * restored from a backup, the watch would wait for revisions which others than those it knows will have. One read answers
 * for all watches under suspicion.
 */
export class RewindCheck {
  readonly #host: RewindCheckHost
  /** What each had seen when it came under suspicion: it may see more while the read is under way. */
  readonly #suspects = new Map<ServerWatch, number>()
  #isRunning = false
  #waking = new AbortController()

  constructor(host: RewindCheckHost) {
    this.#host = host
  }

  suspect(watch: ServerWatch): void {
    this.#suspects.set(watch, watch.seen)
    if (!this.#isRunning) void this.#run()
  }

  /** Nobody is watching any more: what waits here must not hold the process open. */
  rest(): void {
    this.#waking.abort()
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    for (let failures = 0; this.#hasSuspects(); ) {
      const suspects = new Map(this.#suspects)
      this.#suspects.clear()
      const revision = await this.#currentRevision(suspects)
      if (revision !== undefined) {
        failures = 0
        for (const [watch, seen] of suspects) if (revision < seen) this.#end(watch, seen)
        continue
      }
      failures += 1
      for (const [watch, seen] of suspects) if (!this.#suspects.has(watch)) this.#suspects.set(watch, seen)
      // Whoever left while the read was under way has woken nobody.
      if (!this.#hasSuspects()) break
      this.#waking = new AbortController()
      await sleep(halfJitterMs(failures, backoff), undefined, this.#waking.signal)
    }
    this.#isRunning = false
  }

  /** Whether any of them is still watched; forgets the others. */
  #hasSuspects(): boolean {
    for (const watch of this.#suspects.keys()) if (!this.#host.isWatching(watch)) this.#suspects.delete(watch)
    return this.#suspects.size > 0
  }

  /** `undefined` if it could not be read now. */
  async #currentRevision(suspects: ReadonlyMap<ServerWatch, number>): Promise<number | undefined> {
    const [watch] = suspects.keys()
    if (watch === undefined) return undefined
    try {
      return await this.#host.currentRevision(watch).catch((error: unknown) => {
        // The first call to notice it fails: how far the cluster is, the next one shows.
        if (isEtcdError(error, 'REVISION_REWOUND')) return this.#host.currentRevision(watch)
        throw error
      })
    } catch {
      return undefined
    }
  }

  #end(watch: ServerWatch, seen: number): void {
    if (!this.#host.isWatching(watch)) return
    const message = `the cluster is behind revision ${seen} that the watch has seen: restored from a backup?`
    this.#host.rewound(watch, new EtcdError(message, { code: 'REVISION_REWOUND', effect: 'none' }))
  }
}
