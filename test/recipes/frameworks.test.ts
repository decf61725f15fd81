import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { useCluster } from '../support/cluster.js'
import { RecipeProject, type Service } from './recipe-project.js'

const compilerOptions = {
  target: 'es2022',
  lib: ['es2022', 'esnext.disposable'],
  module: 'nodenext',
  types: ['node'],
  strict: true,
  exactOptionalPropertyTypes: true,
  verbatimModuleSyntax: true,
  experimentalDecorators: true,
  skipLibCheck: true,
  rootDir: '.',
  outDir: 'out',
}

const put = (body: string, contentType = 'text/plain'): RequestInit => ({
  method: 'PUT',
  body,
  headers: { 'content-type': contentType },
})

async function assertServes(service: Service, path: string, request: RequestInit): Promise<void> {
  assert.equal((await service.fetch(path)).status, 404)
  const written = await service.fetch(path, request)
  assert.equal(written.status, 200, service.output)
  const { revision } = (await written.json()) as { revision: number }
  const read = await service.fetch(path)
  assert.deepEqual(await read.json(), { value: 'on', revision })
}

describe('A service on a framework', () => {
  const cluster = useCluster()
  let project: RecipeProject

  before(async () => {
    project = await RecipeProject.create()
    project.write('tsconfig.json', JSON.stringify({ compilerOptions, include: ['express.ts', 'nestjs'] }))
    project.copy('examples/frameworks/express.ts', 'express.ts')
    project.copy('examples/frameworks/nestjs', 'nestjs')
    await project.bin('tsc', ['-p', '.', '--pretty', 'false'])
  })
  after(() => project?.remove())

  test('NestJS compiles and serves as a CommonJS project with decorator metadata', async (t) => {
    const commonJs = await RecipeProject.create({})
    t.after(() => commonJs.remove())
    const options = { ...compilerOptions, verbatimModuleSyntax: false, emitDecoratorMetadata: true }
    commonJs.write('tsconfig.json', JSON.stringify({ compilerOptions: options, include: ['src'] }))
    commonJs.copy('examples/frameworks/nestjs', 'src')
    await commonJs.bin('tsc', ['-p', '.', '--pretty', 'false'])
    const service = await commonJs.start(['out/src/main.js'], environment())
    t.after(() => service.kill())
    await assertServes(service, '/flags/nest-commonjs', put('{"value":"on"}', 'application/json'))
  })

  const environment = () => ({ ETCDCTL_ENDPOINTS: cluster.endpoints.join(','), ETCDCTL_DIAL_TIMEOUT: '1s' })

  test('Express reads, writes, maps errors to statuses and ends at SIGTERM', async (t) => {
    const service = await project.start(['out/express.js'], environment())
    t.after(() => service.kill())
    await assertServes(service, '/flags/express', put('on'))
    assert.equal((await service.fetch('/readyz')).status, 200)
    await cluster.kill(0)
    const refused = await service.fetch('/flags/dark', put('off'))
    assert.deepEqual([refused.status, await refused.json()], [503, { code: 'NOT_CONNECTED', effect: 'none' }])
    assert.equal(refused.headers.get('retry-after'), '1')
    assert.equal((await service.fetch('/readyz')).status, 503)
    await cluster.restart(0)
    assert.equal(await service.terminate(), 0)
    assert.equal(service.output, '')
  })

  test('NestJS injects the client, reports it as unhealthy, and closes it at SIGTERM', async (t) => {
    const service = await project.start(['out/nestjs/main.js'], environment())
    t.after(() => service.kill())
    await assertServes(service, '/flags/nest', put('{"value":"on"}', 'application/json'))
    assert.equal((await service.fetch('/readyz')).status, 200)
    await cluster.kill(0)
    const { status, error } = (await (await service.fetch('/readyz')).json()) as { status: string; error: object }
    assert.deepEqual([status, Object.keys(error)], ['error', ['etcd']])
    await cluster.restart(0)
    assert.equal(await service.terminate(), 'SIGTERM')
    assert.match(service.output, /^.*Health Check has failed! \{"etcd".*\n$/)
  })
})
