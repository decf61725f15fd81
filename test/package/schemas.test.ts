import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { devProgram, PackedPackage, run } from './packed-package.js'
import { schemaLibraries } from './tools.js'

/** Compiled strictly: the lines with `Equal` are the tests of the types. */
const program = `
  import { type } from 'arktype'
  import { type Codec, type TypedKeyspace, Etcd, isEtcdError, json } from 'etcdkit'
  import * as v from 'valibot'
  import { z } from 'zod'

  type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
  const same = <A, B>(_: Equal<A, B>): void => {}

  interface Config { name: string; port: number; limits: { hosts: string[] } }
  const fromZod = json(z.object({ name: z.string(), port: z.number().int(), limits: z.object({ hosts: z.array(z.string()) }) }))
  const fromValibot = json(v.object({ name: v.string(), port: v.pipe(v.number(), v.integer()), limits: v.object({ hosts: v.array(v.string()) }) }))
  const fromArktype = json(type({ name: 'string', port: 'number.integer', limits: { hosts: 'string[]' } }))
  same<typeof fromZod, Codec<Config, Config>>(true)
  same<typeof fromValibot, Codec<Config, Config>>(true)
  same<typeof fromArktype, Codec<Config, Config>>(true)

  const withDefault = json(z.object({ at: z.coerce.date(), retries: z.number().default(3) }))
  const etcd = new Etcd({ endpoints: 'http://127.0.0.1:1' })
  const jobs = etcd.typed('jobs/', withDefault)
  type Job = { at: Date; retries: number }
  const described: TypedKeyspace<Job, { at: unknown; retries?: number | undefined }> = jobs
  same<Awaited<ReturnType<typeof jobs.get>>, Job | undefined>(true)
  const informer = () => jobs.informer({ prefix: 'a' }, { indexes: { retries: (job) => String(job.retries) } }).by('retries', '3')[0]?.value.at
  same<ReturnType<typeof informer>, Date>(true)
  const cached = () => [etcd.value('jobs/1', withDefault).current?.at, etcd.informer('jobs/1', { codec: withDefault }).get('a')?.at]
  same<ReturnType<typeof cached>, (Date | undefined)[]>(true)
  const read = async () => (await etcd.get('jobs/1'))?.as(withDefault).at
  const write = async () => {
    await jobs.put('1', { at: new Date(0) })
    // @ts-expect-error a required field is missing
    await jobs.put('1', {})
    // @ts-expect-error a field has the wrong type
    await jobs.update('1', (job) => ({ at: job?.at, retries: 'many' }))
    for await (const event of jobs.watch()) {
      if (event.type === 'put') same<typeof event.value, Job>(true)
      if (event.type === 'invalid') same<typeof event.value, undefined>(true)
    }
  }
  void [read, write, described]

  const failure = (action: () => unknown): string => {
    try {
      return JSON.stringify(action())
    } catch (error) {
      return isEtcdError(error) ? \`\${error.code} \${error.rawMessage}\` : String(error)
    }
  }
  const wrong = { name: 'a', port: 1.5, limits: { hosts: ['x', 7] } }
  const results = [fromZod, fromValibot, fromArktype].map((codec) => [
    failure(() => codec.decode(Buffer.from(codec.encode({ name: 'a', port: 1, limits: { hosts: ['x'] } })))),
    failure(() => codec.decode(Buffer.from(JSON.stringify(wrong)))),
    failure(() => codec.encode(wrong as never)),
    failure(() => codec.decode(Buffer.from('{'))),
  ])
  const job = withDefault.decode(Buffer.from(withDefault.encode({ at: new Date(0) })))
  const later = json(z.string().refine(async () => true))
  console.log(JSON.stringify({
    results,
    job: [job.at instanceof Date, job.retries, Buffer.from(withDefault.encode({ at: new Date(0) })).toString()],
    later: [failure(() => later.encode('a')), failure(() => later.decode(Buffer.from('"a"')))],
    schema: failure(() => etcd.typed('a/', z.string() as never)),
    notSchema: failure(() => json({} as never)),
  }))
  await etcd.close()
`

describe('Schemas of zod, valibot and arktype', () => {
  let project: PackedPackage

  before(async () => {
    const [installed, libraries] = await Promise.all([PackedPackage.install(), schemaLibraries()])
    project = installed
    for (const name of readdirSync(libraries)) {
      if (!name.startsWith('.')) project.link(join(libraries, name), `node_modules/${name}`)
    }
  })
  after(() => project?.[Symbol.dispose]())

  test('make codecs that validate both ways, with the types of the schema', async () => {
    project.write('schemas.mts', program)
    const strict = ['--strict', '--exactOptionalPropertyTypes', 'false', '--skipLibCheck', '--target', 'es2022']
    const modules = ['--module', 'nodenext', '--lib', 'es2022,esnext.disposable,dom', '--types', 'node']
    await run(devProgram('tsc'), [...strict, ...modules, 'schemas.mts'], project.folder)
    const { stdout } = await run(process.execPath, ['schemas.mjs'], project.folder)
    const { results, job, later, schema, notSchema } = JSON.parse(stdout)
    assert.equal(results.length, 3)
    for (const [valid, read, written, notJson] of results) {
      assert.equal(valid, '{"name":"a","port":1,"limits":{"hosts":["x"]}}')
      for (const field of [/port/, /limits\.hosts\[1\]/]) {
        assert.match(read, field)
        assert.match(written, field)
      }
      assert.match(read, /^DECODE_FAILED not valid: .*; /)
      assert.match(written, /^INVALID_ARGUMENT not valid: .*; /)
      assert.equal(notJson, 'DECODE_FAILED not valid JSON')
    }
    assert.deepEqual(job, [true, 3, '{"at":"1970-01-01T00:00:00.000Z"}'])
    for (const text of later)
      assert.match(text, /INVALID_ARGUMENT json\(\) needs a schema that validates synchronously/)
    assert.match(schema, /got a schema: pass json\(schema\)/)
    assert.match(notSchema, /json\(\) takes a schema .*, got an object/)
  })
})
