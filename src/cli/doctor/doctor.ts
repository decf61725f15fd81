import { defineCommand } from '../command.js'
import { foundProblems } from '../failure.js'
import { writePage } from '../page-file.js'
import { UsageError } from '../usage-error.js'
import { collectReport } from './collect.js'
import { doctorPage } from './doctor-page.js'
import { doctorText } from './doctor-text.js'
import { needsAction } from './finding.js'
import { findingsOf } from './findings.js'

/** Diagnoses a cluster. */
export const doctorCommand = defineCommand({
  name: 'doctor',
  usage: '',
  summary: 'diagnose the cluster',
  details: [
    'Reports version, role, round-trip time, raft state, database, alarms, certificate and clock of every member, then the',
    'findings with remedies, most severe first. Changes nothing; reads keys page by page with serializable reads.',
    'Exit status: 0 if all findings are advice, 3 if there are others, 1 if no member could be reached.',
  ],
  flags: {
    html: { type: 'string', value: 'FILE', isOutput: true, help: 'also write the report to an HTML page with charts' },
    separator: { type: 'string', value: 'TEXT', help: 'separator of names in a key (/)' },
    deep: { type: 'boolean', help: 'read all keys for exact sizes, however many there are' },
    'skip-keys': { type: 'boolean', help: 'skip keys and leases' },
  },
  arity: [0, 0],
  async run({ client, clientOptions, notes, output, signal }, { flags }) {
    const separator = flags.separator ?? '/'
    if (separator === '') throw new UsageError('--separator must not be empty')
    if (flags.deep === true && flags['skip-keys'] === true) {
      throw new UsageError('--deep and --skip-keys are mutually exclusive')
    }
    const report = await collectReport({
      clientOptions,
      etcd: client(),
      anonymous: () => client({ auth: undefined }),
      signal,
      keys: flags['skip-keys'] === true ? undefined : { separator, deep: flags.deep ?? false },
      onStep: (what) => notes.status(`checking ${what} …`),
    })
    notes.clear()
    const findings = findingsOf(report)
    if (output.format === 'json') await output.json({ findings, report })
    else await output.line(doctorText(report, findings, output.style))
    await writePage(flags.html, () => doctorPage(report, findings))
    return findings.some(needsAction) ? foundProblems : 0
  },
})
