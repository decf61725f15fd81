import type { Screen, Verdict } from './screen.js'

/** Prints a section with its verdict; a failed check sets the exit code to 1. */
export async function section(screen: Screen, title: string, run: () => Promise<Verdict>): Promise<void> {
  screen.title(title)
  const verdict = await run()
  screen.verdict(verdict)
  if (!verdict.holds) process.exitCode = 1
}
