/** The smallest function: one greeting. */
export default {
  fetch(request: Request, env: { GREETING: string }): Response {
    const name = new URL(request.url).searchParams.get("name") ?? "world";
    return new Response(`${env.GREETING}, ${name}!\n`);
  },
};
