const warned = new Set<string>()

/** Reports, once in a process, an option that is accepted and has no effect. */
export function warn(code: string, message: string): void {
  if (warned.has(code)) return
  warned.add(code)
  process.emitWarning(message, { type: 'EtcdkitWarning', code })
}
