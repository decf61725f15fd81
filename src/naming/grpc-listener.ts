/** An address as grpc-js takes it. */
type Address = { readonly host: string; readonly port: number } | { readonly path: string }

interface Endpoint {
  readonly addresses: readonly Address[]
}

interface Status {
  readonly code: number
  readonly details: string
  readonly metadata: object
}

/** Who is told where a service is: a function since grpc-js 1.14, two methods before. */
export type GrpcListener =
  | ((
      endpoints:
        | { readonly ok: true; readonly value: readonly Endpoint[] }
        | { readonly ok: false; readonly error: Status },
      attributes: object,
      serviceConfig: null,
      note: string,
    ) => boolean)
  | {
      onSuccessfulResolution(
        endpoints: readonly Endpoint[],
        serviceConfig: null,
        serviceConfigError: null,
        selector: null,
        attributes: object,
      ): void
      onError(status: Status): void
    }

const unavailable = 14

/** Where a service is, as grpc-js takes it. Addresses that are none are left out. */
export function grpcEndpoints(addresses: readonly string[]): Endpoint[] {
  return addresses.flatMap((text) => {
    const address = parseAddress(text)
    return address === undefined ? [] : [{ addresses: [address] }]
  })
}

/** Tells where a service is now. */
export function tellEndpoints(listener: GrpcListener, endpoints: readonly Endpoint[]): void {
  if (typeof listener === 'function') listener({ ok: true, value: endpoints }, {}, null, '')
  else listener.onSuccessfulResolution(endpoints, null, null, null, {})
}

/** Tells why there is nowhere to call. `metadata` is an empty one of grpc-js. */
export function tellFailure(listener: GrpcListener, details: string, metadata: object): void {
  const status = { code: unavailable, details, metadata }
  if (typeof listener === 'function') listener({ ok: false, error: status }, {}, null, '')
  else listener.onError(status)
}

/** `host:port`, `[IPv6]:port` or `unix:path`, as Go's gRPC takes them as well. */
export function parseAddress(text: string): Address | undefined {
  const [, path] = /^unix:(?:\/\/)?(.+)$/.exec(text) ?? []
  if (path !== undefined) return { path }
  const [, bracketed, name, port] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d+)$/.exec(text) ?? []
  const host = bracketed ?? name
  const number = Number(port)
  return host === undefined || number < 1 || number > 65_535 ? undefined : { host, port: number }
}
