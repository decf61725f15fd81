import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Etcd } from '../../src/index.js'
import { poll } from '../../src/testing/index.js'
import { GrpcServer, type ServedCall } from '../support/grpc-server.js'

/** A header with cluster 1, member 1, revision 1 and term 1; and of a status, member 1 as the leader. */
const header = Buffer.from([0x0a, 8, 0x08, 1, 0x10, 1, 0x18, 1, 0x20, 1])
const status = Buffer.concat([header, Buffer.from([0x20, 1])])

describe('A member that sends GOAWAY and accepts no new connection', { concurrency: true }, () => {
  for (const transport of ['grpc-js', 'http2'] as const) {
    test(`answers the calls in flight, however long they take: ${transport}`, async () => {
      const held: ServedCall[] = []
      await using server = await GrpcServer.start((call) => {
        if (call.headers[':path']?.endsWith('/Status') === true) call.reply(status)
        else held.push(call)
      })
      await using etcd = new Etcd({ endpoints: [server.endpoint], transport, timeoutMs: 20_000 })
      const [put, get] = [etcd.put('key', 'value'), etcd.get('key')]
      await poll('both are under way', () => held.length === 2 || undefined)
      server.shutDown()
      await poll('it is left', () => etcd.endpoints()[0]?.state === 'connecting' || undefined)
      // Longer than an attempt to connect is given until there is another.
      await sleep(4500)
      for (const call of held) call.reply(header)
      assert.equal((await put).revision, 1)
      assert.equal(await get, undefined)
      assert.equal(server.accepted, 1)
    })
  }
})
