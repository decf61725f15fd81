import { Etcd } from 'etcdkit'

async function main(): Promise<void> {
  const transport = process.argv[2] === 'grpc-js' ? 'grpc-js' : 'http2'
  const etcd = new Etcd({ endpoints: String(process.env.ENDPOINTS), transport })
  const { revision } = await etcd.put('config/port', '8080')
  console.log((await etcd.get('config/port'))?.valueText)
  for await (const event of etcd.watch({ prefix: 'config/' }, { startRevision: revision })) {
    console.log(event.type, event.keyText, event.valueText)
    break
  }
  await etcd.withLock('jobs/nightly', async ({ fence, signal }) => console.log(fence > revision, signal.aborted))
  const config = etcd.informer({ prefix: 'config/' })
  await config.ready()
  console.log(config.get('config/port'))
  const lease = await etcd.lease.grant(60)
  console.log((await etcd.lease.list()).includes(lease.id))
  await etcd.close()
}

main()
