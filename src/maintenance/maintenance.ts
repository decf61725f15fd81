import { InvalidArgumentError } from '../core/errors.js'
import { assertKnownOptions, describe, hexId, nonNegativeInteger, optionalSignal } from '../core/validate.js'
import { methods } from '../protobuf/methods.js'
import type { StreamSource } from '../streams/stream-source.js'
import { callOptionNames, checkCall } from '../transport/call-options.js'
import type { EndpointDirectory } from '../transport/connection/endpoint-directory.js'
import type { CallOptions, Transport } from '../transport/transport.js'
import { Alarms } from './alarms.js'
import { Downgrade } from './downgrade.js'
import { checkEndpointCall, EndpointCalls, type EndpointOptions, type EndpointResult } from './endpoint-call.js'
import { type HashKvResult, type HashResult, hashKvResultAt, hashResult } from './hash.js'
import { type MemberStatus, memberStatus } from './member-status.js'
import { Serving } from './serving.js'
import { piecesOf, type SnapshotProgress, saveTo } from './snapshot.js'

/** Options of `snapshot()` and `saveSnapshot()`. */
export interface SnapshotOptions {
  readonly signal?: AbortSignal | undefined
  /** The member to take it from, as one of the client's endpoints: a follower spares the leader. @default any */
  readonly endpoint?: string | undefined
  /** Called after each piece. */
  readonly onProgress?: ((progress: SnapshotProgress) => void) | undefined
}

/** Options of `hashKv()` and `hashKvs()`. */
export interface HashKvFields {
  /** Hashes what the keys were at this revision; 0 for now. @default 0 */
  readonly revision?: number | undefined
}

/** What a maintenance is made with. */
export interface MaintenanceParts {
  readonly transport: Transport
  readonly streams: StreamSource
  readonly directory: EndpointDirectory
}

const snapshotOptionNames = ['signal', 'endpoint', 'onProgress']
/** bbolt copies the database at some 100 MB a second, and etcd's advised limit is 8 GiB. */
const defragmentTimeoutMs = 300_000

/**
 * What keeps a cluster running. All of it but `status()`, `statuses()` and `alarms.list()` needs the role root where
 * authentication is on; `status()` does, too, on etcd 3.6.0 to 3.6.11 and 3.5.28 to 3.5.31.
 */
export class Maintenance {
  readonly alarms: Alarms
  readonly downgrade: Downgrade
  /** gRPC's own health service, for those who need just that. */
  readonly serving: Serving
  readonly #streams: StreamSource
  readonly #calls: EndpointCalls

  constructor({ transport, streams, directory }: MaintenanceParts) {
    this.#streams = streams
    this.#calls = new EndpointCalls(transport, directory)
    this.alarms = new Alarms(this.#calls)
    this.downgrade = new Downgrade(this.#calls)
    this.serving = new Serving(this.#calls, streams)
  }

  /** The state of one member. It answers without a leader, too; `NOT_CONNECTED` if it cannot be reached. */
  async status(options: EndpointOptions): Promise<MemberStatus> {
    checkEndpointCall('maintenance.status()', options)
    return this.#calls.one(methods.Maintenance.Status, {}, options, memberStatus)
  }

  /** The state of the member at each endpoint, in the order of the endpoints. Failures are values. */
  async statuses(options?: CallOptions): Promise<readonly EndpointResult<MemberStatus>[]> {
    checkCall('maintenance.statuses()', options)
    return this.#calls.each(methods.Maintenance.Status, {}, options, memberStatus)
  }

  /** The hash of one member's whole database, which members with the same keys do not have to share: see `hashKv()`. */
  async hash(options: EndpointOptions): Promise<HashResult> {
    checkEndpointCall('maintenance.hash()', options)
    return this.#calls.one(methods.Maintenance.Hash, {}, options, hashResult)
  }

  /** The hash of one member's keys. `COMPACTED` and `FUTURE_REVISION` where it has no such revision. */
  async hashKv(options: EndpointOptions & HashKvFields): Promise<HashKvResult> {
    checkEndpointCall('maintenance.hashKv()', options, ['revision'])
    const revision = nonNegativeInteger('revision', options.revision ?? 0)
    return this.#calls.one(methods.Maintenance.HashKV, { revision }, options, hashKvResultAt(revision))
  }

  /**
   * The hashes of all members' keys, to compare them. Give a `revision`, or the members may hash different ones:
   * followers are a little behind. Failures are values.
   */
  async hashKvs(options: CallOptions & HashKvFields = {}): Promise<readonly EndpointResult<HashKvResult>[]> {
    checkCall('maintenance.hashKvs()', options, [...callOptionNames, 'revision'])
    const revision = nonNegativeInteger('revision', options.revision ?? 0)
    return this.#calls.each(methods.Maintenance.HashKV, { revision }, options, hashKvResultAt(revision))
  }

  /**
   * Rewrites one member's database without its free pages. That member answers no reads and applies no writes
   * meanwhile, so one at a time, the leader last. `timeoutMs` is 5 minutes by default.
   */
  async defragment(options: EndpointOptions): Promise<void> {
    checkEndpointCall('maintenance.defragment()', options)
    const bounded = { ...options, timeoutMs: options.timeoutMs ?? defragmentTimeoutMs }
    await this.#calls.one(methods.Maintenance.Defragment, {}, bounded, () => undefined)
  }

  /**
   * Makes a voting member the leader; nothing happens if it is. The leader itself is found among the endpoints, and
   * `NOT_LEADER` says that it is none of them. `BAD_LEADER_TRANSFEREE` for an ID that is no voting member's;
   * `SERVER_TIMEOUT` if the member did not take over in time.
   */
  async moveLeader(memberId: string, options?: CallOptions): Promise<void> {
    checkCall('maintenance.moveLeader()', options)
    // Every member but the leader refuses it, and the call is then repeated on the next one.
    await this.#calls.any(methods.Maintenance.MoveLeader, { targetID: hexId('memberId', memberId) }, options)
  }

  /**
   * The database of one member, as `etcdctl snapshot restore` takes it, piece by piece. Throws if it breaks off or its
   * digest is wrong, so that what was read is whole when it ends.
   */
  snapshot(options: SnapshotOptions = {}): AsyncIterable<Buffer> {
    assertKnownOptions('maintenance.snapshot()', options, snapshotOptionNames)
    const { endpoint, onProgress } = options
    const signal = optionalSignal('signal', options.signal)
    if (onProgress !== undefined && typeof onProgress !== 'function') {
      throw new InvalidArgumentError(`\`onProgress\` must be a function, got ${describe(onProgress)}`)
    }
    return piecesOf(
      this.#calls.stream(this.#streams, methods.Maintenance.Snapshot, {}, { signal, endpoint }),
      onProgress,
    )
  }

  /**
   * Writes a snapshot to a file, for its owner alone. It grows as `<path>.<id>.part`, and is put in place when it is
   * whole and on the disk, not before.
   */
  async saveSnapshot(path: string, options: SnapshotOptions = {}): Promise<{ readonly bytes: number }> {
    if (typeof path !== 'string' || path === '') {
      throw new InvalidArgumentError(`\`path\` must be the path of a file, got ${describe(path)}`)
    }
    return { bytes: await saveTo(path, this.snapshot(options)) }
  }
}
