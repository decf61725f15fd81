import type { StatusResponse } from '../protobuf/generated/messages.js'

/** The state of one member, by its own word. */
export interface MemberStatus {
  readonly endpoint: string
  readonly memberId: string
  readonly clusterId: string
  /** The etcd release that it runs, for example `3.6.16`. */
  readonly version: string
  /** The release that its database format belongs to; `undefined` before etcd 3.6. */
  readonly storageVersion: string | undefined
  /** Size of the database file, free pages included. */
  readonly dbSizeBytes: number
  /** The part of it that holds data; the rest is what `defragment()` gives back. */
  readonly dbSizeInUseBytes: number
  /** The size at which the member raises the alarm `NOSPACE`; `undefined` before etcd 3.6. */
  readonly dbQuotaBytes: number | undefined
  /** The member that leads; `undefined` if this one knows of none. */
  readonly leaderId: string | undefined
  readonly isLeader: boolean
  readonly isLearner: boolean
  /** The revision of its store, which of a follower may be behind. */
  readonly revision: number
  /** The last log entry that is committed, and the last that it has applied. */
  readonly raftIndex: number
  readonly raftAppliedIndex: number
  readonly raftTerm: number
  /** What is wrong by its own word: alarms, corruption, no leader. */
  readonly errors: readonly string[]
  /** The release that the cluster is being downgraded to; `undefined` for none. */
  readonly downgradeTarget: string | undefined
}

/** The status out of an answer. */
export function memberStatus(response: StatusResponse, endpoint: string): MemberStatus {
  const { header, version, storageVersion, leader, dbSize, dbSizeInUse, dbSizeQuota, downgradeInfo } = response
  const { isLearner, raftIndex, raftAppliedIndex, raftTerm, errors } = response
  const memberId = header?.memberId ?? '0'
  return {
    endpoint,
    memberId,
    clusterId: header?.clusterId ?? '0',
    version,
    storageVersion: storageVersion === '' ? undefined : storageVersion,
    dbSizeBytes: dbSize,
    dbSizeInUseBytes: dbSizeInUse,
    dbQuotaBytes: dbSizeQuota === 0 ? undefined : dbSizeQuota,
    leaderId: leader,
    isLeader: leader === memberId,
    isLearner,
    revision: header?.revision ?? 0,
    raftIndex,
    raftAppliedIndex,
    raftTerm,
    errors,
    downgradeTarget: downgradeInfo?.enabled === true ? downgradeInfo.targetVersion : undefined,
  }
}
