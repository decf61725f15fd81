import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { cacheFolder } from '../../src/testing/etcd-binary.js'
import { describeJob, type Job } from './jobs.js'
import type { JobResult } from './run-job.js'

/** The results of the last run, one line each, so that a run that was interrupted can be continued. */
export class Journal {
  readonly #file = join(cacheFolder(), 'matrix.jsonl')

  /** The results of these jobs in the last run, without those that failed. */
  passed(jobs: readonly Job[]): readonly JobResult[] {
    const wanted = new Set(jobs.map(describeJob))
    const results = this.#read().filter(({ job, records }) => wanted.has(describeJob(job)) && records.every(isGood))
    return [...new Map(results.map((result) => [describeJob(result.job), result])).values()]
  }

  clear(): void {
    rmSync(this.#file, { force: true })
  }

  add(result: JobResult): void {
    mkdirSync(dirname(this.#file), { recursive: true })
    appendFileSync(this.#file, `${JSON.stringify(result)}\n`)
  }

  #read(): readonly JobResult[] {
    if (!existsSync(this.#file)) return []
    const lines = readFileSync(this.#file, 'utf8').split('\n')
    return lines.filter((line) => line !== '').map((line) => JSON.parse(line))
  }
}

function isGood({ outcome }: JobResult['records'][number]): boolean {
  return outcome !== 'failed'
}
