import type { Alarm } from '../../index.js'
import { type Context, defineCommand } from '../command.js'

/** Lists the alarms. */
export const alarmListCommand = defineCommand({
  name: 'alarm list',
  usage: '',
  summary: 'list the raised alarms',
  flags: {},
  arity: [0, 0],
  async run(context) {
    const { alarms } = context.client().maintenance
    await print(context, await alarms.list({ signal: context.signal }))
    return 0
  },
})

/** Disarms the alarms. */
export const alarmDisarmCommand = defineCommand({
  name: 'alarm disarm',
  usage: '',
  summary: 'disarm all raised alarms, and list them',
  details: ['Fix the cause first: without free space, the next write raises NOSPACE again.'],
  flags: {},
  arity: [0, 0],
  async run(context) {
    const { alarms } = context.client().maintenance
    await print(context, await alarms.disarmAll({ signal: context.signal }))
    return 0
  },
})

async function print({ output }: Context, alarms: readonly Alarm[]): Promise<void> {
  if (output.format === 'table') {
    const rows = alarms.map(({ memberId, type }) => [memberId, type])
    return output.table([{ title: 'MEMBER' }, { title: 'ALARM' }], rows)
  }
  for (const alarm of alarms) {
    await (output.format === 'json' ? output.json(alarm) : output.line(`${alarm.memberId} ${alarm.type}`))
  }
}
