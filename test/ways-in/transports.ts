/** Each way in is tested over both transports. */
export const transports = ['http2', 'grpc-js'] as const
