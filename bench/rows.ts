import { setTimeout as sleep } from 'node:timers/promises'
import { Etcd, put } from '../src/index.js'
import type { Contender, ContenderName } from './contenders/contender.js'

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

/** One line of the table. */
export interface Row {
  readonly name: string
  /** Who takes part; the first is this library. */
  readonly contenders: readonly ContenderName[]
  /** Fills the cluster for the row, once; what it returns is given to each round. */
  readonly prepare?: (endpoint: string, scale: Scale) => Promise<number>
  /** `connect` makes further clients of the same kind. */
  readonly run: (contender: Contender, scale: Scale, prepared: number, connect: () => Contender) => Promise<Work>
  /** Needs a cluster that wants to know who calls. @default false */
  readonly auth?: boolean
}

const value = Buffer.alloc(256, 'v')
const keys = Array.from({ length: 1000 }, (_, index) => `bench/single/${index}`)
const keyAt = (index: number): string => keys[index % keys.length] ?? ''
const all: readonly ContenderName[] = ['ours', 'ours-grpcjs', 'etcd3', 'grpcjs', 'http2']
const batching: readonly ContenderName[] = ['ours-batching', 'etcd3', 'grpcjs', 'http2']

export const rows: readonly Row[] = [
  ...[1, 64, 1000].map((concurrency) => getRow(`get-c${concurrency}`, all, concurrency)),
  ...[64, 1000].map((concurrency) => putRow(`put-c${concurrency}`, all, concurrency)),
  getRow('get-batched-c1000', batching, 1000),
  putRow('put-grouped-c1000', batching, 1000),
  {
    name: 'list-100k',
    contenders: ['ours', 'etcd3', 'grpcjs'],
    prepare: (endpoint, { listKeys }) => fill(endpoint, 'bench/list/', listKeys),
    async run({ list }, { listKeys }) {
      const count = await list?.('bench/list/')
      if (count !== listKeys) throw new Error(`${count} of ${listKeys} keys`)
      return { operations: listKeys, latenciesMs: [] }
    },
  },
  {
    name: 'watch-events',
    contenders: ['ours', 'etcd3'],
    // Of old revisions a member sends 1000 at a time, ten times a second.
    prepare: (endpoint, { events }) => fill(endpoint, 'bench/watch/', events, 10),
    async run({ watch }, { events }, revision) {
      await watch?.('bench/watch/', revision, events)
      return { operations: events, latenciesMs: [] }
    },
  },
  {
    name: 'informer-get',
    contenders: ['ours'],
    prepare: (endpoint) => fill(endpoint, 'bench/single/', keys.length),
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
  { name: 'lock-storm', contenders: ['ours', 'etcd3'], run: (contender, { locks }) => lockStorm(contender, locks, 10) },
]

function getRow(name: string, contenders: readonly ContenderName[], concurrency: number): Row {
  return {
    name,
    contenders,
    prepare: (endpoint) => fill(endpoint, 'bench/single/', keys.length),
    run: ({ get }, { roundMs }) => inParallel(concurrency, roundMs, (index) => get(keyAt(index))),
  }
}

function putRow(name: string, contenders: readonly ContenderName[], concurrency: number): Row {
  return {
    name,
    contenders,
    run: ({ put }, { roundMs }) => inParallel(concurrency, roundMs, (index) => put(keyAt(index), value)),
  }
}

/** So many callers, each of which makes its next call when it has its answer. */
async function inParallel(
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

/** So many locks, each wanted by so many callers at once and held 5 ms. */
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

/** Writes `count` keys below a prefix, so many of them in each revision, and resolves to the first revision. */
async function fill(endpoint: string, prefix: string, count: number, perRevision = 100): Promise<number> {
  await using etcd = new Etcd({ endpoints: endpoint })
  await etcd.deleteRange({ prefix })
  const { revision } = await etcd.put('bench/filled', prefix)
  let from = 0
  const writer = async (): Promise<void> => {
    while (from < count) {
      const names = Array.from({ length: Math.min(perRevision, count - from) }, (_, index) => from + index)
      from += names.length
      const puts = names.map((index) => put(`${prefix}${index}`, value))
      await etcd
        .txn()
        .then(...puts)
        .commit()
    }
  }
  await Promise.all(Array.from({ length: 64 }, writer))
  return revision + 1
}
