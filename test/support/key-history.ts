import type { Etcd } from '../../src/index.js'

/** A key from its creation up to, and without, its deletion. */
export interface KeyLife {
  readonly key: string
  readonly lease: string | undefined
  readonly createdAt: number
  readonly deletedAt: number
}

/** Reads from the history of the cluster when the keys with a prefix were there, from one revision up to another that has written one. */
export async function keyHistory(etcd: Etcd, prefix: string, from: number, to: number): Promise<readonly KeyLife[]> {
  const alive = new Map<string, KeyLife>()
  const ended: KeyLife[] = []
  for await (const { events, revision } of etcd.watch({ prefix }, { startRevision: from }).batches()) {
    for (const { type, kv } of events) {
      const key = kv.key.toString()
      const life = alive.get(key)
      if (type === 'put' && life === undefined) {
        alive.set(key, { key, lease: kv.lease, createdAt: kv.createRevision, deletedAt: Number.POSITIVE_INFINITY })
      } else if (type === 'delete' && life !== undefined) {
        alive.delete(key)
        ended.push({ ...life, deletedAt: kv.modRevision })
      }
    }
    if (revision >= to) break
  }
  return [...ended, ...alive.values()]
}
