import { channels, type Etcd, type LeaseRecord } from '../index.js'

/** What is reported of the renewals of one lease. */
export interface RenewalListener {
  renewed(ttlSeconds: number): void
  /** The stream that renews it was lost; another one is opened. */
  interrupted(error: unknown): void
  resumed(): void
}

/** Reports the renewals of a lease of `client` until what it returns is called. */
export function followRenewals(client: Etcd, leaseId: string, listener: RenewalListener): () => void {
  const onRecord = (message: unknown): void => {
    const record = message as LeaseRecord
    if (record.type === 'renewed' && record.leaseId === leaseId) listener.renewed(record.ttlSeconds)
  }
  channels.lease.subscribe(onRecord)
  const leave = [
    client.on('keepAliveLost', ({ error }) => listener.interrupted(error)),
    client.on('keepAliveResumed', () => listener.resumed()),
  ]
  return () => {
    channels.lease.unsubscribe(onRecord)
    for (const leaveOne of leave) leaveOne()
  }
}
