import { authenticateBench } from './bench/authenticate-bench.js'
import { leaseKeepAliveBench } from './bench/lease-bench.js'
import { lockBench } from './bench/lock-bench.js'
import { putBench, txnPutBench } from './bench/put-bench.js'
import { rangeBench } from './bench/range-bench.js'
import { watchBench } from './bench/watch-bench.js'
import type { Command } from './command.js'
import { alarmDisarmCommand, alarmListCommand } from './commands/alarm.js'
import { authDisableCommand, authEnableCommand, authStatusCommand } from './commands/auth.js'
import { checkPerfCommand } from './commands/check-perf.js'
import { downgradeCommands, moveLeaderCommand } from './commands/cluster-changes.js'
import { compactCommand } from './commands/compact.js'
import { defragCommand } from './commands/defrag.js'
import { delCommand } from './commands/del.js'
import { electCommand } from './commands/elect.js'
import { endpointHashKvCommand, endpointHealthCommand, endpointStatusCommand } from './commands/endpoint.js'
import { getCommand } from './commands/get.js'
import * as lease from './commands/lease.js'
import { listCommand } from './commands/list.js'
import { lockCommand } from './commands/lock.js'
import { makeMirrorCommand } from './commands/make-mirror.js'
import * as member from './commands/member.js'
import { membersCommand } from './commands/members.js'
import { putCommand } from './commands/put.js'
import * as role from './commands/role.js'
import { snapshotSaveCommand } from './commands/snapshot.js'
import { statusCommand } from './commands/status.js'
import { treeCommand } from './commands/tree.js'
import { txnCommand } from './commands/txn.js'
import * as user from './commands/user.js'
import { watchCommand } from './commands/watch.js'
import { completionCommand } from './completion/completion-command.js'
import { devCommand } from './dev/dev.js'
import { doctorCommand } from './doctor/doctor.js'

const commandsOfCluster: readonly Command[] = [
  getCommand,
  putCommand,
  delCommand,
  txnCommand,
  listCommand,
  treeCommand,
  watchCommand,
  compactCommand,
  lease.leaseGrantCommand,
  lease.leaseRevokeCommand,
  lease.leaseTimeToLiveCommand,
  lease.leaseListCommand,
  lease.leaseKeepAliveCommand,
  lockCommand,
  electCommand,
  doctorCommand,
  devCommand,
  statusCommand,
  endpointHealthCommand,
  endpointStatusCommand,
  endpointHashKvCommand,
  membersCommand,
  member.memberListCommand,
  member.memberAddCommand,
  member.memberPromoteCommand,
  member.memberUpdateCommand,
  member.memberRemoveCommand,
  moveLeaderCommand,
  alarmListCommand,
  alarmDisarmCommand,
  defragCommand,
  snapshotSaveCommand,
  makeMirrorCommand,
  ...downgradeCommands,
  user.userAddCommand,
  user.userDeleteCommand,
  user.userGetCommand,
  user.userListCommand,
  user.userPasswdCommand,
  user.userGrantRoleCommand,
  user.userRevokeRoleCommand,
  role.roleAddCommand,
  role.roleDeleteCommand,
  role.roleGetCommand,
  role.roleListCommand,
  role.roleGrantPermissionCommand,
  role.roleRevokePermissionCommand,
  authEnableCommand,
  authDisableCommand,
  authStatusCommand,
  checkPerfCommand,
  putBench,
  rangeBench,
  txnPutBench,
  watchBench,
  leaseKeepAliveBench,
  lockBench,
  authenticateBench,
]

/** Every command, in the order of the help. */
export const commands: readonly Command[] = [...commandsOfCluster, completionCommand(commandsOfCluster)]
