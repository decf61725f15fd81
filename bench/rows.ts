import { setTimeout as sleep } from 'node:timers/promises'
import { Etcd, put } from '../src/index.js'
import type { Contender, ContenderName, Target } from './contenders/contender.js'

/** How long and how large the measurements are. */
export interface Scale {
  /** The time of one measurement of single operations. */
  readonly roundMs: number
  readonly listKeys: number
  readonly events: number
  readonly locks: number
}

/** What one round gave: the operations made, and the time of each where it was taken. */
export interface Work {
  readonly operations: number
  readonly latenciesMs: readonly number[]
}

/** Single calls of one kind. Go's client gets them as JSON. */
export interface Load {
  readonly call: 'get' | 'put'
  readonly concurrency: number
  readonly valueBytes: number
}

/** One line of the table. */
export interface Row {
  readonly name: string
  /** The contenders; the first is this library. */
  readonly contenders: readonly ContenderName[]
  /** What is measured, where it is single calls. */
  readonly load?: Load
  /** Fills the cluster for the row, once; what it returns is given to each round. */
  readonly prepare?: (target: Target, scale: Scale) => Promise<number>
  /** `connect` makes further clients of the same kind. */
  readonly run: (contender: Contender, scale: Scale, prepared: number, connect: () => Contender) => Promise<Work>
  /** Needs a cluster with authentication. @default false */
  readonly auth?: boolean
  /** Needs a cluster that serves TLS. @default false */
  readonly tls?: boolean
  /** @default 1 */
  readonly members?: number
  /** Is measured by a single round at full scale, since a round is long. @default false */
  readonly once?: boolean
}

const valueBytes = 256
/** Single calls take their keys from as many. */
export const singleKeys = 1000
export const keyAt = (index: number): string => `bench/single/${index % singleKeys}`
const all: readonly ContenderName[] = ['ours', 'ours-grpcjs', 'etcd3', 'go-clientv3', 'grpcjs', 'http2']
const batching: readonly ContenderName[] = ['ours-batching', 'etcd3', 'go-clientv3', 'grpcjs', 'http2']
const clients: readonly ContenderName[] = ['ours', 'ours-grpcjs', 'etcd3', 'go-clientv3']

export const rows: readonly Row[] = [
  ...[1, 64, 1000].map((concurrency) => singleCalls(`get-c${concurrency}`, all, { call: 'get', concurrency })),
  ...[64, 1000].map((concurrency) => singleCalls(`put-c${concurrency}`, all, { call: 'put', concurrency })),
  singleCalls('get-batched-c1000', batching, { call: 'get', concurrency: 1000 }),
  singleCalls('put-grouped-c1000', batching, { call: 'put', concurrency: 1000 }),
  { ...singleCalls('get-tls-c64', all, { call: 'get', concurrency: 64 }), tls: true },
  { ...singleCalls('get-3-members-c64', clients, { call: 'get', concurrency: 64 }), members: 3 },
  singleCalls('put-64k-c16', clients, { call: 'put', concurrency: 16, valueBytes: 64 * 2 ** 10 }),
  singleCalls('get-1m-c4', clients, { call: 'get', concurrency: 4, valueBytes: 2 ** 20 }),
  {
    name: 'list-100k',
    contenders: ['ours', 'etcd3', 'grpcjs'],
    prepare: (target, { listKeys }) => fill(target, 'bench/list/', listKeys),
    async run({ list }, { listKeys }) {
      const count = await list?.('bench/list/')
      if (count !== listKeys) throw new Error(`${count} of ${listKeys} keys`)
      return { operations: listKeys, latenciesMs: [] }
    },
  },
  ...[1, 10, 100].map(watchRow),
  {
    name: 'informer-get',
    contenders: ['ours'],
    prepare: (target) => fill(target, 'bench/single/', singleKeys),
    async run({ follow }, { events }) {
      const read = await follow?.('bench/single/')
      for (let index = 0; index < events * 50; index += 1)
        if (read?.(keyAt(index)) === undefined) throw new Error('lost')
      return { operations: events * 50, latenciesMs: [] }
    },
  },
  {
    name: 'authenticate-reuse',
    contenders: ['ours', 'etcd3'],
    auth: true,
    run: (_, __, ___, connect) => shortLives(connect, 20, 20),
  },
  {
    name: 'lock-storm',
    contenders: ['ours', 'etcd3'],
    once: true,
    run: (contender, { locks }) => lockStorm(contender, locks, 10),
  },
]

