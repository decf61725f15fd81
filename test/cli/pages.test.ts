import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Browser } from '../support/browser.js'
import { findChromium } from '../support/chromium.js'
import { pageSamples } from './page-samples.js'

/** What a browser makes of a page. */
interface Sight {
  readonly charts: number
  readonly marks: number
  /** Texts of charts that are not wholly inside. */
  readonly cutOff: readonly string[]
  readonly isTooWide: boolean
  /** How much of the width is used. */
  readonly usedWidth: number
  readonly isVerdictVisible: boolean
  /** Numbers in tables that are not at the right edge of their cell. */
  readonly leftNumbers: readonly string[]
  /** Texts that differ too little from their background. */
  readonly faint: readonly string[]
  readonly minFontSize: number
  readonly loaded: readonly string[]
  readonly scripts: number
}

const look = `(() => {
  const all = (selector) => [...document.querySelectorAll(selector)]
  const box = (element) => element.getBoundingClientRect()
  const cutOff = all('svg text').filter((text) => {
    const { left, right, top, bottom } = box(text.closest('svg'))
    const own = box(text)
    return own.left < left - 1 || own.right > right + 1 || own.top < top - 1 || own.bottom > bottom + 1
  })
  const channels = (color) => color.match(/[\\d.]+/g).map(Number)
  const luminance = (color) => {
    const [r, g, b] = channels(color).map((part) => (part / 255 <= 0.03928 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  const background = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = getComputedStyle(at).backgroundColor
      if ((channels(color)[3] ?? 1) > 0) return color
    }
    return 'rgb(255, 255, 255)'
  }
  const contrast = (element) => {
    const style = getComputedStyle(element)
    const pair = [luminance(element.closest('svg') ? style.fill : style.color), luminance(background(element))].sort((a, b) => b - a)
    return (pair[0] + 0.05) / (pair[1] + 0.05)
  }
  const texts = all('main *').filter((element) =>
    [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim() !== '') && element.tagName !== 'title' && box(element).width > 0)
  const fontSize = (element) => {
    const svg = element.closest('svg')
    return parseFloat(getComputedStyle(element).fontSize) * (svg ? box(svg).width / svg.viewBox.baseVal.width : 1)
  }
  const verdict = box(document.querySelector('.verdict .text'))
  const isNumber = (text) => /^~?[\\d,.]+( (ms|s|µs|B|[KMGT]iB|%))?$/.test(text)
  const isLeft = (cell) => {
    const range = document.createRange()
    range.selectNodeContents(cell)
    return box(cell).right - parseFloat(getComputedStyle(cell).paddingRight) - range.getBoundingClientRect().right > 2
  }
  const versions = new Set(all('td[data-title="version"]'))
  return {
    charts: all('figure').length,
    marks: all('svg rect.column, svg polyline, .bar i').filter((mark) => box(mark).width >= 1).length,
    cutOff: cutOff.map((text) => text.textContent),
    isTooWide: document.documentElement.scrollWidth > innerWidth,
    usedWidth: box(document.querySelector('main')).width / innerWidth,
    isVerdictVisible: verdict.top >= 0 && verdict.bottom <= 300,
    leftNumbers: all('td').filter((cell) => isNumber(cell.textContent) && !versions.has(cell) && isLeft(cell)).map((cell) => cell.textContent),
    faint: texts.filter((element) => contrast(element) < 4.5).map((element) => element.outerHTML.slice(0, 80)),
    minFontSize: Math.min(...texts.map(fontSize)),
    loaded: performance.getEntriesByType('resource').map(({ name }) => name),
    scripts: document.scripts.length + (window.injected ? 1 : 0),
  }
})()`

const chromium = await findChromium()

describe('In a browser the page of', { skip: typeof chromium === 'string' && chromium }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'etcdkit-pages-'))
  const path = join(folder, 'page.html')
  let browser: Browser

  before(() => {
    if (typeof chromium !== 'string') browser = new Browser(chromium)
  })
  after(async () => {
    await browser?.[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true })
  })

  for (const { name, html, charts, minMarks } of pageSamples) {
    for (const width of [1600, 420]) {
      test(`${name} can be read at ${width} pixels, in light and dark, and loads and runs nothing`, async () => {
        writeFileSync(path, html)
        for (const isDark of [false, true]) {
          const sight = (await browser.evaluate(path, look, { width, height: 800, isDark })) as Sight
          const { marks, usedWidth, minFontSize, ...others } = sight
          assert.deepEqual(others, {
            charts,
            cutOff: [],
            isTooWide: false,
            isVerdictVisible: true,
            leftNumbers: [],
            faint: [],
            loaded: [],
            scripts: 0,
          })
          assert.ok(marks >= minMarks, `${marks} marks`)
          assert.ok(usedWidth > 0.95, `uses ${usedWidth} of the width`)
          assert.ok(minFontSize >= 10.5, `a text has ${minFontSize} pixels`)
        }
      })
    }
  }
})
