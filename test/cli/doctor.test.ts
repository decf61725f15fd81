import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, type TestContext, test } from 'node:test'
import type { Finding } from '../../src/cli/doctor/finding.js'
import type { ClusterReport } from '../../src/cli/doctor/report.js'
import { isEtcdError } from '../../src/index.js'
import { EtcdCluster, type EtcdMember, poll } from '../../src/testing/index.js'
import { useCluster } from '../support/cluster.js'
import { createClient, fill } from '../support/fixtures.js'
import { cli, jsonLines } from './run-cli.js'

interface Diagnosis {
  readonly status: number
  readonly findings: readonly Finding[]
  readonly report: ClusterReport
}

async function diagnose(endpoints: readonly string[], ...args: string[]): Promise<Diagnosis> {
  const { status, stdout, stderr } = await cli(['doctor', '--json', '--command-timeout', '1500ms', ...args], {
    endpoints,
  })
  assert.equal(stderr, '')
  const [{ findings, report } = {}] = jsonLines(stdout)
  return { status, findings: findings as Finding[], report: report as ClusterReport }
}

/** What is found, but for what lies in the release that the tests run on. */
function idsOf({ findings }: Diagnosis): string[] {
  const ofRelease = ['known-faults', 'unsupported-version']
  return findings.filter(({ id }) => !ofRelease.includes(id)).map(({ id, members }) => [id, ...members].join(' '))
}

const isOld = (version: string): boolean => version.startsWith('3.4.')

