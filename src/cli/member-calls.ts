import {
  type Alarm,
  type CallOptions,
  type ClientOptions,
  Etcd,
  isEtcdError,
  type Member,
  type MemberStatus,
} from '../index.js'

/** Calls to one member, whatever state it is in, by a client of its own. */
export class MemberCalls {
  readonly endpoint: string
  readonly #etcd: Etcd

  constructor(clientOptions: ClientOptions, endpoint: string) {
    this.endpoint = endpoint
    this.#etcd = new Etcd({ ...clientOptions, discovery: undefined, endpoints: [endpoint] })
  }

  /** What the member says of itself. */
  status(options: CallOptions): Promise<MemberStatus> {
    return this.#etcd.maintenance.status({ ...options, endpoint: this.endpoint })
  }

  /** The members as this one knows them, or as all do. A learner does not tell. */
  members(mode: 'linearizable' | 'serializable', options: CallOptions): Promise<readonly Member[]> {
    return this.#etcd.cluster.list({ ...options, mode, endpoint: this.endpoint })
  }

  /** The alarms that are raised; takes a majority of the members. */
  alarms(options: CallOptions): Promise<readonly Alarm[]> {
    return this.#etcd.maintenance.alarms.list(options)
  }

  /** Makes a read that costs next to nothing, to see how long it takes. That this user may not read is an answer, too. */
  async touch(mode: 'linearizable' | 'serializable', options: CallOptions): Promise<void> {
    try {
      // Without a preference, a learner would not be asked.
      const policy = mode === 'serializable' ? ({ mode, prefer: 'nearest' } as const) : { mode }
      await this.#etcd.count('etcdkit-doctor', { ...options, ...policy })
    } catch (error) {
      if (!isEtcdError(error, 'PERMISSION_DENIED')) throw error
    }
  }

  close(): Promise<void> {
    return this.#etcd.close()
  }
}
