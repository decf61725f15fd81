import { randomUUID } from 'node:crypto'
import { Etcd } from 'etcdkit'
import { afterAll, expect, test } from 'vitest'

const client = Etcd.fromEnv()
const etcd = client.namespace(`${randomUUID()}/`) // the keys of this file, apart from those of files that run beside it
afterAll(() => client.close())

test('concurrent visits are all counted', async () => {
  const visit = () => etcd.update('visits', (kv) => String(Number(kv?.valueText ?? 0) + 1))
  await Promise.all(Array.from({ length: 20 }, visit))
  expect((await etcd.get('visits'))?.valueText).toBe('20')
})
