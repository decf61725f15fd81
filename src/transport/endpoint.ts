export interface Endpoint { readonly url: string; readonly tls: boolean; readonly target: string; readonly serverName: string }
export function parseEndpoints(input: string | readonly string[], _o: { hasTls: boolean }): readonly Endpoint[] {
  const list = typeof input === 'string' ? input.split(',') : input
  return list.map((u) => { const { hostname, port, protocol } = new URL(u); return { url: `${protocol}//${hostname}:${port}`, tls: protocol === 'https:', target: `ipv4:${hostname}:${port}`, serverName: hostname } })
}
export function parseConnectionString(text: string): { endpoints: string[]; namespace?: string } { return { endpoints: [text] } }
