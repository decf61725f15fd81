export interface SrvDiscovery { readonly domain: string; readonly name?: string | undefined; readonly resolver?: unknown }
export async function discoverEndpoints(_d: SrvDiscovery): Promise<string[]> { return [] }
