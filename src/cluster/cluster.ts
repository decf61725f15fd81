import { hexId, oneOf } from '../core/validate.js'
import { type Method, methods } from '../protobuf/methods.js'
import { protocolError } from '../protobuf/protocol-error.js'
import { callOptionNames, checkCall } from '../transport/call-options.js'
import type { EndpointDirectory } from '../transport/connection/endpoint-directory.js'
import { anyMember, type CallOptions, callContext, type Transport } from '../transport/transport.js'
import { checkPeerUrls, type Member, memberOf } from './member.js'

/** Options of `cluster.list()`. */
export interface MemberListOptions extends CallOptions {
  /**
   * `linearizable` asks the cluster as a whole, which needs a majority; `serializable` what one member knows, which may
   * be old, and works without a leader. Members before 3.5 always answer for themselves.
   * @default 'linearizable'
   */
  readonly mode?: 'linearizable' | 'serializable' | undefined
  /** The one member to ask, as one of the client's endpoints. @default any */
  readonly endpoint?: string | undefined
}

/** What `cluster.add()` and `cluster.addLearner()` resolve to. */
export interface MemberAddResult {
  /** The new member, with the ID that it has from now on. It has no name before it is started. */
  readonly member: Member
  /** All members, the new one among them: what its `--initial-cluster` has to name. */
  readonly members: readonly Member[]
}

/**
 * The members of the cluster; the verbs are those of `etcdctl member`. A change is one raft proposal, is never sent
 * twice, and needs the role root where authentication is on. Unless their servers run with
 * `--strict-reconfig-check=false`, a cluster refuses it for 5 seconds after members were connected anew (`UNHEALTHY`)
 * and where it would be left without a majority of started members (`MEMBER_NOT_ENOUGH_STARTED`); both are asked for
 * again until the call's deadline.
 *
 * The client's endpoints stay as they are: use the option `memberSync`, or `setEndpoints()`.
 */
export class Cluster {
  readonly #transport: Transport
  readonly #directory: EndpointDirectory

  constructor(transport: Transport, directory: EndpointDirectory) {
    this.#transport = transport
    this.#directory = directory
  }

  /** All members, learners and those that have not started yet among them. */
  async list(options: MemberListOptions = {}): Promise<readonly Member[]> {
    checkCall('cluster.list()', options, [...callOptionNames, 'mode', 'endpoint'])
    const { mode = 'linearizable', endpoint } = options
    const linearizable = oneOf('mode', mode, ['linearizable', 'serializable']) === 'linearizable'
    const route = endpoint === undefined ? anyMember : await this.#directory.routeTo(endpoint, options)
    const context = callContext(options, { repeatable: true, route })
    const { members } = await this.#transport.unary(methods.Cluster.MemberList, { linearizable }, context)
    return members.map(memberOf)
  }

  /**
   * Adds a voting member, which counts for the majority at once, before it is started: prefer `addLearner()`.
   * `PEER_URL_EXISTS`, or `MEMBER_EXISTS` within the second, if a member has that address already, which after an
   * answer that was lost may be the new one; `MEMBER_BAD_URLS`, `UNHEALTHY` and `MEMBER_NOT_ENOUGH_STARTED` are the
   * other refusals.
   */
  async add(peerUrls: string | readonly string[], options?: CallOptions): Promise<MemberAddResult> {
    checkCall('cluster.add()', options)
    return this.#add(peerUrls, false, options)
  }

  /**
   * Adds a member that follows the log without a vote, to be promoted when it has caught up; etcd 3.4 or later. Refused
   * as `add()`, and with `TOO_MANY_LEARNERS` where there is one already.
   */
  async addLearner(peerUrls: string | readonly string[], options?: CallOptions): Promise<MemberAddResult> {
    checkCall('cluster.addLearner()', options)
    return this.#add(peerUrls, true, options)
  }

  /**
   * Gives a learner its vote. `LEARNER_NOT_READY` while it is behind the leader, which is asked again until the call's
   * deadline; `MEMBER_NOT_LEARNER` if it has a vote already; `MEMBER_NOT_FOUND`.
   */
  async promote(memberId: string, options?: CallOptions): Promise<readonly Member[]> {
    checkCall('cluster.promote()', options)
    return this.#change(methods.Cluster.MemberPromote, { ID: hexId('memberId', memberId) }, options)
  }

  /**
   * Removes a member, which then shuts down by itself; resolves to those that are left. `MEMBER_NOT_FOUND` if it is
   * none, or was removed already; `MEMBER_NOT_ENOUGH_STARTED` where too few would be left running.
   */
  async remove(memberId: string, options?: CallOptions): Promise<readonly Member[]> {
    checkCall('cluster.remove()', options)
    return this.#change(methods.Cluster.MemberRemove, { ID: hexId('memberId', memberId) }, options)
  }

  /** Changes where the other members reach a member. `MEMBER_NOT_FOUND`, `PEER_URL_EXISTS`, `MEMBER_BAD_URLS`. */
  async update(
    memberId: string,
    peerUrls: string | readonly string[],
    options?: CallOptions,
  ): Promise<readonly Member[]> {
    checkCall('cluster.update()', options)
    const request = { ID: hexId('memberId', memberId), peerURLs: checkPeerUrls(peerUrls) }
    return this.#change(methods.Cluster.MemberUpdate, request, options)
  }

  async #add(peerUrls: unknown, isLearner: boolean, options: CallOptions | undefined): Promise<MemberAddResult> {
    const request = { peerURLs: checkPeerUrls(peerUrls), isLearner }
    const { MemberAdd } = methods.Cluster
    const { member, members } = await this.#transport.unary(MemberAdd, request, callContext(options, {}))
    if (member === undefined) throw protocolError('the answer names no member', { method: MemberAdd.name })
    return { member: memberOf(member), members: members.map(memberOf) }
  }

  async #change<Request>(
    method: Method<Request, { readonly members: Parameters<typeof memberOf>[0][] }>,
    request: Request,
    options: CallOptions | undefined,
  ): Promise<readonly Member[]> {
    const { members } = await this.#transport.unary(method, request, callContext(options, {}))
    return members.map(memberOf)
  }
}
