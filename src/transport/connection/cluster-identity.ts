import { EtcdError } from '../../core/errors.js'
import type { ResponseHeader } from '../../protobuf/generated/messages.js'

/** Who wants to know what the headers give away. */
export interface IdentityListener {
  /** A member answered for another cluster. */
  clusterChanged(endpoint: string, expected: string, actual: string): void
  /** A consistent answer was older than an earlier one. */
  revisionRewound(endpoint: string, seen: number, actual: number): void
  /** A leader was elected. */
  termRaised(): void
}

/**
 * The history that the cluster's revisions belong to. Another object takes its place where the same revision may hold
 * something else: after another cluster was adopted, or an older one was restored.
 */
export interface History {
  /** Why it has begun; `undefined` for the first one. */
  readonly after: 'CLUSTER_CHANGED' | 'REVISION_REWOUND' | undefined
}

/**
 * What the headers of all answers say together: the cluster's id, the highest revision and the highest raft term.
 *
 * A header of another cluster, or a consistent answer below a revision seen before the call was made, means that data
 * was restored or an address was reused. Both are reported and fail the call: its answer belongs to another history.
 */
export class ClusterIdentity {
  #clusterId: string | undefined
  #history: History = { after: undefined }
  #revision = 0
  #raftTerm = 0
  #termRaisedAt = Number.NEGATIVE_INFINITY
  /** The clusters that endpoints were found to belong to, each told once. */
  readonly #otherClusters = new Map<string, string>()
  readonly #listener: IdentityListener
  readonly #followers = new Set<() => void>()

  constructor(listener: IdentityListener) {
    this.#listener = listener
  }

  /** The cluster's id, once a member has answered. */
  get clusterId(): string | undefined {
    return this.#clusterId
  }

  get history(): History {
    return this.#history
  }

  /** Calls `follower` whenever another history has begun; returns a function that ends that. */
  onHistory(follower: () => void): () => void {
    this.#followers.add(follower)
    return () => this.#followers.delete(follower)
  }

  /** The highest revision any answer has shown: the floor that later reads may not fall below. */
  get revision(): number {
    return this.#revision
  }

  /** The highest raft term any answer has shown. */
  get raftTerm(): number {
    return this.#raftTerm
  }

  /** When the raft term last rose, on the clock of `performance.now()`: proposals sent before it may have been lost. */
  get termRaisedAt(): number {
    return this.#termRaisedAt
  }

  /** Whether this member's cluster is the one that the client talks to; the first one asked decides. */
  admits(header: ResponseHeader | undefined): boolean {
    const clusterId = header?.clusterId
    if (clusterId === undefined) return true
    this.#clusterId ??= clusterId
    return this.#clusterId === clusterId
  }

  /**
   * Takes in the header of an answer. Returns the error that the call must fail with, if the answer belongs to another
   * history. `floor` is the highest revision seen when the call was made, for consistent calls; 0 for others.
   */
  observe(header: ResponseHeader | undefined, endpoint: string, floor: number): EtcdError | undefined {
    if (header === undefined) return undefined
    if (!this.admits(header)) return this.#otherCluster(header, endpoint)
    if (header.raftTerm > this.#raftTerm) this.#raiseTerm(header.raftTerm)
    const isRewound = header.revision < floor && header.revision > 0
    if (header.revision >= this.#revision) this.#revision = header.revision
    else if (isRewound) this.#rewind(header, floor, endpoint)
    return isRewound ? rewound(header.revision, floor, endpoint) : undefined
  }

  /** Forgets everything and takes `clusterId` for the cluster from now on. */
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
    return new EtcdError(`answer from cluster ${actual}, this client belongs to ${expected}`, {
      code: 'CLUSTER_CHANGED',
      effect: 'unknown',
      endpoint,
    })
  }

  /** Restored data is the cluster's new truth: only calls made before it was noticed fail. Its terms begin anew, too. */
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

/** The error of what belongs to the history before this one. */
export function otherHistory({ after = 'REVISION_REWOUND' }: History): EtcdError {
  const what = after === 'REVISION_REWOUND' ? 'was restored from a backup' : 'is another one now'
  return new EtcdError(`the cluster ${what}`, { code: after, effect: 'none' })
}
