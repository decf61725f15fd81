import { once } from 'node:events'
import { createWriteStream, readFileSync } from 'node:fs'
import type { RecordedCall } from './linearizability/history.js'

/** What a worker is to do. */
export interface WorkerTask {
  readonly worker: number
  readonly seed: number
  readonly endpoints: readonly string[]
  readonly transport: 'http2' | 'grpc-js'
  /** Files that are replaced while the worker runs. */
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string } | undefined
  readonly auth: { readonly username: string; readonly password: string } | undefined
  /** Whether the worker follows the member list; others are sent the endpoints when they change. */
  readonly hasMemberSync: boolean
  /** On the clock of `now()`. */
  readonly startedAt: number
  readonly until: number
  readonly file: string
  /** The workers end their watches when they have seen this key. */
  readonly endKey: string
}

/** What a worker sends to the process that runs it. */
export type WorkerMessage =
  /** The watch of the worker has delivered all events up to the revision. */
  | { readonly kind: 'position'; readonly revision: number }
  /** All calls have ended; only the watch goes on, until it sees the key of the end. */
  | { readonly kind: 'idle' }

/** What a worker receives: the endpoints of the cluster have changed. */
export interface EndpointsMessage {
  readonly endpoints: readonly string[]
}

/** What a worker has seen; one line of its file. */
export type ChaosRecord =
  | { readonly kind: 'call'; readonly group: number; readonly call: RecordedCall }
  /** Values that were written without effect: nobody may ever see them. */
  | { readonly kind: 'none'; readonly values: readonly string[]; readonly code: string }
  /** A batch of a watch: its events as text, since a run has millions of them. */
  | {
      readonly kind: 'batch'
      readonly watch: string
      /** The ranges of the watch. Default: all keys. */
      readonly prefixes?: readonly string[]
      readonly revision: number
      readonly events: readonly string[]
    }
  /** The keys under a prefix, as an informer, a read or a listing showed them at a revision. */
  | {
      readonly kind: 'view'
      readonly viewer: string
      readonly prefix: string
      readonly revision: number
      readonly digest: string
    }
  /** A read of a client that had seen the revision `floor` before it. */
  | { readonly kind: 'read'; readonly reader: string; readonly floor: number; readonly revision: number }
  | ({ readonly kind: 'change'; readonly informer: string } & SeenChange)
  | ({ readonly kind: 'held'; readonly lock: string; readonly limit: number; readonly isExclusive: boolean } & HeldTime)
  | { readonly kind: 'enqueued'; readonly item: string; readonly effect: 'ok' | 'none' | 'unknown' }
  | { readonly kind: 'dequeued'; readonly item: string; readonly effect: 'ok' | 'unknown' }
  | {
      readonly kind: 'once'
      readonly key: string
      readonly effect: 'ok' | 'none' | 'unknown'
      readonly revision: number
    }
  /** A key with a lease: `aliveUntil` is the last time at which the client reported the lease as alive. */
  | {
      readonly kind: 'lease'
      readonly key: string
      readonly aliveUntil: number
      /** Whether a read after the revocation found the key; `undefined` if the revocation or the read failed. */
      readonly isLeft: boolean | undefined
    }
  | { readonly kind: 'trouble'; readonly workload: string; readonly error: string }
  | { readonly kind: 'done'; readonly operations: readonly OperationCount[] }

/** How many operations of a kind had an outcome. */
export interface OperationCount {
  readonly workload: string
  readonly outcome: 'ok' | 'none' | 'unknown'
  /** The code of the error. */
  readonly code: string
  readonly count: number
}

export interface HeldTime {
  readonly fence: number
  readonly from: number
  readonly to: number
}

/** A change as the handler of an informer received it. */
export interface SeenChange {
  readonly type: 'add' | 'update' | 'delete'
  readonly key: string
  readonly revision: number
  readonly source: 'list' | 'watch' | 'resync'
}

export interface SeenEvent {
  readonly type: 'put' | 'delete'
  readonly key: string
  readonly value: string
  readonly revision: number
}

/** Begins with the revision. */
export function eventText({ revision, type, key, value }: SeenEvent): string {
  return `${revision} ${type} ${key} ${value}`
}

export function revisionOf(text: string): number {
  return Number.parseInt(text, 10)
}

/** Milliseconds on a clock that all processes of the machine share and that never goes back. */
export function now(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000
}

/** Writes the records of a worker, and counts its operations by outcome. */
export class Journal {
  readonly #stream
  readonly #counts = new Map<string, OperationCount>()

  constructor(file: string) {
    this.#stream = createWriteStream(file)
  }

  write(record: ChaosRecord): void {
    this.#stream.write(`${JSON.stringify(record)}\n`)
  }

  count(workload: string, outcome: OperationCount['outcome'], code = ''): void {
    const id = `${workload} ${outcome} ${code}`
    const count = (this.#counts.get(id)?.count ?? 0) + 1
    this.#counts.set(id, { workload, outcome, code, count })
  }

  async end(): Promise<void> {
    this.write({ kind: 'done', operations: [...this.#counts.values()] })
    this.#stream.end()
    await once(this.#stream, 'finish')
  }
}

/** The records of a file. What follows the last line break is not whole. */
export function readRecords(file: string): ChaosRecord[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line))
}
