import { setTimeout as sleep } from 'node:timers/promises'
import { put } from 'etcdkit'
import { ms, type Verdict, whole } from './screen.js'
import { repeat, type Stage } from './stage.js'

const prefix = 'tour/list/'
const keyCount = 10_000
const batchSize = 100
const maxPageSize = 1000

/** Lists many keys page by page under concurrent writes: all pages must show the revision of the first one. */
export async function listWhileChanging(stage: Stage): Promise<Verdict> {
  const { etcd, screen } = stage
  const loadMs = await load(stage)
  const changes = new Changes(stage)
  const seen: string[] = []
  const revisions = new Set<number>()
  let pages = 0
  for await (const { kvs, revision } of etcd.list({ prefix }, { maxPageSize }).pages()) {
    // The first page determines the revision: every change comes later.
    if (pages === 0) changes.begin()
    pages += 1
    revisions.add(revision)
    for (const kv of kvs) seen.push(`${kv.keyText}=${kv.valueText}`)
    await sleep(10) // simulates work on each page
  }
  const made = await changes.end()
  screen.row('written', `${whole(keyCount)} keys in ${ms(loadMs)}, ${batchSize} in a transaction`)
  screen.row('listed', `${pages} pages, all at revision ${[...revisions].join(', ')}`)
  screen.row('meanwhile', `${whole(made)} keys overwritten, deleted or added`)
  return listingVerdict(seen, revisions.size, made)
}

/** The listing returned each loaded key once, unchanged, and nothing else. */
export function listingVerdict(seen: readonly string[], revisions: number, changes: number): Verdict {
  const missing = missingFrom(new Set(seen))
  return {
    holds: missing === 0 && seen.length === keyCount && revisions === 1 && changes > 0,
    text: `${whole(seen.length)} keys: ${missing} missing, ${seen.length + missing - keyCount} too many or changed`,
  }
}

function keyName(index: number): string {
  return `${prefix}${String(index).padStart(5, '0')}`
}

/** Number of keys that the listing did not return with their original value. */
function missingFrom(seen: ReadonlySet<string>): number {
  const expected = Array.from({ length: keyCount }, (_, index) => `${keyName(index)}=original`)
  return expected.filter((entry) => !seen.has(entry)).length
}

async function load({ etcd, screen }: Stage): Promise<number> {
  const startedAt = performance.now()
  let written = 0
  await repeat(keyCount / batchSize, 4, async (batch) => {
    const puts = Array.from({ length: batchSize }, (_, index) => put(keyName(batch * batchSize + index), 'original'))
    await etcd
      .txn()
      .then(...puts)
      .commit()
    written += batchSize
    screen.progress(`writing keys: ${whole(written)} of ${whole(keyCount)}`)
  })
  return performance.now() - startedAt
}

/** Concurrent writers that change the keys continuously. */
class Changes {
  readonly #stage: Stage
  #made = 0
  #stopped = false
  #work: Promise<unknown> = Promise.resolve()

  constructor(stage: Stage) {
    this.#stage = stage
  }

  begin(): void {
    this.#work = Promise.all(Array.from({ length: 8 }, (_, worker) => this.#change(worker)))
  }

  /** Stops the writers and returns the number of changes. */
  async end(): Promise<number> {
    this.#stopped = true
    await this.#work
    return this.#made
  }

  /** Changes keys all over the range, so that every page is affected. */
  async #change(worker: number): Promise<void> {
    const { etcd } = this.#stage
    for (let step = worker; !this.#stopped; step += 8) {
      const key = keyName((step * 7919) % keyCount)
      if (step % 3 === 0) await etcd.put(key, 'overwritten')
      else if (step % 3 === 1) await etcd.delete(key)
      else await etcd.put(`${key}/added`, 'new')
      this.#made += 1
    }
  }
}
