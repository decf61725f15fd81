import { setDefaultTransport } from '../../src/client/options.js'

/** Imported before a test file: gives clients without a `transport` the one that `ETCDKIT_TRANSPORT` names. */
const transport = process.env.ETCDKIT_TRANSPORT
if (transport === 'http2' || transport === 'grpc-js') setDefaultTransport(transport)
else if (transport !== undefined) throw new Error(`ETCDKIT_TRANSPORT must be http2 or grpc-js, got ${transport}`)
