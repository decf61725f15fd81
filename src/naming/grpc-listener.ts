/** An address in the form that grpc-js expects. */
type Address = { readonly host: string; readonly port: number } | { readonly path: string }

interface Endpoint {
  readonly addresses: readonly Address[]
}

interface Status {
  readonly code: number
  readonly details: string
  readonly metadata: object
}

/** The listener of a resolver: a function since grpc-js 1.14, an object with two methods before. */
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

/** Converts addresses for grpc-js; omits invalid ones. */
export function grpcEndpoints(addresses: readonly string[]): Endpoint[] {
  return addresses.flatMap((text) => {
    const address = parseAddress(text)
    return address === undefined ? [] : [{ addresses: [address] }]
  })
}

/** Reports the current endpoints to grpc-js. */
export function reportEndpoints(listener: GrpcListener, endpoints: readonly Endpoint[]): void {
  if (typeof listener === 'function') listener({ ok: true, value: endpoints }, {}, null, '')
  else listener.onSuccessfulResolution(endpoints, null, null, null, {})
}

/** Reports why no endpoint is available. `metadata` is an empty instance of grpc-js's class. */
export function reportFailure(listener: GrpcListener, details: string, metadata: object): void {
  const status = { code: unavailable, details, metadata }
  if (typeof listener === 'function') listener({ ok: false, error: status }, {}, null, '')
  else listener.onError(status)
}

/** Parses `host:port`, `[IPv6]:port` or `unix:path`, the forms that Go's gRPC also accepts. */
export function parseAddress(text: string): Address | undefined {
  const [, path] = /^unix:(?:\/\/)?(.+)$/.exec(text) ?? []
  if (path !== undefined) return { path }
  const [, bracketed, name, port] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d+)$/.exec(text) ?? []
  const host = bracketed ?? name
  const number = Number(port)
  return host === undefined || number < 1 || number > 65_535 ? undefined : { host, port: number }
}
