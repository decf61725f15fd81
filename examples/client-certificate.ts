/** Authentication by client certificate: members use its common name as the user name; no passwords or tokens are needed. */
import { Etcd, isEtcdError } from 'etcdkit'
import { EtcdCluster } from 'etcdkit/testing'

await using cluster = await EtcdCluster.start({ tls: { clientCertAuth: true }, auth: { rootPassword: 'root-secret' } })

function clientOf(commonName: string): Etcd {
  const { tls, endpoints } = cluster
  const files = tls?.clientCert(commonName)
  return new Etcd({ endpoints, tls: { ca: tls?.caFile, cert: files?.certFile, key: files?.keyFile } })
}

await using root = clientOf('root')
await root.auth.roles.add('alice')
await root.auth.roles.grant('alice', 'readwrite', { prefix: 'alice/' })
await root.auth.users.add('alice') // without a password, only a certificate is accepted
await root.auth.users.grantRole('alice', 'alice')

await using alice = clientOf('alice')
await alice.put('alice/greeting', 'hello')
console.log(`alice wrote: ${(await alice.get('alice/greeting'))?.valueText}`)
try {
  await alice.get('root/secret')
} catch (error) {
  if (!isEtcdError(error, 'PERMISSION_DENIED')) throw error
  console.log('alice may only read her own keys')
}
