import {
  type Alarm,
  type CallOptions,
  type ClientOptions,
  Etcd,
  isEtcdError,
  type Member,
  type MemberStatus,
} from '../index.js'

/** Calls to one member, in whatever state, through a separate client. */
export class MemberCalls {
  readonly endpoint: string
  readonly #etcd: Etcd

  constructor(clientOptions: ClientOptions, endpoint: string) {
    this.endpoint = endpoint
    this.#etcd = new Etcd({ ...clientOptions, discovery: undefined, endpoints: [endpoint] })
  }

  /** The member's status. */
  status(options: CallOptions): Promise<MemberStatus> {
    return this.#etcd.maintenance.status({ ...options, endpoint: this.endpoint })
  }

  /** The members as this one knows them (serializable) or by quorum (linearizable). A learner rejects the call. */
  members(mode: 'linearizable' | 'serializable', options: CallOptions): Promise<readonly Member[]> {
    return this.#etcd.cluster.list({ ...options, mode, endpoint: this.endpoint })
  }

  /** The raised alarms. Needs a majority of the members. */
  alarms(options: CallOptions): Promise<readonly Alarm[]> {
    return this.#etcd.maintenance.alarms.list(options)
  }

  /** A minimal read, to measure how long it takes. A permission error counts as an answer. */
  async touch(mode: 'linearizable' | 'serializable', options: CallOptions): Promise<void> {
    try {
      // Without a preference, learners receive no reads.
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
