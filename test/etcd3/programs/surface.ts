// A program for npm etcd3 1.1.2: it is compiled against that package, and against this one in its place.
import type { CallOptions } from '@grpc/grpc-js'
import type { ChannelOptions } from '@grpc/grpc-js/build/src/channel-options'
import { ConsecutiveBreaker, circuitBreaker, ExponentialBackoff, handleWhen, NoopPolicy, retry } from 'cockatiel'
import {
  type CallContext,
  type CallOptionsFactory,
  type Campaign,
  ClientClosedError,
  ComparatorBuilder,
  DeleteBuilder,
  Election,
  type ElectionObserver,
  type Etcd3,
  EtcdError,
  EtcdLeaseInvalidError,
  EtcdLockFailedError,
  EtcdPermissionDeniedError,
  GRPCDeadlineExceededError,
  GRPCGenericError,
  GRPCResourceExhastedError,
  type ICallable,
  type IDeleteRangeResponse,
  type IEvent,
  type IKeyValue,
  type ILeaseKeepAliveResponse,
  type ILeaseOptions,
  type IOptions,
  type IPermissionRequest,
  type IPutResponse,
  type IRangeRequest,
  type IRangeResponse,
  type IRequestOp,
  type ISTMOptions,
  type IStatusResponse,
  Isolation,
  type ITxnResponse,
  type IWatchRequest,
  type IWatchResponse,
  isRecoverableError,
  KVClient,
  type Lease,
  LeaseState,
  type Lock,
  MultiRangeBuilder,
  type Namespace,
  NotCampaigningError,
  Permission,
  PutBuilder,
  type Rangable,
  Range,
  RecoverableError,
  type Role,
  Services,
  SingleRangeBuilder,
  type SoftwareTransaction,
  SortOrder,
  SortTarget,
  STMConflictError,
  type User,
  WatchBuilder,
  type Watcher,
} from 'etcd3'

const channelOptions: ChannelOptions = { 'grpc.keepalive_time_ms': 10_000, 'grpc.max_receive_message_length': -1 }
const callOptions: CallOptions = { deadline: Date.now() + 5000 }
const factory: CallOptionsFactory = (context: CallContext) =>
  context.isStream
    ? {}
    : { deadline: Date.now() + (context.service === 'KV' && context.method === 'txn' ? 2000 : 1000) }

export const options: IOptions = {
  hosts: ['https://10.0.0.1:2379', 'https://10.0.0.2:2379'],
  credentials: { rootCertificate: Buffer.from(''), privateKey: Buffer.from(''), certChain: Buffer.from('') },
  auth: { username: 'root', password: 'secret', callOptions: { deadline: new Date() } },
  grpcOptions: channelOptions,
  defaultCallOptions: factory,
  dialTimeout: 1000,
  faultHandling: {
    host: (hostname: string) =>
      hostname === ''
        ? new NoopPolicy()
        : circuitBreaker(handleWhen(isRecoverableError), { halfOpenAfter: 1000, breaker: new ConsecutiveBreaker(3) }),
    global: retry(handleWhen(isRecoverableError), { maxAttempts: 3 }),
    watchBackoff: new ExponentialBackoff().next(),
  },
}

