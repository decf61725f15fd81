import { randomUUID } from 'node:crypto'
import { halfJitterMs } from '../core/backoff.js'
import { EtcdError } from '../core/errors.js'
import { sleep } from '../core/wait.js'
import { key as keyOf } from '../kv/compare.js'
import { deleteKey, get, type Operation, put } from '../kv/operation.js'
import type { Difference } from './difference.js'
import { isFinal, throwAsDestination } from './mirror-errors.js'
import type { MirrorDestination, MirrorPlan } from './mirror-options.js'
import { decodeProgress, encodeProgress, type Progress } from './progress.js'

/** Callbacks of a writer. */
export interface MirrorWriterHost {
  /** A write failed and is retried. */
  retrying(error: unknown): void
  /** The destination has this progress now. */
  written(progress: Progress): void
}

const backoff = { baseMs: 100, maxMs: 5000 }
/** Below the servers' default request limit of 1.5 MiB. */
const maxTxnBytes = 1024 * 1024

/**
 * Writes to the destination. Each transaction also writes the progress, on condition that nobody has written it since.
 * Invariant: each transaction is applied at most once, even if its response is lost, because the compare of a late or
 * repeated one fails.
 */
export class MirrorWriter {
  readonly #destination: MirrorDestination
  readonly #plan: MirrorPlan
  readonly #host: MirrorWriterHost
  readonly #signal: AbortSignal
  /** The revision at the destination that last wrote the progress; 0 if there is none. */
  #writtenAt = 0

  constructor(destination: MirrorDestination, plan: MirrorPlan, host: MirrorWriterHost, signal: AbortSignal) {
    this.#destination = destination
    this.#plan = plan
    this.#host = host
    this.#signal = signal
  }

  /** Reads the progress written by this mirror or an earlier one. */
  async load(): Promise<Progress | undefined> {
    const { progressKey, prefix } = this.#plan
    const reading = this.#destination.get(progressKey, { mode: 'linearizable', signal: this.#signal })
    const kv = await reading.catch(throwAsDestination)
    this.#writtenAt = kv?.modRevision ?? 0
    return kv && decodeProgress(kv.value.toString(), prefix)
  }

  /**
   * Writes changes in as few transactions as possible. `progressAfter` returns the progress once all changes up to and
   * including `last` are written, or all changes.
   */
  async write(
    changes: AsyncIterable<Difference> | Iterable<Difference>,
    progressAfter: (last: Difference | undefined) => Progress,
  ): Promise<void> {
    let operations: Operation[] = []
    let bytes = 0
    let last: Difference | undefined
    for await (const change of changes) {
      const size = change.rest.length + (change.value?.length ?? 0)
      const isFull = operations.length + 1 >= this.#plan.maxTxnOps || bytes + size > maxTxnBytes
      if (isFull && last !== undefined && operations.length > 0) {
        await this.#commit(operations, progressAfter(last))
        operations = []
        bytes = 0
      }
      const operation = this.#operation(change)
      if (operation !== undefined) operations.push(operation)
      bytes += size
      last = change
    }
    await this.#commit(operations, progressAfter(undefined))
  }

  #operation({ rest, value }: Difference): Operation | undefined {
    const { destinationPrefix, progressKey } = this.#plan
    const key = Buffer.concat([destinationPrefix, rest])
    // A copy of another mirror's progress key, if everything is mirrored.
    if (key.equals(progressKey)) return undefined
    return value === undefined ? deleteKey(key) : put(key, value)
  }

  async #commit(operations: readonly Operation[], progress: Progress): Promise<void> {
    const record = encodeProgress(progress, this.#plan.prefix, randomUUID())
    for (let attempt = 1; ; attempt += 1) {
      try {
        this.#writtenAt = await this.#tryCommit(operations, record)
        this.#host.written(progress)
        return
      } catch (error) {
        this.#signal.throwIfAborted()
        if (isFinal(error)) throw error
        this.#host.retrying(error)
      }
      await sleep(halfJitterMs(attempt, backoff), this.#signal)
    }
  }

  /** Returns the revision that wrote the record, in this attempt or an earlier one. */
  async #tryCommit(operations: readonly Operation[], record: string): Promise<number> {
    const { progressKey } = this.#plan
    const result = await this.#destination
      .txn()
      .if(keyOf(progressKey).modRevision.equals(this.#writtenAt))
      .then(...operations, put(progressKey, record))
      .else(get(progressKey))
      .commit({ signal: this.#signal })
    if (result.succeeded) return result.revision
    const [kv] = result.responses
    if (kv?.value.toString() === record) return kv.modRevision
    throw new EtcdError('another mirror has written the progress key, or the key was deleted', {
      code: 'MIRROR_CONFLICT',
      effect: 'none',
    })
  }
}
