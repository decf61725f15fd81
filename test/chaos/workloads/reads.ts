import { now } from '../records.js'
import { digestOf } from '../view-digest.js'
import type { Workplace } from '../worker.js'

const prefix = 'reads/'

/** Serializable reads beside own writes, which never go back in time, and listings in small pages at one revision. */
export async function reads({ task, etcd, journal, random, repeat }: Workplace): Promise<void> {
  let floor = 0
  let count = 0
  await Promise.all([
    repeat('own write', async () => {
      const { revision } = await etcd.put(`${prefix}${task.worker}`, String(count++))
      floor = Math.max(floor, revision)
    }),
    repeat('serializable read', async () => {
      const before = floor
      const { revision, kvs } = await etcd.range({ prefix }, { mode: 'serializable' })
      const reader = `client ${task.worker}`
      journal.write({ kind: 'read', reader, floor: before, revision })
      journal.write({ kind: 'view', viewer: reader, prefix, revision, digest: digestOf(kvs.map(keyOf)) })
      floor = Math.max(floor, revision)
    }),
    repeat('listing', async () => {
      const listed: [string, number][] = []
      let revision = 0
      for await (const page of etcd.list({ prefix: 'reg/' }, { maxPageSize: 1 + Math.floor(random() * 10) }).pages()) {
        listed.push(...page.kvs.map(keyOf))
        revision = page.revision
      }
      const viewer = `listing of ${task.worker} at ${now().toFixed(0)}`
      journal.write({ kind: 'view', viewer, prefix: 'reg/', revision, digest: digestOf(listed) })
    }),
  ])
}

function keyOf({ keyText, modRevision }: { readonly keyText: string; readonly modRevision: number }): [string, number] {
  return [keyText, modRevision]
}
