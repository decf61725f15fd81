/** Runs the jobs in their order, at most `concurrency` at a time. Calls `done` with each result. */
export async function runPool<Job, Result>(
  jobs: readonly Job[],
  concurrency: number,
  run: (job: Job) => Promise<Result>,
  done: (result: Result) => void,
): Promise<void> {
  const queue = [...jobs]
  const work = async (): Promise<void> => {
    for (let job = queue.shift(); job !== undefined; job = queue.shift()) done(await run(job))
  }
  await Promise.all(Array.from({ length: concurrency }, work))
}
