/**
 * Real etcd clusters and faulty networks for tests. Nothing here uses the client library, so tests can verify the client
 * against an independent implementation.
 *
 * @packageDocumentation
 */
export { type Certificate, CertificateAuthority, type CertificateOptions } from './certificates.js'
export type { EtcdClusterAuthOptions, EtcdClusterOptions, EtcdClusterTlsOptions } from './cluster-options.js'
export { PortInUseError } from './cluster-ports.js'
export type { CertificateFiles, ClusterTls } from './cluster-tls.js'
export { type EtcdBinary, type FindEtcdOptions, findEtcd } from './etcd-binary.js'
export { EtcdCluster, type RestartOptions } from './etcd-cluster.js'
export type { EtcdMember, EtcdMemberState } from './etcd-member.js'
export { type CutPoint, FaultProxy, type ProxyData, type ProxyDataHook } from './fault-proxy.js'
export { GatewayError, type GatewayMessage } from './gateway.js'
export type { ClusterTimers, EtcdFlags } from './member-flags.js'
export { type PollOptions, poll } from './poll.js'
export { type ReservedPort, reservePort } from './ports.js'
export type { CutKind } from './proxy-connection.js'
export type { ProxyDirection } from './proxy-flow.js'
