import type { StatusResponse } from '../protobuf/generated/messages.js'

/** The status of one member, as the member reports it. */
export interface MemberStatus {
  readonly endpoint: string
  readonly memberId: string
  readonly clusterId: string
  /** The etcd version, for example `3.6.16`. */
  readonly version: string
  /** The version of the database format; `undefined` before etcd 3.6. */
  readonly storageVersion: string | undefined
  /** Size of the database file, including free pages. */
  readonly dbSizeBytes: number
  /** Size of the pages in use; `defragment()` releases the rest. */
  readonly dbSizeInUseBytes: number
  /** The size at which the member raises the alarm `NOSPACE`; `undefined` before etcd 3.6. */
  readonly dbQuotaBytes: number | undefined
  /** The leader; `undefined` if this member knows of none. */
  readonly leaderId: string | undefined
  readonly isLeader: boolean
  readonly isLearner: boolean
  /** The revision of its store. Followers may lag behind. */
  readonly revision: number
  /** Index of the last committed log entry, and of the last applied one. */
  readonly raftIndex: number
  readonly raftAppliedIndex: number
  readonly raftTerm: number
  /** Problems that the member reports: alarms, corruption, no leader. */
  readonly errors: readonly string[]
  /** The version that the cluster is being downgraded to; `undefined` if no downgrade is in progress. */
  readonly downgradeTarget: string | undefined
}

/** Converts a response. */
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
