/**
 * The same programs on npm `etcd3` and on `etcdkit/etcd3`, each in a separate process: speed, memory, and what happens in
 * situations in which `etcd3` fails. Prints a Markdown table.
 *
 *     npm run build && npx tsx bench/etcd3-drop-in.ts          all programs
 *     npm run build && npx tsx bench/etcd3-drop-in.ts watch    those with 'watch' in their title
 */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { EtcdCluster, type EtcdClusterOptions } from '../src/testing/index.js'
import { etcd3Folder } from './contenders/etcd3.js'
import { Faults } from './etcd3/faults.js'
import { runProgram } from './etcd3/program.js'
import { faultPrograms, type Programs, programs } from './etcd3/programs.js'

const libraries: Readonly<Record<string, string>> = {
  '`etcd3` 1.1.2': createRequire(join(etcd3Folder(), 'package.json')).resolve('etcd3'),
  '`etcdkit/etcd3`': join(import.meta.dirname, '../dist/etcd3/index.js'),
}
const [, , filter = ''] = process.argv

async function runAll(selection: Programs, options: EtcdClusterOptions): Promise<void> {
  const selected = Object.entries(selection).filter(([title]) => title.includes(filter))
  if (selected.length === 0) return
  await using cluster = await EtcdCluster.start(options)
  const setting = { endpoints: cluster.endpoints, members: cluster.members.map(({ clientUrl }) => clientUrl) }
  const faults = new Faults(cluster)
  for (const [title, source] of selected) {
    const results: string[] = []
    for (const library of Object.values(libraries)) {
      results.push(await runProgram(source, { ...setting, library, faults }))
      await faults.end()
    }
    console.log(`| ${[title, ...results].join(' | ')} |`)
  }
}

console.log(`| | ${Object.keys(libraries).join(' | ')} |\n| --- | --- | --- |`)
await runAll(programs, {})
await runAll(faultPrograms, { members: 3, proxy: true, timers: 'default' })
