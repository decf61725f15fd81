const live = new Set<() => void>()

/** Registers what is to be done when this process exits; returns the function that takes it back. */
export function onProcessExit(cleanUp: () => void): () => void {
  if (live.size === 0) process.on('exit', cleanUpAll)
  live.add(cleanUp)
  return () => {
    live.delete(cleanUp)
    if (live.size === 0) process.off('exit', cleanUpAll)
  }
}

function cleanUpAll(): void {
  for (const cleanUp of live) cleanUp()
}