export async function keys(client: Etcd3): Promise<void> {
  const space: Namespace = client.namespace('app/').namespace(Buffer.from('x'))
  const text: string | null = await client.get('a')
  const whole: string | null = await client.get('a').string('utf8')
  const [bytes, number, json, exists]: [Buffer | null, number | null, unknown, boolean] = await Promise.all([
    client.get(Buffer.from('a')).buffer(),
    client.get('a').number(),
    client.get('a').json(),
    client.get('a').exists(),
  ])
  const answer: IRangeResponse = await client.get('a').revision('5').serializable(true).options(callOptions).exec()
  const first: IKeyValue = answer.kvs[0]
  const revision: string = first.mod_revision + answer.header.revision + answer.count
  const all: { [key: string]: string } = await space.getAll().prefix('p').sort('Key', 'Ascend').limit(5)
  const names: string[] = await client.getAll().inRange({ start: 'a', end: 'b' }).minModRevision(1).keys()
  const buffers: { [key: string]: Buffer } = await client.getAll().all().buffers()
  const count: number = await client.getAll().maxCreateRevision('9').count()
  const put: IPutResponse = await client.put('a').value(1).lease('123').exec()
  const previous: string = (await client.put('a').value(Buffer.from('')).ignoreLease().getPrevious()).value.toString()
  await client.put('a').touch()
  const deleted: IDeleteRangeResponse = await client.delete().prefix('a')
  const gone: IKeyValue[] = await client.delete().range(new Range('a', 'b')).getPrevious()
  await client
    .put('a')
    .value('b')
    .then(
      (response) => response.header.revision,
      (error) => error.message,
    )
  await client.get('a').catch((error) => error.stack)
  console.log(
    text,
    whole,
    bytes,
    number,
    json,
    exists,
    revision,
    all,
    names,
    buffers,
    count,
    put,
    previous,
    deleted,
    gone,
  )
}

export async function transactions(client: Etcd3): Promise<void> {
  const op: IRequestOp = { request_range: { key: Buffer.from('a') } }
  const result: ITxnResponse = await client
    .if('a', 'Version', '===', 0)
    .and(Buffer.from('b'), 'Value', '!=', 'x')
    .then(client.put('a').value('1'), op)
    .else(client.get('a'), client.delete().key('b'))
    .options(callOptions)
    .commit()
  const value: Buffer = result.responses[0].response_range.kvs[0].value
  const stmOptions: Partial<ISTMOptions> = {
    retries: 1,
    isolation: Isolation.Serializable,
    prefetch: ['a'],
    callOptions,
  }
  const total: number = await client.stm(stmOptions).transact(async (tx) => {
    const before: number | null = await tx.get('a').number()
    await tx.put('a').value((before ?? 0) + 1)
    await tx.delete().key('b')
    return 1
  })
  const run = (tx: SoftwareTransaction) => tx.get('a').string()
  await client.stm({ isolation: Isolation.ReadCommitted }).transact(run)
  console.log(value, total)
}

export async function leases(client: Etcd3): Promise<void> {
  const leaseOptions: ILeaseOptions = { autoKeepAlive: false, deadline: Date.now() + 1000 }
  const lease: Lease = client.lease(10, leaseOptions)
  lease.on('lost', (error) => console.log(error.message))
  lease.on('keepaliveFired', () => undefined)
  lease.on('keepaliveSucceeded', (response: ILeaseKeepAliveResponse) => console.log(response.TTL))
  lease.on('keepaliveFailed', () => undefined)
  lease.once('keepaliveEstablished', () => undefined)
  const id: string = await lease.grant()
  await lease.put('a').value('b').options(callOptions)
  const renewed: ILeaseKeepAliveResponse = await lease.keepaliveOnce()
  if (lease.state === LeaseState.Alive && !lease.revoked()) lease.release()
  await lease.revoke(callOptions)
  const lock: Lock = await client.lock('l').ttl(5).options(callOptions).acquire()
  const owner: string | null = await lock.leaseId()
  await lock.release()
  const done: string = await client.lock('l').do(() => 'done')
  const later: number = await client.lock('l').do(async () => 1)
  console.log(id, renewed.ID, owner, done, later)
}

