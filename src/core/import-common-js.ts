const scope: { require?: unknown } = globalThis
let imports = 0

/**
 * Imports a package that is CommonJS. esbuild, where it bundles into an ES module, leaves the package's requires of Node's
 * own modules to a global `require` and throws where there is none, so there is one for as long as the import takes. In
 * CommonJS, and in the output of other bundlers, nothing of this is needed.
 */
export async function importCommonJs<Module>(load: () => Promise<Module>): Promise<Module> {
  const isOurs = scope.require === undefined || scope.require === requireBuiltin
  if (typeof module !== 'undefined' || !isOurs) return load()
  imports += 1
  scope.require = requireBuiltin
  try {
    return await load()
  } finally {
    imports -= 1
    if (imports === 0) delete scope.require
  }
}

function requireBuiltin(id: string): object {
  const found = process.getBuiltinModule(id)
  if (found === undefined) throw new Error(`Cannot find module '${id}'`)
  return found
}
