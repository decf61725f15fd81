/**
 * Typed feature flags: reads are synchronous and local, changes arrive within milliseconds, and a missing or invalid value is
 * the default: `npx tsx examples/feature-flags.ts`.
 */
import { once } from 'node:events'
import { Etcd, type Informer, json, type Keyspace } from 'etcdkit'
import { EtcdCluster } from 'etcdkit/testing'

type FlagTypes = Record<string, boolean | number | string>

export class FeatureFlags<Flags extends FlagTypes> extends EventTarget implements AsyncDisposable {
  readonly #keys: Keyspace
  readonly #defaults: Flags
  readonly #informer: Informer<unknown>

  constructor(etcd: Etcd, defaults: Flags) {
    super()
    this.#keys = etcd.namespace('flags/')
    this.#defaults = defaults
    this.#informer = this.#keys.informer({ prefix: '' }, { codec: json<unknown>() })
    this.#informer.on('change', () => this.dispatchEvent(new Event('change')))
    this.#informer.on('invalid', ({ keyText, error }) =>
      console.error(`flag ${keyText} keeps its last value: ${error}`),
    )
  }

  /** Resolves with the first complete copy. Until then, all flags have their defaults. */
  async ready(): Promise<void> {
    await this.#informer.ready({ timeoutMs: 5000 })
  }

  get<Name extends keyof Flags & string>(name: Name): Flags[Name] {
    const value = this.#informer.get(name)
    const fallback = this.#defaults[name]
    return typeof value === typeof fallback ? (value as Flags[Name]) : fallback
  }

  async set<Name extends keyof Flags & string>(name: Name, value: Flags[Name]): Promise<void> {
    const { revision } = await this.#keys.put(name, JSON.stringify(value))
    await this.#informer.waitForRevision(revision) // the next get() sees the value
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#informer.close()
  }
}

type Flags = { darkMode: boolean; uploadLimitMb: number; greeting: string }

await using cluster = await EtcdCluster.start()
await using etcd = new Etcd({ endpoints: cluster.endpoints })
await using flags = new FeatureFlags<Flags>(etcd, { darkMode: false, uploadLimitMb: 25, greeting: 'hello' })
await flags.ready()
console.log('default', flags.get('darkMode'), flags.get('uploadLimitMb'))

await flags.set('uploadLimitMb', 100)
console.log('set here', flags.get('uploadLimitMb'))

const changed = once(flags, 'change')
await etcd.put('flags/darkMode', 'true') // by another process, or `npx etcdkit put flags/darkMode true`
await changed
console.log('set elsewhere', flags.get('darkMode'))

const rejected = once(flags, 'change')
await etcd.put('flags/uploadLimitMb', '"a lot"') // of the wrong type
await rejected
console.log('of the wrong type', flags.get('uploadLimitMb'))
