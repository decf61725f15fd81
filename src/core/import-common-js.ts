const scope: { require?: unknown } = globalThis
let imports = 0

/**
 * Imports a CommonJS package. When esbuild bundles it into an ES module, its `require()` calls of Node.js modules use a
 * global `require` and throw if there is none, so this defines one during the import. CommonJS output and other bundlers
 * do not need it.
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
