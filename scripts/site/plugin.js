import { existsSync, statSync } from 'node:fs'
import { join, normalize } from 'node:path'
import { Converter } from 'typedoc'

const root = join(import.meta.dirname, '../..')
const repository = 'https://github.com/etcdkit/etcdkit'

/** A TypeDoc plugin: guides have the titles of their headings, and links to files other than guides lead to GitHub. */
export function load(app) {
  app.converter.on(Converter.EVENT_CREATE_DOCUMENT, (_context, document) => {
    document.name = headingOf(document.content) ?? document.name
    document.content = document.content.map(linkToGitHub)
  })
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    // The page shows the name of the project as its title.
    const [first] = project.readme
    first.text = first.text.replace(/^\s*# .*\n/, '')
    project.readme = project.readme.map(linkToGitHub)
    for (const module of project.children) module.name = entryPoint(module.name)
  })
}

/** The name with which a module is imported. */
function entryPoint(name) {
  return name === 'index' ? 'etcdkit' : `etcdkit/${name}`
}

/** The first heading of a page, as plain text. */
function headingOf(parts) {
  const text = parts.map((part) => part.text).join('')
  return /^\s*# (.+)/.exec(text)?.[1].replaceAll('`', '')
}

function linkToGitHub(part) {
  if (part.kind !== 'relative-link' || /\.md(#|$)/.test(part.text)) return part
  const path = [join('docs', part.text), normalize(part.text)].find((path) => existsSync(join(root, path)))
  if (path === undefined) throw new Error(`a guide links to ${part.text}, which does not exist`)
  const kind = statSync(join(root, path)).isDirectory() ? 'tree' : 'blob'
  return { kind: 'text', text: `${repository}/${kind}/main/${path}` }
}
