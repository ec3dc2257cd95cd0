export async function fetch(request) {
  return new Response(new URL(request.url).searchParams.get("q"));
}
