/** One contender of one row in a separate process: measures a round for each line `round` on its standard input. */
import { createInterface } from 'node:readline'
import type { Contender, ContenderName, Target } from './contenders/contender.js'
import { etcd3 } from './contenders/etcd3.js'
import { grpcjs } from './contenders/grpcjs.js'
import { http2 } from './contenders/http2.js'
import { ours } from './contenders/ours.js'
import { rows, type Scale } from './rows.js'
import { readings, sampleSince } from './sample.js'

/** What a worker is started with. */
export interface Assignment {
  readonly row: string
  readonly contender: Exclude<ContenderName, 'go-clientv3'>
  readonly target: Target
  readonly scale: Scale
  readonly prepared: number
}

const { row: name, contender: who, target, scale, prepared }: Assignment = JSON.parse(process.argv[2] ?? '')

const contenders: Readonly<Record<Assignment['contender'], () => Contender>> = {
  ours: () => ours(target, { batching: { reads: false } }),
  'ours-grpcjs': () => ours(target, { transport: 'grpc-js', batching: { reads: false } }),
  'ours-batching': () => ours(target, { batching: { writes: true } }),
  etcd3: () => etcd3(target),
  grpcjs: () => grpcjs(target),
  http2: () => http2(target),
}

const row = rows.find((other) => other.name === name)
if (row === undefined) throw new Error(`there is no row ${name}`)
const connect = contenders[who]
const contender = connect()

for await (const line of createInterface({ input: process.stdin })) {
  if (line !== 'round') continue
  const before = readings()
  const work = await row.run(contender, scale, prepared, connect)
  console.log(JSON.stringify(sampleSince(before, work)))
}
await contender.close()