describe('The doctor, on a cluster of three members', () => {
  const cluster = useCluster({ members: 3 })

  after(() => cluster?.stop())

  test('finds nothing that needs action while it is healthy', async (t) => {
    const etcd = createClient(t, cluster)
    for (const key of ['svc/a/1', 'svc/a/2', 'svc/b/1', 'config/x', 'alone']) await etcd.put(key, '12345')
    const diagnosis = await diagnose(cluster.endpoints)
    assert.deepEqual(idsOf(diagnosis), [])
    if (!isOld(cluster.version)) assert.equal(diagnosis.status, 0)
    const { members, quorum, authEnabled, keys, unseen } = diagnosis.report
    assert.deepEqual(
      members.map(({ name }) => name),
      ['m0', 'm1', 'm2'],
    )
    assert.equal(members.filter(({ answer }) => answer.kind === 'answered' && answer.isLeader).length, 1)
    for (const { roundTrip, metrics, clock } of members) {
      assert.ok(roundTrip !== undefined && roundTrip.samples > 0 && roundTrip.p50Ms <= roundTrip.p99Ms)
      assert.ok(metrics?.quotaBytes !== undefined && metrics.quotaBytes > 0)
      // The same machine, hence the same clock.
      assert.ok(clock !== undefined && Math.abs(clock.aheadMs) <= clock.uncertaintyMs)
    }
    assert.deepEqual([quorum.ok, authEnabled, unseen], [true, false, []])
    assert.deepEqual(
      keys?.prefixes.map(({ prefix, keys, bytes }) => [prefix, keys, bytes]),
      [
        ['svc/', 3, 36],
        ['svc/a/', 2, 24],
        ['config/', 1, 13],
        ['svc/b/', 1, 12],
      ],
    )
  })

  test('reports the same as text and as a page', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'etcdkit-doctor-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const path = join(folder, 'report.html')
    const { stdout, stderr } = await cli(['doctor', '--html', path], { endpoints: cluster.endpoints })
    assert.equal(stderr, '')
    assert.match(stdout, /^MEMBER +ENDPOINT +ROLE +VERSION +RTT P50 /)
    assert.match(stdout, /\nm1 +http:\S+ +(leader|follower) +\d+\.\d+\.\d+ +[\d.]+ ms +[\d.]+ ms +\d+ +\d+ +\d+ /)
    const page = readFileSync(path, 'utf8')
    for (const text of [stdout, page]) assert.doesNotMatch(text, /NaN|undefined|Infinity|\[object/)
    assert.match(page, /Round trip from here.*Database: bytes in use/s)
    assert.doesNotMatch(page, /(src|href)="(?!data:)|url\(|<script|@import/)
  })

  test('discovers the other members from one of them', async () => {
    const { report } = await diagnose(cluster.endpoints.slice(0, 1), '--skip-keys')
    assert.equal(report.members.filter(({ answer }) => answer.kind === 'answered').length, 3)
    assert.equal(report.keys, undefined)
  })

  test('reports an endpoint where nothing listens', async () => {
    const diagnosis = await diagnose([...cluster.endpoints, 'http://127.0.0.1:1'], '--skip-keys')
    assert.deepEqual(idsOf(diagnosis), ['endpoint-silent'])
    assert.equal(diagnosis.status, 3)
  })

  test('distinguishes a learner from a voter', async () => {
    const index = await cluster.addLearner()
    const diagnosis = await diagnose(cluster.endpoints, '--skip-keys')
    assert.deepEqual(idsOf(diagnosis), [`learner ${nameOf(cluster.members[index])}`])
    if (!isOld(cluster.version)) assert.equal(diagnosis.status, 0)
    const learner = diagnosis.report.members.find(({ isLearner }) => isLearner)
    assert.ok(learner?.answer.kind === 'answered' && learner.roundTrip !== undefined)
    await cluster.removeMember(index)
  })

  test('reports a frozen member', async () => {
    await cluster.pause(1)
    const diagnosis = await diagnose(cluster.endpoints, '--skip-keys')
    await cluster.resume(1)
    await cluster.healthy()
    assert.deepEqual(idsOf(diagnosis), ['member-silent m1'])
    assert.match(diagnosis.findings[0]?.title ?? '', /no answer in time/)
  })

  test('reports a stopped member, and that no other may fail', async () => {
    await cluster.kill(2)
    const diagnosis = await diagnose(cluster.endpoints)
    assert.deepEqual(idsOf(diagnosis), ['member-silent m2'])
    const [finding] = diagnosis.findings
    assert.deepEqual([diagnosis.status, finding?.severity], [3, 'critical'])
    assert.match(finding?.title ?? '', /ECONNREFUSED.*1 of 3 voting members are silent, no other may fail/)
  })

  test('reports a missing majority', async () => {
    await cluster.kill(1)
    const diagnosis = await diagnose(cluster.endpoints, '--skip-keys')
    assert.deepEqual(idsOf(diagnosis), ['no-quorum', 'member-silent m1', 'member-silent m2'])
    assert.deepEqual(diagnosis.report.unseen.map(({ what }) => what).includes('alarms'), true)
  })

  test('exits with status 1 when no member answers', async () => {
    await cluster.kill(0)
    const { status, stdout, stderr } = await cli(['doctor', '--command-timeout', '500ms'], {
      endpoints: cluster.endpoints,
    })
    assert.deepEqual({ status, stdout }, { status: 1, stdout: '' })
    assert.match(stderr, /^error: no member answers: http:\S+ \(connect ECONNREFUSED/)
  })
})

function nameOf(member: EtcdMember | undefined): string {
  return member?.name ?? ''
}

async function startAlone(t: TestContext, options: Parameters<typeof EtcdCluster.start>[0]): Promise<EtcdCluster> {
  const cluster = await EtcdCluster.start(options)
  t.after(() => cluster.stop())
  return cluster
}

describe('The doctor, on one member,', () => {
  test('reports a full database, which is resolved by its steps', async (t) => {
    const quota = 16 * 2 ** 20
    const cluster = await startAlone(t, { flags: { 'quota-backend-bytes': quota } })
    const etcd = createClient(t, cluster)
    const overfill = async (): Promise<void> => {
      for (let index = 0; index < 300; index += 1) await etcd.put(`big/${index}`, Buffer.alloc(90_000, index))
    }
    await assert.rejects(overfill(), (error) => isEtcdError(error, 'NO_SPACE'))
    const diagnosis = await diagnose(cluster.endpoints)
    assert.deepEqual(idsOf(diagnosis), ['no-space m0', 'single-member'])
    assert.equal(diagnosis.status, 3)
    const [member] = diagnosis.report.members
    assert.equal(member?.metrics?.quotaBytes, quota)
    const run = async (...args: string[]): Promise<string> => (await cli(args, { endpoints: cluster.endpoints })).stdout
    assert.match(await run('alarm', 'list'), /^[0-9a-f]+ NOSPACE\n$/)
    const { revision } = await etcd.deleteRange({ prefix: 'big/' })
    await etcd.compact(revision, { physical: true })
    await cluster.etcdctl('defrag')
    assert.match(await run('alarm', 'disarm'), /^[0-9a-f]+ NOSPACE\n$/)
    assert.equal(await run('alarm', 'list'), '')
    assert.deepEqual(idsOf(await diagnose(cluster.endpoints)), ['single-member'])
  })

  test('reports free pages that are worth a defragmentation', async (t) => {
    const cluster = await startAlone(t, {})
    const etcd = createClient(t, cluster)
    const value = Buffer.alloc(1_200_000, 'x')
    for (let index = 0; index < 100; index += 1) await etcd.put(`big/${index}`, value)
    const { revision } = await etcd.deleteRange({ prefix: 'big/' })
    await etcd.compact(revision, { physical: true })
    const diagnosis = await poll('the pages are free', async () => {
      await etcd.put('next', 'They are free for the next write.')
      const found = await diagnose(cluster.endpoints, '--skip-keys')
      return idsOf(found).length > 1 ? found : undefined
    })
    assert.deepEqual(idsOf(diagnosis), ['fragmented m0', 'single-member'])
    assert.match(diagnosis.findings.find(({ id }) => id === 'fragmented')?.title ?? '', /\d\d % of the database of m0/)
  })

  test('reports the known bugs of an old release', async (t) => {
    const cluster = await startAlone(t, { version: '3.4.23' })
    const diagnosis = await diagnose(cluster.endpoints)
    assert.equal(diagnosis.status, 3)
    assert.deepEqual(
      diagnosis.findings.map(({ id }) => id),
      ['unsupported-version', 'known-faults', 'single-member'],
    )
    assert.match(diagnosis.findings[1]?.advice.join(' ') ?? '', /watch: a progress notification can overtake events/)
  })

  test('requires a login where authentication is enabled, and uses it', async (t) => {
    const cluster = await startAlone(t, { auth: { rootPassword: 'secret' } })
    const { authEnabled, unseen } = (await diagnose(cluster.endpoints, '--user', 'root:secret')).report
    assert.deepEqual([authEnabled, unseen], [true, []])
    const refused = await cli(['doctor', '--user', 'root:wrong'], { endpoints: cluster.endpoints })
    assert.equal(refused.status, 1)
    assert.match(refused.stderr, /^error: the members do not answer this user: .*AUTH_FAILED.*\nhint: /)
  })

  test('reports a certificate that expires soon', async (t) => {
    const notAfter = new Date(Date.now() + 5.5 * 86_400_000)
    const cluster = await startAlone(t, { tls: { clientCertAuth: true, serverCertificate: { notAfter } } })
    const { caFile = '', certFile = '', keyFile = '' } = cluster.tls ?? {}
    const diagnosis = await diagnose(cluster.endpoints, '--cacert', caFile, '--cert', certFile, '--key', keyFile)
    assert.deepEqual(idsOf(diagnosis), ['certificate m0', 'single-member'])
    assert.match(diagnosis.findings[0]?.title ?? '', /expires in 5\.5 days/)
    assert.ok(diagnosis.report.members[0]?.metrics !== undefined)
  })

  test('finds the largest prefixes of many keys by counts and samples', async (t) => {
    const cluster = await startAlone(t, {})
    const etcd = createClient(t, cluster)
    await fill(etcd.namespace('pods/default/'), 4000, 'x'.repeat(10))
    await fill(etcd.namespace('pods/system/'), 1000, 'x'.repeat(10))
    await fill(etcd.namespace('nodes/'), 300, 'x'.repeat(1000))
    await fill(etcd.namespace('leaf-'), 150, 'x')
    const { keys } = (await diagnose(cluster.endpoints)).report
    assert.deepEqual([keys?.total, keys?.isExact], [5450, false])
    assert.deepEqual(
      keys?.prefixes.map(({ prefix, keys, bytes }) => [prefix, keys, bytes]),
      [
        ['nodes/', 300, 300 * 1012],
        ['pods/', 5000, 5000 * 29],
        ['pods/default/', 4000, 4000 * 29],
        ['pods/system/', 1000, 1000 * 28],
      ],
    )
    const deep = (await diagnose(cluster.endpoints, '--deep')).report.keys
    assert.deepEqual([deep?.isExact, deep?.sampled], [true, 5450])
    assert.equal(deep?.prefixes.find(({ prefix }) => prefix === 'pods/')?.bytes, 4000 * 29 + 1000 * 28)
  })
})
