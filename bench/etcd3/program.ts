import { fork } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Faults } from './faults.js'

/** What every program can use. `fault()` resolves when the fault is in effect. */
const prelude = `
  const { Etcd3 } = require(process.env.LIBRARY)
  const client = new Etcd3({ hosts: process.env.ENDPOINTS.split(',') })
  const direct = () => new Etcd3({ hosts: process.env.MEMBERS.split(',') })
  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
  const rejects = (error) => 'rejects with \`' + error.constructor.name + '\`'
  const settled = (promise, ms) => Promise.race([promise.then(() => 'resolves', rejects), sleep(ms).then(() => 'hangs')])
  const number = (n) => Math.round(n).toLocaleString('en')
  const fault = (name) => new Promise((resolve) => { process.once('message', resolve); process.send({ fault: name }) })
  const print = (text) => process.send({ result: text }, () => process.exit(0))
  const seconds = (ms) => (ms / 1000).toFixed(1) + ' s'
  async function load(workers, ms, call) {
    const [until, cpu] = [performance.now() + ms, process.cpuUsage()]
    let count = 0
    await Promise.all(Array.from({ length: workers }, async () => {
      for (; performance.now() < until; count += 1) await call(count)
    }))
    const { user, system } = process.cpuUsage(cpu)
    return number(count / ms * 1000) + '/s, ' + Math.round((user + system) / count) + ' µs CPU'
  }
  async function during(name, ms, call) {
    const [began, until] = [performance.now(), performance.now() + ms]
    let [last, gap, failed, waiting] = [began, 0, 0, 0]
    for (let worker = 0; worker < 8; worker += 1) (async () => {
      for (let n = 0; performance.now() < until; n += 1, await sleep(5)) {
        waiting += 1
        await call(worker + '/' + n).then(() => {
          gap = Math.max(gap, performance.now() - last)
          last = performance.now()
        }, () => { failed += 1 })
        waiting -= 1
      }
    })()
    await sleep(2000)
    await fault(name)
    await sleep(until - performance.now())
    const result = seconds(Math.max(gap, until - last)) + ' without a success, ' + number(failed) + ' errors'
    await sleep(500)
    return result + (waiting > 0 ? ', ' + waiting + ' of 8 callers hang' : '')
  }`

/** Where a program runs: on a library, with the addresses of the members and those past the proxies. */
export interface Setting {
  readonly library: string
  readonly endpoints: readonly string[]
  readonly members: readonly string[]
  readonly faults: Faults
}

interface Message {
  readonly fault?: string
  readonly result?: string
}

/** Runs a program in a separate process. @returns what it prints, or why it ended before */
export async function runProgram(source: string, { library, endpoints, members, faults }: Setting): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'etcdkit-bench-'))
  writeFileSync(join(folder, 'program.cjs'), `${prelude}\n;(async () => {${source}})()`)
  const env = { ...process.env, LIBRARY: library, ENDPOINTS: endpoints.join(), MEMBERS: members.join() }
  const child = fork(join(folder, 'program.cjs'), { env, execArgv: [], stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
  const timeout = setTimeout(() => child.kill('SIGKILL'), 60_000)
  let errors = ''
  let result: string | undefined
  child.stderr?.on('data', (text) => {
    errors += text
  })
  child.on('message', (message: Message) => {
    result ??= message.result
    if (message.fault !== undefined) void faults.inject(message.fault).then(() => child.connected && child.send('done'))
  })
  const signal = await new Promise((resolve) => child.on('close', (_code, name) => resolve(name)))
  clearTimeout(timeout)
  rmSync(folder, { recursive: true })
  return result ?? `ends: ${/^\w*Error\b.*$/m.exec(errors)?.[0] ?? signal}`
}
