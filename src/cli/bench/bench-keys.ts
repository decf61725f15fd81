import { randomBytes, randomInt } from 'node:crypto'
import { deleteKey, type Etcd, type KeyValue, key, type Operation, txn } from '../../index.js'
import { UsageError } from '../usage-error.js'
import type { KeySettings } from './bench-flags.js'

/** The keys and the value that a benchmark writes. */
export interface BenchKeys {
  readonly value: Buffer
  /** The key of an operation. */
  keyOf(index: number): string
  readonly names: KeyNames
}

/** The names of the keys that a benchmark may write. */
export interface KeyNames {
  readonly prefix: string
  /** How many there are. */
  readonly count: number
  /** What stands behind the prefix. */
  nameOf(number: number): string
  numberOf(name: string): number
}

const digits = 36

/** The keys that the settings ask for: numbers of the size of a key. Throws `UsageError` where it has no room for them. */
export function benchKeys({ keyBytes, valueBytes, keySpace, sequential, prefix }: KeySettings): BenchKeys {
  if (prefix === '') throw new UsageError('--prefix must have at least one letter: the keys are deleted at the end')
  const longest = (keySpace - 1).toString(digits).length
  if (longest > keyBytes)
    throw new UsageError(`--key-size must be at least ${longest} for this number of keys, got ${keyBytes}`)
  const nameOf = (number: number): string => number.toString(digits).padStart(keyBytes, '0')
  return {
    // Random, so that nothing on the way can make it smaller.
    value: randomBytes(valueBytes),
    keyOf(index) {
      const number = sequential ? index % keySpace : randomInt(keySpace)
      return prefix + nameOf(number)
    },
    names: { prefix, count: keySpace, nameOf, numberOf: (name) => Number.parseInt(name, digits) },
  }
}

/** Keys of a transaction: a deletion of many holds everything else up, and members take no more than 128. */
const keysAtOnce = 100

/**
 * Call it before the first write: the function that it resolves to deletes the keys of these names that were made since.
 * Keys that were there before stay, and so do those of other names.
 */
export async function keyCleaner(etcd: Etcd, names: KeyNames, signal: AbortSignal): Promise<() => Promise<void>> {
  const range = { prefix: names.prefix }
  const { revision } = await etcd.range(range, { limit: 1, keysOnly: true, mode: 'linearizable', signal })
  const isMade = ({ key, createRevision }: KeyValue): boolean => createRevision > revision && isNamed(key, names)
  return async () => {
    for await (const { kvs } of etcd.list(range, { keysOnly: true, mode: 'linearizable' }).pages()) {
      const made = kvs.filter(isMade)
      for (let at = 0; at < made.length; at += keysAtOnce) {
        const deletions = made.slice(at, at + keysAtOnce).map(deletion)
        await etcd
          .txn()
          .then(...deletions)
          .commit()
      }
    }
  }
}

function isNamed(key: Buffer, { prefix, count, nameOf, numberOf }: KeyNames): boolean {
  const name = key.subarray(Buffer.byteLength(prefix)).toString()
  const number = numberOf(name)
  return number < count && nameOf(number) === name
}

/** Deletes a key unless it was deleted and made anew meanwhile. */
function deletion({ key: name, createRevision }: KeyValue): Operation<unknown> {
  return txn().if(key(name).createRevision.equals(createRevision)).then(deleteKey(name)).asOperation()
}
