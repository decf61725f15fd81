import { randomBytes, randomInt } from 'node:crypto'
import type { Etcd, KeyValue } from '../../index.js'
import { UsageError } from '../usage-error.js'
import type { KeySettings } from './bench-flags.js'

/** The keys and the value that a benchmark writes. */
export interface BenchKeys {
  readonly value: Buffer
  /** The key of an operation. */
  keyOf(index: number): string
}

const digits = 36

/** The keys that the settings ask for: numbers of the size of a key. Throws `UsageError` where it has no room for them. */
export function benchKeys({ keyBytes, valueBytes, keySpace, sequential, prefix }: KeySettings): BenchKeys {
  if (prefix === '') throw new UsageError('--prefix must have at least one letter: the keys are deleted at the end')
  const longest = (keySpace - 1).toString(digits).length
  if (longest > keyBytes)
    throw new UsageError(`--key-size must be at least ${longest} for so many keys, got ${keyBytes}`)
  return {
    // Random, so that nothing on the way can make it smaller.
    value: randomBytes(valueBytes),
    keyOf(index) {
      const number = sequential ? index % keySpace : randomInt(keySpace)
      return prefix + number.toString(digits).padStart(keyBytes, '0')
    },
  }
}

/** Keys that are deleted at once: a deletion of many holds everything else up. */
const keysAtOnce = 1000

/** Deletes what a benchmark has written, some keys at a time. */
export async function deleteBenchKeys(etcd: Etcd, prefix: string): Promise<void> {
  for await (const { kvs } of etcd.list({ prefix }, { keysOnly: true, maxPageSize: keysAtOnce }).pages()) {
    const [first, last] = [kvs[0], kvs.at(-1)]
    if (first !== undefined && last !== undefined) await etcd.deleteRange(fromTo(first, last))
  }
}

function fromTo(first: KeyValue, last: KeyValue): { readonly from: Buffer; readonly to: Buffer } {
  return { from: first.key, to: Buffer.concat([last.key, Buffer.from([0])]) }
}
