import { EventEmitter } from 'node:events'
import type { ElectionKeys } from './election-keys.js'
import { ClientClosedError, NotCampaigningError } from './errors.js'
import type { Lease } from './lease.js'
import { toBuffer } from './range.js'
import { nextRevision, untilEvent } from './until.js'

/** What the events of a campaign come with. */
interface CampaignEventMap {
  elected: []
  error: [error: Error]
}

type Listener = Parameters<EventEmitter['on']>[1]

/** A candidacy in an election. The candidate with the oldest key is the leader. */
export class Campaign extends EventEmitter {
  readonly #namespace: ElectionKeys
  readonly #lease: Lease
  readonly #created: Promise<string>
  #value: Buffer
  #state: 'waiting' | 'elected' | 'over' = 'waiting'
  #failure: Error | undefined
  #stopWaiting = (): void => {}

  constructor(namespace: ElectionKeys, value: string | Buffer, ttl: number) {
    super()
    this.#namespace = namespace
    this.#value = toBuffer(value, 'value')
    this.#lease = namespace.lease(ttl)
    this.#lease.on('lost', (error) => this.#fail(error))
    this.#created = this.#create()
    this.#created.catch(() => {})
    this.#run().catch((error: unknown) => this.#fail(error as Error))
  }

  /** Resolves when it is elected; rejects when it has failed, or was resigned. */
  async wait(): Promise<this> {
    if (this.#state === 'elected') return this
    if (this.#state === 'over') throw this.#failure ?? new NotCampaigningError('the campaign was resigned')
    return new Promise((resolve, reject) => {
      this.once('elected', () => resolve(this))
      this.once('error', reject)
      this.once('resigned', () => reject(new NotCampaigningError('the campaign was resigned')))
    })
  }

  /** Changes its value. */
  async proclaim(value: string | Buffer): Promise<void> {
    if (this.#state === 'over') throw new NotCampaigningError('the campaign is over')
    const bytes = toBuffer(value, 'value')
    const createRevision = await this.#created
    if (bytes.equals(this.#value)) return
    const id = await this.#lease.grant()
    const { succeeded } = await this.#namespace
      .if(id, 'Create', '==', createRevision)
      .then(this.#namespace.put(id).value(bytes).lease(id))
      .commit()
    if (succeeded) {
      this.#value = bytes
      return
    }
    await this.resign().catch(() => {})
    throw new NotCampaigningError('the key of the campaign is gone')
  }

  /** Its key. */
  async getCampaignKey(): Promise<string> {
    return this.#namespace.prefix.toString() + (await this.#lease.grant())
  }

  /** Leaves the election: its key is deleted. */
  async resign(): Promise<void> {
    if (this.#state === 'over') return
    this.#end()
    this.emit('resigned')
    await this.#lease.revoke()
  }

  override on<Name extends keyof CampaignEventMap>(
    event: Name,
    handler: (...args: CampaignEventMap[Name]) => void,
  ): this
  override on(event: string | symbol, handler: Listener): this
  override on(event: string | symbol, handler: Listener): this {
    return super.on(event, handler)
  }

  /** Puts its key, and resolves with the revision that created it. The ID of the lease is in no other key. */
  async #create(): Promise<string> {
    const id = await this.#lease.grant()
    const { succeeded, header, responses } = await this.#namespace
      .if(id, 'Create', '==', 0)
      .then(this.#namespace.put(id).value(this.#value).lease(id))
      .else(this.#namespace.get(id))
      .commit()
    const existing = succeeded ? undefined : responses[0]?.response_range.kvs[0]
    return existing?.create_revision ?? header.revision
  }

  async #run(): Promise<void> {
    const revision = await this.#created
    while (this.#state === 'waiting') {
      const before = await this.#before(revision)
      if (before === undefined) return this.#elect(revision)
      // An internal event of etcd3, which its test suite waits for.
      this.emit('_isWaiting')
      const watcher = this.#namespace.watch().key(before.key).startRevision(before.next).only('delete').watcher()
      await untilEvent(watcher, 'delete', (stop) => {
        this.#stopWaiting = stop
      })
    }
  }

  /** The candidate right before this one, and the revision after which it was there. */
  async #before(revision: string): Promise<{ readonly key: Buffer; readonly next: string } | undefined> {
    const { kvs, header } = await this.#namespace
      .getAll()
      .maxCreateRevision(Number(revision) - 1)
      .sort('Create', 'Descend')
      .limit(1)
      .exec()
    return kvs[0] && { key: kvs[0].key, next: nextRevision(header.revision) }
  }

  /** No candidate is before this one. It is the leader only if its key still exists. */
  async #elect(revision: string): Promise<void> {
    const id = await this.#lease.grant()
    const { kvs } = await this.#namespace.get(id).exec()
    if (this.#state !== 'waiting') return
    if (kvs[0]?.create_revision !== revision) throw new NotCampaigningError('the key of the campaign is gone')
    this.#state = 'elected'
    this.emit('elected')
  }

  #fail(error: Error): void {
    if (this.#state === 'over') return
    this.#failure = error
    this.#end()
    this.#lease.revoke().catch(() => {})
    // A candidate that nobody listens to does not end the process when its client is closed.
    if (this.listenerCount('error') > 0 || !(error instanceof ClientClosedError)) this.emit('error', error)
  }

  #end(): void {
    this.#state = 'over'
    this.#stopWaiting()
  }
}
