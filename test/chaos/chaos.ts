/**
 * Makes calls of all kinds from several processes while a cluster suffers seeded faults, and checks what was seen against
 * the history of the cluster.
 *
 *     npm run chaos -- --minutes 10 --seed 7 --members 5 --etcd 3.7 --processes 3 --auth --tls --transport grpc-js
 */
import { parseArgs } from 'node:util'
import { runAndKeep } from './kept-run.js'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    seed: { type: 'string', default: String(1 + Math.floor(Math.random() * 1e6)) },
    members: { type: 'string', default: '3' },
    processes: { type: 'string', default: '3' },
    etcd: { type: 'string' },
    transport: { type: 'string', default: 'http2' },
    auth: { type: 'boolean', default: false },
    tls: { type: 'boolean', default: false },
  },
})

const violations = await runAndKeep({
  seconds: positive('minutes') * 60,
  seed: positive('seed'),
  members: positive('members'),
  processes: positive('processes'),
  etcd: values.etcd,
  transport: transport(),
  auth: values.auth,
  tls: values.tls,
  log: (line) => console.log(line),
})
process.exitCode = violations.length === 0 ? 0 : 1

function transport(): 'http2' | 'grpc-js' {
  if (values.transport === 'http2' || values.transport === 'grpc-js') return values.transport
  throw new TypeError(`--transport must be http2 or grpc-js, got '${values.transport}'`)
}

function positive(name: 'minutes' | 'seed' | 'members' | 'processes'): number {
  const value = Number(values[name])
  if (!(value > 0)) throw new TypeError(`--${name} must be a number above 0, got '${values[name]}'`)
  return value
}
