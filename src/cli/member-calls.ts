import { Emitter } from '../core/emitter.js'
import type { StatusResponse } from '../gen/messages.js'
import { type CallOptions, type ClientOptions, isEtcdError } from '../index.js'
import { resolveOptions } from '../options.js'
import { callContext, type Route } from '../transport/transport.js'
import { type Method, methods } from '../wire/methods.js'
import { type Wired, wire } from '../wiring.js'

/** A member as the list of members has it. */
export interface Member {
  readonly id: string
  /** Empty until it is started for the first time, as are the client URLs. */
  readonly name: string
  readonly peerUrls: readonly string[]
  readonly clientUrls: readonly string[]
  readonly isLearner: boolean
}

/** What a member says of itself. */
export interface MemberStatus {
  readonly endpoint: string
  readonly memberId: string
  readonly clusterId: string
  readonly version: string
  readonly dbSizeBytes: number
  readonly dbSizeInUseBytes: number
  /** Known from 3.6 on. */
  readonly dbQuotaBytes: number | undefined
  readonly leaderId: string | undefined
  readonly isLeader: boolean
  readonly isLearner: boolean
  readonly revision: number
  readonly raftIndex: number
  readonly raftAppliedIndex: number
  readonly raftTerm: number
  readonly errors: readonly string[]
}

/** An alarm that is raised. */
export interface Alarm {
  readonly memberId: string
  readonly type: string
}

/** Calls to one member, whatever state it is in, by a client of its own. */
export class MemberCalls {
  readonly endpoint: string
  readonly #parts: Wired
  readonly #route: Route

  constructor(clientOptions: ClientOptions, endpoint: string) {
    const options = resolveOptions({ ...clientOptions, discovery: undefined, endpoints: [endpoint] })
    this.endpoint = endpoint
    this.#parts = wire(options, new Emitter())
    // Named, the member is asked without a leader, as a learner, and before it has proved itself.
    this.#route = { serializable: true, prefer: undefined, endpoint: options.endpoints[0]?.url }
  }

  /** What the member says of itself. */
  async status(options: CallOptions): Promise<MemberStatus> {
    return statusOf(this.endpoint, await this.#unary(methods.Maintenance.Status, {}, options))
  }

  /** The members as this one knows them, or as all do. A learner does not tell. */
  async members(mode: 'linearizable' | 'serializable', options: CallOptions): Promise<readonly Member[]> {
    const request = { linearizable: mode === 'linearizable' }
    const { members } = await this.#unary(methods.Cluster.MemberList, request, options)
    return members.map(({ ID, name, peerURLs, clientURLs, isLearner }) => {
      return { id: ID ?? '', name, peerUrls: peerURLs, clientUrls: clientURLs, isLearner }
    })
  }

  /** The alarms that are raised; takes a majority of the members. */
  async alarms(options: CallOptions): Promise<readonly Alarm[]> {
    const { alarms } = await this.#unary(methods.Maintenance.Alarm, { action: 'GET' }, options)
    return alarms.map(({ memberID, alarm }) => ({ memberId: memberID ?? '', type: alarm }))
  }

  /** Ends every alarm; resolves to what was ended. */
  async disarmAll(options: CallOptions): Promise<readonly Alarm[]> {
    const raised = await this.alarms(options)
    for (const { memberId, type } of raised) {
      if (type !== 'NOSPACE' && type !== 'CORRUPT') continue
      const request = { action: 'DEACTIVATE', memberID: memberId, alarm: type } as const
      await this.#unary(methods.Maintenance.Alarm, request, options)
    }
    return raised
  }

  /** Makes a read that costs next to nothing, to see how long it takes. That this user may not read is an answer, too. */
  async touch(mode: 'linearizable' | 'serializable', options: CallOptions): Promise<void> {
    const context = callContext(options, { repeatable: true, reads: { mode }, route: this.#route })
    const request = { key: Buffer.from('etcdkit-doctor'), countOnly: true }
    try {
      await this.#parts.transport.unary(methods.KV.Range, request, context)
    } catch (error) {
      if (!isEtcdError(error, 'PERMISSION_DENIED')) throw error
    }
  }

  async close(): Promise<void> {
    const { watches, leases, tokens, manager } = this.#parts
    watches.close()
    await leases.close()
    tokens?.close()
    manager.close()
  }

  #unary<Request, Response>(
    method: Method<Request, Response>,
    request: Request,
    options: CallOptions,
  ): Promise<Response> {
    return this.#parts.transport.unary(method, request, callContext(options, { repeatable: true, route: this.#route }))
  }
}

function statusOf(endpoint: string, status: StatusResponse): MemberStatus {
  const { header, leader, dbSizeQuota } = status
  return {
    endpoint,
    memberId: header?.memberId ?? '',
    clusterId: header?.clusterId ?? '',
    version: status.version,
    dbSizeBytes: status.dbSize,
    dbSizeInUseBytes: status.dbSizeInUse,
    dbQuotaBytes: dbSizeQuota > 0 ? dbSizeQuota : undefined,
    leaderId: leader,
    isLeader: leader !== undefined && leader === header?.memberId,
    isLearner: status.isLearner,
    revision: header?.revision ?? 0,
    raftIndex: status.raftIndex,
    raftAppliedIndex: status.raftAppliedIndex,
    raftTerm: status.raftTerm,
    errors: status.errors,
  }
}
