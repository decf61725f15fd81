/** Programs, each the body of an async function that prints its result: see the prelude in `program.ts`. */
export type Programs = Readonly<Record<string, string>>

/** On one member: speed, memory, and calls that fail without any fault. */
export const programs: Programs = {
  'put, 64 at a time': `print(await load(64, 3000, (n) => client.put('bench/' + n % 1000).value('x'.repeat(100))))`,
  'get, 64 at a time': `
    for (let n = 0; n < 1000; n += 1) await client.put('bench/' + n).value('x'.repeat(100))
    print(await load(64, 3000, (n) => client.get('bench/' + n % 1000).buffer()))`,
  'watch, backlog of 5,000 events': `
    const { header } = await client.put('watched').value('')
    await Promise.all(Array.from({ length: 50 }, async () => { for (let n = 0; n < 100; n++) await client.put('watched').value('x') }))
    const began = performance.now()
    let count = 0
    const watcher = client.watch().key('watched').startRevision(header.revision).watcher()
    await new Promise((resolve) => watcher.on('put', () => { count += 1; if (count === 5001) resolve() }))
    print(number(count / (performance.now() - began) * 1000) + '/s')`,
  'watch, backlog of 10 MB': `
    const { header } = await client.put('large').value('')
    for (let n = 0; n < 1000; n += 1) await client.put('large').value('x'.repeat(10_000))
    let count = 0
    client.watch().key('large').startRevision(header.revision).watcher().on('put', () => { count += 1 })
    await sleep(3000)
    print(number(1001 - count) + ' of 1,001 events lost')`,
  '1,000 leases': `
    const before = process.memoryUsage().rss
    await Promise.all(Array.from({ length: 1000 }, () => client.lease(10).grant()))
    await sleep(2000)
    print(Math.round((process.memoryUsage().rss - before) / 2 ** 20) + ' MiB RSS')`,
  '`stm()` that reads a key and writes a newer one': `
    await client.put('old').value('1'); await client.put('new').value('1')
    print(await settled(client.stm().transact(async (tx) => { await tx.get('old'); await tx.put('new').value('2') }), 5000))`,
  '`role.revoke([permission])`': `
    const role = await client.role('bench').create()
    const permission = { permission: 'Read', range: client.range({ prefix: 'p' }) }
    await role.grant(permission); await role.revoke([permission])
    const left = (await role.permissions()).length
    await role.delete()
    print(left === 0 ? 'revoked' : 'still granted')`,
  '`lock.do()` whose lock is lost meanwhile': `
    const lock = client.lock('bench-lock').ttl(5)
    print(await settled(lock.do(async () => {
      await client.leaseClient.leaseRevoke({ ID: await lock.leaseId() })
      await sleep(3000)
    }), 8000))`,
  '`watch().create()`, no member answers': `
    print(await settled(new Etcd3({ hosts: '127.0.0.1:1' }).watch().key('a').create(), 15000))`,
  '`if().then()` without `commit()`': `
    print(await settled((async () => { await client.if('a', 'Create', '==', 0).then(client.put('a').value('')) })(), 2000))`,
  'a get after one with a past deadline': `
    await client.get('a').options({ deadline: 1 }).exec().catch(() => {})
    print(await settled(client.get('a').exec(), 2000))`,
  '`close()` with a watch and a lease': `
    await client.watch().key('a').create(); await client.lease(10).grant(); client.close()
    process.on('exit', () => process.send({ result: 'the process exits' }))
    setTimeout(() => { process.send({ result: 'the process still runs after 5 s' }, () => process.reallyExit()) }, 5000).unref()
    process.channel.unref()`,
  'a second candidate whose lease is revoked, then the leader resigns': `
    const names = ['first', 'second', 'third']
    const elected = []
    const campaigns = []
    for (const name of names) {
      const campaign = client.election('bench' + process.pid).campaign(name)
      campaign.on('error', () => {}).on('elected', () => elected.push(name))
      await campaign.getCampaignKey()
      await sleep(300)
      campaigns.push(campaign)
    }
    const key = await campaigns[1].getCampaignKey()
    await client.leaseClient.leaseRevoke({ ID: key.slice(key.lastIndexOf('/') + 1) })
    await campaigns[0].resign()
    await sleep(2000)
    print('elected: ' + elected.slice(1).sort().reverse().join(', '))`,
  'a watch after one that is denied': `
    await client.role('limited').create().then((role) => role.grant({ permission: 'Readwrite', key: 'allowed' }))
    await client.user('limited').create('secret').then((user) => user.addRole('limited'))
    const root = await client.role('root').create()
    await client.user('root').create('secret').then((user) => user.addRole(root))
    await client.auth.authEnable()
    const auth = (username) => ({ hosts: process.env.ENDPOINTS, auth: { username, password: 'secret' } })
    const limited = new Etcd3(auth('limited'))
    await limited.watch().key('denied').create().catch(() => {})
    const result = await settled(limited.watch().key('allowed').create(), 5000)
    const admin = new Etcd3(auth('root'))
    await admin.auth.authDisable()
    for (const name of ['limited', 'root']) { await client.user(name).delete(); await client.role(name).delete() }
    print(result)`,
}

