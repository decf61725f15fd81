import { once } from 'node:events'
import { Campaign } from './campaign.js'
import type { ElectionKeys } from './election-keys.js'
import { ElectionObserver } from './election-observer.js'
import { checkEncoding, leaseTtl, nameText } from './validate.js'

const defaultTtlSeconds = 60

/** An election of one leader at a time, with the keys of etcd3. */
export class Election {
  static readonly prefix = 'election'
  readonly #namespace: ElectionKeys
  readonly #ttl: number
  readonly name: string

  constructor(parent: ElectionKeys, name: string, ttl: number = defaultTtlSeconds) {
    this.name = nameText('name', name)
    this.#ttl = leaseTtl(ttl)
    this.#namespace = parent.namespace(`${Election.prefix}/${name}/`)
  }

  /** Takes part, with a value. */
  campaign(value: string): Campaign {
    return new Campaign(this.#namespace, value, this.#ttl)
  }

  /** The value of the leader; `undefined` if there is none. */
  async leader(encoding?: BufferEncoding): Promise<string | undefined>
  async leader(encoding: 'buffer'): Promise<Buffer | undefined>
  async leader(encoding: BufferEncoding | 'buffer' = 'utf-8'): Promise<string | Buffer | undefined> {
    checkEncoding(encoding)
    const { kvs } = await this.#namespace.getAll().sort('Create', 'Ascend').limit(1).exec()
    const value = kvs[0]?.value
    return encoding === 'buffer' ? value : value?.toString(encoding)
  }

  /** Follows who is the leader. */
  async observe(): Promise<ElectionObserver> {
    const observer = new ElectionObserver(this.#namespace)
    // Rejects with an error that comes first, and listens no longer.
    await once(observer, 'change')
    return observer
  }
}
