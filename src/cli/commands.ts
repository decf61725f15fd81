import { authenticateBench } from './bench/authenticate-bench.js'
import { leaseKeepAliveBench } from './bench/lease-bench.js'
import { lockBench } from './bench/lock-bench.js'
import { putBench, txnPutBench } from './bench/put-bench.js'
import { rangeBench } from './bench/range-bench.js'
import { watchBench } from './bench/watch-bench.js'
import type { Command } from './command.js'
import { alarmDisarmCommand, alarmListCommand } from './commands/alarm.js'
import { delCommand } from './commands/del.js'
import { electCommand } from './commands/elect.js'
import { getCommand } from './commands/get.js'
import { listCommand } from './commands/list.js'
import { lockCommand } from './commands/lock.js'
import { membersCommand } from './commands/members.js'
import { putCommand } from './commands/put.js'
import { snapshotSaveCommand } from './commands/snapshot.js'
import { statusCommand } from './commands/status.js'
import { treeCommand } from './commands/tree.js'
import { watchCommand } from './commands/watch.js'
import { devCommand } from './dev/dev.js'
import { doctorCommand } from './doctor/doctor.js'

/** Every command, in the order of the help. */
export const commands: readonly Command[] = [
  getCommand,
  putCommand,
  delCommand,
  listCommand,
  treeCommand,
  watchCommand,
  lockCommand,
  electCommand,
  doctorCommand,
  devCommand,
  statusCommand,
  membersCommand,
  alarmListCommand,
  alarmDisarmCommand,
  snapshotSaveCommand,
  putBench,
  rangeBench,
  txnPutBench,
  watchBench,
  leaseKeepAliveBench,
  lockBench,
  authenticateBench,
]
