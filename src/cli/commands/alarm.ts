import type { AlarmResponse } from '../../protobuf/generated/messages.js'
import { methods } from '../../protobuf/methods.js'
import { defineCommand } from '../command.js'
import { unary } from '../wire/calls.js'
import { type Printable, print } from '../wire/print.js'
import { defineRpc } from '../wire/rpc-command.js'

/** Lists the alarms. */
export const alarmListCommand = defineRpc({
  name: 'alarm list',
  usage: '',
  summary: 'list the raised alarms',
  flags: {},
  arity: [0, 0],
  method: methods.Maintenance.Alarm,
  request: () => ({ action: 'GET' }) as const,
  text: textOf,
  forms: tableOf,
})

/** Disarms the alarms. */
export const alarmDisarmCommand = defineCommand({
  name: 'alarm disarm',
  usage: '',
  summary: 'disarm all raised alarms, and list them',
  details: ['Fix the cause first: without free space, the next write raises NOSPACE again.'],
  flags: {},
  arity: [0, 0],
  async run({ client, output, signal }) {
    const etcd = client()
    const listed = await unary(etcd, methods.Maintenance.Alarm, { action: 'GET' }, { signal })
    const disarmed = await Promise.all(
      listed.alarms.map((alarm) =>
        unary(etcd, methods.Maintenance.Alarm, { action: 'DEACTIVATE', ...alarm }, { signal }),
      ),
    )
    const message = { header: listed.header, alarms: disarmed.flatMap(({ alarms }) => alarms) }
    await print(output, { type: 'AlarmResponse', message, text: textOf(message), ...tableOf(message) })
    return 0
  },
})

function textOf({ alarms }: AlarmResponse): string | undefined {
  if (alarms.length === 0) return undefined
  return alarms.map(({ memberID, alarm }) => `${memberID ?? '0'} ${alarm}`).join('\n')
}

function tableOf({ alarms }: AlarmResponse): Pick<Printable, 'table'> {
  return { table: { titles: ['MEMBER', 'ALARM'], rows: alarms.map(({ memberID, alarm }) => [memberID ?? '0', alarm]) } }
}
