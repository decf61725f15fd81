import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { checkEndpoint, endpointCodec } from '../../src/naming/endpoint-record.js'
import { parseAddress } from '../../src/naming/grpc-listener.js'
import { registerResolver, ServiceEndpoints } from '../../src/naming/index.js'

describe('An endpoint record', () => {
  /** What go.etcd.io/etcd/client/v3/naming/endpoints 3.6.16 stores. */
  const stored = [
    ['{"Op":0,"Addr":"127.0.0.1:8080","Metadata":null}', { address: '127.0.0.1:8080', metadata: undefined }],
    ['{"Op":0,"Addr":"h:1","Metadata":{"w":5,"zone":"a"}}', { address: 'h:1', metadata: { w: 5, zone: 'a' } }],
    ['{"Op":0,"Addr":"h:1","Metadata":"text"}', { address: 'h:1', metadata: 'text' }],
    ['{"Op":0,"Addr":"h:1","Metadata":0}', { address: 'h:1', metadata: 0 }],
  ] as const

  test('is encoded and decoded as in Go', () => {
    for (const [text, record] of stored) {
      assert.deepEqual(endpointCodec.decode(Buffer.from(text)), record)
      assert.equal(Buffer.from(endpointCodec.encode(record)).toString(), text)
    }
    // grpc-proxy writes all fields; other writers may omit some.
    assert.deepEqual(endpointCodec.decode(Buffer.from('{"Addr":"h:1"}')), { address: 'h:1', metadata: undefined })
  })

  test('is rejected if it is invalid', () => {
    for (const text of ['', 'null', '[]', '{"Op":0}', '{"Addr":1}', '"h:1"']) {
      assert.throws(() => endpointCodec.decode(Buffer.from(text)), { code: 'DECODE_FAILED' })
    }
    assert.throws(() => checkEndpoint(Object({ addr: 'h:1' })), /unknown option `addr` of a service endpoint/)
    assert.throws(() => checkEndpoint({ address: '' }), /`address` must be a string such as 10.0.0.1:8080, got ""/)
    assert.throws(() => checkEndpoint({ address: 'h:1', name: '' }), /`name` must be a non-empty string/)
  })
})

describe('An address for grpc-js', () => {
  test('is parsed from every form that gRPC accepts', () => {
    assert.deepEqual(parseAddress('10.0.0.1:80'), { host: '10.0.0.1', port: 80 })
    assert.deepEqual(parseAddress('api.local:65535'), { host: 'api.local', port: 65535 })
    assert.deepEqual(parseAddress('[::1]:80'), { host: '::1', port: 80 })
    assert.deepEqual(parseAddress('unix:/run/api'), { path: '/run/api' })
    assert.deepEqual(parseAddress('unix:///run/api'), { path: '/run/api' })
    for (const none of ['', 'host', 'host:', ':80', 'h:0', 'h:65536', '::1:80', 'http://h:1']) {
      assert.equal(parseAddress(none), undefined, none)
    }
  })
})

describe('Naming', () => {
  test('rejects an invalid target, scheme or grpc-js module', () => {
    const store = Object({ txn() {} })
    assert.throws(() => new ServiceEndpoints(store, ''), /`target` must be a name without a slash at its end, got ""/)
    assert.throws(() => new ServiceEndpoints(store, 'api/'), /got "api\/"/)
    assert.throws(() => registerResolver(Object({}), store), /`grpc` must be the module @grpc\/grpc-js, got an object/)
    assert.throws(() => registerResolver(Object({}), store, { scheme: '' }), /`scheme` must be a URI scheme/)
  })
})
