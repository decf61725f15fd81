import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StatusResponse } from '../../src/protobuf/generated/messages.js'
import { probeStatus } from '../../src/transport/connection/member-probe.js'

/** Probes a member with a token; returns which calls it gets with and without the token. */
async function probed(token: string, isOfCluster: boolean): Promise<string[]> {
  const calls: string[] = []
  const status = { leader: '1', isLearner: false } as unknown as StatusResponse
  await probeStatus(
    {
      call: async (method, _request, metadata) => {
        calls.push(`${method.name} ${metadata.token ?? 'without a token'}`)
        return status as never
      },
      stallTimeoutMs: 1000,
      isOfCluster: () => isOfCluster,
      tokenStalled: () => assert.fail('it has answered'),
    },
    { token },
  )
  return calls
}

const bare = 'Maintenance.Status without a token'

test('A probe tries a simple token on a member of the own cluster, after a call without it', async () => {
  assert.deepEqual(await probed('abc.17', true), [bare, 'KV.Range abc.17'])
})

test('A probe sends no token to a member of another cluster', async () => {
  assert.deepEqual(await probed('abc.17', false), [bare])
})

test('A probe does not try a JWT, for which no member waits', async () => {
  assert.deepEqual(await probed('a.b.c', true), [bare])
})
