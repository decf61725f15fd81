import { hexId } from '../../core/validate.js'
import type { DowngradeAction } from '../../protobuf/generated/messages.js'
import { methods } from '../../protobuf/methods.js'
import { type Command, defineCommand } from '../command.js'
import { CommandFailed } from '../failure.js'
import { UsageError } from '../usage-error.js'
import { unary } from '../wire/calls.js'
import { callEach, endpointsOf } from '../wire/member-endpoints.js'
import { print } from '../wire/print.js'
import { defineRpc } from '../wire/rpc-command.js'

/** Transfers leadership. */
export const moveLeaderCommand = defineCommand({
  name: 'move-leader',
  usage: 'ID',
  summary: 'transfer leadership to another member',
  details: ['The endpoints must include the leader.'],
  flags: {},
  arity: [1, 1],
  async run(context, { args: [id = ''] }) {
    const { client, output, signal } = context
    const targetID = hexId('ID', id)
    const statuses = await callEach(context, await endpointsOf(context, {}), methods.Maintenance.Status, {})
    const leader = statuses.find(
      (answer) => 'response' in answer && answer.response.leader === answer.response.header?.memberId,
    )
    if (leader === undefined || !('response' in leader)) {
      throw new CommandFailed(`no leader among the endpoints ${statuses.map(({ endpoint }) => endpoint).join(', ')}`)
    }
    const { endpoint, response } = leader
    const message = await unary(client(), methods.Maintenance.MoveLeader, { targetID }, { signal, endpoint })
    const text = `Leadership transferred from ${response.leader?.padStart(16)} to ${id.padStart(16)}`
    await print(output, { type: 'MoveLeaderResponse', message, text })
    return 0
  },
})

function downgradeCommand(action: DowngradeAction, summary: string): Command {
  const name = action.toLowerCase()
  const needsVersion = action !== 'CANCEL'
  return defineRpc({
    name: `downgrade ${name}`,
    usage: needsVersion ? 'VERSION' : '',
    summary,
    flags: {},
    arity: needsVersion ? [1, 1] : [0, 0],
    method: methods.Maintenance.Downgrade,
    request: ({ args: [version] }) => ({ action, version: needsVersion ? release(version) : '' }),
    text: ({ version }) => `Downgrade ${name} success, cluster version ${version}`,
  })
}

function release(version: string | undefined): string {
  if (/^\d+\.\d+(\.\d+)?$/.test(version ?? '')) return version ?? ''
  throw new UsageError(`VERSION must be a release such as 3.6, got ${JSON.stringify(version)}`)
}

/** Prepares, starts and cancels a downgrade. */
export const downgradeCommands: readonly Command[] = [
  downgradeCommand('VALIDATE', 'check whether the cluster can be downgraded to a version, such as 3.6'),
  downgradeCommand('ENABLE', 'start a downgrade: members can then be replaced by members of the version, one by one'),
  downgradeCommand('CANCEL', 'cancel a downgrade before a member has been downgraded'),
]
