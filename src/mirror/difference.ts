import type { KeyValue } from '../core/key-value.js'

/** The change that makes one key equal on both sides. */
export interface Difference {
  /** The key without the prefix. */
  readonly rest: Buffer
  /** The value to put; `undefined` to delete the key. */
  readonly value: Buffer | undefined
}

/** One side of the comparison: its keys in order, and the length of their prefix. */
export interface Side {
  readonly kvs: AsyncIterable<KeyValue>
  readonly prefixLength: number
}

/**
 * The changes that make the destination equal to the source, in key order. Holds only one page of each side in memory.
 */
export async function* differences(source: Side, destination: Side): AsyncGenerator<Difference, void, undefined> {
  const [left, right] = [cursorOf(source), cursorOf(destination)]
  try {
    let [wanted, found] = [await left.next(), await right.next()]
    while (wanted !== undefined || found !== undefined) {
      const order = compare(wanted, found)
      if (order > 0 && found !== undefined) yield { rest: found.rest, value: undefined }
      if (order < 0 && wanted !== undefined) yield wanted
      if (order === 0 && wanted !== undefined && found?.value.equals(wanted.value) === false) yield wanted
      ;[wanted, found] = [order <= 0 ? await left.next() : wanted, order >= 0 ? await right.next() : found]
    }
  } finally {
    await Promise.all([left.close(), right.close()])
  }
}

interface Item {
  readonly rest: Buffer
  readonly value: Buffer
}

function compare(left: Item | undefined, right: Item | undefined): number {
  if (left === undefined) return 1
  return right === undefined ? -1 : Buffer.compare(left.rest, right.rest)
}

function cursorOf({ kvs, prefixLength }: Side): { next(): Promise<Item | undefined>; close(): Promise<void> } {
  const iterator = kvs[Symbol.asyncIterator]()
  return {
    async next() {
      const { value, done } = await iterator.next()
      return done === true ? undefined : { rest: value.key.subarray(prefixLength), value: value.value }
    },
    async close() {
      await iterator.return?.()
    },
  }
}
