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
   * `linearizable` requires a quorum. `serializable` returns what one member knows, which may be outdated, and works
   * without a leader. Members before 3.5 always answer from their own data.
   * @default 'linearizable'
   */
  readonly mode?: 'linearizable' | 'serializable' | undefined
  /** The member to call: one of the client's endpoints. @default any */
  readonly endpoint?: string | undefined
}

/** Result of `cluster.add()` and `cluster.addLearner()`. */
export interface MemberAddResult {
  /** The new member with its ID. Its name is empty until it starts. */
  readonly member: Member
  /** All members including the new one, for its flag `--initial-cluster`. */
  readonly members: readonly Member[]
}

/**
 * The membership of the cluster; method names match `etcdctl member`.
 *
 * Each change is one raft proposal and is never sent twice. It requires the role root if authentication is enabled.
 * Unless members run with `--strict-reconfig-check=false`, they reject a change within 5 seconds after a member
 * reconnected (`UNHEALTHY`), and a change that would leave the cluster without a quorum of started members
 * (`MEMBER_NOT_ENOUGH_STARTED`). The client retries both until the call's deadline.
 *
 * The client's endpoints do not change: use the option `memberSync`, or `setEndpoints()`.
 */
export class Cluster {
  readonly #transport: Transport
  readonly #directory: EndpointDirectory

  constructor(transport: Transport, directory: EndpointDirectory) {
    this.#transport = transport
    this.#directory = directory
  }

  /**
   * Lists all members, including learners and members that have not started yet.
   *
   * @returns The members, in the order in which etcd returns them.
   */
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
   * Adds a voting member. It counts towards the quorum immediately, before it is started: prefer `addLearner()`.
   *
   * @param peerUrls One or several peer URLs, such as `http://10.0.0.4:2380`.
   * @throws `PEER_URL_EXISTS`, or `MEMBER_EXISTS` within the same second, if a member has that URL; after a lost
   *   response this may be the new member. `MEMBER_BAD_URLS`, `UNHEALTHY`, `MEMBER_NOT_ENOUGH_STARTED`.
   */
  async add(peerUrls: string | readonly string[], options?: CallOptions): Promise<MemberAddResult> {
    checkCall('cluster.add()', options)
    return this.#add(peerUrls, false, options)
  }

  /**
   * Adds a member that replicates the log without a vote, to be promoted once it has caught up. Requires etcd 3.4 or
   * later.
   *
   * @param peerUrls One or several peer URLs.
   * @throws The errors of `add()`, and `TOO_MANY_LEARNERS` if the cluster already has a learner.
   */
  async addLearner(peerUrls: string | readonly string[], options?: CallOptions): Promise<MemberAddResult> {
    checkCall('cluster.addLearner()', options)
    return this.#add(peerUrls, true, options)
  }

  /**
   * Promotes a learner to a voting member.
   *
   * @returns All members.
   * @throws `LEARNER_NOT_READY` if the learner is still behind the leader at the call's deadline, `MEMBER_NOT_LEARNER`
   *   if it already votes, `MEMBER_NOT_FOUND`.
   */
  async promote(memberId: string, options?: CallOptions): Promise<readonly Member[]> {
    checkCall('cluster.promote()', options)
    return this.#change(methods.Cluster.MemberPromote, { ID: hexId('memberId', memberId) }, options)
  }

  /**
   * Removes a member, which then shuts down.
   *
   * @returns The remaining members.
   * @throws `MEMBER_NOT_FOUND` if the member does not exist or was already removed, `MEMBER_NOT_ENOUGH_STARTED` if too
   *   few started members would remain.
   */
  async remove(memberId: string, options?: CallOptions): Promise<readonly Member[]> {
    checkCall('cluster.remove()', options)
    return this.#change(methods.Cluster.MemberRemove, { ID: hexId('memberId', memberId) }, options)
  }

  /**
   * Changes the peer URLs of a member.
   *
   * @returns All members.
   * @throws `MEMBER_NOT_FOUND`, `PEER_URL_EXISTS`, `MEMBER_BAD_URLS`.
   */
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
    if (member === undefined) throw protocolError('the response contains no member', { method: MemberAdd.name })
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
