import type { TestContext } from 'node:test'
import { type AttemptRecord, type ClientOptions, channels, Etcd, type Keyspace, put } from '../../src/index.js'
import type { EtcdCluster } from '../../src/testing/index.js'

/** A client of the cluster that closes itself after the test. */
export function createClient(
  t: TestContext,
  cluster: Pick<EtcdCluster, 'endpoints'>,
  options: ClientOptions = {},
): Etcd {
  const etcd = new Etcd({ endpoints: cluster.endpoints, ...options })
  t.after(() => etcd.close())
  return etcd
}

let prefixes = 0

/** A key prefix that no other test of this file has. */
export function uniquePrefix(): string {
  prefixes += 1
  return `test-${prefixes}/`
}

/** Everything that an iteration gives. */
export async function collect<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of source) items.push(item)
  return items
}

/** The names of the first `count` keys that `fill` writes, in key order. */
export function numberedNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => String(index).padStart(6, '0'))
}

/** Writes `count` keys with numbered names, many at a time. */
export async function fill(kv: Keyspace, count: number, value: string | Uint8Array = 'value'): Promise<string[]> {
  const names = numberedNames(count)
  // Several transactions under way at a time, each within the servers' limits for operations and bytes.
  const perTxn = Math.max(1, Math.min(128, Math.floor(1_000_000 / (value.length + 50))))
  const batches = Array.from({ length: Math.ceil(count / perTxn) }, (_, index) => index * perTxn)
  const work = async (): Promise<void> => {
    for (let first = batches.pop(); first !== undefined; first = batches.pop()) {
      const operations = names.slice(first, first + perTxn).map((name) => put(name, value))
      await kv
        .txn()
        .then(...operations)
        .commit()
    }
  }
  await Promise.all(Array.from({ length: 4 }, work))
  return names
}

/** Collects what is published on `etcdkit:attempt` during the test: every sending of a call, of any client. */
export function attemptRecords(t: TestContext): AttemptRecord[] {
  const records: AttemptRecord[] = []
  const listen = (record: unknown): number => records.push(record as AttemptRecord)
  channels.attempt.subscribe(listen)
  t.after(() => channels.attempt.unsubscribe(listen))
  return records
}

/** Calls with arguments as JavaScript may pass them, which the types would refuse. */
export function untyped(target: unknown): Record<string, (...args: unknown[]) => Promise<unknown>> {
  return target as Record<string, (...args: unknown[]) => Promise<unknown>>
}
