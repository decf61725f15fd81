import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { before, describe, test } from 'node:test'
import { npmModules } from './support/npm-modules.js'

const root = join(import.meta.dirname, '..')

interface Form {
  readonly name: string
  readonly description: string
  readonly body: readonly { readonly type: string; readonly id?: string; readonly attributes: object }[]
}

interface Step {
  readonly uses?: string
  readonly run?: string
}

interface Workflow {
  readonly name: string
  readonly permissions: object
  readonly jobs: Readonly<Record<string, { readonly 'timeout-minutes': number; readonly steps: readonly Step[] }>>
}

describe('.github', () => {
  let parse: (text: string) => unknown
  const files = (folder: string) => readdirSync(join(root, '.github', folder)).filter((name) => name.endsWith('.yml'))
  const read = (path: string) => parse(readFileSync(join(root, '.github', path), 'utf8'))

  before(async () => {
    const modules = await npmModules(join(root, 'scripts/site/package.json'))
    parse = createRequire(join(modules, 'x'))('yaml').parse
  })

  test('has valid issue forms', () => {
    const forms = files('ISSUE_TEMPLATE').filter((name) => name !== 'config.yml')
    assert.deepEqual(forms, ['bug.yml', 'feature.yml', 'question.yml'])
    for (const file of forms) {
      const { name, description, body } = read(`ISSUE_TEMPLATE/${file}`) as Form
      assert.ok(name !== '' && description !== '', file)
      const ids = body.flatMap(({ id }) => (id === undefined ? [] : [id]))
      assert.equal(new Set(ids).size, ids.length, file)
      for (const { type, id, attributes } of body) {
        assert.match(type, /^(markdown|textarea|input|dropdown|checkboxes)$/)
        assert.ok(
          type === 'markdown' ? 'value' in attributes : id !== undefined && 'label' in attributes,
          `${file} ${id}`,
        )
      }
    }
  })

  test('has workflows with permissions and time limits, whose scripts exist', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
    const workflows = files('workflows')
    assert.ok(workflows.includes('ci.yml') && workflows.includes('site.yml'))
    for (const file of workflows) {
      const { permissions, jobs } = read(`workflows/${file}`) as Workflow
      assert.ok(permissions !== undefined, `${file} has no permissions`)
      for (const [name, job] of Object.entries(jobs)) {
        assert.ok(job['timeout-minutes'] > 0, `${file}: ${name} has no time limit`)
        const commands = job.steps.flatMap(({ run = '' }) => [...run.matchAll(/npm run (?:--silent )?([\w:-]+)/g)])
        const unknown = commands.map(([, script = '']) => script).filter((script) => !(script in scripts))
        assert.deepEqual(unknown, [], `${file}: ${name}`)
      }
    }
  })
})
