import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteQueue } from '../../../src/transport/http2/byte-queue.js'
import { randomFrom } from '../../support/random.js'

const length = (pieces: readonly Buffer[]): number => pieces.reduce((sum, piece) => sum + piece.length, 0)

test('A queue of bytes returns all of them, in order, however they are added and taken', () => {
  const random = randomFrom(1)
  const queue = new ByteQueue()
  const added: Buffer[] = []
  const taken: Buffer[] = []
  const take = (share: number): void => {
    const first = queue.first()
    if (first === undefined) return
    const bytes = Math.ceil(first.length * share)
    taken.push(Buffer.from(first.subarray(0, bytes)))
    queue.drop(bytes)
  }
  for (let round = 0; round < 200; round += 1) {
    const piece = Buffer.alloc(Math.floor(random() * 16_384), round)
    queue.push(piece)
    added.push(piece)
    // Several blocks are in use in the first half, and the queue is empty again and again in the second one.
    for (let times = round < 100 ? 1 : 4; times > 0; times -= 1) take(round < 100 ? random() : 1)
    assert.equal(queue.bytes, length(added) - length(taken))
  }
  for (let times = 0; queue.bytes > 0 && times < 100; times += 1) take(1)
  assert.equal(queue.first(), undefined)
  assert.ok(Buffer.concat(taken).equals(Buffer.concat(added)))
})
