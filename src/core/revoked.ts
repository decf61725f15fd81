/** Whether a value is a revoked proxy, which throws whatever is done with it. */
export function isRevoked(value: object): boolean {
  try {
    Array.isArray(value)
    return false
  } catch {
    return true
  }
}
