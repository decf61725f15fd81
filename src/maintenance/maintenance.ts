import { InvalidArgumentError } from '../core/errors.js'
import {
  assertFunction,
  assertKnownOptions,
  describe,
  hexId,
  nonNegativeInteger,
  optionalSignal,
} from '../core/validate.js'
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
  /**
   * The member to take the snapshot from: one of the client's endpoints. A follower reduces the load on the leader.
   * @default any
   */
  readonly endpoint?: string | undefined
  /** Called after each chunk. */
  readonly onProgress?: ((progress: SnapshotProgress) => void) | undefined
}

/** Options of `hashKv()` and `hashKvs()`. */
export interface HashKvFields {
  /** The revision to hash; 0 is the current one. @default 0 */
  readonly revision?: number | undefined
}

/** Dependencies of the maintenance API. */
export interface MaintenanceParts {
  readonly transport: Transport
  readonly streams: StreamSource
  readonly directory: EndpointDirectory
}

const snapshotOptionNames = ['signal', 'endpoint', 'onProgress']
/** bbolt copies the database at about 100 MB per second, and etcd recommends at most 8 GiB. */
const defragmentTimeoutMs = 300_000

/**
 * Maintenance of a cluster. If authentication is enabled, everything except `status()`, `statuses()` and
 * `alarms.list()` requires the role root; on etcd 3.6.0 to 3.6.11 and 3.5.28 to 3.5.31 also `status()`.
 *
 * @example
 * ```ts
 * const { bytes } = await etcd.maintenance.saveSnapshot('/backup/etcd.db')
 * for (const result of await etcd.maintenance.statuses()) console.log(result.endpoint, result.ok)
 * ```
 */
export class Maintenance {
  readonly alarms: Alarms
  readonly downgrade: Downgrade
  /** gRPC's standard health service. */
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

  /**
   * Returns the status of one member, which it reports even without a leader.
   *
   * @throws `NOT_CONNECTED` if the member is unreachable.
   */
  async status(options: EndpointOptions): Promise<MemberStatus> {
    checkEndpointCall('maintenance.status()', options)
    return this.#calls.one(methods.Maintenance.Status, {}, options, memberStatus)
  }

  /** Returns the status of the member at each endpoint, in the order of the endpoints. Failures are values. */
  async statuses(options?: CallOptions): Promise<readonly EndpointResult<MemberStatus>[]> {
    checkCall('maintenance.statuses()', options)
    return this.#calls.each(methods.Maintenance.Status, {}, options, memberStatus)
  }

  /**
   * Returns the hash of one member's whole database. It can differ between members with the same keys: see `hashKv()`.
   */
  async hash(options: EndpointOptions): Promise<HashResult> {
    checkEndpointCall('maintenance.hash()', options)
    return this.#calls.one(methods.Maintenance.Hash, {}, options, hashResult)
  }

  /**
   * Returns the hash of one member's keys.
   *
   * @throws `COMPACTED` or `FUTURE_REVISION` if the member does not have the revision.
   */
  async hashKv(options: EndpointOptions & HashKvFields): Promise<HashKvResult> {
    checkEndpointCall('maintenance.hashKv()', options, ['revision'])
    const revision = nonNegativeInteger('revision', options.revision ?? 0)
    return this.#calls.one(methods.Maintenance.HashKV, { revision }, options, hashKvResultAt(revision))
  }

  /**
   * Returns the hashes of all members' keys, for a comparison. Without `revision`, members may hash different
   * revisions, because followers lag slightly behind. Failures are values.
   */
  async hashKvs(options: CallOptions & HashKvFields = {}): Promise<readonly EndpointResult<HashKvResult>[]> {
    checkCall('maintenance.hashKvs()', options, [...callOptionNames, 'revision'])
    const revision = nonNegativeInteger('revision', options.revision ?? 0)
    return this.#calls.each(methods.Maintenance.HashKV, { revision }, options, hashKvResultAt(revision))
  }

  /**
   * Rewrites one member's database without its free pages. The member answers no reads and applies no writes meanwhile:
   * defragment one member at a time, the leader last. `timeoutMs` is 5 minutes by default.
   */
  async defragment(options: EndpointOptions): Promise<void> {
    checkEndpointCall('maintenance.defragment()', options)
    const bounded = { ...options, timeoutMs: options.timeoutMs ?? defragmentTimeoutMs }
    await this.#calls.one(methods.Maintenance.Defragment, {}, bounded, () => undefined)
  }

  /**
   * Transfers leadership to a voting member; does nothing if it is already the leader. The client finds the current
   * leader among its endpoints.
   *
   * @param memberId The ID of the new leader, in hexadecimal.
   * @throws `NOT_LEADER` if no endpoint is the leader, `BAD_LEADER_TRANSFEREE` if the ID is not that of a voting
   *   member, `SERVER_TIMEOUT` if the member did not become the leader in time.
   */
  async moveLeader(memberId: string, options?: CallOptions): Promise<void> {
    checkCall('maintenance.moveLeader()', options)
    // Every member but the leader rejects the call, and the client then retries it on the next one.
    await this.#calls.any(methods.Maintenance.MoveLeader, { targetID: hexId('memberId', memberId) }, options)
  }

  /**
   * Streams the database of one member in chunks, in the format for `etcdutl snapshot restore`. The data is complete if
   * the iteration ends without an error.
   *
   * @throws `PROTOCOL_ERROR` if the digest does not match, or the error that interrupted the stream.
   */
  snapshot(options: SnapshotOptions = {}): AsyncIterable<Buffer> {
    assertKnownOptions('maintenance.snapshot()', options, snapshotOptionNames)
    const { endpoint, onProgress } = options
    const signal = optionalSignal('signal', options.signal)
    if (endpoint !== undefined && typeof endpoint !== 'string') {
      throw new InvalidArgumentError(`\`endpoint\` must be one of the client's, got ${describe(endpoint)}`)
    }
    if (onProgress !== undefined) assertFunction('onProgress', onProgress)
    return piecesOf(
      this.#calls.stream(this.#streams, methods.Maintenance.Snapshot, {}, { signal, endpoint }),
      onProgress,
    )
  }

  /**
   * Writes a snapshot to a file that only its owner can read. The data is written to `<path>.<id>.part`, synced,
   * verified and then renamed.
   *
   * @returns The size of the file.
   * @throws The errors of `snapshot()`, and those of the file system.
   */
  async saveSnapshot(path: string, options: SnapshotOptions = {}): Promise<{ readonly bytes: number }> {
    if (typeof path !== 'string' || path === '' || path.includes('\0')) {
      throw new InvalidArgumentError(`\`path\` must be the path of a file, got ${describe(path)}`)
    }
    const pieces = this.snapshot(options)
    options.signal?.throwIfAborted()
    return { bytes: await saveTo(path, pieces) }
  }
}
