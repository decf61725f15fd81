import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { poll } from '../../src/testing/index.js'
import { useCluster } from '../support/cluster.js'
import { RecipeProject, type Service } from './recipe-project.js'

/** A route that counts the clients that all loaded versions of the module have returned. */
const countingRoute = (version: number): string => `
  import { etcdClient } from '../../lib/etcd'
  const seen: Set<object> = ((globalThis as { seen?: Set<object> }).seen ??= new Set())
  export const dynamic = 'force-dynamic'
  export function GET(): Response {
    seen.add(etcdClient())
    return Response.json({ version: ${version}, clients: seen.size })
  }`

describe('Route handlers of Next.js', () => {
  const cluster = useCluster()
  let project: RecipeProject

  before(async () => {
    project = await RecipeProject.create({})
    project.copy('examples/frameworks/nextjs', '.')
    // The packages lie in the folder above, in the cache.
    project.write(
      'next.config.mjs',
      `export default { turbopack: { root: ${JSON.stringify(join(project.folder, '..'))} } }`,
    )
  })
  after(() => project?.remove())

  const next = (command: string): Promise<Service> => {
    const args = [project.installed('next/dist/bin/next'), command]
    return project.start(args, { ETCDCTL_ENDPOINTS: cluster.endpoints.join(','), NODE_ENV: undefined })
  }

  test('are built without a cluster and read and write', async (t) => {
    await project.run(process.execPath, [project.installed('next/dist/bin/next'), 'build'], { NODE_ENV: undefined })
    const service = await next('start')
    t.after(() => service.kill())
    assert.equal((await service.fetch('/flags/next')).status, 404)
    const written = await service.fetch('/flags/next', { method: 'PUT', body: 'on' })
    const { revision } = (await written.json()) as { revision: number }
    assert.deepEqual(await (await service.fetch('/flags/next')).json(), { value: 'on', revision })
  })

  test('keep their client when they are reloaded', async (t) => {
    project.write('app/clients/route.ts', countingRoute(1))
    const service = await next('dev')
    t.after(() => service.kill())
    const count = async () => (await (await service.fetch('/clients')).json()) as { version: number; clients: number }
    assert.deepEqual(await count(), { version: 1, clients: 1 })
    const module = readFileSync(join(project.folder, 'lib/etcd.ts'), 'utf8')
    project.write('lib/etcd.ts', `${module}\nexport const changed = true\n`)
    project.write('app/clients/route.ts', countingRoute(2))
    const reloaded = await poll('the route is reloaded', async () => {
      const found = await count()
      return found.version === 2 ? found : undefined
    })
    assert.equal(reloaded.clients, 1)
  })
})
