export const config = { runtime: "edge" };
export default async function handler(req: Request, context: { waitUntil(work: Promise<unknown>): void; cookies: Map<string, string> }) {
  context.waitUntil(Promise.resolve());
  return Response.json({ seen: context.cookies.get("seen") ?? null });
}
