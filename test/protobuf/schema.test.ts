import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fromJSON, type ServiceDefinition } from '@grpc/proto-loader'
import protobuf from 'protobufjs'
import * as codecs from '../../src/protobuf/generated/codecs.js'
import { descriptor } from '../../src/protobuf/generated/descriptor.js'
import type { Method } from '../../src/protobuf/method.js'
import { methods } from '../../src/protobuf/methods.js'
import { wireEnums, wireMessages, wireMethods } from './wire-table.js'

const folder = join(import.meta.dirname, '..', '..')

function parseProto(): protobuf.ReflectionObject[] {
  const root = new protobuf.Root()
  for (const file of readdirSync(join(folder, 'proto'))) {
    protobuf.parse(readFileSync(join(folder, 'proto', file), 'utf8'), root, { keepCase: true })
  }
  root.resolveAll()
  return descendants(root)
}

function descendants(parent: protobuf.NamespaceBase): protobuf.ReflectionObject[] {
  return parent.nestedArray.flatMap((object) =>
    object instanceof protobuf.Namespace ? [object, ...descendants(object)] : [object],
  )
}

function describeField(field: protobuf.Field): string {
  const type = field instanceof protobuf.MapField ? `map<${field.keyType},${field.type}>` : field.type
  const oneof = field.partOf ? ` in ${field.partOf.name}` : ''
  return `${field.id} ${field.name}: ${field.repeated ? 'repeated ' : ''}${type}${oneof}`
}

function describeMessage(type: protobuf.Type): string {
  return `${type.fullName.slice(1)}: ${type.fieldsArray.map(describeField).join('; ')}`.trimEnd()
}

function describeEnum(type: protobuf.Enum): string {
  const values = Object.entries(type.values).map(([name, number]) => `${name}=${number}`)
  return `${type.fullName.slice(1)}: ${values.join(', ')}`
}

function describeMethod({
  fullName,
  requestType,
  responseType,
  requestStream,
  responseStream,
}: protobuf.Method): string {
  const kind = requestStream ? 'bidi' : responseStream ? 'serverStream' : 'unary'
  const path = fullName.slice(1).replace(/\.(\w+)$/, '/$1')
  return `${path}: ${requestType} ${responseType} ${kind}`
}

const lines = (table: string) => table.trim().split('\n').sort()
const proto = parseProto()

test('proto/ declares every message and field of the protocol, with its number and type', () => {
  const messages = proto.filter((object) => object instanceof protobuf.Type)
  assert.equal(messages.length, 121)
  assert.equal(messages.flatMap((message) => message.fieldsArray).length, 264)
  assert.deepEqual(messages.map(describeMessage).sort(), lines(wireMessages))
})

test('proto/ declares every enum of the protocol with its values', () => {
  const enums = proto.filter((object) => object instanceof protobuf.Enum)
  assert.equal(enums.length, 11)
  assert.deepEqual(enums.map(describeEnum).sort(), lines(wireEnums))
})

test('proto/ declares every RPC of the protocol with its messages and its direction', () => {
  const services = proto.filter((object) => object instanceof protobuf.Service)
  const rpcs = services.flatMap((service) => service.methodsArray)
  assert.equal(rpcs.length, 52)
  assert.deepEqual(rpcs.map(describeMethod).sort(), lines(wireMethods))
})

test('the generated files are what the generator writes', () => {
  const script = join(folder, 'scripts', 'generate.ts')
  const run = spawnSync(process.execPath, ['--import', 'tsx', script, '--check'], { cwd: folder, encoding: 'utf8' })
  assert.equal(run.status, 0, run.stderr)
})

function rows(): Method<never, unknown>[] {
  return Object.values(methods).flatMap((service): Method<never, unknown>[] => Object.values(service))
}

test('every message that an RPC carries has generated code, and no other has', () => {
  const generated = new Set(Object.keys(codecs).map((name) => name.replace(/^(read|write)/, '')))
  const messages = proto.filter((object) => object instanceof protobuf.Type).map(({ name }) => name)
  // etcd's members send these to each other, or keep them in their database.
  assert.deepEqual(messages.filter((name) => !generated.has(name)).sort(), [
    'DowngradeVersionTestRequest',
    'LeaseCheckpoint',
    'LeaseCheckpointRequest',
    'LeaseCheckpointResponse',
    'Role',
    'User',
  ])
})

test('every RPC has one row, with the path and the direction of its service definition', () => {
  const definitions = fromJSON(descriptor as protobuf.INamespace)
  const expected = Object.entries(definitions)
    .filter(([, definition]) => definition.format === undefined)
    .flatMap(([, service]) => Object.values(service as ServiceDefinition))
    .map(({ path, requestStream, responseStream }) => ({
      path,
      kind: requestStream ? 'bidi' : responseStream ? 'serverStream' : 'unary',
    }))
  assert.equal(expected.length, 52)
  const actual = rows().map(({ path, kind }) => ({ path, kind }))
  const byPath = (a: { path: string }, b: { path: string }) => a.path.localeCompare(b.path)
  assert.deepEqual(actual.sort(byPath), expected.sort(byPath))
})

test('a row has the name of its service and method', () => {
  for (const { name, path } of rows()) assert.ok(path.endsWith(`.${name.replace('.', '/')}`), `${name} ${path}`)
})

test('methods that change nothing are repeatable', () => {
  const writes = rows().flatMap((row) => (row.repeatable && !row.readOnly ? [row.name] : []))
  assert.deepEqual(writes.sort(), [
    'Lease.LeaseGrant',
    'Lease.LeaseRevoke',
    'Maintenance.Alarm',
    'Maintenance.MoveLeader',
  ])
  assert.ok(rows().every((row) => row.repeatable || !row.readOnly))
})

test('repeatable are these methods only', () => {
  const names = rows().flatMap((row) => (row.repeatable ? [row.name] : []))
  assert.deepEqual(names.sort(), [
    'Auth.AuthStatus',
    'Auth.RoleGet',
    'Auth.RoleList',
    'Auth.UserGet',
    'Auth.UserList',
    'Cluster.MemberList',
    'Election.Leader',
    'Election.Observe',
    'Health.Check',
    'Health.List',
    'Health.Watch',
    'KV.Range',
    'KV.RangeStream',
    'Lease.LeaseGrant',
    'Lease.LeaseLeases',
    'Lease.LeaseRevoke',
    'Lease.LeaseTimeToLive',
    'Maintenance.Alarm',
    'Maintenance.Hash',
    'Maintenance.HashKV',
    'Maintenance.MoveLeader',
    'Maintenance.Snapshot',
    'Maintenance.Status',
  ])
})
