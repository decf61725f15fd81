export type { NewEndpoint, ServiceEndpoint } from './endpoint-record.js'
export type { EndpointListener } from './follower.js'
export {
  type GrpcLibrary,
  type GrpcResolver,
  type GrpcResolverClass,
  type ResolverOptions,
  registerResolver,
} from './grpc-resolver.js'
export {
  type AddEndpointOptions,
  type EndpointSubscription,
  type EndpointUpdate,
  type NamingStore,
  ServiceEndpoints,
} from './service-endpoints.js'
