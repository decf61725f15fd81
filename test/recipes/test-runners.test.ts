import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { RecipeProject } from './recipe-project.js'

/** The runners start the cluster on their own: the environment names none. */
const withoutEndpoints = { ETCDCTL_ENDPOINTS: undefined }

describe('The tests of a service share one cluster', () => {
  let esm: RecipeProject
  let commonJs: RecipeProject
  let nodeTest: RecipeProject

  before(async () => {
    ;[esm, nodeTest, commonJs] = await Promise.all([
      RecipeProject.create(),
      RecipeProject.create(),
      RecipeProject.create({}),
    ])
    esm.copy('examples/testing/vitest', '.')
    nodeTest.copy('examples/testing/node-test', '.')
    commonJs.copy('examples/testing/jest', '.')
  })
  after(() => {
    for (const project of [esm, nodeTest, commonJs]) project?.remove()
  })

  test('in Vitest', async () => {
    const { stdout } = await esm.bin('vitest', ['run', '--dir', 'test'], withoutEndpoints)
    assert.match(stdout, /1 passed/)
  })

  test('in Jest, which exits without a warning', async () => {
    const { stderr } = await commonJs.bin('jest', [], withoutEndpoints)
    assert.match(stderr, /1 passed/)
    assert.doesNotMatch(stderr, /did not exit|force exit|open handle/i)
  })

  test('in node:test, and in whatever `etcdkit dev` runs', async () => {
    const { scripts } = JSON.parse(nodeTest.read('package.json'))
    const program = 'node_modules/etcdkit/dist/cli/bin.js'
    const [name, ...args] = scripts.test.split(' ')
    assert.equal(name, 'etcdkit')
    const { stdout } = await nodeTest.run(process.execPath, [program, ...args], withoutEndpoints)
    assert.match(stdout, /pass 1\b/)
  })
})