function singleCalls(
  name: string,
  contenders: readonly ContenderName[],
  calls: Omit<Load, 'valueBytes'> & Partial<Load>,
): Row {
  const load = { valueBytes, ...calls }
  const value = Buffer.alloc(load.valueBytes, 'v')
  return {
    name,
    contenders,
    load,
    prepare: (target) => fill(target, 'bench/single/', singleKeys, 100, value),
    run: ({ get, put }, { roundMs }) =>
      inParallel(load.concurrency, roundMs, (index) =>
        load.call === 'get' ? get(keyAt(index)) : put(keyAt(index), value),
      ),
  }
}

/** A backlog of events, read from its first revision on. */
function watchRow(perRevision: number): Row {
  return {
    name: `watch-events-${perRevision}`,
    contenders: ['ours', 'ours-grpcjs', 'etcd3'],
    prepare: (target, { events }) => fill(target, 'bench/watch/', events, perRevision),
    async run({ watch }, { events }, revision) {
      await watch?.('bench/watch/', revision, events)
      return { operations: events, latenciesMs: [] }
    },
  }
}

/** Concurrent callers, each of which makes its next call when the previous one has its answer. */
export async function inParallel(
  concurrency: number,
  roundMs: number,
  call: (index: number) => Promise<unknown>,
): Promise<Work> {
  const latenciesMs: number[] = []
  const until = performance.now() + roundMs
  let next = 0
  const caller = async (): Promise<void> => {
    for (let startedAt = performance.now(); startedAt < until; ) {
      await call(next++)
      const endedAt = performance.now()
      latenciesMs.push(endedAt - startedAt)
      startedAt = endedAt
    }
  }
  await Promise.all(Array.from({ length: concurrency }, caller))
  return { operations: latenciesMs.length, latenciesMs }
}

/** Clients that live for some reads each, four at a time, as those of short jobs do. */
async function shortLives(connect: () => Contender, clients: number, reads: number): Promise<Work> {
  let left = clients
  const live = async (): Promise<void> => {
    while (left-- > 0) {
      const contender = connect()
      for (let read = 0; read < reads; read += 1) await contender.get('bench/key')
      await contender.close()
    }
  }
  await Promise.all(Array.from({ length: 4 }, live))
  return { operations: clients * reads, latenciesMs: [] }
}

/** Locks that several callers want at once, each held for 5 ms. */
async function lockStorm({ withLock }: Contender, locks: number, contenders: number): Promise<Work> {
  const latenciesMs: number[] = []
  const take = async (name: string): Promise<void> => {
    const startedAt = performance.now()
    await withLock?.(name, async () => {
      latenciesMs.push(performance.now() - startedAt)
      await sleep(5)
    })
  }
  const callers = Array.from({ length: locks * contenders }, (_, index) => take(`bench/lock/${index % locks}`))
  await Promise.all(callers)
  return { operations: latenciesMs.length, latenciesMs }
}

/** Writes `count` keys below a prefix, `perRevision` of them in each revision, and resolves to the first revision. */
async function fill(
  { endpoints, ca, auth }: Target,
  prefix: string,
  count: number,
  perRevision = 100,
  value = Buffer.alloc(valueBytes, 'v'),
): Promise<number> {
  await using etcd = new Etcd({ endpoints, auth, ...(ca === undefined ? {} : { tls: { ca } }) })
  await etcd.deleteRange({ prefix })
  const { revision } = await etcd.put('bench/filled', prefix)
  // A request holds 1.5 MiB at most.
  const perTxn = Math.max(1, Math.min(perRevision, Math.floor(2 ** 20 / value.length)))
  let from = 0
  const writer = async (): Promise<void> => {
    while (from < count) {
      const names = Array.from({ length: Math.min(perTxn, count - from) }, (_, index) => from + index)
      from += names.length
      const puts = names.map((index) => put(`${prefix}${index}`, value))
      await etcd
        .txn()
        .then(...puts)
        .commit()
    }
  }
  await Promise.all(Array.from({ length: value.length > 2 ** 16 ? 4 : 64 }, writer))
  return revision + 1
}
