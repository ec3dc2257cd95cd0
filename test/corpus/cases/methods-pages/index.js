export async function onRequestGet({ request, env, params, waitUntil }) {
  waitUntil(Promise.resolve());
  return new Response(`${request.method} ${env.PLACE}`);
}
export const onRequestPost = (context) => Response.json({ data: context.data });
