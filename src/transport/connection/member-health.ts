import type { ResponseHeader, StatusResponse } from '../../protobuf/generated/messages.js'
import { isProxyAnswer } from '../grpc-status.js'
import type { ClusterIdentity } from './cluster-identity.js'
import { type ConnectionState, ejectReasonOf, type MemberRole } from './connection-state.js'
import { type EjectReason, ejectionMs } from './ejection.js'
import { isRefusal } from './member-probe.js'

/** What a member's health needs from the connection to the member. */
export interface HealthHost {
  readonly identity: ClusterIdentity
  /** How long the member may take to report its status before it is ejected. */
  probeTimeoutMs(): number
  /** Requests the member's status. Waits for longer than `probeTimeoutMs`: a late answer ends the ejection. */
  status(): Promise<StatusResponse>
  /** The state has changed from `previous`. */
  stateChanged(previous: ConnectionState): void
  /** The member has reported its status. */
  statusReceived(status: StatusResponse): void
  /** The member belongs to another cluster than the client. */
  otherClusterFound(): void
  /** The member was ejected, for the `ejections`th time in a row. */
  ejected(reason: EjectReason, ejections: number): void
}

/**
 * Whether one member may get calls, and what it has reported about itself.
 *
 *     idle → connecting → probing → ready ⇄ ejected
 *
 * A new connection gets no traffic before the member has answered a Status call. `ready` ends when the connection is lost, when
 * the member reports that it has no leader or belongs to another cluster, or when it is found unresponsive. An ejected member
 * is probed after a backoff, and becomes ready when it reports a leader. An answer that comes after the ejection counts as well:
 * a member that is short of CPU would otherwise never become ready.
 */
export class MemberHealth {
  readonly #host: HealthHost
  #state: ConnectionState = { kind: 'idle' }
  #status: StatusResponse | undefined
  #clusterId: string | undefined
  #isLearner = false
  #refreshedAt = Number.NEGATIVE_INFINITY
  /** Counts the connections: an answer on a former one shows nothing about the current one. */
  #connections = 0

  constructor(host: HealthHost) {
    this.#host = host
  }

  get state(): ConnectionState {
    return this.#state
  }

  get memberId(): string | undefined {
    return this.#status?.header?.memberId
  }

  /** The cluster that the member belongs to; `undefined` until it has answered on the current connection. */
  get clusterId(): string | undefined {
    return this.#clusterId
  }

  get version(): string | undefined {
    return this.#status?.version
  }

  /** Bytes of the database that are in use. */
  get dataBytes(): number | undefined {
    return this.#status?.dbSizeInUse
  }

