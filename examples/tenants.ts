/**
 * Tenants that share a cluster: each has a user, a role and a namespace, and the cluster enforces the separation:
 * `npx tsx examples/tenants.ts`.
 */
import { Etcd, isEtcdError } from 'etcdkit'
import { EtcdCluster } from 'etcdkit/testing'

const rootPassword = 'a-secret-of-the-operator'
await using cluster = await EtcdCluster.start({ auth: { rootPassword }, tls: true })
const tls = { ca: cluster.tls?.ca }

await using admin = new Etcd({ endpoints: cluster.endpoints, tls, auth: { username: 'root', password: rootPassword } })

/** Adds a user that may read and write the keys of the tenant, and read the shared keys. */
async function addTenant(name: string, password: string): Promise<void> {
  await admin.auth.roles.add(name)
  await admin.auth.roles.grant(name, 'readwrite', { prefix: `tenants/${name}/` })
  await admin.auth.roles.grant(name, 'read', { prefix: 'shared/' })
  await admin.auth.users.add(name, password)
  await admin.auth.users.grantRole(name, name)
}

/** The client of a tenant, confined to its keys. */
function clientOf(name: string, password: string): Etcd {
  return new Etcd({
    endpoints: cluster.endpoints,
    tls,
    auth: { username: name, password },
    namespace: `tenants/${name}/`,
  })
}

await admin.put('shared/plans', 'small,large')
await addTenant('red', 'red-secret')
await addTenant('blue', 'blue-secret')

await using red = clientOf('red', 'red-secret')
await using blue = clientOf('blue', 'blue-secret')
await red.put('config/plan', 'large')
await blue.put('config/plan', 'small')
console.log('red has the plan', (await red.get('config/plan'))?.valueText)
console.log('blue has the plan', (await blue.get('config/plan'))?.valueText)
console.log('in the cluster:', (await admin.range({ prefix: 'tenants/' })).kvs.map(({ keyText }) => keyText).join(' '))

// The namespace prevents mistakes; the role is enforced by the cluster.
await using curious = new Etcd({ endpoints: cluster.endpoints, tls, auth: { username: 'red', password: 'red-secret' } })
console.log('shared with red:', (await curious.get('shared/plans'))?.valueText)
for (const key of ['tenants/blue/config/plan', 'elsewhere']) {
  const refusal = await curious.get(key).catch((error: unknown) => error)
  console.log(`red may read ${key}:`, isEtcdError(refusal, 'PERMISSION_DENIED') ? 'no' : 'yes')
}
