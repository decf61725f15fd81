// The documentation site, as a person and a crawler see it: `npm run test:site` builds it first.
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Browser } from '../support/browser.js'
import { findChromium } from '../support/chromium.js'

const root = join(import.meta.dirname, '../..')
const site = join(root, 'site')
const repository = 'https://github.com/etcdkit/etcdkit'

interface Link {
  readonly page: string
  readonly href: string
}

const pages = readdirSync(site, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.html'))
const texts = new Map(pages.map((page) => [page, readFileSync(join(site, page), 'utf8')]))
const links = pages.flatMap((page) =>
  [...(texts.get(page) ?? '').matchAll(/<a\b[^>]* href="([^"]*)"/g)].map(([, href = '']): Link => {
    return { page, href: href.replaceAll('&amp;', '&') }
  }),
)

function idsOf(page: string): ReadonlySet<string> {
  return new Set([...(texts.get(page) ?? '').matchAll(/ id="([^"]*)"/g)].map(([, id = '']) => id))
}

const ids = new Map(pages.map((page) => [page, idsOf(page)]))

/** Why a link within the site leads nowhere; undefined if it does not. */
function fault({ page, href }: Link): string | undefined {
  const [path = '', anchor] = decodeURI(href).split('#')
  const target = path === '' ? page : relative(site, resolve(site, dirname(page), path))
  if (!existsSync(join(site, target)) || statSync(join(site, target)).isDirectory()) return `${page}: ${href}`
  const isKnown = anchor === undefined || anchor === '' || (ids.get(target)?.has(anchor) ?? false)
  return isKnown ? undefined : `${page}: ${href}: no such anchor`
}

/** Files of the repository that the site links to and that do not exist. */
function missingFile({ page, href }: Link): string | undefined {
  const [, path] = new RegExp(`^${repository}/(?:blob|tree)/main/([^#]*)`).exec(href) ?? []
  return path === undefined || existsSync(join(root, path)) ? undefined : `${page}: ${href}`
}

describe('The site', () => {
  const isExternal = ({ href }: Link) => /^[a-z]+:/.test(href)

  test('has a page for every guide, with its heading as the title', () => {
    const guides = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'))
    const headings = guides.map((name) => /^# (.+)/.exec(readFileSync(join(root, 'docs', name), 'utf8'))?.[1] ?? '')
    const titles = new Set([...texts.values()].map((text) => /<title>(.*?)(?: \| .*)?<\/title>/.exec(text)?.[1]))
    assert.deepEqual(
      headings.map((heading) => heading.replaceAll('`', '')).filter((heading) => !titles.has(heading)),
      [],
    )
  })

  test('has no link that leads nowhere, neither to a page nor to an anchor', () => {
    const internal = links.filter((link) => !isExternal(link))
    assert.ok(internal.length > 5000, `only ${internal.length} links`)
    assert.deepEqual([...new Set(internal.map(fault).filter((text) => text !== undefined))], [])
  })

  test('links to existing files of the repository', () => {
    const external = links.filter(isExternal)
    assert.ok(external.some(({ href }) => href.startsWith(`${repository}/blob/main/examples/`)))
    assert.deepEqual([...new Set(external.map(missingFile).filter((text) => text !== undefined))], [])
  })
})

const chromium = await findChromium()
const until = `const until = async (look) => {
  for (let turn = 0; turn < 400; turn++) {
    const value = look()
    if (value) return value
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error('gave up waiting for ' + look)
}`

/** Runs statements that return a value in a page, once the page shows itself. */
function script(body: string): string {
  return `(async () => { ${until}; await until(() => document.body.style.display !== 'none'); ${body} })()`
}

describe('In a browser the site', { skip: typeof chromium === 'string' && chromium }, () => {
  let browser: Browser

  before(() => {
    if (typeof chromium !== 'string') browser = new Browser(chromium)
  })
  after(() => browser?.[Symbol.asyncDispose]())

  const page = (heading: string): string => {
    const [found] = [...texts].find(([, text]) => text.includes(`<title>${heading} | `)) ?? []
    return join(site, found ?? assert.fail(`there is no page ${heading}`))
  }

  test('finds withLock in the reference and in the guides', async () => {
    const found = await browser.evaluate(
      join(site, 'index.html'),
      script(`
        document.querySelector('#tsd-search-trigger').click()
        const input = await until(() => document.querySelector('#tsd-search-input'))
        await until(() => !document.querySelector('#tsd-search-status').textContent.includes('Preparing'))
        input.value = 'withLock'
        input.dispatchEvent(new Event('input', { bubbles: true }))
        await until(() => document.querySelector('#tsd-search-results a'))
        return [...document.querySelectorAll('#tsd-search-results a')].map((link) => link.getAttribute('href'))`),
    )
    assert.ok(Array.isArray(found))
    assert.ok(
      found.some((href) => /classes\/etcdkit\.Etcd\.html#withlock/.test(href)),
      found.join(),
    )
    assert.ok(
      found.some((href) => /documents\/Locks/.test(href)),
      found.join(),
    )
  })

  test('leads from the first page to every guide and module', async () => {
    const titles = await browser.evaluate(
      join(site, 'index.html'),
      script(`
        await until(() => document.querySelectorAll('.tsd-navigation a').length > 50)
        return [...document.querySelectorAll('.tsd-navigation a')].map((link) => link.textContent.trim())`),
    )
    assert.ok(Array.isArray(titles))
    const wanted = [
      'Getting started',
      'Recipes',
      'Errors',
      'Migrating from etcd3',
      'etcdkit/testing',
      'etcdkit/workqueue',
    ]
    assert.deepEqual(
      wanted.filter((title) => !titles.includes(title)),
      [],
    )
    const first = titles.indexOf('Getting started')
    assert.ok(first >= 0 && first < titles.indexOf('etcdkit/testing'))
  })

  for (const isDark of [false, true]) {
    for (const width of [1400, 420]) {
      test(`shows a guide at ${width} pixels in ${isDark ? 'dark' : 'light'} mode`, async () => {
        const sight = await browser.evaluate(
          page('Leases'),
          script(`
            const channels = getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)
            return {
              isDark: Math.max(...channels) < 128,
              isTooWide: document.documentElement.scrollWidth > innerWidth,
              heading: document.querySelector('.tsd-typography h1').textContent,
              isHighlighted: document.querySelectorAll('pre code span[class^=hl-]').length > 20,
              tables: document.querySelectorAll('.tsd-typography table').length > 0,
            }`),
          { width, isDark },
        )
        assert.deepEqual(sight, { isDark, isTooWide: false, heading: 'Leases', isHighlighted: true, tables: true })
      })
    }
  }
})
