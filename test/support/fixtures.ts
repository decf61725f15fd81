import type { TestContext } from 'node:test'
import { type ClientOptions, Etcd } from '../../src/index.js'
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

/** Calls with arguments as JavaScript may pass them, which the types would refuse. */
export function untyped(target: unknown): Record<string, (...args: unknown[]) => Promise<unknown>> {
  return target as Record<string, (...args: unknown[]) => Promise<unknown>>
}
