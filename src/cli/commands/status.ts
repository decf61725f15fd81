import { defineCommand } from '../command.js'
import { memberIdOf, type Probe, probe, silenceOf } from '../doctor/probe.js'
import { foundProblems } from '../failure.js'
import type { Column } from '../table.js'
import { formatBytes } from '../units.js'

/** Shows the status of each endpoint. */
export const statusCommand = defineCommand({
  name: 'status',
  usage: '',
  summary: 'show the status of each endpoint in a table',
  details: ['Exit status: 3 if an endpoint does not answer.'],
  flags: {},
  arity: [0, 0],
  async run({ client, clientOptions, output, signal }) {
    const etcd = client()
    if (clientOptions.discovery !== undefined) await etcd.connect({ signal })
    const endpoints = etcd.endpoints().map(({ endpoint }) => endpoint)
    const probes = await Promise.all(endpoints.map((endpoint) => probe(clientOptions, endpoint, signal)))
    try {
      if (output.format === 'json') for (const found of probes) await output.json(jsonOf(found))
      else await output.table(columns, probes.map(rowOf))
      return probes.every((found) => memberIdOf(found) !== undefined) ? 0 : foundProblems
    } finally {
      await Promise.all(probes.map(({ calls }) => calls.close()))
    }
  },
})

const columns: readonly Column[] = [
  { title: 'ENDPOINT' },
  { title: 'ID' },
  { title: 'VERSION' },
  { title: 'ROLE' },
  { title: 'DB', align: 'right' },
  { title: 'IN USE', align: 'right' },
  { title: 'REVISION', align: 'right' },
  { title: 'TERM', align: 'right' },
  { title: 'RAFT', align: 'right' },
  { title: 'APPLIED', align: 'right' },
  { title: 'ERRORS' },
]

function rowOf(found: Probe): string[] {
  const { calls, result } = found
  if (!('status' in result)) return [calls.endpoint, '', '', 'silent', '', '', '', '', '', '', silenceOf(found) ?? '']
  const { status } = result
  const role = status.isLearner ? 'learner' : status.isLeader ? 'leader' : 'follower'
  const sizes = [formatBytes(status.dbSizeBytes), formatBytes(status.dbSizeInUseBytes)]
  const counters = [status.revision, status.raftTerm, status.raftIndex, status.raftAppliedIndex].map(String)
  return [calls.endpoint, status.memberId, status.version, role, ...sizes, ...counters, status.errors.join('; ')]
}

function jsonOf(found: Probe): object {
  const { calls, result } = found
  return 'status' in result ? result.status : { endpoint: calls.endpoint, error: silenceOf(found) }
}
