import { EtcdError } from '../../core/errors.js'
import type { ResponseHeader } from '../../protobuf/generated/messages.js'

/** Receives what response headers reveal. */
export interface IdentityListener {
  /** A member answered for another cluster. */
  clusterChanged(endpoint: string, expected: string, actual: string): void
  /** A linearizable response had a lower revision than an earlier response. */
  revisionRewound(endpoint: string, seen: number, actual: number): void
  /** A leader was elected. */
  termRaised(): void
}

/**
 * The history that the cluster's revisions belong to. A new object replaces it when the same revision may stand for other
 * data: after the client has followed another cluster, or the cluster was restored from a backup.
 */
export interface History {
  /** Why the history began; `undefined` for the first one. */
  readonly after: 'CLUSTER_CHANGED' | 'REVISION_REWOUND' | undefined
}

/**
 * What the headers of all responses show: the cluster ID, the highest revision and the highest raft term.
 *
 * A header of another cluster, or a linearizable response below a revision that was known before the call, means that the
 * cluster was restored or an address was reused. Both are reported and fail the call: its response belongs to another history.
 */
export class ClusterIdentity {
  #clusterId: string | undefined
  #history: History = { after: undefined }
  #revision = 0
  #raftTerm = 0
  #termRaisedAt = Number.NEGATIVE_INFINITY
  /** The other cluster that each endpoint was found in, so that each is reported once. */
  readonly #otherClusters = new Map<string, string>()
  readonly #listener: IdentityListener
  readonly #followers = new Set<() => void>()

  constructor(listener: IdentityListener) {
    this.#listener = listener
  }

  /** The cluster's ID; `undefined` until a member has responded. */
  get clusterId(): string | undefined {
    return this.#clusterId
  }

  get history(): History {
    return this.#history
  }

  /** Calls `follower` whenever a new history begins; returns a function that unsubscribes it. */
  onHistory(follower: () => void): () => void {
    this.#followers.add(follower)
    return () => this.#followers.delete(follower)
  }

  /** The highest revision in any response: the floor for later linearizable reads. */
  get revision(): number {
    return this.#revision
  }

  /** The highest raft term in any response. */
  get raftTerm(): number {
    return this.#raftTerm
  }

  /** When the raft term last rose, on the clock of `performance.now()`: proposals sent before it may have been lost. */
  get termRaisedAt(): number {
    return this.#termRaisedAt
  }

  /** Whether a member belongs to the client's cluster. The first member that responds determines the cluster. */
  admits(header: ResponseHeader | undefined): boolean {
    const clusterId = header?.clusterId
    if (clusterId === undefined) return true
    this.#clusterId ??= clusterId
    return this.#clusterId === clusterId
  }

  /**
   * Processes a response header. Returns the error that the call must fail with if the response belongs to another history.
   * `minRevision` is the highest revision known when the call was made, or 0 for calls that may read older data.
   */
  observe(header: ResponseHeader | undefined, endpoint: string, minRevision: number): EtcdError | undefined {
    if (header === undefined) return undefined
    if (!this.admits(header)) return this.#otherCluster(header, endpoint)
    if (header.raftTerm > this.#raftTerm) this.#raiseTerm(header.raftTerm)
    const isRewound = header.revision < minRevision && header.revision > 0
    if (header.revision >= this.#revision) this.#revision = header.revision
    else if (isRewound) this.#rewind(header, minRevision, endpoint)
    return isRewound ? rewound(header.revision, minRevision, endpoint) : undefined
  }

  /** Forgets the former cluster and accepts `clusterId` from now on. */
  adopt(clusterId: string): void {
    this.#clusterId = clusterId
    this.#revision = 0
    this.#raftTerm = 0
    this.#otherClusters.clear()
    this.#begin({ after: 'CLUSTER_CHANGED' })
  }

  #raiseTerm(raftTerm: number): void {
    const first = this.#raftTerm === 0
    this.#raftTerm = raftTerm
    if (first) return
    this.#termRaisedAt = performance.now()
    this.#listener.termRaised()
  }

  #otherCluster(header: ResponseHeader, endpoint: string): EtcdError {
    const expected = this.#clusterId ?? ''
    const actual = header.clusterId ?? ''
    if (this.#otherClusters.get(endpoint) !== actual) this.#listener.clusterChanged(endpoint, expected, actual)
    this.#otherClusters.set(endpoint, actual)
    return new EtcdError(`response from cluster ${actual}, expected cluster ${expected}`, {
      code: 'CLUSTER_CHANGED',
      effect: 'unknown',
      endpoint,
    })
  }

  /** The restored data is valid: only calls that were made before the rewind was noticed fail. Raft terms restart as well. */
  #rewind(header: ResponseHeader, seen: number, endpoint: string): void {
    this.#revision = header.revision
    this.#raftTerm = header.raftTerm
    this.#begin({ after: 'REVISION_REWOUND' })
    this.#listener.revisionRewound(endpoint, seen, header.revision)
  }

  #begin(history: History): void {
    this.#history = history
    for (const follower of [...this.#followers]) follower()
  }
}

function rewound(actual: number, seen: number, endpoint: string): EtcdError {
  return new EtcdError(`the cluster is at revision ${actual} after revision ${seen}: restored from a backup?`, {
    code: 'REVISION_REWOUND',
    effect: 'unknown',
    endpoint,
  })
}

/** The error of an operation that belongs to the history before `history`. */
export function otherHistory({ after = 'REVISION_REWOUND' }: History): EtcdError {
  const what = after === 'REVISION_REWOUND' ? 'was restored from a backup' : 'was replaced by another one'
  return new EtcdError(`the cluster ${what}`, { code: after, effect: 'none' })
}
