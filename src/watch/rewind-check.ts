import { halfJitterMs } from '../core/backoff.js'
import { EtcdError } from '../core/errors.js'
import { sleep } from '../core/wait.js'
import type { ServerWatch } from './server-watch.js'

/** What a check needs from its owner. */
export interface RewindCheckHost {
  /** The cluster's revision, from a linearizable read within the watch's range. */
  currentRevision(watch: ServerWatch): Promise<number>
  isWatching(watch: ServerWatch): boolean
  /** The cluster's revision is lower than one that the watch has seen. */
  rewound(watch: ServerWatch, error: EtcdError): void
}

const backoff = { baseMs: 100, maxMs: 5000 }

/**
 * Checks why a member reports a lower revision than a watch has seen. The member may lag behind; but if the cluster was
 * restored from a backup, the watch would wait silently for revisions that will belong to other events. One linearizable
 * read settles it for all suspected watches.
 */
export class RewindCheck {
  readonly #host: RewindCheckHost
  /** The revision that each had seen when it was suspected: it may see more during the read. */
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

  /** No watch is left: a running backoff must not hold the process open. */
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
      // A watch that ended during the read did not end the backoff, which begins only now.
      if (!this.#hasSuspects()) break
      this.#waking = new AbortController()
      await sleep(halfJitterMs(failures, backoff), undefined, this.#waking.signal)
    }
    this.#isRunning = false
  }

  /** Whether a suspected watch is left; forgets those that have ended. */
  #hasSuspects(): boolean {
    for (const watch of this.#suspects.keys()) if (!this.#host.isWatching(watch)) this.#suspects.delete(watch)
    return this.#suspects.size > 0
  }

  /** `undefined` if the read failed. */
  async #currentRevision(suspects: ReadonlyMap<ServerWatch, number>): Promise<number | undefined> {
    const [watch] = suspects.keys()
    if (watch === undefined) return undefined
    try {
      return await this.#host.currentRevision(watch)
    } catch {
      // The first call that notices a rewind fails, too; the next one returns the revision.
      return undefined
    }
  }

  #end(watch: ServerWatch, seen: number): void {
    if (!this.#host.isWatching(watch)) return
    const message = `the cluster's revision is below ${seen}, which the watch has seen: it was probably restored from a backup`
    this.#host.rewound(watch, new EtcdError(message, { code: 'REVISION_REWOUND', effect: 'none' }))
  }
}
