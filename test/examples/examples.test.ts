import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { promisify } from 'node:util'
import { useCluster } from '../support/cluster.js'

const root = join(import.meta.dirname, '../..')
/** The tour has its own tests. */
const programs = readdirSync(join(root, 'examples')).filter((name) => name.endsWith('.ts') && name !== 'tour.ts')

describe('The examples', () => {
  const cluster = useCluster()

  for (const name of programs) {
    test(`${name} runs twice and exits`, async () => {
      const args = ['--import', './test/support/typescript.js', join('examples', name), ...cluster.endpoints]
      for (const _ of ['first', 'second']) {
        const { stdout, stderr } = await promisify(execFile)(process.execPath, args, { cwd: root, timeout: 30_000 })
        assert.equal(stderr, '')
        assert.match(stdout, /\S/)
        assert.doesNotMatch(stdout, /undefined|NaN|\[object/)
      }
    })
  }
})
