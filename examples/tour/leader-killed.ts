import { setTimeout as sleep } from 'node:timers/promises'
import { type Effect, isEtcdError } from 'etcdkit'
import { ms, type Verdict, whole } from './screen.js'
import type { Stage } from './stage.js'

const prefix = 'tour/writes/'
const readers = 8
const writers = 4
const patienceMs = 15_000

/** A write to a separate key, and its reported outcome. */
export interface Write {
  readonly key: string
  readonly outcome: 'acknowledged' | Effect
  readonly code: string | undefined
}

/** Kills the leader under load: no read may fail, and the reported outcome of each write must match the stored data. */
export async function killLeader(stage: Stage, leader: number): Promise<Verdict> {
  const { cluster, etcd, screen } = stage
  const traffic = new Traffic(stage)
  screen.progress('reading and writing, then killing the leader')
  await sleep(700)
  await cluster.kill(leader)
  const killedAt = performance.now()
  await traffic.writtenAfter(killedAt)
  const recoveredMs = performance.now() - killedAt
  await sleep(1000)
  await traffic.stop()
  const stored = new Set((await etcd.range({ prefix })).kvs.map(({ keyText }) => keyText))
  screen.row('killed', `${cluster.members[leader]?.name}, the leader; writes succeed again after ${ms(recoveredMs)}`)
  screen.row('reads', `${whole(traffic.reads)}, ${traffic.failedReads.length} failed`)
  describeWrites(stage, traffic.writes, stored)
  for (const { key, outcome } of traffic.writes.filter((write) => isWrong(write, stored))) {
    screen.row('wrong', `${key} was reported as ${outcome}`)
  }
  for (const error of traffic.failedReads.slice(0, 3)) screen.row('failed', String(error))
  return trafficVerdict(traffic, stored)
}

/** No read failed, and every reported outcome is correct. */
export function trafficVerdict(
  { reads, failedReads, writes }: Pick<Traffic, 'reads' | 'failedReads' | 'writes'>,
  stored: ReadonlySet<string>,
): Verdict {
  const wrong = writes.filter((write) => isWrong(write, stored))
  const reading = `${whole(failedReads.length)} of ${whole(reads)} reads failed`
  return {
    holds: wrong.length === 0 && failedReads.length === 0 && reads > 0 && writes.length > 0,
    text: `${reading}, ${whole(writes.length - wrong.length)} of ${whole(writes.length)} outcomes correct`,
  }
}

function isWrong({ key, outcome }: Write, stored: ReadonlySet<string>): boolean {
  switch (outcome) {
    case 'acknowledged':
      return !stored.has(key)
    case 'none':
      return stored.has(key)
    case 'unknown':
      return false
  }
}

function describeWrites({ screen }: Stage, writes: readonly Write[], stored: ReadonlySet<string>): void {
  for (const outcome of ['acknowledged', 'unknown', 'none'] as const) {
    const matching = writes.filter((write) => write.outcome === outcome)
    const count = matching.filter(({ key }) => stored.has(key)).length
    const codes = [...new Set(matching.map(({ code }) => code))].join(', ')
    const name = outcome === 'acknowledged' ? outcome : `effect ${outcome}`
    const found = matching.length === 0 ? '' : `, ${whole(count)} stored`
    const reason = codes === '' ? '' : ` (${codes})`
    screen.row(name, `${whole(matching.length)} writes${found}${reason}`)
  }
}

/** Continuous reads and writes, with a record of their outcomes. */
class Traffic {
  reads = 0
  readonly failedReads: unknown[] = []
  readonly writes: Write[] = []
  readonly #stage: Stage
  readonly #work: Promise<unknown>
  #lastWriteAt = 0
  #stopped = false

  constructor(stage: Stage) {
    this.#stage = stage
    this.#work = Promise.all([
      ...Array.from({ length: readers }, () => this.#read()),
      ...Array.from({ length: writers }, (_, writer) => this.#write(writer)),
    ])
  }

  /** Waits until a write started after `time` has succeeded. */
  async writtenAfter(time: number): Promise<void> {
    while (this.#lastWriteAt < time) {
      if (performance.now() - time > patienceMs) throw new Error(`no write succeeded for ${patienceMs} ms`)
      await sleep(5)
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#work
  }

  async #read(): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#stage.etcd.get('tour/greeting')
      } catch (error) {
        this.failedReads.push(error)
      }
      this.reads += 1
      await sleep(2)
    }
  }

  async #write(writer: number): Promise<void> {
    for (let count = 0; !this.#stopped; count += 1) {
      const key = `${prefix}${writer}-${count}`
      const madeAt = performance.now()
      try {
        await this.#stage.etcd.put(key, 'here')
        this.writes.push({ key, outcome: 'acknowledged', code: undefined })
        this.#lastWriteAt = madeAt
      } catch (error) {
        if (!isEtcdError(error)) throw error
        this.writes.push({ key, outcome: error.effect, code: error.code })
      }
      await sleep(5)
    }
  }
}
