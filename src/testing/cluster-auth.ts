import type { GatewayMessage, GatewayUser } from './gateway.js'

/** The user that a cluster with authentication starts with. */
export function rootUser({ rootPassword }: { readonly rootPassword: string }): GatewayUser {
  return { name: 'root', password: rootPassword }
}

/** Creates the user root and enables authentication. */
export async function enableAuth(
  call: (path: string, message?: GatewayMessage) => Promise<GatewayMessage>,
  user: GatewayUser,
): Promise<void> {
  await call('/v3/auth/role/add', { name: 'root' })
  await call('/v3/auth/user/add', { ...user })
  await call('/v3/auth/user/grant', { user: user.name, role: 'root' })
  await call('/v3/auth/enable')
}
