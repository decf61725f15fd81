/**
 * Makes calls of all kinds from several processes while a cluster suffers seeded faults, and checks what was seen against
 * the history of the cluster.
 *
 *     npm run chaos -- --minutes 10 --seed 7 --members 5 --etcd 3.7 --processes 3 --auth --tls --transport grpc-js
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { type ChaosSettings, runChaos } from './run-chaos.js'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e6)) },
    members: { type: 'string', default: '3' },
    processes: { type: 'string', default: '3' },
    etcd: { type: 'string' },
    transport: { type: 'string', default: 'http2' },
    auth: { type: 'boolean', default: false },
    tls: { type: 'boolean', default: false },
  },
})

const folder = mkdtempSync(join(tmpdir(), 'etcdkit-chaos-'))
const settings: ChaosSettings = {
  seconds: positive('minutes') * 60,
  seed: positive('seed'),
  members: positive('members'),
  processes: positive('processes'),
  etcd: values.etcd,
  transport: values.transport === 'grpc-js' ? 'grpc-js' : 'http2',
  auth: values.auth,
  tls: values.tls,
  folder,
  log: (line) => console.log(line),
}
const { violations, history } = await runChaos(settings)
if (violations.length === 0) {
  rmSync(folder, { recursive: true })
} else {
  writeFileSync(join(folder, 'history.json'), JSON.stringify(history))
  console.log(`\nthe history is kept in ${folder}; the same faults again:`)
  console.log(
    `npm run chaos -- ${process.argv
      .slice(2)
      .filter((each, at, all) => each !== '--seed' && all[at - 1] !== '--seed')
      .join(' ')} --seed ${values.seed}`,
  )
  process.exitCode = 1
}

function positive(name: 'minutes' | 'seed' | 'members' | 'processes'): number {
  const value = Number(values[name])
  if (!(value > 0)) throw new TypeError(`--${name} must be a number above 0, got '${values[name]}'`)
  return value
}
