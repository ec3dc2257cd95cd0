export default async (req: Request, context: unknown) => {
  const name = new URL(req.url).searchParams.get("name") ?? "world";
  return new Response(`Hello, ${name}`);
};
export const config = { path: "/hello" };