  get role(): MemberRole | undefined {
    if (this.#isLearner) return 'learner'
    if (this.#status?.leader === undefined) return undefined
    return this.#status.leader === this.memberId ? 'leader' : 'follower'
  }

  /** When the status was last requested or reported, on the clock of `performance.now()`. */
  get refreshedAt(): number {
    return this.#refreshedAt
  }

  /** There is no connection. `error` is why the last attempt to connect failed; a known reason is kept until one succeeds. */
  connecting(error?: string): void {
    this.#connections += 1
    const known = this.#state.kind === 'connecting' ? this.#state.error : undefined
    this.#enter({ kind: 'connecting', error: error ?? known })
  }

  /** There is a new connection, possibly to another member behind the same address. */
  connected(): void {
    this.#clusterId = undefined
    this.#connections += 1
    void this.#probe(0, undefined)
  }

  close(): void {
    this.#enter({ kind: 'closed' })
  }

  /** Withholds calls until the member answers a probe, which is sent after a backoff. */
  eject(reason: EjectReason, detail?: string): void {
    const ejections = (this.#state.kind === 'probing' ? this.#state.ejections : 0) + 1
    const timer = setTimeout(() => void this.#probe(ejections, reason), ejectionMs(ejections, reason))
    timer.unref()
    this.#enter({ kind: 'ejected', ejections, reason, detail, timer })
    this.#host.ejected(reason, ejections)
  }

  /** Probes an ejected member now instead of after its backoff. */
  probeNow(): void {
    if (this.#state.kind === 'ejected') void this.#probe(0, this.#state.reason)
  }

  /** Requests the member's status. A failure changes nothing: silence and a lost connection are found by other means. */
  async refresh(): Promise<void> {
    this.#refreshedAt = performance.now()
    try {
      this.#update(await this.#host.status())
    } catch {
      // See above.
    }
  }

  /** The header of a response shows that the member belongs to another cluster. The client may follow it there. */
  otherClusterFound(header: ResponseHeader | undefined): void {
    this.#clusterId = header?.clusterId
    this.#host.otherClusterFound()
    if (this.#state.kind === 'ready' && this.#isOfOtherCluster()) this.eject('other cluster')
  }

  /** The member refused a call because it has no leader. */
  leaderMissing(): void {
    if (this.#state.kind === 'ready') this.eject('no leader')
  }

  /** The member refused a call because it is a learner. */
  learnerFound(): void {
    if (this.#isLearner) return
    this.#isLearner = true
    this.#host.stateChanged(this.#state)
  }

  async #probe(ejections: number, after: EjectReason | undefined): Promise<void> {
    const detail = this.#state.kind === 'ejected' && after !== undefined ? this.#state.detail : undefined
    this.#enter({ kind: 'probing', ejections, after, detail })
    const probing = this.#state
    const connection = this.#connections
    const isOpen = (): boolean =>
      this.#state === probing || (connection === this.#connections && isUnresponsive(this.#state))
    const timer = setTimeout(() => {
      if (this.#state === probing) this.eject('unresponsive')
    }, this.#host.probeTimeoutMs())
    timer.unref()
    try {
      const status = await this.#host.status()
      if (isOpen()) this.#onProbeAnswered(status)
    } catch (error) {
      if (isRefusal(error) ? isOpen() : this.#state === probing) this.#onProbeFailed(error)
    } finally {
      clearTimeout(timer)
    }
  }

  #onProbeFailed(error: unknown): void {
    if (isProxyAnswer(error)) this.eject('unavailable', error.rawMessage)
    else if (!isRefusal(error)) this.eject('unresponsive')
    else if (this.#isOfOtherCluster()) this.eject('other cluster')
    else this.#enter({ kind: 'ready' })
  }

  #onProbeAnswered(status: StatusResponse): void {
    this.#update(status)
    if (!this.#host.identity.admits(status.header)) this.eject('other cluster')
    else if (hasNoLeader(status)) this.eject('no leader')
    else this.#enter({ kind: 'ready' })
  }

  #update(status: StatusResponse): void {
    this.#status = status
    this.#clusterId = status.header?.clusterId
    const wasLearner = this.#isLearner
    this.#isLearner = status.isLearner
    this.#refreshedAt = performance.now()
    this.#host.statusReceived(status)
    if (wasLearner !== status.isLearner && this.#state.kind === 'ready') this.#host.stateChanged(this.#state)
    if (this.#state.kind === 'ready' && hasNoLeader(status)) this.eject('no leader')
  }

  #isOfOtherCluster(): boolean {
    return this.#clusterId !== undefined && this.#clusterId !== this.#host.identity.clusterId
  }

  #enter(state: ConnectionState): void {
    const previous = this.#state
    if (previous.kind === 'closed') return
    if (previous.kind === 'ejected') clearTimeout(previous.timer)
    this.#state = state
    this.#host.stateChanged(previous)
  }
}

/** A learner serves serializable reads without knowing the leader. */
function hasNoLeader({ leader, isLearner }: StatusResponse): boolean {
  return leader === undefined && !isLearner
}

/** Whether a member in this state is unresponsive, as far as is known. */
export function isUnresponsive(state: ConnectionState): boolean {
  return ejectReasonOf(state) === 'unresponsive'
}
