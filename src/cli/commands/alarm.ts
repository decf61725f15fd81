import type { Alarm } from '../../index.js'
import { type Context, defineCommand } from '../command.js'

/** Lists the alarms. */
export const alarmListCommand = defineCommand({
  name: 'alarm list',
  usage: '',
  summary: 'list the alarms that are raised',
  flags: {},
  arity: [0, 0],
  async run(context) {
    const { alarms } = context.client().maintenance
    await print(context, await alarms.list({ signal: context.signal }))
    return 0
  },
})

/** Ends the alarms. */
export const alarmDisarmCommand = defineCommand({
  name: 'alarm disarm',
  usage: '',
  summary: 'end all alarms that are raised, and list them',
  details: ['Do away with the cause first: as long as there is no space, NOSPACE comes back with the next write.'],
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
