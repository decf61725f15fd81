import type { Rpc, RpcMeasure } from '../telemetry/measure.js'
import { goCode } from '../telemetry/rpc-names.js'
import type { PromDefinition } from './names.js'

/** Receives the counts. */
interface RpcSeries {
  add(name: string, value: number, labels: Readonly<Record<string, string>>): void
}

const rpcLabels = ['grpc_type', 'grpc_service', 'grpc_method']

/** The metrics of Go clients with go-grpc-prometheus, with the same names and labels. */
export const grpcDefinitions: Readonly<Record<string, PromDefinition>> = {
  grpc_client_started_total: { kind: 'counter', help: 'Total number of RPCs started', labels: rpcLabels },
  grpc_client_handled_total: {
    kind: 'counter',
    help: 'Total number of RPCs completed',
    labels: [...rpcLabels, 'grpc_code'],
  },
  grpc_client_msg_received_total: { kind: 'counter', help: 'Total number of messages received', labels: rpcLabels },
  grpc_client_msg_sent_total: { kind: 'counter', help: 'Total number of messages sent', labels: rpcLabels },
  grpc_client_handling_seconds: {
    kind: 'histogram',
    help: 'Duration of RPCs, in seconds',
    labels: rpcLabels,
    // The buckets of go-grpc-prometheus.
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
  },
}

/** Counts RPCs as Go clients do: each attempt is one. */
export function grpcMeasure(series: RpcSeries): RpcMeasure {
  return {
    started: (rpc) => series.add('grpc_client_started_total', 1, labelsOf(rpc)),
    sent: (rpc) => series.add('grpc_client_msg_sent_total', 1, labelsOf(rpc)),
    received: (rpc) => series.add('grpc_client_msg_received_total', 1, labelsOf(rpc)),
    handled: (rpc, outcome, durationMs) => {
      const labels = labelsOf(rpc)
      series.add('grpc_client_handled_total', 1, { ...labels, grpc_code: goCode(outcome) })
      series.add('grpc_client_handling_seconds', durationMs / 1000, labels)
    },
  }
}

function labelsOf({ path, type }: Rpc): Record<string, string> {
  const [, service = '', method = ''] = path.split('/')
  return { grpc_type: type, grpc_service: service, grpc_method: method }
}
