import type { EtcdCluster } from '../../testing/index.js'
import type { Notes } from '../command.js'

const restartAfterMs = 3000

/** Starts members again that have ended, for example because someone killed them to see what happens. */
export class MemberKeeper {
  readonly #cluster: EtcdCluster
  readonly #notes: Notes
  /** By index: when an ended member starts again; never while it is starting. */
  readonly #restartAt = new Map<number, number>()

  constructor(cluster: EtcdCluster, notes: Notes) {
    this.#cluster = cluster
    this.#notes = notes
  }

  /** Looks after the members; to be called every now and then. */
  check(now = performance.now()): void {
    for (const [index, { name, state }] of this.#cluster.members.entries()) {
      const at = this.#restartAt.get(index)
      if (state !== 'stopped') continue
      if (at === undefined) {
        this.#notes.line(`${name} ended; it starts again in ${restartAfterMs / 1000} s`)
        this.#restartAt.set(index, now + restartAfterMs)
      } else if (now >= at) {
        this.#restartAt.set(index, Number.POSITIVE_INFINITY)
        void this.#restart(index, name)
      }
    }
  }

  async #restart(index: number, name: string): Promise<void> {
    try {
      await this.#cluster.restart(index)
      this.#notes.line(`${name} runs again, pid ${this.#cluster.members[index]?.pid}`)
    } catch (error) {
      // Everything is being stopped.
      if (this.#cluster.members[index]?.state === 'removed') return
      this.#notes.line(`${name} did not start: ${error instanceof Error ? error.message : String(error)}`)
    } finally {
      this.#restartAt.delete(index)
    }
  }
}