export async function watches(client: Etcd3): Promise<void> {
  const watcher: Watcher = await client
    .watch()
    .prefix('a')
    .only('put', 'delete')
    .withPreviousKV()
    .startRevision('5')
    .create()
  watcher
    .on('connecting', (request: IWatchRequest) => console.log(request))
    .on('connected', (response: IWatchResponse) => console.log(response.header.revision))
    .on('data', (response) => response.events.map((event: IEvent) => event.type === 'Put'))
    .on('put', (kv: IKeyValue, previous?: IKeyValue) => console.log(kv.key.toString(), previous?.value))
    .on('delete', (kv) => console.log(kv.key))
    .on('disconnected', (error: EtcdError) => console.log(error))
    .on('error', (error) => console.log(error.message))
    .on('end', () => undefined)
  const last: number | null = watcher.lastRevision()
  const id: string | null = watcher.id
  await watcher.cancel()
  client.watch().key('a').inRange({ prefix: 'p' }).watcher().removeAllListeners('put')
  console.log(last, id, watcher.request.start_revision)
}

export async function elections(client: Etcd3): Promise<void> {
  const election: Election = client.election('e', 5)
  const campaign: Campaign = election.campaign('me')
  campaign.on('elected', () => undefined)
  campaign.on('error', (error: Error) => console.log(error))
  await (await campaign.wait()).proclaim(Buffer.from('you'))
  const key: string = await campaign.getCampaignKey()
  await campaign.resign()
  const leader: string | undefined = await election.leader()
  const raw: Buffer | undefined = await election.leader('buffer')
  const observer: ElectionObserver = await new Election(client, 'e').observe()
  observer.on('change', (value: string | undefined) => console.log(value, observer.leader(), observer.hasLeader))
  observer.on('error', (error) => console.log(error))
  await observer.cancel()
  console.log(key, leader, raw, Election.prefix)
}

export async function administration(client: Etcd3): Promise<void> {
  const request: IPermissionRequest = { permission: 'Readwrite', range: client.range({ prefix: 'a' }) }
  const role: Role = await client.role('r').create(callOptions)
  await role.grant([request, { permission: 'Read', key: 'k' }])
  await role.revoke(request)
  for (const { permission, range } of await role.permissions()) console.log(Permission[permission], range.start)
  const user: User = await client.user('u').create('p')
  await user.addRole(role)
  await role.removeUser(user)
  const names: string[] = [...(await client.getUsers()), ...(await client.getRoles())].map(({ name }) => name)
  const status: IStatusResponse = await client.maintenance.status()
  const members = (await client.cluster.memberList({})).members.map(({ ID, clientURLs }) => [ID, clientURLs])
  await client.auth.userList()
  await client.kv.compact({ revision: status.header.revision, physical: true })
  await client.leaseClient.leaseTimeToLive({ ID: '5', keys: true })
  const stream = await client.watchClient.watch()
  stream.on('data', (response) => console.log(response.watch_id))
  stream.write({ create_request: { key: Buffer.from('a') } })
  stream.cancel()
  console.log(names, members)
}

export function errors(error: unknown): string {
  if (error instanceof EtcdLockFailedError || error instanceof EtcdLeaseInvalidError) return error.message
  if (error instanceof GRPCGenericError && isRecoverableError(error)) return String(error.stack)
  if (error instanceof GRPCDeadlineExceededError || error instanceof GRPCResourceExhastedError) return error.name
  const others = [ClientClosedError, EtcdError, EtcdPermissionDeniedError, NotCampaigningError, STMConflictError]
  return others.some((Class) => error instanceof Class) ? String(RecoverableError) : ''
}

export function mocks(client: Etcd3): void {
  const exec = (() => Promise.resolve({ kvs: [] })) as ICallable<unknown>['exec']
  const mock = client.mock({ exec })
  console.log(mock.exec === exec)
  client.unmock()
  const request: IRangeRequest = { sort_order: SortOrder.Ascend, sort_target: SortTarget.Key }
  const rangable: Rangable = 'a'
  console.log(request, Range.from(rangable).includes('a'), Object.keys(Services))
  console.log([
    ComparatorBuilder,
    DeleteBuilder,
    KVClient,
    MultiRangeBuilder,
    PutBuilder,
    SingleRangeBuilder,
    WatchBuilder,
  ])
  client.close()
}
