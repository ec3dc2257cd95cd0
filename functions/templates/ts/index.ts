interface Context {
  /** Lets work go on after the answer has been sent, within the time limit. */
  waitUntil(work: Promise<unknown>): void;
}

// `Env` is in sandpiper-env.d.ts, which `sandpiper types` writes from "env" in sandpiper.jsonc.
export default {
  async fetch(request: Request, env: Env, _ctx: Context): Promise<Response> {
    const url = new URL(request.url);
    const name = url.searchParams.get("name") ?? "world";
    console.log(`${request.method} ${url.pathname} for ${name}`);
    return Response.json({ message: `${env.GREETING}, ${name}!` });
  },
};
