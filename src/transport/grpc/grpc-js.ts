import type * as Grpc from '@grpc/grpc-js'
import { importCommonJs } from '../../core/import-common-js.js'

/** The module `@grpc/grpc-js`. */
export type GrpcJs = typeof Grpc

let loaded: GrpcJs | undefined
let loading: Promise<GrpcJs> | undefined

/** The module, if it is loaded. */
export function loadedGrpcJs(): GrpcJs | undefined {
  return loaded
}

/** Loads the module once. It takes 40 ms of CPU time, which processes that do not use it save. */
export function loadGrpcJs(): Promise<GrpcJs> {
  loading ??= importCommonJs(() => import('@grpc/grpc-js')).then((module) => {
    loaded = module
    return module
  })
  return loading
}
