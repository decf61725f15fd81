import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '../..')

/** A run without time takes 5 s of CPU; the limit is for machines that are busy. */
const timeoutMs = 100_000

interface Run {
  readonly code: number | string | undefined
  readonly output: string
}

function fuzz(...flags: readonly string[]): Promise<Run> {
  const args = ['--import', './test/support/typescript.js', 'test/fuzz/run-fuzz.ts', ...flags]
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      args,
      { cwd: root, timeout: timeoutMs, killSignal: 'SIGKILL' },
      (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : (error.code ?? 'killed'), output: `${stdout}${stderr}` })
      },
    )
  })
}

test('Every public function answers or refuses any arguments, and leaves nothing running', async () => {
  const { code, output } = await fuzz()
  assert.equal(code, 0, output.slice(0, 20_000))
  assert.match(output, /^0 findings in \d{4,} calls of \d{3,} functions/m)
  assert.doesNotMatch(output, /MaxListenersExceededWarning/)
})
