import { cellOf } from './key-value-format.js'

/** A branch of the tree: all keys that begin with the names that lead to it. */
export interface TreeNode {
  readonly name: string
  keys: number
  /** Of keys and values together. */
  bytes: number
  readonly children: TreeNode[]
  /** Children that are not in the list, for they would be too many. */
  more: number
}

/** A name on the way to a key, byte for byte, and its branch if that is shown. */
interface Step {
  readonly name: string
  readonly node: TreeNode | undefined
}

/** What is kept of a tree. */
export interface KeyTreeOptions {
  /** What all keys begin with, the name of the root. */
  readonly name: string
  readonly separator: string
  readonly depth: number
  readonly entries: number
}

/**
 * Keys by the names in them. They have to be added in order, in which all keys of a branch follow each other: whatever
 * is not the last child of its parent is complete, so that nothing needs to be kept that is not shown.
 */
export class KeyTree {
  readonly root: TreeNode
  readonly #options: KeyTreeOptions
  readonly #prefix: Buffer
  readonly #separator: Buffer
  /** The names that lead to the last key, from the root on; of those that are not shown only the name is known. */
  #path: readonly Step[] = []

  constructor(options: KeyTreeOptions) {
    this.#options = options
    this.#prefix = Buffer.from(options.name)
    this.#separator = Buffer.from(options.separator)
    this.root = newNode(options.name === '' ? options.separator : options.name)
  }

  add(key: Buffer, valueBytes: number): void {
    const bytes = key.length + valueBytes
    grow(this.root, bytes)
    let parent: TreeNode | undefined = this.root
    const path: Step[] = []
    let isSame = true
    for (const name of this.#names(key.subarray(this.#prefix.length))) {
      const last = this.#path[path.length]
      isSame = isSame && last?.name === name
      const node: TreeNode | undefined = isSame ? last?.node : this.#child(parent, name)
      if (node !== undefined) grow(node, bytes)
      path.push({ name, node })
      parent = node
    }
    this.#path = path
  }

  /** The tree as text. */
  lines(sizes: (keys: number, bytes: number) => string): string[] {
    const { root } = this
    return [`${root.name}  ${sizes(root.keys, root.bytes)}`, ...branches(root, '', sizes)]
  }

  /** A new child, if it is to be shown. */
  #child(parent: TreeNode | undefined, name: string): TreeNode | undefined {
    if (parent === undefined) return undefined
    if (parent.children.length >= this.#options.entries) {
      parent.more += 1
      return undefined
    }
    const node = newNode(cellOf(Buffer.from(name, 'latin1'), 100))
    parent.children.push(node)
    return node
  }

  /** The names in what comes after the prefix, as deep as is shown; each but a last one ends with the separator. */
  #names(rest: Buffer): string[] {
    const names: string[] = []
    let from = 0
    while (from < rest.length && names.length < this.#options.depth) {
      const at = rest.indexOf(this.#separator, from)
      const to = at < 0 ? rest.length : at + this.#separator.length
      names.push(rest.toString('latin1', from, to))
      from = to
    }
    return names
  }
}

function newNode(name: string): TreeNode {
  return { name, keys: 0, bytes: 0, children: [], more: 0 }
}

function grow(node: TreeNode, bytes: number): void {
  node.keys += 1
  node.bytes += bytes
}

function branches(node: TreeNode, indent: string, sizes: (keys: number, bytes: number) => string): string[] {
  const rest = node.more === 0 ? [] : [`${indent}└── … ${node.more} more`]
  const lines = node.children.flatMap((child, at) => {
    const isLast = at === node.children.length - 1 && rest.length === 0
    const head = `${indent}${isLast ? '└── ' : '├── '}${child.name}  ${sizes(child.keys, child.bytes)}`
    return [head, ...branches(child, `${indent}${isLast ? '    ' : '│   '}`, sizes)]
  })
  return [...lines, ...rest]
}
