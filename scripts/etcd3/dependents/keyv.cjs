const assert = require('node:assert/strict')
const { setTimeout: sleep } = require('node:timers/promises')
const { default: Keyv } = require('keyv')
const { KeyvEtcd } = require('@keyv/etcd')

async function main() {
  const keyv = new Keyv({ store: new KeyvEtcd(`etcd://${process.env.ETCD_ADDRESS}`), namespace: 'cache' })
  assert.equal(await keyv.get('missing'), undefined)
  await keyv.set('one', { n: 1 })
  await keyv.set('two', [2])
  assert.deepEqual(await keyv.get('one'), { n: 1 })
  assert.deepEqual(await keyv.get(['one', 'two', 'missing']), [{ n: 1 }, [2], undefined])
  assert.equal(await keyv.has('one'), true)
  assert.equal(await keyv.delete('one'), true)
  assert.equal(await keyv.delete('one'), false)
  assert.equal(await keyv.has('one'), false)
  await keyv.clear()
  assert.equal(await keyv.get('two'), undefined)
  await keyv.disconnect()

  const leased = new KeyvEtcd(process.env.ETCD_ADDRESS, { ttl: 1000 })
  await leased.set('short', 'lived')
  assert.equal(await leased.get('short'), 'lived')
  while ((await leased.get('short')) !== null) await sleep(100)
  await leased.disconnect()
}

main()
