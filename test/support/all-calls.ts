import assert from 'node:assert/strict'
import { type Etcd, isEtcdError, key, put } from '../../src/index.js'
import { collect, numberedNames } from './fixtures.js'

/** Makes calls of every kind below a prefix and checks the answers: what must work whatever is between client and members. */
export async function assertAllCalls(etcd: Etcd, prefix: string): Promise<void> {
  await Promise.all([
    keysAndTransactions(etcd, `${prefix}kv/`),
    listing(etcd.namespace(`${prefix}list/`)),
    watchAndInformer(etcd, `${prefix}watch/`),
    lease(etcd, `${prefix}lease/`),
    locks(etcd, `${prefix}lock/`),
    leadership(etcd, `${prefix}election/`),
  ])
}

async function keysAndTransactions(etcd: Etcd, prefix: string): Promise<void> {
  const name = `${prefix}key`
  const { revision } = await etcd.put(name, 'value')
  assert.deepEqual([(await etcd.get(name))?.valueText, (await etcd.get(name))?.modRevision], ['value', revision])
  const { succeeded } = await etcd.txn().if(key(name).modRevision.equals(revision)).then(put(name, 'next')).commit()
  assert.equal(succeeded, true)
  const large = Buffer.alloc(1_000_000, 'x')
  await etcd.put(`${prefix}large`, large)
  assert.ok((await etcd.get(`${prefix}large`))?.value.equals(large))
  assert.equal((await etcd.delete(name)).deleted, 1)
  await assert.rejects(etcd.get(name, { revision: 1_000_000_000 }), (error) => isEtcdError(error, 'FUTURE_REVISION'))
}

async function listing(kv: ReturnType<Etcd['namespace']>): Promise<void> {
  const names = numberedNames(300)
  await Promise.all(names.map((name) => kv.put(name, name)))
  const keys = await collect(kv.list({ prefix: '' }))
  assert.deepEqual(
    keys.map(({ keyText }) => keyText),
    names,
  )
}

async function watchAndInformer(etcd: Etcd, prefix: string): Promise<void> {
  await using watcher = etcd.watch({ prefix })
  await using informer = etcd.informer({ prefix })
  await Promise.all([watcher.ready(), informer.ready()])
  const values = Array.from({ length: 50 }, (_, index) => `${index}`)
  for (const value of values) await etcd.put(`${prefix}key`, value)
  const { revision } = await etcd.put(`${prefix}end`, '')
  const seen: string[] = []
  for await (const { kv } of watcher) {
    if (kv.keyText === `${prefix}end`) break
    seen.push(kv.valueText)
  }
  assert.deepEqual(seen, values)
  await informer.waitForRevision(revision)
  assert.deepEqual([informer.get(`${prefix}key`), informer.get(`${prefix}end`)], [values.at(-1), ''])
}

async function lease(etcd: Etcd, prefix: string): Promise<void> {
  const held = await etcd.lease.grant(30)
  await etcd.put(`${prefix}key`, 'here', { lease: held.id })
  assert.equal(await etcd.lease.keepAliveOnce(held.id), 30)
  await held.revoke()
  assert.equal(await etcd.get(`${prefix}key`), undefined)
}

async function locks(etcd: Etcd, name: string): Promise<void> {
  const first = await etcd.lock(name)
  const second = etcd.lock(name)
  await assert.rejects(etcd.lock(name, { timeoutMs: 300 }), (error) => isEtcdError(error))
  await first.release()
  const next = await second
  assert.ok(next.fence > first.fence && next.isHeld() && !first.isHeld())
  await next.release()
}

async function leadership(etcd: Etcd, name: string): Promise<void> {
  const election = etcd.election(name)
  const leader = await election.campaign('me')
  assert.equal((await election.leader())?.valueText, 'me')
  await leader.resign()
}
