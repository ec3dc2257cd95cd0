/** A canary of whose calls a fifth fails, deployed beside a version that never fails. */
import type { Platform } from "../helpers/platform.ts";

const NAME = "watched";
const WINDOW_MS = 600_000;
const CALLERS = 10;

interface Decision {
  kind: string;
  message: string;
  figures: { afterMs: number };
}

/**
 * Calls the function until the platform decided by itself.
 * @returns the kind of move that it made, in words, with its figures
 */
export async function failingCanary(platform: Platform): Promise<{ isTakenBack: boolean; said: string }> {
  const deploy = async (module: string, more: object = {}) => {
    const files = [{ path: "index.ts", contentBase64: Buffer.from(module).toString("base64") }];
    const body = JSON.stringify({ config: { name: NAME }, entry: "index.ts", files, ...more });
    const headers = { "content-type": "application/json" };
    const response = await platform.api(`/v1/functions/${NAME}`, { method: "PUT", headers, body });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  };
  await deploy('export default () => new Response("base");');
  const failing = 'export default () => new Response("canary", { status: Math.random() < 0.2 ? 500 : 200 });';
  await deploy(failing, { canary: { percent: 10, auto: { windowMs: WINDOW_MS } } });
  let decision: Decision | undefined;
  const call = async () => {
    while (decision === undefined) await (await fetch(`${platform.url}/fn/main/${NAME}`)).arrayBuffer();
  };
  const look = async () => {
    while (decision === undefined) {
      const response = await platform.api(`/v1/functions/${NAME}/history`);
      const { entries } = (await response.json()) as { entries: Decision[] };
      decision = entries.find(({ kind }) => kind.startsWith("auto-"));
    }
  };
  await Promise.all([look(), ...Array.from({ length: CALLERS }, call)]);
  const { kind, message, figures } = decision as unknown as Decision;
  const isTakenBack = kind === "auto-rollback" && figures.afterMs < WINDOW_MS;
  return { isTakenBack, said: `${kind} ${figures.afterMs} ms into a window of ${WINDOW_MS} ms: ${message}` };
}
