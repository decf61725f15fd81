import { InvalidArgumentError } from '../core/errors.js'

/** Calls of other clients, and what replaces them here. */
const replacements: Readonly<Record<string, string>> = {
  getAll: 'list a range with list({ prefix }), and read one key with get(key)',
  if: 'a transaction starts with txn(): txn().if(...).then(...).else(...).commit()',
  set: 'a key is written with put(key, value)',
  del: 'a key is deleted with delete(key)',
  unwatch: 'a watch ends with close(), or by leaving its loop',
}

/**
 * Lets calls of other clients, which programs in JavaScript make by mistake, throw what to call instead. The methods have no types,
 * so that editors do not offer them.
 */
export function explainForeignCalls(prototype: object): void {
  for (const [name, replacement] of Object.entries(replacements)) {
    Object.defineProperty(prototype, name, {
      value: () => {
        throw new InvalidArgumentError(
          `${name}() is a call of another client: ${replacement}. For the interface of npm etcd3, import 'etcdkit/etcd3'`,
        )
      },
      configurable: true,
      writable: true,
    })
  }
}
