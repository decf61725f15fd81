import assert from 'node:assert/strict'
import { beforeEach, describe, test } from 'node:test'
import type { Connection } from '../../src/transport/connection/connection.js'
import { StateReporter } from '../../src/transport/connection/connection-events.js'
import type { ConnectionState } from '../../src/transport/connection/connection-state.js'
import type { EjectReason } from '../../src/transport/connection/ejection.js'

const probing = (after?: EjectReason): ConnectionState => ({ kind: 'probing', ejections: 1, after, detail: undefined })
const ejected = (reason: EjectReason): ConnectionState => {
  return { kind: 'ejected', ejections: 1, reason, detail: undefined, timer: setTimeout(() => {}).unref() }
}
const connecting = (error?: string): ConnectionState => ({ kind: 'connecting', error })
const ready: ConnectionState = { kind: 'ready' }

describe('The states of a connection are reported', () => {
  let events: unknown[]
  let enter: (state: ConnectionState) => void

  beforeEach(() => {
    events = []
    const connection: { url: string; state: ConnectionState } = { url: 'http://a:1', state: { kind: 'idle' } }
    const reporter = new StateReporter({ emit: (name, payload) => events.push([name, payload]) }, undefined)
    enter = (state) => {
      const previous = connection.state
      connection.state = state
      reporter.stateChanged(connection as Connection, previous)
    }
  })

  const endpoint = 'http://a:1'
  const isReady = ['endpointReady', { endpoint }]
  const isEjected = ['endpointEjected', { endpoint, reason: 'unresponsive' }]
  const isLost = ['endpointLost', { endpoint, reason: undefined }]

  test('as ready once, although a replaced connection is probed anew', () => {
    for (const state of [connecting(), probing(), ready, probing(), ready, ready]) enter(state)
    assert.deepEqual(events, [isReady])
  })

  test('as ready once after an ejection that a late answer and a new connection both end', () => {
    for (const state of [probing(), ready, ejected('unresponsive')]) enter(state)
    for (const state of [probing('unresponsive'), ejected('unresponsive'), ready, probing(), ready]) enter(state)
    assert.deepEqual(events, [isReady, isEjected, isReady])
  })

  test('as ejected and as ready again when the probe of a replaced connection is not answered', () => {
    for (const state of [probing(), ready, probing(), ejected('unresponsive'), probing('unresponsive'), ready])
      enter(state)
    assert.deepEqual(events, [isReady, isEjected, isReady])
  })

  test('as lost once and as ready again, however many attempts fail', () => {
    for (const state of [
      probing(),
      ready,
      connecting(),
      connecting('refused'),
      probing(),
      connecting(),
      probing(),
      ready,
    ]) {
      enter(state)
    }
    assert.deepEqual(events, [isReady, isLost, isReady])
  })
})
