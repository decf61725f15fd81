import { once } from 'node:events'
import { createWriteStream, readFileSync } from 'node:fs'
import type { RecordedCall } from './linearizability/history.js'

/** What a worker is to do. */
export interface WorkerTask {
  readonly worker: number
  readonly seed: number
  readonly endpoints: readonly string[]
  readonly transport: 'http2' | 'grpc-js'
  readonly caFile: string | undefined
  readonly rootPassword: string | undefined
  /** On the clock of `now()`. */
  readonly startedAt: number
  readonly until: number
  readonly file: string
  /** The workers end their watches when they have seen this key. */
  readonly endKey: string
}

/** What a worker has seen; one line of its file. */
export type ChaosRecord =
  | { readonly kind: 'call'; readonly group: number; readonly call: RecordedCall }
  /** Values that were written without effect: nobody may ever see them. */
  | { readonly kind: 'none'; readonly values: readonly string[]; readonly code: string }
  | { readonly kind: 'batch'; readonly watch: string; readonly revision: number; readonly events: readonly SeenEvent[] }
  | { readonly kind: 'view'; readonly informer: string; readonly revision: number; readonly digest: string }
  | ({ readonly kind: 'held'; readonly lock: string; readonly limit: number; readonly isExclusive: boolean } & HeldTime)
  | { readonly kind: 'enqueued'; readonly item: string; readonly effect: 'ok' | 'none' | 'unknown' }
  | { readonly kind: 'dequeued'; readonly item: string; readonly effect: 'ok' | 'unknown' }
  | {
      readonly kind: 'once'
      readonly key: string
      readonly effect: 'ok' | 'none' | 'unknown'
      readonly revision: number
    }
  | { readonly kind: 'lease'; readonly key: string; readonly endedAt: number; readonly isLost: boolean }
  | { readonly kind: 'trouble'; readonly workload: string; readonly error: string }
  | { readonly kind: 'done'; readonly operations: Readonly<Record<string, number>> }

export interface HeldTime {
  readonly fence: number
  readonly from: number
  readonly to: number
}

export interface SeenEvent {
  readonly type: 'put' | 'delete'
  readonly key: string
  readonly value: string
  readonly revision: number
}

/** Milliseconds on a clock that all processes of the machine share and that never goes back. */
export function now(): number {
  return Number(process.hrtime.bigint() / 1000n) / 1000
}

/** Writes the records of a worker, and counts its operations by outcome. */
export class Journal {
  readonly #stream
  readonly #counts = new Map<string, number>()

  constructor(file: string) {
    this.#stream = createWriteStream(file)
  }

  write(record: ChaosRecord): void {
    this.#stream.write(`${JSON.stringify(record)}\n`)
  }

  count(what: string): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1)
  }

  async end(): Promise<void> {
    this.write({ kind: 'done', operations: Object.fromEntries(this.#counts) })
    this.#stream.end()
    await once(this.#stream, 'finish')
  }
}

export function readRecords(file: string): ChaosRecord[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))
}
