import type { Screen, Verdict } from './screen.js'

/** Shows a section with its verdict; the exit code of the tour is 1 if it does not hold. */
export async function section(screen: Screen, title: string, run: () => Promise<Verdict>): Promise<void> {
  screen.title(title)
  const verdict = await run()
  screen.verdict(verdict)
  if (!verdict.holds) process.exitCode = 1
}
