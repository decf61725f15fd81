import { writeFile } from 'node:fs/promises'
import { defineCommand } from '../command.js'
import { UsageError } from '../usage-error.js'
import { collectReport } from './collect.js'
import { doctorPage } from './doctor-page.js'
import { doctorText } from './doctor-text.js'
import { needsAction } from './finding.js'
import { findingsOf } from './findings.js'

/** Looks at a cluster and says what to do. */
export const doctorCommand = defineCommand({
  name: 'doctor',
  usage: '',
  summary: 'look at a cluster and say what to do about it',
  details: [
    'Shows every member: version, role, round trip from here, raft, database, alarms, certificate, clock; then what was',
    'found, the worst first, with numbers and what to do. It changes nothing, and reads keys serializable, in pages.',
    'Exit status: 0 if nothing has to be done, 1 if something has, 2 if no member could be asked.',
  ],
  flags: {
    html: { type: 'string', value: 'FILE', help: 'write the report as a page with charts, too' },
    separator: { type: 'string', value: 'TEXT', help: 'what parts the names in a key (/)' },
    deep: { type: 'boolean', help: 'read every key, however many, for exact sizes' },
    'skip-keys': { type: 'boolean', help: 'do not look at keys and leases' },
  },
  arity: [0, 0],
  async run({ client, clientOptions, notes, output, signal }, { flags }) {
    const separator = flags.separator ?? '/'
    if (separator === '') throw new UsageError('--separator must have at least one letter')
    if (flags.deep === true && flags['skip-keys'] === true) {
      throw new UsageError('--deep and --skip-keys exclude each other')
    }
    const report = await collectReport({
      clientOptions,
      etcd: client(),
      anonymous: () => client({ auth: undefined }),
      signal,
      keys: flags['skip-keys'] === true ? undefined : { separator, deep: flags.deep ?? false },
      onStep: (what) => notes.status(`looking at ${what} …`),
    })
    notes.clear()
    const findings = findingsOf(report)
    if (flags.html !== undefined) await writeFile(flags.html, doctorPage(report, findings))
    if (output.format === 'json') await output.json({ findings, report })
    else await output.line(doctorText(report, findings, output.style))
    return findings.some(needsAction) ? 1 : 0
  },
})
