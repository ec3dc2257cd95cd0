/** Waits for what has no event; imports nothing, for tests that run where packages are not. */

/** Resolves when the condition holds; the watchdog ends the file when it never does. */
export async function eventually(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 5));
}
