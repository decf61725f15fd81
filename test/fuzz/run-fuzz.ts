/**
 * Fuzzes every public function of the built package against one member and prints the findings. The process exits
 * when nothing is left running.
 *
 *     npm run fuzz -- --minutes 10 --seed 7 [--transport grpc-js] [--only Txn]
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import fc from 'fast-check'
import { EtcdCluster } from '../../src/testing/index.js'
import { etcd3Subjects } from './etcd3-subjects.js'
import { Fuzzer } from './fuzzer.js'
import { anyValue, type Hostile, hostileValues, invalidEverywhere } from './hostile.js'
import { subjects } from './subjects.js'

const { values: flags } = parseArgs({
  options: {
    minutes: { type: 'string', default: '0' },
    seed: { type: 'string', default: '1' },
    transport: { type: 'string', default: 'http2' },
    only: { type: 'string', default: '' },
  },
})
/** A run without time tries each option, and each object of etcd3, with this part of the values only. */
const partsOfOptions = 6
const partsOfEtcd3 = 5
const seed = Number(flags.seed)
const endsAt = performance.now() + Number(flags.minutes) * 60_000

// Paths are among the arguments: files are written here.
const folder = mkdtempSync(join(tmpdir(), 'etcdkit-fuzz-'))
process.chdir(folder)

const cluster = await EtcdCluster.start({ timers: 'fast', flags: { 'bcrypt-cost': 4 } })
const fuzzer = new Fuzzer(cluster, flags.transport, endsAt > performance.now() ? 1 : partsOfOptions)
const chosen = Object.entries({ ...subjects, ...etcd3Subjects }).filter(([name]) => name.includes(flags.only))
let round = 0
try {
  do {
    const values = round === 0 ? hostileValues : fc.sample(anyValue, { seed: seed + round, numRuns: 60 })
    for (const [name, subject] of chosen)
      await fuzzer.fuzz(name, subject, name in etcd3Subjects ? partOf(values, name) : values)
    round += 1
  } while (performance.now() < endsAt)
  await fuzzer.settle()
} catch (error) {
  console.log(cluster.logs())
  fuzzer.findings.push(`the run failed at ${fuzzer.current}: ${error instanceof Error ? error.stack : error}`)
} finally {
  await cluster.stop()
  rmSync(folder, { recursive: true })
}

for (const finding of fuzzer.findings) console.log(finding)
console.log(
  `${fuzzer.findings.length} findings in ${fuzzer.calls} calls of ${fuzzer.functions} functions, seed ${seed}`,
)
process.exitCode = fuzzer.findings.length === 0 ? 0 : 1

function partOf(values: readonly Hostile[], name: string): readonly Hostile[] {
  if (endsAt > performance.now()) return values
  const part = Object.keys(etcd3Subjects).indexOf(name) % partsOfEtcd3
  return values.filter((value, index) => index % partsOfEtcd3 === part || invalidEverywhere.includes(value))
}
