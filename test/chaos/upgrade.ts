/**
 * Takes a cluster through versions of etcd, member by member, up and down again, while several processes make calls of all
 * kinds, and checks what was seen against the history of the cluster.
 *
 *     npm run test:upgrade                                       3.5 to 3.7, and back
 *     npm run test:upgrade -- 3.5 3.6 --transport grpc-js        this path, over the other transport
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { findEtcd } from '../../src/testing/index.js'
import { rollingUpgrade, snapshotCount } from './rolling-upgrade.js'
import { runChaos } from './run-chaos.js'

const { values, positionals } = parseArgs({
  options: {
    transport: { type: 'string', default: 'http2' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e6)) },
    /** Traffic goes on for this long for each version on the way, in seconds. */
    seconds: { type: 'string', default: '30' },
  },
  allowPositionals: true,
})
const [first = '', ...others] = positionals.length > 0 ? positionals : ['3.5', '3.6', '3.7', '3.6', '3.5']
const log = (line: string): void => console.log(line)
// A download takes no part of the time.
for (const version of [first, ...others]) await findEtcd(version)

const folder = mkdtempSync(join(tmpdir(), 'etcdkit-upgrade-'))
const settings = {
  seconds: others.length * Number(values.seconds),
  seed: Number(values.seed),
  members: 3,
  processes: 2,
  etcd: first,
  transport: values.transport === 'grpc-js' ? 'grpc-js' : 'http2',
  auth: false,
  tls: false,
  flags: { 'snapshot-count': snapshotCount },
  folder,
  log,
} as const
const violations = await runChaos(settings, rollingUpgrade(others, log))
if (violations.length === 0) {
  rmSync(folder, { recursive: true })
} else {
  log(`\nthe records are kept in ${folder}`)
  process.exitCode = 1
}
