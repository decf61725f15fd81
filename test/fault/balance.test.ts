import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Etcd } from '../../src/index.js'
import { useCluster } from '../support/cluster.js'
import { served } from '../support/cluster-view.js'

const calls = 3000

describe('Balancing over three members', () => {
  const cluster = useCluster({ members: 3 })

  async function rangesServed(): Promise<number[]> {
    return Promise.all(cluster.members.map((member) => served(member, 'Range')))
  }

  /** Makes all calls on a client that has not connected yet, and asserts that each member served a third of them. */
  async function assertEven(inFlight: number): Promise<void> {
    const before = await rangesServed()
    await using etcd = new Etcd({ endpoints: cluster.endpoints, batching: { reads: false } })
    let left = calls
    const work = async (): Promise<void> => {
      while (left-- > 0) await etcd.get('key')
    }
    await Promise.all(Array.from({ length: inFlight }, work))
    const each = (await rangesServed()).map((count, index) => count - (before[index] ?? 0))
    const isThird = (count: number) => Math.abs(count - calls / 3) <= 1
    assert.ok(each.every(isThird), `the members served ${each.join(', ')} calls`)
  }

  test('gives each member a third of sequential calls', () => assertEven(1))

  test('gives each member a third of the calls made 64 at a time', () => assertEven(64))
})
