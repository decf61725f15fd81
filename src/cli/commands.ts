import type { Command } from './command.js'
import { delCommand } from './commands/del.js'
import { electCommand } from './commands/elect.js'
import { getCommand } from './commands/get.js'
import { listCommand } from './commands/list.js'
import { lockCommand } from './commands/lock.js'
import { putCommand } from './commands/put.js'
import { snapshotSaveCommand } from './commands/snapshot.js'
import { treeCommand } from './commands/tree.js'
import { watchCommand } from './commands/watch.js'

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
  snapshotSaveCommand,
]