/** On three members behind proxies, with faults. */
export const faultPrograms: Programs = {
  'puts, the leader is killed': `print(await during('kill the leader', 15_000, (key) => client.put('killed/' + key).value('x').exec()))`,
  'gets without a deadline, a follower is frozen': `print(await during('freeze a follower', 15_000, () => client.get('a').exec()))`,
  '10 puts whose answers are lost': `
    let failed = 0
    for (let n = 0; n < 10; n += 1) {
      await client.get('a').exec().catch(() => {})
      await fault('lose answers')
      const put = client.put(process.pid + '/' + n).value('x').exec().catch(() => { failed += 1 })
      await sleep(300)
      await fault('heal')
      await put
    }
    const { kvs } = await direct().getAll().prefix(process.pid + '/').exec()
    print(kvs.filter(({ version }) => version !== '1').length + ' applied twice, ' + failed + ' rejected')`,
  '10 create-if-absent transactions whose answers are lost': `
    let wrong = 0, failed = 0
    for (let n = 0; n < 10; n += 1) {
      await client.get('a').exec().catch(() => {})
      await fault('lose answers')
      const key = process.pid + '/' + n
      const txn = client.if(key, 'Create', '==', 0).then(client.put(key).value('x')).commit()
      const done = txn.then(({ succeeded }) => { if (!succeeded) wrong += 1 }, () => { failed += 1 })
      await sleep(300)
      await fault('heal')
      await done
    }
    print(wrong + ' report that another was first, ' + failed + ' rejected')`,
  'watch, the connection is cut in a backlog of 5,000 events': `
    const { header } = await client.put('cut').value('')
    const writer = direct()
    await Promise.all(Array.from({ length: 50 }, async () => { for (let n = 0; n < 100; n++) await writer.put('cut').value('x'.repeat(50)) }))
    await fault('slow down')
    let count = 0
    const watcher = client.watch().key('cut').startRevision(header.revision).watcher()
    watcher.on('put', () => { count += 1 })
    await new Promise((resolve) => watcher.once('data', resolve))
    await fault('cut')
    await fault('heal')
    await sleep(6000)
    print(number(5001 - count) + ' of 5,001 events lost')`,
  'watch, the connection is lost twice during 50 puts': `
    const writer = direct()
    const watcher = await client.watch().prefix('twice').create()
    let count = 0
    watcher.on('put', () => { count += 1 })
    await fault('isolate')
    for (let n = 0; n < 50; n += 1) await writer.put('twice').value('x')
    watcher.once('connected', () => fault('cut'))
    await fault('heal')
    await sleep(6000)
    print(50 - count + ' of 50 events lost')`,
  'lease of 2 s, the connection is lost': `
    let [lost, deleted] = [Infinity, Infinity]
    const lease = client.lease(2)
    lease.on('lost', () => { lost = performance.now() })
    await lease.put('leased').value('')
    const watcher = await direct().watch().key('leased').create()
    watcher.on('delete', () => { deleted = performance.now() })
    await new Promise((resolve) => lease.once('keepaliveSucceeded', resolve))
    await fault('isolate')
    await sleep(8000)
    const late = lost - deleted
    print('\`lost\` ' + seconds(Math.abs(late)) + (late > 0 ? ' after' : ' before') + ' the key is deleted')`,
  'election with a TTL of 2 s, the leader loses its connection': `
    let [over, second] = [Infinity, Infinity]
    const leader = await client.election('cut' + process.pid, 2).campaign('first').wait()
    leader.on('error', () => { over = performance.now() })
    const candidate = direct().election('cut' + process.pid, 2).campaign('second')
    candidate.on('error', () => {}).on('elected', () => { second = performance.now() })
    await candidate.getCampaignKey()
    await sleep(1000)
    await fault('isolate')
    await sleep(8000)
    print(over < second ? 'one leader at a time' : 'two leaders for ' + seconds(over - second))`,
}
