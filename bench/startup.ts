/**
 * What a fresh process pays until it has this library, and until it has its first answer: this library and npm `etcd3` in
 * turns, each time in a fresh process. `import` is the time above that of a process that does nothing.
 *
 *     npm run build && npx tsx bench/startup.ts [--rounds 15]
 */
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { EtcdCluster } from '../src/testing/index.js'
import { etcd3Folder } from './contenders/etcd3.js'
import { median } from './sample.js'

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '15' } } })
const rounds = Number(values.rounds)

const ours = join(import.meta.dirname, '..', 'dist', 'index.mjs')
const theirs = createRequire(join(etcd3Folder(), 'package.json')).resolve('etcd3')

function programs(endpoint: string): Readonly<Record<string, string>> {
  return {
    nothing: '',
    'etcdkit: import': `import ${JSON.stringify(ours)}`,
    'etcd3: import': `import ${JSON.stringify(theirs)}`,
    'etcdkit: first get': `
      import { Etcd } from ${JSON.stringify(ours)}
      const etcd = new Etcd({ endpoints: ${JSON.stringify(endpoint)} })
      await etcd.get('bench/key')
      await etcd.close()`,
    'etcd3: first get': `
      import { Etcd3 } from ${JSON.stringify(theirs)}
      const etcd = new Etcd3({ hosts: ${JSON.stringify(endpoint)} })
      await etcd.get('bench/key')
      etcd.close()`,
  }
}

function timeOf(program: string): number {
  const startedAt = performance.now()
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program])
  if (status !== 0) throw new Error(String(stderr))
  return performance.now() - startedAt
}

await using cluster = await EtcdCluster.start()
const contenders = Object.entries(programs(cluster.endpoints[0] ?? ''))
const times = new Map(contenders.map(([name]) => [name, [] as number[]]))
// The first round reads the files into the system's cache.
for (let round = -1; round < rounds; round += 1)
  for (const [name, program] of contenders) {
    const ms = timeOf(program)
    if (round >= 0) times.get(name)?.push(ms)
  }
const bare = median(times.get('nothing') ?? [])
for (const [name, all] of times) {
  const ms = median(all)
  console.log(
    `${name.padEnd(20)} ${ms.toFixed(0).padStart(5)} ms  ${(ms - bare).toFixed(0).padStart(5)} ms above a bare process`,
  )
}
