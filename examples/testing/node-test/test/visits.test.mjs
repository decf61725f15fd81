import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, test } from 'node:test'
import { Etcd } from 'etcdkit'

const client = Etcd.fromEnv()
const etcd = client.namespace(`${randomUUID()}/`) // the keys of this file, apart from those of files that run beside it
after(() => client.close())

test('concurrent visits are all counted', async () => {
  const visit = () => etcd.update('visits', (kv) => String(Number(kv?.valueText ?? 0) + 1))
  await Promise.all(Array.from({ length: 20 }, visit))
  assert.equal((await etcd.get('visits'))?.valueText, '20')
})
