export const GET = async ({ url, request }) => {
  return new Response(`${request.method} ${url.searchParams.get("q")}`);
};

export const POST = async ({ request, cookies, getClientAddress }) => {
  const form = await request.formData();
  return Response.json({ name: form.get("name"), seen: cookies.get("seen") ?? null, known: getClientAddress() !== "" });
};
