const assert = require('node:assert/strict')
const { RateLimiterEtcd, RateLimiterEtcdNonAtomic } = require('rate-limiter-flexible')
const { Etcd3 } = require('etcd3')

async function main() {
  const storeClient = new Etcd3({ hosts: process.env.ETCD_ADDRESS })
  for (const Limiter of [RateLimiterEtcd, RateLimiterEtcdNonAtomic]) {
    const limiter = new Limiter({ storeClient, points: 2, duration: 60, keyPrefix: Limiter.name })
    assert.equal((await limiter.consume('user')).remainingPoints, 1)
    assert.equal((await limiter.consume('user')).remainingPoints, 0)
    const refused = await limiter.consume('user').catch((error) => error)
    assert.ok(refused.msBeforeNext > 0)
    await limiter.block('user', 5)
    assert.equal((await limiter.get('user')).remainingPoints, 0)
    assert.equal(await limiter.delete('user'), true)
    assert.equal(await limiter.get('user'), null)
  }
  const atomic = new RateLimiterEtcd({ storeClient, points: 100, duration: 60, keyPrefix: 'shared' })
  await Promise.allSettled(Array.from({ length: 5 }, () => atomic.consume('user')))
  assert.ok((await atomic.get('user')).consumedPoints >= 1)
  storeClient.close()
}

main()
