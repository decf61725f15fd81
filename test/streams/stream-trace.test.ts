import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EtcdError } from '../../src/core/errors.js'
import { StreamTrace } from '../../src/streams/stream-trace.js'
import type { ClientTelemetry } from '../../src/telemetry/client-telemetry.js'
import type { StreamEvent } from '../../src/telemetry/records.js'

test('A traced stream reports all its events, and passes on those of its listener', () => {
  const events: string[] = []
  const telemetry = {
    stream: (_: unknown, event: StreamEvent) =>
      events.push(event.type === 'ended' ? `ended ${JSON.stringify(event.outcome)}` : event.type),
  } as unknown as ClientTelemetry
  const received: unknown[] = []
  const trace = new StreamTrace<string>(telemetry, { name: 'Watch.Watch', path: '/x' }, 'm', {
    onMessage: (message) => received.push(message),
    onEnd: (error) => received.push(error?.code),
    onDraining: () => received.push('draining'),
  })
  trace.opened()
  trace.onSent()
  trace.onMessage('a')
  trace.onDraining()
  trace.onEnd(undefined)
  trace.onCancelled()
  trace.onEnd(new EtcdError('lost', { code: 'CONNECTION_LOST', effect: 'none' }))
  assert.deepEqual(received, ['a', 'draining', undefined, 'CONNECTION_LOST'])
  assert.deepEqual(events.slice(0, 5), [
    'opened',
    'sent',
    'received',
    'ended {"ok":true}',
    'ended {"ok":false,"aborted":true}',
  ])
  assert.match(events[5] ?? '', /^ended .*CONNECTION_LOST/)
})
