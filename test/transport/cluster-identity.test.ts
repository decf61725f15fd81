import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { ClusterIdentity } from '../../src/transport/connection/cluster-identity.js'
import { header } from '../support/fake-transport.js'
import { within } from '../support/slack.js'

function identity() {
  const reported: unknown[][] = []
  const listener = {
    clusterChanged: (...args: unknown[]) => reported.push(['changed', ...args]),
    revisionRewound: (...args: unknown[]) => reported.push(['rewound', ...args]),
    termRaised: () => reported.push(['term']),
  }
  return { reported, cluster: new ClusterIdentity(listener) }
}

describe('The identity of the cluster', () => {
  test('is the one in the first response, and its revision the highest of all responses', () => {
    const { cluster, reported } = identity()
    assert.equal(cluster.observe(undefined, 'a', 5), undefined)
    for (const revision of [5, 9, 7]) assert.equal(cluster.observe(header({ revision }), 'a', 0), undefined)
    assert.deepEqual([cluster.clusterId, cluster.revision], ['c1', 9])
    assert.deepEqual(reported, [])
  })

  test('rejects responses of another cluster, and reports it once for each endpoint', () => {
    const { cluster, reported } = identity()
    cluster.observe(header({ revision: 5 }), 'a', 0)
    const stranger = header({ clusterId: 'c2', revision: 99, raftTerm: 50 })
    for (const endpoint of ['b', 'b', 'c']) {
      const error = cluster.observe(stranger, endpoint, 0)
      assert.deepEqual([error?.code, error?.effect, error?.endpoint], ['CLUSTER_CHANGED', 'unknown', endpoint])
    }
    assert.deepEqual(reported, [
      ['changed', 'b', 'c1', 'c2'],
      ['changed', 'c', 'c1', 'c2'],
    ])
    assert.equal(cluster.revision, 5)
    cluster.adopt('c2')
    assert.deepEqual([cluster.clusterId, cluster.revision, cluster.raftTerm], ['c2', 0, 0])
    assert.equal(cluster.observe(stranger, 'b', 0), undefined)
    assert.equal(cluster.revision, 99)
  })

  test('fails a linearizable response below the floor with REVISION_REWOUND once, and continues from the lower revision', () => {
    const { cluster, reported } = identity()
    cluster.observe(header({ revision: 100, raftTerm: 7 }), 'a', 0)
    assert.equal(cluster.observe(header({ revision: 90 }), 'a', 0), undefined, 'a serializable one may be behind')
    assert.equal(cluster.observe(header({ revision: 90 }), 'a', 80), undefined, 'it was sent before 100 was seen')
    assert.equal(cluster.observe(header({ revision: 0 }), 'a', 100), undefined, 'not every answer has a revision')
    const error = cluster.observe(header({ revision: 90 }), 'a', 100)
    assert.deepEqual([error?.code, error?.effect], ['REVISION_REWOUND', 'unknown'])
    assert.deepEqual([reported, cluster.revision], [[['rewound', 'a', 100, 90]], 90])
    assert.equal(cluster.raftTerm, 2, 'the terms of a restored cluster start over')
    assert.equal(cluster.observe(header({ revision: 91 }), 'a', 90), undefined)
  })

  test('reports a rise of the raft term, but not the first term', () => {
    const { cluster, reported } = identity()
    cluster.observe(header({ raftTerm: 2 }), 'a', 0)
    assert.equal(cluster.termRaisedAt, Number.NEGATIVE_INFINITY)
    for (const raftTerm of [2, 3, 2, 3]) cluster.observe(header({ raftTerm }), 'a', 0)
    assert.deepEqual(reported, [['term']])
    assert.ok(performance.now() - cluster.termRaisedAt < within(1000))
  })
})
