import { methods } from '../../protobuf/methods.js'
import { type Context, defineCommand } from '../command.js'
import { failed } from '../failure.js'
import { goDuration } from '../wire/go-text.js'
import { callEach, callEndpoint, clusterFlag, type EndpointCall, endpointsOf } from '../wire/member-endpoints.js'

/** bbolt copies the database at about 100 MB per second, and etcd recommends at most 8 GiB. */
const defaultTimeoutMs = 300_000

/** Rewrites databases without their free pages. */
export const defragCommand = defineCommand({
  name: 'defrag',
  usage: '',
  summary: 'rewrite the database of each endpoint without its free pages, one after the other',
  details: [
    'A member serves nothing while it defragments, so the leader comes last. Each may take up to --command-timeout',
    '(5 minutes by default).',
  ],
  flags: clusterFlag,
  arity: [0, 0],
  async run(context, { flags }) {
    const { output, notes, clientOptions } = context
    const timeoutMs = clientOptions.timeoutMs ?? defaultTimeoutMs
    let isFailed = false
    for (const endpoint of await leaderLast(context, await endpointsOf(context, flags))) {
      notes.status(`defragmenting ${endpoint} …`)
      const defragment = (call: EndpointCall) => call(methods.Maintenance.Defragment, {})
      const answer = await callEndpoint(context, endpoint, defragment, timeoutMs)
      const took = goDuration(answer.tookMs)
      notes.clear()
      if ('error' in answer) {
        isFailed = true
        notes.line(`Failed to defragment etcd member[${endpoint}]. took ${took}. (${answer.error})`)
      } else if (output.format === 'json') await output.json({ endpoint, took })
      else await output.line(`Finished defragmenting etcd member[${endpoint}]. took ${took}`)
    }
    return isFailed ? failed : 0
  },
})

async function leaderLast(context: Context, given: readonly string[]): Promise<readonly string[]> {
  const statuses = await callEach(context, given, methods.Maintenance.Status, {})
  const isLeader = statuses.map(
    (answer) => 'response' in answer && answer.response.leader === answer.response.header?.memberId,
  )
  const endpoints = statuses.map(({ endpoint }) => endpoint)
  return [...endpoints.filter((_, at) => isLeader[at] !== true), ...endpoints.filter((_, at) => isLeader[at] === true)]
}
