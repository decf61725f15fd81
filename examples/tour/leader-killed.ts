import { setTimeout as sleep } from 'node:timers/promises'
import { type Effect, isEtcdError } from 'etcdkit'
import { ms, type Verdict, whole } from './screen.js'
import type { Stage } from './stage.js'

const prefix = 'tour/writes/'
const readers = 8
const writers = 4
const patienceMs = 15_000

/** What the client said of one write, each of which has a key of its own. */
export interface Write {
  readonly key: string
  readonly said: 'acknowledged' | Effect
  readonly code: string | undefined
}

/** Kills the leader under traffic: no read may fail, and what is said of each write must be what the cluster holds. */
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
  screen.row('killed', `${cluster.members[leader]?.name}, which led; writes again after ${ms(recoveredMs)}`)
  screen.row('reads', `${whole(traffic.reads)} made, ${traffic.failedReads.length} failed`)
  describeWrites(stage, traffic.writes, stored)
  for (const { key, said } of traffic.writes.filter((write) => isLie(write, stored))) {
    screen.row('not true', `${key} was said to be ${said}`)
  }
  for (const error of traffic.failedReads.slice(0, 3)) screen.row('failed', String(error))
  return trafficVerdict(traffic, stored)
}

/** No read failed, and nothing that was said of a write is untrue. */
export function trafficVerdict(
  { reads, failedReads, writes }: Pick<Traffic, 'reads' | 'failedReads' | 'writes'>,
  stored: ReadonlySet<string>,
): Verdict {
  const lies = writes.filter((write) => isLie(write, stored))
  const reading = `${whole(failedReads.length)} of ${whole(reads)} reads failed`
  return {
    holds: lies.length === 0 && failedReads.length === 0 && reads > 0 && writes.length > 0,
    text: `${reading}, ${whole(writes.length - lies.length)} of ${whole(writes.length)} writes as said`,
  }
}

function isLie({ key, said }: Write, stored: ReadonlySet<string>): boolean {
  switch (said) {
    case 'acknowledged':
      return !stored.has(key)
    case 'none':
      return stored.has(key)
    case 'unknown':
      return false
  }
}

function describeWrites({ screen }: Stage, writes: readonly Write[], stored: ReadonlySet<string>): void {
  for (const said of ['acknowledged', 'unknown', 'none'] as const) {
    const those = writes.filter((write) => write.said === said)
    const there = those.filter(({ key }) => stored.has(key)).length
    const codes = [...new Set(those.map(({ code }) => code))].join(', ')
    const name = said === 'acknowledged' ? said : `effect ${said}`
    const found = those.length === 0 ? '' : `, ${whole(there)} of them are there`
    const reason = codes === '' ? '' : ` (${codes})`
    screen.row(name, `${whole(those.length)} writes${found}${reason}`)
  }
}

/** Readers and writers that never rest, and the record of what the client told them. */
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

  /** Waits until a write was acknowledged that was made after `time`. */
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
        this.writes.push({ key, said: 'acknowledged', code: undefined })
        this.#lastWriteAt = madeAt
      } catch (error) {
        if (!isEtcdError(error)) throw error
        this.writes.push({ key, said: error.effect, code: error.code })
      }
      await sleep(5)
    }
  }
}
